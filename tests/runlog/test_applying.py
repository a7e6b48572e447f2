"""A configuration is brought into force: what every job's row then says, at what cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import DatabaseError, connections, transaction
from django.test.utils import CaptureQueriesContext
from tests.runlog.test_store import START, spec

from cronbell.clock import to_micros
from cronbell.config.plan import plain_spec
from cronbell.domain import Blackout, JobSpec
from cronbell.runlog import applying
from cronbell.runlog.applying import (
    InForce,
    bring_into_force,
    difference_to_live,
    rows_in_force,
)
from cronbell.runlog.jobs import spec_from, sync_jobs
from cronbell.runlog.models import Configuration, Job, JobVersion
from cronbell.runlog.pausing import pause
from cronbell.runlog.statements import execute

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])

LATER = START + timedelta(hours=1)
MANY = 2_500


def named(name: str, **changes) -> JobSpec:
    return spec(name, **{"path": f"/api/cron/{name}", **changes})


def statements_of(specs: list[JobSpec], at=START) -> int:
    with CaptureQueriesContext(connections["runlog"]) as queries:
        bring_into_force(specs, at)
    return len(queries)


def test_a_row_says_what_the_definition_says_whatever_is_in_it():
    window = Blackout(days=("sat",), start="22:00", end="06:00", reason='"quoted", ünd 한국어')
    job = named("a", url="http://x/a'b", timezone="Asia/Seoul", enabled=False, blackout=(window,))
    assert bring_into_force([job], START) == {"a": InForce(Job.objects.get().pk, to_micros(START))}
    row = Job.objects.get()
    assert row.spec == plain_spec(job)
    assert (row.name, row.timezone, row.enabled) == ("a", "Asia/Seoul", False)
    assert row.created_at == row.cursor_at == START
    ((_, plain),) = rows_in_force()
    assert spec_from(plain) == job


def test_the_number_of_statements_grows_with_batches_and_not_with_jobs():
    jobs = [named(f"job-{n}") for n in range(MANY)]
    assert statements_of(jobs) < 25
    assert Job.objects.count() == JobVersion.objects.count() == MANY
    changed = [replace(job, timeout=7.0) for job in jobs]
    assert statements_of(changed) < 25
    assert Job.objects.filter(spec__timeout=7.0).count() == MANY
    assert statements_of([]) < 25
    assert Job.objects.filter(removed_at=START).count() == MANY


def test_pages_leave_no_job_out_and_give_none_twice(monkeypatch):
    monkeypatch.setattr(applying, "BATCH", 3)
    jobs = [named(f"job-{n}") for n in range(10)]
    ids = bring_into_force(jobs, START)
    assert bring_into_force(jobs, LATER) == ids
    assert sorted(job.id for job, _ in rows_in_force()) == sorted(job.id for job in ids.values())
    assert JobVersion.objects.count() == 10


def test_only_another_timing_starts_anew_and_a_cursor_moved_meanwhile_is_left_alone():
    bring_into_force([named("a"), named("b")], START)
    moved = START + timedelta(minutes=5)
    Job.objects.update(cursor_at=moved)
    found = bring_into_force([named("a", timeout=9.0), named("b", schedule="7 * * * *")], LATER)
    assert {name: job.cursor for name, job in found.items()} == {
        "a": to_micros(moved),
        "b": to_micros(LATER),
    }
    assert dict(Job.objects.values_list("name", "cursor_at")) == {"a": moved, "b": LATER}


def test_a_job_that_is_back_keeps_its_row_and_its_pause_and_starts_now():
    first = bring_into_force([named("a")], START)["a"]
    pause("a", reason="moving", actor="kim")
    bring_into_force([], START)
    assert bring_into_force([named("a", schedule="3 * * * *")], LATER)["a"] == InForce(
        first.id, to_micros(LATER)
    )
    row = Job.objects.get()
    assert (row.removed_at, row.cursor_at, row.created_at) == (None, LATER, START)
    assert row.pause_reason == "moving"


def test_another_place_in_the_file_is_no_change():
    bring_into_force([named("a", source="vercel.json crons[0]")], START)
    generation = Configuration.objects.get().generation
    moved = named("a", source="vercel.json crons[1]")
    assert difference_to_live([moved]).unchanged == 1
    bring_into_force([moved], LATER)
    assert Configuration.objects.get().generation == generation
    assert JobVersion.objects.count() == 1


def removed_clean_and_a_longer_name() -> JobSpec:
    """Leave a removed job `clean` behind, and a job in force that must take that name on."""
    bring_into_force([named("clean")], START)
    bring_into_force([], START)
    longer = named("b-clean", path="/api/b/clean")
    bring_into_force([longer], START)
    return replace(longer, name="clean")


def test_a_removed_job_gives_up_its_name_to_one_that_must_take_it_on():
    shorter = removed_clean_and_a_longer_name()
    ids = dict(Job.objects.values_list("path", "pk"))
    assert bring_into_force([shorter], LATER)["clean"].id == ids["/api/b/clean"]
    gone = Job.objects.get(pk=ids["/api/cron/clean"])
    assert gone.name == f"clean~{gone.pk}"
    assert gone.removed_at == START
    assert JobVersion.objects.filter(job=gone, name="clean").exists(), "what it was called then"
    assert sync_jobs([shorter], LATER)["clean"].path == "/api/b/clean"


def test_sabotage_without_giving_way_the_name_is_taken_twice(monkeypatch):
    def all_but_giving_way(connection, name, parameters):
        return 0 if name == "give_way" else execute(connection, name, parameters)

    shorter = removed_clean_and_a_longer_name()
    monkeypatch.setattr(applying, "execute", all_but_giving_way)
    with pytest.raises(DatabaseError), transaction.atomic(using="runlog"):
        bring_into_force([shorter], LATER)
