"""How many calls are on their way while a drain works, by a clock that statements and calls move.

The drain, its statements and its database are the real ones. What is made up is time: each
statement takes so many milliseconds, and calls take theirs side by side. So every gap in which a
thread stands idle is the drain's own doing, is the same each time, and is seen.
"""

from __future__ import annotations

import heapq
from collections import deque

import pytest
from django.db import connection
from tests.drain.backlog.models import Letter

from cronbell.drain import drain as module
from cronbell.drain.budget import Usage
from cronbell.drain.callers import Answered
from cronbell.drain.drain import Drain
from cronbell.drain.models import Stage
from cronbell.drain.settings import LARGEST_BATCH, BatchSize
from cronbell.drain.target import Reply
from cronbell.endpoint import JobContext

pytestmark = pytest.mark.django_db(transaction=True)
RECORDS, THREADS, CALL = 1000, 20, 0.05
IDEAL = RECORDS * CALL / THREADS
SECONDS_FOR_A_TURN = 0.1


class Timetable:
    """Stands in for the threads: who calls when follows from when records are handed over.

    A record is taken by the thread that is free first, as from the threads' queue.
    """

    def __init__(self, count, clock):
        self.clock = clock
        self.free = [clock.monotonic()] * count
        self.back = deque()
        self.calls = []
        self.flying = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert self.flying == 0

    def send(self, sending):
        self.flying += 1
        begun = max(heapq.heappop(self.free), self.clock.monotonic())
        ends = begun + CALL
        heapq.heappush(self.free, ends)
        self.calls.append((begun, ends))
        reply = Reply(status=200, usage=Usage(seconds=CALL))
        self.back.append((ends, Answered(sending, reply, begun)))

    def answered(self, seconds=None):
        wait = self.back[0][0] - self.clock.monotonic() if self.back else seconds
        waits = wait if seconds is None else min(wait, seconds)
        if waits > 0:
            self.clock.advance(waits)
        now, found = self.clock.monotonic(), []
        while self.back and self.back[0][0] <= now + 1e-9:
            found.append(self.back.popleft()[1])
        self.flying -= len(found)
        return found

    def withdraw(self):
        """Nothing waits when a drain has come to its end."""

    def idle(self):
        """Return the share of the threads' time without a call, until none was left to begin."""
        first, last = self.calls[0][0], self.calls[-1][0]
        at_work = sum(min(ends, last) - begun for begun, ends in self.calls)
        return 1 - at_work / (THREADS * (last - first))

    def fewest(self, since):
        """Return how few calls were on their way at any time from ``since`` to the last begin."""
        last = self.calls[-1][0]
        steps = sorted(
            [(begun, 1) for begun, _ in self.calls] + [(ends, -1) for _, ends in self.calls]
        )
        going, fewest = 0, THREADS
        for place, (at, step) in enumerate(steps):
            going += step
            following = steps[place + 1][0] if place + 1 < len(steps) else at
            if since <= at < last and following - at > 1e-6:
                fewest = min(fewest, going)
        return fewest


def drained(letters, clock, monkeypatch, statement):
    """Drain the letters, each statement taking so many seconds."""
    letters(RECORDS)
    tables = []

    def callers(_call, count, clock):
        tables.append(Timetable(count, clock))
        return tables[0]

    def slowly(execute, *more):
        clock.advance(statement)
        return execute(*more)

    monkeypatch.setattr(module, "Callers", callers)
    post = Drain(
        name="post",
        qualifying=lambda: Letter.objects.filter(stamped=True),
        call=lambda _hold, _seconds: Reply(status=200),
        batch=BatchSize(LARGEST_BATCH),
        batches=None,
        concurrency=THREADS,
    )
    began = clock.monotonic()
    with connection.execute_wrapper(slowly):
        result = post.run(JobContext("post", max_duration=300, clock=clock))
    assert result.data["processed"] == RECORDS
    assert not Letter.objects.exclude(drain_state=Stage.DONE).exists()
    return tables[0], clock.monotonic() - began


@pytest.mark.parametrize("statement", [0.0, 0.002, 0.005])
def test_no_thread_waits_for_a_turn_or_a_claim(letters, clock, monkeypatch, statement):
    table, seconds = drained(letters, clock, monkeypatch, statement)
    # Until the first answer nobody knows how long a call takes, and nothing lies ready.
    assert table.fewest(table.calls[0][0] + 2 * CALL + SECONDS_FOR_A_TURN) == THREADS
    assert table.idle() < 0.01
    assert seconds < 1.05 * IDEAL


def test_on_a_slow_disk_the_time_stays_within_a_tenth(letters, clock, monkeypatch):
    """Three statements of 10 ms to a turn, seven to a claim: 2 % of the threads' time is lost."""
    table, seconds = drained(letters, clock, monkeypatch, 0.01)
    assert table.idle() < 0.03
    assert seconds < 1.1 * IDEAL


def test_sabotage_with_nothing_lying_ready_threads_wait(letters, clock, monkeypatch):
    monkeypatch.setattr(module, "AHEAD", 0.0)
    table, seconds = drained(letters, clock, monkeypatch, 0.005)
    assert table.fewest(table.calls[0][0] + 2 * CALL + SECONDS_FOR_A_TURN) < THREADS
    assert table.idle() > 0.1
    assert seconds > 1.1 * IDEAL
