"""Two years without a runner: one row a job, and hardly any work. Work is counted, not timed."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from tests.engine.conftest import NOON

from cronbell.clock import to_micros
from cronbell.domain import Blackout, CatchUp
from cronbell.engine.planner import Planner
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Run
from cronbell.runlog.store import RunStore

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])

TWO_YEARS = timedelta(days=731)
MINUTES = 731 * 1440
MOST_CALLS = 20_000  # of Python functions, where a walk would make a million


def start(make_spec, **changes) -> tuple[int, int]:
    """Plan and record what two years missed; return function calls and statements it took."""
    spec = make_spec(**changes)
    job = sync_jobs([spec], NOON)[spec.name]
    now = to_micros(NOON + TWO_YEARS + timedelta(seconds=30))
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in {"call", "c_call"}

    planner = Planner()
    with CaptureQueriesContext(connections["runlog"]) as caught:
        sys.setprofile(count)
        try:
            planner.load([(job.pk, spec, to_micros(NOON))])
            rows = planner.plan(now, 500)
        finally:
            sys.setprofile(None)
        store = RunStore("runner-a")
        with store.transaction():
            planner.planned(row for row in rows if store.record_fires(rows, now).moved)
    assert planner.next_due() * 1_000_000 > now, "up to date after one plan"
    return calls, len(caught)


@pytest.mark.parametrize("catch_up", [CatchUp.LATEST, CatchUp.NONE])
def test_an_outage_of_two_years_of_minutes_is_one_missed_row(make_spec, catch_up):
    calls, statements = start(make_spec, catch_up=catch_up)
    missed = Run.objects.get(status="missed")
    # The fire of the last half minute is on time.
    assert (missed.missed_count, Run.objects.count()) == (MINUTES - 1, 2)
    assert missed.missed_first_at == NOON + timedelta(minutes=1)
    assert calls < MOST_CALLS
    assert statements < 20


def test_with_windows_it_is_the_same(make_spec):
    windows = (Blackout(start="12:00", end="11:59"),)
    calls, statements = start(
        make_spec, blackout=windows, catch_up_window=366 * 86_400.0, catch_up=CatchUp.LATEST
    )
    assert Run.objects.get(status="missed").missed_count == MINUTES - 1
    assert Run.objects.get(status="skipped").reason == "blackout"
    assert calls < MOST_CALLS
    assert statements < 20


def test_sabotage_a_walk_through_the_fires_would_be_seen(make_spec):
    """The counter sees what it is for: listing a month of the fires alone breaks the bound."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in {"call", "c_call"}

    planner = Planner()
    planner.load([(1, make_spec(), to_micros(NOON))])
    schedule, fire = planner.jobs[1].schedule, to_micros(NOON) // 1_000_000
    sys.setprofile(count)
    try:
        for _ in range(30 * 1440):
            fire = schedule.next(fire)
    finally:
        sys.setprofile(None)
    assert calls > MOST_CALLS
