"""A runner rolls up what has ended and removes what is old, by itself."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from tests.engine.conftest import lost_run, run_until

from cronbell.config.retention import Retention
from cronbell.engine.housekeeping import LONGEST_WAIT_SECONDS, LOOK_SECONDS, Housekeeping
from cronbell.engine.writer import Writer
from cronbell.runlog.models import DailyRollup, Run
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
        kept.roller.step = lambda: bool(asked.append(True))
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
