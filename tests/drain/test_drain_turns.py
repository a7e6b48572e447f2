"""Many records in one transaction, and records handed over before a thread is free for them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from tests.drain.backlog.models import Letter

from cronbell.drain import claim as claims
from cronbell.drain.budget import Caps, Reserved, Usage
from cronbell.drain.callers import LONGEST_QUEUED, Callers, Sending
from cronbell.drain.drain import _Run
from cronbell.drain.models import DrainDay, Stage
from cronbell.drain.settings import BatchSize
from cronbell.drain.target import Reply
from cronbell.endpoint import JobContext

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]


def settled():
    return list(Letter.objects.order_by("pk").values_list("drain_state", flat=True))


def sending(hold, clock):
    now = clock.monotonic()
    reserved = Reserved(clock.now().date(), Usage().counts())
    return Sending(hold=hold, reserved=reserved, queued=now, seconds=30, ends=now + 300)


def test_one_statement_each_writes_the_intents_and_the_settlements_of_many(letters, take, clock):
    letters(5)
    holds = take()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert claims.intend_all(holds, Letter.objects.all(), now=clock.now(), lease=60) == holds
        assert claims.finish_all(holds, now=clock.now()) == holds
    assert len(queries) == 2
    assert settled() == [Stage.DONE] * 5


def test_of_many_only_those_that_are_still_ours_are_sent_and_settled(letters, take, clock):
    letters(4)
    one, changed, unstamped, other = take()
    claims.mark_changed(Letter.objects.filter(pk=changed.record.pk), now=clock.now())
    Letter.objects.filter(pk=unstamped.record.pk).update(stamped=False)
    everything = [one, changed, unstamped, other]
    stamped = Letter.objects.filter(stamped=True)
    assert claims.intend_all(everything, stamped, now=clock.now(), lease=60) == [one, other]
    assert claims.finish_all([one, changed, other], now=clock.now()) == [one, other]
    assert claims.finish_all([one, other], now=clock.now()) == []
    assert settled() == [Stage.DONE, Stage.PENDING, Stage.PENDING, Stage.DONE]


def test_what_was_to_be_sent_and_is_given_back_keeps_its_place(letters, take, clock):
    letters(2)
    first, second = take(1)[0], take(1)[0]
    for hold in (second, first):
        claims.intend_all([hold], Letter.objects.all(), now=clock.now(), lease=60)
        assert claims.release(hold)
    assert [hold.record.pk for hold in take()] == [first.record.pk, second.record.pk]


def test_a_target_that_lets_nobody_in_gets_nothing_that_was_waiting_for_a_thread(
    letters, take, clock
):
    letters(3)
    holds = take()
    called = []

    def call(hold, _seconds):
        called.append(hold)
        gate.wait(10)
        return Reply(status=401)

    gate = threading.Event()
    with Callers(call, 1, clock) as callers:
        for hold in holds:
            callers.send(sending(hold, clock))
        gate.set()
        back = []
        while callers.flying:
            back += callers.answered(10)
    assert called == holds[:1]
    assert {one.sending.hold.record.pk: one.reply is None for one in back} == {
        hold.record.pk: hold is not holds[0] for hold in holds
    }


@pytest.mark.parametrize(
    ("call", "concurrency", "most", "room"),
    [
        (0.0, 4, Usage(), 4),  # not known yet
        (0.5, 4, Usage(), 6),
        (0.05, 4, Usage(), 14),  # half a batch of 20
        (0.001, 16, Usage(), 32),  # one more for each thread
        (2.0, 4, Usage(), 4),
        (0.05, 1, Usage(), 1),
        (0.05, 4, Usage(tokens=9), 4),
    ],
)
def test_as_many_lie_ready_as_the_threads_soon_send_and_no_more(
    drain, clock, call, concurrency, most, room
):
    context = JobContext("post", max_duration=300, clock=clock)
    going = _Run(drain(concurrency=concurrency, most=most, batch=BatchSize(20)), context)
    going.call = call
    assert going._room(0) == room
    assert going._room(room) == going._room(room + 1) == 0


def test_a_record_that_waited_too_long_for_a_thread_is_not_sent(letters, take, clock):
    letters(1)
    waiting = sending(take()[0], clock)
    clock.advance(LONGEST_QUEUED + 1)
    with Callers(lambda _hold, _seconds: Reply(status=200), 1, clock) as callers:
        callers.send(waiting)
        (back,) = callers.answered(10)
    assert back.reply is None


def test_records_that_come_back_unsent_are_sent_later_and_counted_once(
    drain, run, letters, clock, monkeypatch
):
    letters(6)
    called = []
    work = Callers._work

    def late(callers):
        # The first thread finds what it was given to be hours old.
        if not called:
            clock.advance(LONGEST_QUEUED + 1)
        work(callers)

    def call(hold, _seconds):
        called.append(hold.record.pk)
        return Reply()

    monkeypatch.setattr(Callers, "_work", late)
    answer = run(drain(call=call, concurrency=3, per_day=Caps(calls=6)))
    assert (answer["processed"], len(set(called)), len(called)) == (6, 6, 6)
    day = DrainDay.objects.get()
    assert (day.items, day.calls) == (6, 6)


def test_one_that_cannot_be_written_does_not_undo_the_others(drain, run, letters, monkeypatch):
    letters(6)
    real = claims.finish_all
    refused = Letter.objects.order_by("pk")[2].pk
    gate = threading.Barrier(6)

    def finish_all(holds, *, now):
        if refused in [hold.record.pk for hold in holds]:
            raise OperationalError("the disk said no")
        return real(holds, now=now)

    def call(*_):
        gate.wait(10)
        return Reply()

    monkeypatch.setattr(claims, "finish_all", finish_all)
    answer = run(drain(call=call, concurrency=6, batch=BatchSize(6)))
    assert settled() == [Stage.DONE] * 2 + [Stage.PENDING] + [Stage.DONE] * 3
    (failed,) = [item for item in answer["results"] if not item["ok"]]
    assert (failed["recordId"], "the disk said no" in failed["error"]) == (str(refused), True)
    assert (answer["processed"], answer["failed"]) == (6, 1)


def test_the_benchmark_runs_small_and_prints_every_ratio():
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.drain", "--records", "100"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    # So few records say nothing about the limits: only that it runs.
    assert done.returncode in {0, 1}, done.stderr
    assert "100 records, 20 at a time, calls of 50 ms" in done.stdout
    rows = re.findall(r"(ideal|record, ms|against 20) +[\d.]+  limit", done.stdout)
    assert rows == ["ideal", "record, ms", "against 20"], done.stdout + done.stderr
