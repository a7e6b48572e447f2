"""Totals hold what a recount of every run there ever was would give, retention or not."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.db import transaction
from tests.runlog.conftest import NOON, SECOND, roll, row

from cronbell.clock import to_micros
from cronbell.runlog import rollups, totals
from cronbell.runlog.histogram import bucket
from cronbell.runlog.models import Run
from cronbell.runlog.rollups import Roller
from cronbell.runlog.router import ALIAS
from cronbell.runlog.totals import ALL_JOBS, totals_of
from cronbell.states import Status

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


def recount() -> dict:
    """Add the rows up by another way than the code under test."""
    found: dict = {}
    for run in Run.objects.filter(finished_at__isnull=False, dry_run=False):
        for job in (run.job_id, ALL_JOBS):
            found.setdefault((job, run.status), []).append(run)
    return {key: _sums(runs) for key, runs in found.items()}


def _sums(runs: list[Run]) -> tuple:
    took = [to_micros(r.finished_at) - to_micros(r.started_at) for r in runs if r.started_at]
    late = [
        to_micros(r.started_at) - to_micros(r.scheduled_at)
        for r in runs
        if r.started_at and r.kind == "schedule"
    ]
    return (
        len(runs), sum(r.attempt - 1 for r in runs), sum(r.items_total for r in runs),
        sum(r.items_failed for r in runs), len(took), sum(took), len(late), sum(late),
        _buckets(took), _buckets(late),
    )  # fmt: skip


def _buckets(values: list[int]) -> dict[int, int]:
    numbers = [bucket(value) for value in values]
    return {number: numbers.count(number) for number in sorted(numbers)}


def counted(jobs) -> dict:
    found = totals_of([job.pk for job in jobs])
    assert not found.left_out
    return {
        key: (
            *(getattr(total, name) for name in totals.SUMS),
            dict(sorted(total.durations.items())),
            dict(sorted(total.latenesses.items())),
        )
        for key, total in found.totals.items()
    }


def test_totals_are_what_a_recount_gives_rolled_up_or_not(jobs, monkeypatch):
    monkeypatch.setattr(rollups, "CHUNK", 7)
    chance, number, roller = random.Random(7), 0, Roller()
    for turn in range(10):
        made = []
        for _ in range(chance.randrange(20)):
            number += 1
            made.append(
                row(
                    chance.choice(jobs), number, chance.choice(list(Status)).value,
                    due=NOON + number * SECOND - timedelta(days=chance.choice([0, 0, 40])),
                    kind=chance.choice(["schedule", "run_now", "backfill"]),
                    dry_run=chance.random() < 0.1, attempt=chance.choice([1, 1, 3]),
                )
            )  # fmt: skip
            if made[-1].status in {"skipped", "missed"}:
                made[-1].started_at = None
        Run.objects.bulk_create(made)
        going = list(Run.objects.filter(finished_at__isnull=True).order_by("id"))
        for run in going[: len(going) // 2]:
            run.status, run.finished_at = "success", run.scheduled_at + timedelta(days=2)
            run.save()
        assert counted(jobs) == recount()
        if turn % 2:
            roll(roller if chance.random() < 0.7 else Roller())
            assert counted(jobs) == recount()
    assert len(counted(jobs)) > 15


def test_what_retention_removed_is_still_in_the_totals(jobs):
    Run.objects.bulk_create([row(jobs[0], n, due=NOON + n * SECOND) for n in range(5)])
    roll(Roller())
    before = counted(jobs)
    Run.objects.all().delete()
    assert counted(jobs) == before
    assert before[ALL_JOBS, "success"][0] == 5


def test_a_step_that_is_undone_counts_nothing_twice(jobs):
    Run.objects.bulk_create([row(jobs[0], n, due=NOON + n * SECOND) for n in range(9)])
    roller = Roller()
    with transaction.atomic(using=ALIAS):
        roller.step()
        transaction.set_rollback(True, using=ALIAS)
    roll(roller)
    assert counted(jobs) == recount()


def test_more_than_can_be_added_is_said_and_counters_still_only_grow(jobs, monkeypatch):
    monkeypatch.setattr(totals, "MOST_FRESH", 4)
    Run.objects.bulk_create([row(jobs[0], n, due=NOON + n * SECOND) for n in range(9)])
    found = totals_of([])
    assert (found.left_out, found.totals[ALL_JOBS, "success"].runs) == (True, 4)
    row(jobs[0], 50, due=NOON + 50 * SECOND).save()
    assert totals_of([]).totals == found.totals
    roll(Roller())
    assert totals_of([]).totals[ALL_JOBS, "success"].runs == 10
