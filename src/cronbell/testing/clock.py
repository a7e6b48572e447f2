"""A ``Clock`` whose time is the test's.

Waiting on it costs no real time: a test of a day's schedule takes milliseconds, and a test of a
clock that is set back does not touch the machine's.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cronbell.clock import from_micros, to_micros

START = datetime(2026, 11, 22, tzinfo=UTC)
SECOND = 1_000_000

# How many turns of the event loop a woken task gets to do its work before the next waiter's time
# comes. A task that hands over through a queue or a future needs two or three.
SETTLE_TURNS = 10


@dataclass(order=True, slots=True)
class _Waiter:
    """One sleeping task or thread; ordered by its time, then by who came first."""

    due: int
    number: int
    loop: asyncio.AbstractEventLoop | None = field(compare=False)
    future: asyncio.Future[None] | None = field(compare=False)
    woken: bool = field(default=False, compare=False)


class FakeClock:
    """Implements ``cronbell.clock.Clock``; safe to use from several threads.

    In the manual mode ``sleep`` and ``wait`` block until somebody calls ``advance`` (or awaits
    ``walk``). In the automatic mode a wait moves the time itself: when every task of the loop
    has come to rest, the earliest waiter's time comes. Automatic time does not know about work
    outside the loop: a task that waits for a socket or a thread counts as resting.

    Args:
        start: the first instant, aware; 2026-11-22T00:00:00Z unless given.
        auto: the automatic mode.

    Raises:
        ValueError: ``start`` is naive.
    """

    def __init__(self, start: datetime | None = None, *, auto: bool = False) -> None:
        self._wall = to_micros(start or START)
        self._monotonic = 0
        self._auto = auto
        self._condition = threading.Condition(threading.RLock())
        self._waiters: list[_Waiter] = []
        self._numbers = itertools.count()
        self._driving = False

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        return from_micros(self.micros())

    def micros(self) -> int:
        """Return the wall time as whole microseconds since 1970-01-01T00:00:00Z."""
        with self._condition:
            return self._wall

    def monotonic(self) -> float:
        """Return the seconds this clock has been advanced by in all."""
        with self._condition:
            return self._monotonic / SECOND

    @property
    def waiting(self) -> int:
        """How many tasks and threads are waiting for their time."""
        with self._condition:
            return sum(not self._is_gone(waiter) for waiter in self._waiters)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass and wake everyone whose time comes, in the order of their times.

        The woken tasks run when the event loop next does, and then all see the same, final time;
        ``walk`` lets each see its own.

        Raises:
            ValueError: ``seconds`` is negative; to step the wall clock back use ``set_wall``.
        """
        if seconds < 0:
            raise ValueError(f"cannot advance by {seconds} s: set_wall steps the wall clock back")
        with self._condition:
            self._move(self._monotonic + round(seconds * SECOND))

    def set_wall(self, instant: datetime) -> None:
        """Step the wall clock, as NTP or a person does; nobody wakes, monotonic time stays.

        Raises:
            ValueError: ``instant`` is naive.
        """
        wall = to_micros(instant)
        with self._condition:
            self._wall = wall

    async def walk(self, seconds: float) -> None:
        """Let ``seconds`` pass, stopping at each waiter's time until the woken tasks rest again.

        Raises:
            ValueError: ``seconds`` is negative.
        """
        if seconds < 0:
            raise ValueError(f"cannot walk {seconds} s: time on this clock does not run backwards")
        with self._condition:
            end = self._monotonic + round(seconds * SECOND)
        await self._settle()
        while True:
            with self._condition:
                due = self._earliest()
                if due is None or due > end:
                    self._move(max(end, self._monotonic))
                    break
                self._move(max(due, self._monotonic))
            await self._settle()
        await self._settle()

    def wait_for_waiters(self, count: int, *, timeout: float = 5.0) -> None:
        """Block this thread until ``count`` tasks or threads are waiting on this clock.

        Args:
            count: how many, at least.
            timeout: real seconds.

        Raises:
            TimeoutError: they did not come.
        """
        with self._condition:
            if not self._condition.wait_for(lambda: self.waiting >= count, timeout):
                raise TimeoutError(f"{self.waiting} of {count} waiters after {timeout} s")

    def sleep(self, seconds: float) -> None:
        """Block this thread until ``seconds`` have passed on this clock."""
        with self._condition:
            due = self._monotonic + max(0, round(seconds * SECOND))
            if self._auto:
                self._move(due)
                return
            waiter = _Waiter(due, next(self._numbers), None, None)
            if due > self._monotonic:
                self._add(waiter)
                self._condition.wait_for(lambda: waiter.woken)

    async def wait(self, seconds: float) -> None:
        """Suspend this task until ``seconds`` have passed on this clock.

        Zero and less give the other tasks one turn.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._condition:
            due = self._monotonic + max(0, round(seconds * SECOND))
            if due <= self._monotonic:
                loop.call_soon(_set, future)
            else:
                self._add(_Waiter(due, next(self._numbers), loop, future))
                if self._auto and not self._driving:
                    self._driving = True
                    loop.call_soon(self._drive, loop, SETTLE_TURNS)
        await future

    def _add(self, waiter: _Waiter) -> None:
        heapq.heappush(self._waiters, waiter)
        self._condition.notify_all()

    def _drive(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        """Let the loop turn, then bring on the earliest waiter's time; until nobody waits."""
        with self._condition:
            if turns:
                loop.call_soon(self._drive, loop, turns - 1)
                return
            due = self._earliest()
            if due is None:
                self._driving = False
                return
            self._move(max(due, self._monotonic))
            loop.call_soon(self._drive, loop, SETTLE_TURNS)

    def _earliest(self) -> int | None:
        while self._waiters and self._is_gone(self._waiters[0]):
            heapq.heappop(self._waiters)
        return self._waiters[0].due if self._waiters else None

    def _move(self, target: int) -> None:
        """Set monotonic time to ``target``, the wall clock by as much, and wake who is due."""
        self._wall += target - self._monotonic
        self._monotonic = target
        while self._waiters and self._waiters[0].due <= target:
            waiter = heapq.heappop(self._waiters)
            waiter.woken = True
            if waiter.loop is not None and not self._is_gone(waiter):
                waiter.loop.call_soon_threadsafe(_set, waiter.future)
        self._condition.notify_all()

    @staticmethod
    def _is_gone(waiter: _Waiter) -> bool:
        """Say whether the task was cancelled or its loop closed while it waited."""
        if waiter.loop is None or waiter.future is None:
            return waiter.woken
        return waiter.loop.is_closed() or waiter.future.done()

    @staticmethod
    async def _settle() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(SETTLE_TURNS):
            turn = loop.create_future()
            loop.call_soon(_set, turn)
            await turn


def _set(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
