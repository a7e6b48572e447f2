"""Rerun, replay and backfill: rows of their own, in nobody's way, once however often asked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.runlog.test_overlap import MINUTE, come_due
from tests.runlog.test_store import (
    NOW,
    SECOND,
    START,
    claim,
    finish,
    finish_row,
    fire,
    job,
    record,
)  # fmt: skip

from cronbell.clock import from_micros, to_micros
from cronbell.domain import Delivery, Overlap
from cronbell.errors import UnknownJobError
from cronbell.runlog import backfilling
from cronbell.runlog.again import Chosen, RerunError, find, replay, rerun
from cronbell.runlog.backfilling import BackfillError, Range
from cronbell.runlog.models import Backfill, Run
from cronbell.runlog.requests import request_run
from cronbell.runlog.store import RunStore
from cronbell.states import Status
from cronbell.testing.shifted import ShiftedClock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
JOB = "update-rankings"
HOUR = 60 * MINUTE


@pytest.fixture
def store():
    return RunStore("runner-a")


@pytest.fixture
def clock():
    shifted = ShiftedClock()
    shifted.show(START + timedelta(days=1))
    return shifted


def failed(store, it, number=1, *, status="error", first=1, **changes) -> list[Run]:
    """Let fires come due one after the other, each ending badly."""
    ids = []
    for n in range(first, first + number):
        come_due(store, it, 1, first=n)
        (run,) = claim(store, now=NOW + n * MINUTE)
        finish(store, finish_row(run, status=status, **changes))
        ids.append(run.id)
    return list(Run.objects.filter(pk__in=ids).order_by("id"))


def feed(store, clock) -> int:
    with store.transaction():
        return backfilling.feed(clock.micros())


def wanted(minutes: int = 9, **changes) -> Range:
    until = START + timedelta(minutes=minutes)
    return Range(**{"job_name": JOB, "since": START, "until": until, **changes})


def test_a_rerun_has_a_key_and_a_row_of_its_own_and_the_fires_instant(store, clock):
    (run,) = failed(store, job())
    new = rerun(run.pk, nonce="click", actor="alice", clock=clock)
    assert (new.kind, new.status, new.origin_id, new.actor) == ("rerun", "pending", run.pk, "alice")
    assert new.key != run.key
    assert new.scheduled_at == run.scheduled_at
    assert rerun(run.pk, nonce="click", actor="alice", clock=clock).pk == new.pk, "a double click"
    assert rerun(run.pk, nonce="other", actor="alice", clock=clock).pk != new.pk


def test_its_deadline_counts_from_when_it_is_sent(store, clock):
    (run,) = failed(store, job())
    rerun(run.pk, nonce="n", actor="a", clock=clock)
    later = clock.micros() + HOUR
    (claimed,) = claim(store, now=later)
    assert claimed.deadline_at == later + 600 * SECOND


def test_what_cannot_be_done_again_is_said(store, clock):
    with pytest.raises(RerunError, match="there is no run 4711"):
        rerun(4711, nonce="n", actor="a")
    it = job()
    come_due(store, it, 1)
    with pytest.raises(RerunError, match="still goes on"):
        rerun(Run.objects.get().pk, nonce="n", actor="a")
    Run.objects.update(status="missed", finished_at=NOW, missed_first_at=NOW, missed_count=9)
    with pytest.raises(RerunError, match="9 fires") as error:
        rerun(Run.objects.get().pk, nonce="n", actor="a")
    assert "backfill" in error.value.hint
    with pytest.raises(RerunError, match="nonce"):
        rerun(Run.objects.get().pk, nonce="", actor="a")


def test_what_waits_after_the_fact_is_in_no_fires_way(store, clock):
    """Under ``skip`` a fire is not skipped for a backlog that waits, and goes before it."""
    it = job(overlap=Overlap.SKIP)
    (run,) = failed(store, it)
    rerun(run.pk, nonce="n", actor="a", clock=clock)
    come_due(store, it, 1, first=2)
    assert [each.job_id for each in claim(store, now=clock.micros())] == [it.pk]
    going = Run.objects.get(status="running")
    assert going.kind == "schedule"
    assert claim(store, now=clock.micros()) == [], "the rerun waits for its end"


def test_a_fire_that_meets_one_running_waits_for_it_and_goes_before_the_rest(store, clock):
    it = job(overlap=Overlap.SKIP)
    runs = failed(store, it, 2)
    replay(runs, nonce="n", actor="a", clock=clock)
    (first,) = claim(store, now=clock.micros())
    at = NOW + 3 * MINUTE
    record(store, [fire(it, at, read=at - MINUTE, start=True)], now=at)
    live = Run.objects.get(kind="schedule", scheduled_at=at)
    assert (live.status, live.waits) == ("pending", True)
    assert claim(store, now=clock.micros()) == []
    finish(store, finish_row(first))
    (second,) = claim(store, now=clock.micros())
    assert second.id == live.pk
    finish(store, finish_row(second))
    (third,) = claim(store, now=clock.micros())
    assert Run.objects.get(pk=third.id).kind == "rerun"


def test_run_now_and_cancel_running_leave_a_backlog_alone(store, clock):
    it = job(overlap=Overlap.CANCEL_RUNNING)
    (run,) = failed(store, it)
    new = rerun(run.pk, nonce="n", actor="a", clock=clock)
    request_run(JOB, nonce="now", actor="b", clock=clock)
    come_due(store, it, 1, first=2)
    new.refresh_from_db()
    assert new.status == "pending"


def test_a_replay_takes_each_failed_run_once(store, clock):
    it = job()
    runs = failed(store, it, 3)
    failed(store, it, 1, first=4, status="success")
    found = find(Chosen(job_name=JOB, limit=2))
    assert ([run.pk for run in found.runs], found.more) == ([run.pk for run in runs[:2]], True)
    assert replay(found.runs, nonce="n", actor="a", clock=clock) == 2
    assert replay(found.runs, nonce="n", actor="a", clock=clock) == 0, "a double submission"
    assert [run.pk for run in find(Chosen(job_name=JOB)).runs] == [runs[2].pk]
    since = START + timedelta(minutes=3, seconds=1)
    assert find(Chosen(since=since)).runs == []


def test_a_replay_leaves_out_what_may_be_sent_only_once(store):
    it = job(delivery=Delivery.AT_MOST_ONCE)
    failed(store, it, 1, reason="timeout")
    failed(store, it, 1, first=2, reason="connect")
    Run.objects.update(at_most_once=True)
    found = find(Chosen())
    assert ([run.reason for run in found.runs], found.left_out) == (["connect"], 1)
    assert len(find(Chosen(at_most_once=True)).runs) == 2


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (Chosen(limit=0), "limit"),
        (Chosen(limit=1001), "limit"),
        (Chosen(statuses=()), "over"),
        (Chosen(statuses=(Status.RUNNING,)), "over"),
        (Chosen(since=START, until=START), "before"),
    ],
)
def test_a_choice_that_makes_no_sense_is_said(chosen, words):
    with pytest.raises(RerunError, match=words) as error:
        find(chosen)
    assert error.value.hint


def test_a_backfill_makes_one_run_for_each_fire_bit_by_bit(store, clock, monkeypatch):
    monkeypatch.setattr(backfilling, "AHEAD", 4)
    job()
    made = backfilling.start(wanted(), nonce="n", actor="alice", clock=clock)
    assert made.fires == 10
    assert backfilling.start(wanted(), nonce="n", actor="alice", clock=clock).pk == made.pk
    assert feed(store, clock) == 4
    assert feed(store, clock) == 0, "four are pending"
    done = []
    while feed(store, clock) or Run.objects.filter(status="pending").exists():
        (run,) = claim(store, now=clock.micros())
        finish(store, finish_row(run))
        done.append(run.scheduled_at)
    assert done == [NOW + n * MINUTE for n in range(10)], "in their order, one at a time"
    assert Run.objects.values("key").distinct().count() == 10
    made.refresh_from_db()
    assert made.ended_at is not None
    assert backfilling.progress(made) == {"success": 10}


def test_a_backfill_fed_by_two_runners_makes_no_fire_twice(store, clock):
    job()
    backfilling.start(wanted(), nonce="n", actor="a", clock=clock)
    assert (feed(store, clock), feed(RunStore("runner-b"), clock)) == (10, 0)


@pytest.mark.parametrize(
    ("overlap", "statuses"),
    [(Overlap.ALLOW, {"pending": 10}), (Overlap.SKIP, {"pending": 1, "skipped": 9})],
)
def test_a_backfill_obeys_its_own_overlap(store, clock, overlap, statuses):
    job()
    made = backfilling.start(wanted(overlap=overlap), nonce="n", actor="a", clock=clock)
    feed(store, clock)
    assert backfilling.progress(made) == statuses
    assert len(claim(store, limit=99, now=clock.micros())) == statuses["pending"]


def test_only_what_was_missed_is_filled_and_the_missed_row_tells(store, clock):
    it = job()
    at = NOW + 5 * MINUTE
    missed = fire(
        it, at, status="missed", reason="outage", missed_first_at=NOW + 3 * MINUTE, missed_count=3
    )
    record(store, [missed], now=at)
    before = Run.objects.values().get()
    made = backfilling.start(wanted(missed_only=True), nonce="n", actor="a", clock=clock)
    assert made.fires == 3
    feed(store, clock)
    (run,) = claim(store, now=clock.micros())
    assert run.scheduled_at == NOW + 3 * MINUTE
    finish(store, finish_row(run))
    row = Run.objects.get(status="missed")
    assert backfilling.filled(row) == [backfilling.Filling(made.pk, 1, 3)]
    assert Run.objects.values().get(pk=row.pk) == before, "history stays"


def test_a_backfill_is_paused_resumed_and_cancelled(store, clock, monkeypatch):
    monkeypatch.setattr(backfilling, "AHEAD", 2)
    job()
    made = backfilling.start(wanted(), nonce="n", actor="a", clock=clock)
    backfilling.pause(made.pk, clock)
    assert feed(store, clock) == 0
    backfilling.resume(made.pk)
    feed(store, clock)
    claim(store, limit=1, now=clock.micros())
    backfilling.cancel(made.pk, actor="bob", clock=clock)
    assert feed(store, clock) == 0
    assert backfilling.progress(made) == {"cancelled": 1, "running": 1}
    assert Run.objects.get(status="running").cancelled_by == "bob"
    assert backfilling.shape(Backfill.objects.get())["state"] == "cancelled"
    for change in (backfilling.pause, backfilling.resume):
        with pytest.raises(BackfillError, match="cancelled"):
            change(made.pk)
    with pytest.raises(BackfillError, match="no backfill 4711"):
        backfilling.cancel(4711, actor="bob")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"since": START + timedelta(days=9)}, "after until"),
        ({"until": START + timedelta(days=9)}, "future"),
        ({"since": START - timedelta(days=400)}, "10,000"),
        ({"overlap": Overlap.CANCEL_RUNNING}, "overlap"),
        ({"missed_only": True}, "nothing to fill"),
    ],
)
def test_a_backfill_that_makes_no_sense_is_said(clock, changes, words):
    job()
    with pytest.raises(BackfillError, match=words) as error:
        backfilling.start(wanted(**changes), nonce="n", actor="a", clock=clock)
    assert error.value.hint
    with pytest.raises(UnknownJobError):
        backfilling.start(wanted(job_name="nobody"), nonce="n", actor="a", clock=clock)
    assert not Backfill.objects.exists()


def test_the_start_stays_the_first_attempts_and_the_last_sending_is_kept(store):
    come_due(store, job(), 1)
    (run,) = claim(store)
    from cronbell.runlog.store import ReleaseRow

    sent = NOW + 90 * SECOND
    with store.transaction():
        store.release([ReleaseRow(run.id, run.term, NOW, 2, sent)], [])
    (second,) = claim(store, now=NOW + 100 * SECOND)
    finish(store, finish_row(second, started_at=NOW + 100 * SECOND))
    ended = Run.objects.get()
    assert to_micros(ended.started_at) == sent
    assert ended.sent_at == from_micros(NOW + 100 * SECOND)


def test_sabotage_without_giving_way_a_backlog_skips_the_fires(store, clock):
    it = job(overlap=Overlap.SKIP)
    (run,) = failed(store, it)
    rerun(run.pk, nonce="n", actor="a", clock=clock)
    Run.objects.filter(kind="rerun").update(gives_way=False)
    come_due(store, it, 1, first=2)
    assert Run.objects.filter(status="skipped").exists()
