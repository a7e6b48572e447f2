"""Retention removes what is old and nothing that is still needed, a bounded piece at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from tests.runlog.conftest import NOON, SECOND, roll, row

from cronbell.clock import to_micros
from cronbell.config.retention import Retention
from cronbell.runlog import retention, statistics
from cronbell.runlog.models import Attempt, Backfill, DailyRollup, Item, Job, LogLine, Run
from cronbell.runlog.retention import Pruner
from cronbell.runlog.rollups import Roller
from cronbell.runlog.router import ALIAS
from cronbell.runlog.store import FireRow
from cronbell.runlog.why import why
from cronbell.runlog.why_words import finding_text
from cronbell.states import Status
from cronbell.testing import FakeClock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
DAY = timedelta(days=1)
KEEP_ONE = Retention(newest=1)


@pytest.fixture
def clock():
    return FakeClock(NOON)


@pytest.fixture
def old(jobs):
    """Forty runs of the first job, one a day, the oldest first; and its cursor past them all."""
    Run.objects.bulk_create(row(jobs[0], n, due=NOON - n * DAY) for n in range(40, 0, -1))
    Job.objects.update(cursor_at=NOON)
    roll(Roller())
    return list(Run.objects.order_by("id"))


def prune(clock, kept=KEEP_ONE) -> int:
    """Do steps until nothing is left to remove; return how many removed something."""
    pruner, worked = Pruner(clock), 0
    for _ in range(1000):
        before = Run.objects.count() + Item.objects.count()
        with transaction.atomic(using=ALIAS):
            more = pruner.step(kept)
        gone = before - Run.objects.count() - Item.objects.count()
        assert gone <= retention.MOST_ROWS
        worked += gone > 0
        if not more:
            return worked
    raise AssertionError("it never ends")


def test_what_is_older_than_its_status_is_kept_goes(old, jobs, clock):
    Run.objects.filter(pk=old[0].pk).update(status="error")
    DailyRollup.objects.filter(day__lt=NOON - 40 * DAY).update(status="error")
    prune(clock)
    left = set(Run.objects.values_list("pk", flat=True))
    # Ended 30 days ago and less, or a failure, which is kept longer.
    assert left == {run.pk for run in old if run.finished_at >= NOON - 30 * DAY} | {old[0].pk}


def test_the_newest_runs_of_a_job_stay_however_old(old, clock):
    clock.set_wall(NOON + 5000 * DAY)
    prune(clock, Retention(newest=7))
    assert list(Run.objects.order_by("id")) == old[-7:]


def test_a_status_kept_for_ever_stays(old, clock):
    clock.set_wall(NOON + 5000 * DAY)
    prune(clock, Retention.from_settings({"success": "forever", "newest": 1}))
    assert Run.objects.count() == len(old)


@pytest.mark.parametrize("status", ["pending", "running"])
def test_what_goes_on_stays(old, clock, status):
    Run.objects.filter(pk=old[0].pk).update(status=status, finished_at=None)
    clock.set_wall(NOON + 5000 * DAY)
    prune(clock)
    assert set(Run.objects.values_list("pk", flat=True)) == {old[0].pk, old[-1].pk}


def test_what_is_not_rolled_up_stays(jobs, clock):
    Run.objects.bulk_create(row(jobs[0], n, due=NOON - n * DAY) for n in range(60, 40, -1))
    Job.objects.update(cursor_at=NOON)
    prune(clock)
    assert Run.objects.count() == 20
    roll(Roller())
    prune(clock)
    assert Run.objects.count() == 1


def test_how_a_job_stands_is_the_same_after_as_before(old, jobs, clock):
    """A success between two failures that are kept longer must not be lost."""
    Run.objects.filter(pk__in=[old[0].pk, old[1].pk]).update(status="error")
    Run.objects.filter(pk__gt=old[4].pk).update(status="cancelled")
    before = statistics.standing_of(jobs[0]).newest
    assert statistics.standing_of(jobs[0]).failing is False
    prune(clock)
    assert statistics.standing_of(jobs[0]).newest == before


def test_a_fire_is_refused_a_second_row_after_its_row_was_removed(old, jobs, clock, store):
    """Even where only runs by hand came after the last fire, and the cursor was lost."""
    last = old[-1]
    Run.objects.bulk_create(
        row(jobs[0], n, due=NOON - n * SECOND, kind="run_now") for n in range(500, 100, -1)
    )
    Job.objects.update(cursor_at=NOON - 100 * DAY)
    roll(Roller())
    clock.set_wall(NOON + 5000 * DAY)
    prune(clock)
    assert Run.objects.filter(pk=last.pk).exists()
    # The cursor stood before all of them: they may be planned again, and all of them are there.
    assert set(Run.objects.filter(kind="schedule")) == set(old)
    fire = FireRow(
        jobs[0].pk, to_micros(NOON - 100 * DAY), "again", to_micros(NOON),
        to_micros(last.scheduled_at), "pending", "", to_micros(NOON), None, 0, to_micros(NOON),
        overlap="allow", ahead=0, at_most_once=False,
    )  # fmt: skip
    with store.transaction():
        store.record_fires([fire], to_micros(NOON))
    assert not Run.objects.filter(key="again").exists()


def test_a_backfill_that_goes_on_keeps_its_runs_and_what_it_fills(old, jobs, clock):
    Run.objects.filter(pk__in=[run.pk for run in old[:3]]).update(
        status="missed", missed_first_at=NOON - 41 * DAY
    )
    backfill = Backfill.objects.create(
        job=jobs[0], nonce="n", since=NOON - 50 * DAY, until=NOON, cursor_at=NOON - 50 * DAY,
        overlap="queue_all", missed_only=True, fires=9, created_at=NOON,
    )  # fmt: skip
    Run.objects.filter(pk=old[5].pk).update(backfill=backfill, kind="backfill")
    clock.set_wall(NOON + 5000 * DAY)
    prune(clock)
    kept = {old[0].pk, old[1].pk, old[2].pk, old[5].pk, old[-1].pk}
    assert set(Run.objects.values_list("pk", flat=True)) == kept
    Backfill.objects.update(ended_at=NOON)
    prune(clock)
    # The newest of its status stays.
    assert set(Run.objects.values_list("pk", flat=True)) == {old[2].pk, old[-1].pk}


def test_a_run_with_thousands_of_items_goes_bit_by_bit(old, jobs, clock):
    run = old[0]
    Item.objects.bulk_create(
        Item(run=run, job=jobs[0], record_id=str(n), ok=True) for n in range(1200)
    )
    LogLine.objects.create(run=run, at=NOON, message="begun")
    Attempt.objects.create(
        run=run, number=1, term=1, started_at=NOON, finished_at=NOON, reason="connect"
    )
    assert prune(clock) >= 3
    assert not Run.objects.filter(pk=run.pk).exists()
    assert Item.objects.count() == LogLine.objects.count() == Attempt.objects.count() == 0


def test_a_step_ends_when_its_time_is_over(old, clock, monkeypatch):
    monkeypatch.setattr(retention, "MOST_SECONDS", 0.0)
    monkeypatch.setattr(retention, "CHUNK", 2)
    pruner = Pruner(clock)
    with transaction.atomic(using=ALIAS):
        assert pruner.step(KEEP_ONE)
    assert Run.objects.count() == len(old) - 2


def test_rollups_survive_and_figures_are_the_same(old, jobs, clock):
    counted = [(each.day, each.runs) for each in DailyRollup.objects.all()]
    week = Retention.from_settings({"success": 7 * 86_400.0, "newest": 1})
    before = statistics.job_figures(jobs[0].pk, NOON)
    prune(clock, week)
    assert Run.objects.count() == 7
    roll(Roller())
    assert [(each.day, each.runs) for each in DailyRollup.objects.all()] == counted
    after = statistics.job_figures(jobs[0].pk, NOON)
    assert (after.whole.succeeded, after.complete) == (before.whole.succeeded, True)
    assert [day for day, _ in after.days] == [day for day, _ in before.days]
    removed = sum(DailyRollup.objects.values_list("removed", flat=True))
    assert removed == len(old) - 7


def test_why_says_that_the_row_was_removed(old, jobs, clock):
    at = old[0].scheduled_at
    found = why("one", at.isoformat(), NOON)
    assert found.moments[0].findings[0].code == "ran"
    Job.objects.update(created_at=at - 9 * DAY)
    jobs[0].versions.update(at=at - 9 * DAY)
    prune(clock)
    moment = why("one", at.isoformat(), NOON).moments[0]
    assert moment.findings[0].code == "no_row"
    assert "removed by retention" in finding_text(moment.findings[0], moment, "UTC")


def test_rollups_of_every_status_have_an_age():
    assert set(Retention().seconds) == {status for status in Status if status not in rollups_free()}


def rollups_free() -> set[Status]:
    """Return the statuses of runs that go on, which nothing may remove."""
    return {Status.PENDING, Status.RUNNING}


def test_jobs_with_nothing_to_remove_cost_one_statement_for_all(jobs, clock):
    """A hundred thousand jobs are gone over every ten minutes, beside everything else."""
    roll(Roller())
    with transaction.atomic(using=ALIAS), CaptureQueriesContext(connections[ALIAS]) as asked:
        assert not Pruner(clock).step(KEEP_ONE)
    assert len(asked) == 2, [each["sql"] for each in asked]
    assert len(jobs) > 1
