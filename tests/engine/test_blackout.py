"""What the planner and the run log make of fires that are due in a blackout window."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from tests.engine.conftest import NOON, aside, running, statuses, until

from cronbell.clock import to_micros
from cronbell.domain import Blackout, CatchUp, Dialect, Overlap
from cronbell.engine.planner import Planner
from cronbell.runlog.jobs import live_jobs, spec_of, sync_jobs
from cronbell.runlog.models import Job, Run
from cronbell.runlog.pausing import pause
from cronbell.runlog.reasons import explain
from cronbell.runlog.requests import request_run
from cronbell.runlog.store import RunStore
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])

MINUTE = 60_000_000
LUNCH = (Blackout(start="12:02", end="12:04", reason="the till is counted"),)


def put_into_force(spec) -> Planner:
    job = sync_jobs([spec], NOON)[spec.name]
    planner = Planner()
    planner.load([(job.pk, spec, to_micros(job.cursor_at))])
    return planner


def step(planner: Planner, minute: float, *, room: int = 0) -> None:
    now = to_micros(NOON) + int(minute * MINUTE)
    rows = planner.plan(now, 10, room)
    store = RunStore("runner-a")
    with store.transaction():
        recorded = store.record_fires(rows, now, now + MINUTE)
    planner.planned(row for row in rows if row.job_id in recorded.moved)


def log() -> list[tuple[int, str, str]]:
    return [
        ((run.scheduled_at - NOON) // timedelta(minutes=1), run.status, run.reason)
        for run in Run.objects.order_by("id")
    ]


def test_a_fire_in_a_window_is_one_skipped_row_that_names_it(make_spec):
    planner = put_into_force(make_spec(blackout=LUNCH, overlap=Overlap.ALLOW))
    for minute in (1, 2, 3, 4):
        step(planner, minute, room=5)
    assert log() == [
        (1, "running", ""),
        (2, "skipped", "blackout"),
        (3, "skipped", "blackout"),
        (4, "running", ""),
    ]
    run = Run.objects.get(scheduled_at=NOON + timedelta(minutes=3))
    assert run.finished_at is not None
    assert explain(run.reason, run.reason_data) == (
        "not run: due in the blackout window 12:02 – 12:04 (UTC): the till is counted"
    )


def test_several_fires_at_once_are_judged_each_by_its_own_instant(make_spec):
    spec = make_spec(blackout=LUNCH, schedule="every 30s", dialect=Dialect.STANDARD)
    step(put_into_force(spec), 2.4)
    assert log() == [(1, "missed", "outage"), (1, "pending", ""), (2, "skipped", "blackout")]


def test_a_fire_in_a_window_cancels_nothing(make_spec):
    spec = make_spec(blackout=LUNCH, overlap=Overlap.CANCEL_RUNNING)
    planner = put_into_force(spec)
    step(planner, 1, room=1)
    step(planner, 2)
    assert log() == [(1, "running", ""), (2, "skipped", "blackout")]


def test_a_pause_is_the_reason_where_both_hold(make_spec, clock):
    planner = put_into_force(make_spec(blackout=LUNCH))
    clock.show(NOON + timedelta(seconds=90))
    pause("tick", reason="moving", actor="alice", clock=clock)
    step(planner, 1)
    step(planner, 2)
    assert log()[1:] == [(2, "skipped", "paused")]


def test_after_an_outage_the_rest_of_it_has_a_row_of_its_own(make_spec):
    step(put_into_force(make_spec(blackout=LUNCH, schedule="*/2 * * * *")), 5.9)
    assert log() == [(2, "missed", "outage"), (4, "pending", "")]
    Run.objects.all().delete()
    window = (Blackout(start="12:03", end="12:13"),)
    step(put_into_force(make_spec(name="b", blackout=window, schedule="*/2 * * * *")), 13.9)
    assert log() == [(2, "pending", ""), (12, "missed", "outage")]
    rest = Run.objects.get(status="missed")
    assert (rest.missed_first_at, rest.missed_count) == (NOON + timedelta(minutes=4), 5)


def test_a_fire_of_a_window_stays_skipped_under_catch_up_all(make_spec):
    spec = make_spec(blackout=LUNCH, catch_up=CatchUp.ALL, overlap=Overlap.QUEUE_ALL)
    step(put_into_force(spec), 5.5)
    assert log() == [
        (1, "pending", ""),
        (2, "skipped", "blackout"),
        (3, "skipped", "blackout"),
        (4, "pending", ""),
        (5, "pending", ""),
    ]


def test_without_the_windows_the_same_fires_run(make_spec):
    """Sabotage: the same fires and the same steps, and every one of them is run."""
    planner = put_into_force(make_spec(overlap=Overlap.ALLOW))
    for minute in (1, 2, 3):
        step(planner, minute, room=5)
    assert [status for _, status, _ in log()] == ["running"] * 3


def test_windows_come_back_from_the_run_log_as_they_were_configured(make_spec):
    spec = make_spec(blackout=(*LUNCH, Blackout(days=("sat",), start="22:00", end="06:00")))
    sync_jobs([spec], NOON)
    assert spec_of(live_jobs()["tick"]).blackout == spec.blackout
    generation = Job.objects.get().cursor_at
    sync_jobs([make_spec()], NOON + timedelta(minutes=5))
    assert Job.objects.get().cursor_at == generation, "a window changes no fire"


def test_a_whole_runner_calls_nobody_in_a_window_but_for_run_now(make_spec, clock, target):
    spec = make_spec(blackout=(Blackout(start="12:00", end="12:30", reason="till"),))
    target.script(spec.path, answers.ok())

    async def go():
        async with running([spec], clock, target):
            clock.show_second(59.8)
            await until(lambda: statuses() == ["skipped"])
            assert target.requests_to(spec.path) == []
            await aside(request_run, "tick", nonce="n", actor="alice", clock=clock)
            await until(lambda: statuses() == ["skipped", "success"])

    asyncio.run(go())
    assert len(target.requests_to(spec.path)) == 1
