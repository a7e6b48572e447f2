"""A paused job: what its fires become, and that nothing but resuming ends it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.runlog.test_overlap import MINUTE, come_due, rows
from tests.runlog.test_store import NOW, SECOND, START, claim, fire, job, record, spec

from cronbell.clock import from_micros
from cronbell.domain import Overlap
from cronbell.errors import UnknownJobError
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Job, Run
from cronbell.runlog.pausing import PauseError, pause, resume
from cronbell.runlog.reasons import explain
from cronbell.runlog.requests import request_run
from cronbell.runlog.store import RunStore
from cronbell.testing.shifted import ShiftedClock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


@pytest.fixture
def store():
    return RunStore("runner-a")


@pytest.fixture
def clock():
    shifted = ShiftedClock()
    shifted.show(from_micros(NOW + MINUTE // 2))
    return shifted


def paused(it, clock, reason="the target is being moved"):
    return pause(it.name, reason=reason, actor="alice", clock=clock)


def test_fires_due_since_the_pause_are_skipped_rows_that_say_why(store, clock):
    it = job()
    paused(it, clock)
    at = NOW + 2 * MINUTE
    batch = [fire(it, NOW + SECOND, cursor_new=at), fire(it, at, cursor_new=at, ahead=1)]
    record(store, batch, now=at)
    assert rows() == [("pending", ""), ("skipped", "paused")], "due before the pause: it runs"
    run = Run.objects.get(status="skipped")
    assert run.reason_data == {"reason": "the target is being moved", "by": "alice"}
    assert explain(run.reason, run.reason_data) == (
        "not run: alice had paused the job: the target is being moved"
    )


def test_a_pause_survives_a_reload_and_a_change_of_the_job(store, clock):
    it = job()
    paused(it, clock)
    later = START + timedelta(minutes=2)
    changed = sync_jobs([spec(schedule="*/2 * * * *")], later)[it.name]
    at = NOW + 4 * MINUTE
    record(store, [fire(changed, at, read=NOW + 2 * MINUTE)], now=at)
    assert rows() == [("skipped", "paused")]
    assert Job.objects.get().paused_by == "alice"


def test_after_resuming_fires_run_again(store, clock):
    it = job()
    paused(it, clock)
    come_due(store, it, 2)
    assert resume(it.name).pause_reason == "the target is being moved"
    come_due(store, it, 1, first=3)
    assert rows() == [("skipped", "paused"), ("skipped", "paused"), ("pending", "")]


def test_a_paused_job_can_be_run_by_hand_and_what_was_recorded_still_runs(store, clock):
    it = job(overlap=Overlap.QUEUE_ALL)
    record(store, [fire(it, NOW + SECOND, overlap="queue_all")])
    paused(it, clock)
    request_run(it.name, nonce="n", actor="alice", clock=clock)
    assert rows() == [("pending", ""), ("pending", "")]


def test_a_paused_fire_cancels_nothing(store, clock):
    it = job(overlap=Overlap.CANCEL_RUNNING)
    record(store, [fire(it, NOW + SECOND, overlap="cancel_running")])
    claim(store, now=NOW + SECOND)
    paused(it, clock)
    at = NOW + 2 * MINUTE
    record(store, [fire(it, at, read=NOW + SECOND, overlap="cancel_running")], now=at)
    assert rows() == [("running", ""), ("skipped", "paused")]


def test_pausing_again_keeps_the_moment_and_takes_the_new_reason(clock):
    it = job()
    since = paused(it, clock).paused_at
    clock.show(from_micros(NOW + 9 * MINUTE))
    again = paused(it, clock, reason="still being moved")
    assert (again.paused_at, again.pause_reason) == (since, "still being moved")


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\0b", "\ud800"])
def test_a_pause_needs_a_reason(clock, reason):
    with pytest.raises(PauseError) as error:
        paused(job(), clock, reason=reason)
    assert error.value.hint
    assert Job.objects.get().paused_at is None


def test_what_is_not_there_or_not_paused_is_said(clock):
    with pytest.raises(UnknownJobError):
        pause("nothing", reason="x", actor="alice", clock=clock)
    with pytest.raises(PauseError, match="is not paused"):
        resume(job().name)
