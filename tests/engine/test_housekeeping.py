"""A runner rolls up what has ended and removes what is old, by itself."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from tests.engine.conftest import NOON, lost_run, run_until

from cronbell.clock import to_micros
from cronbell.config.retention import Retention
from cronbell.engine.housekeeping import LONGEST_WAIT_SECONDS, LOOK_SECONDS, Housekeeping
from cronbell.engine.writer import Writer
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import DailyRollup, Run
from cronbell.runlog.retention import Pruner
from cronbell.runlog.rewinding import hasten
from cronbell.runlog.rollups import Roller
from cronbell.runlog.store import RunStore
from cronbell.testing.clock import FakeClock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


def test_what_is_old_is_rolled_up_and_removed(make_spec, clock, target):
    spec, runs = make_spec(schedule="0 0 1 1 *"), 130
    run = lost_run(spec, clock, status="success", finished_at=clock.now(), lease_expires_at=None)
    Run.objects.all().delete()
    for number in range(runs):
        run.pk, run.key = None, f"k-{number}"
        run.scheduled_at = clock.now() - timedelta(days=200 - number)
        run.started_at = run.finished_at = run.scheduled_at
        run.save(force_insert=True)
    run_until([spec], clock, target, lambda: Run.objects.count() == 100)
    assert sum(DailyRollup.objects.values_list("runs", flat=True)) == runs
    assert sum(DailyRollup.objects.values_list("removed", flat=True)) == runs - 100


def test_housekeeping_waits_while_runs_wait_to_be_sent_but_not_for_ever():
    """A look at every job, in the midst of a herd, took the writer a quarter of its time."""
    asked = []

    async def go() -> list[bool]:
        fake, busy = FakeClock(), True
        writer = Writer(RunStore("somebody"), fake)
        writer.start()
        kept = Housekeeping(writer, fake, Retention(), behind=lambda: busy)
        kept.roller.step = lambda _now: bool(asked.append(True))
        waiting = asyncio.create_task(kept.roll_up())
        await fake.walk(0.5)
        seen = [bool(asked)]
        busy = False
        await fake.walk(LOOK_SECONDS)
        await waiting
        seen.append(bool(asked))
        asked.clear()
        busy = True
        starved = asyncio.create_task(kept.roll_up())
        await fake.walk(LONGEST_WAIT_SECONDS)
        await starved
        await writer.stop()
        return [*seen, bool(asked)]

    assert asyncio.run(go()) == [False, True, True]


def test_what_is_done_again_and_again_does_not_go_through_jobs_that_never_run(make_spec):
    """Their definitions, 80 MB of a hundred thousand, filled the store's cache: 233 to 267 MB."""
    sync_jobs([make_spec(f"job-{number}") for number in range(3)], NOON)
    now = to_micros(NOON)
    with CaptureQueriesContext(connections["runlog"]) as asked, transaction.atomic(using="runlog"):
        assert Roller(lambda _rows: None).step() is False
        assert Pruner(FakeClock(NOON)).step(Retention()) is False
        assert hasten(now, now + 60_000_000) == 0
    statements = [each["sql"] for each in asked.captured_queries]
    assert any("runlog_run" in each for each in statements)
    assert [each for each in statements if "runlog_job " in each or '"runlog_job"' in each] == []
