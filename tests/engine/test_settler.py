"""Ends are gathered for a moment, but not where no other can come."""

from __future__ import annotations

import asyncio

from tests.engine.conftest import NOON

from cronbell.clock import SystemClock, to_micros
from cronbell.engine.planner import Planner, _on_time, fire_row
from cronbell.engine.settle import Finish, Settler
from cronbell.runlog.store import FinishRow


class Held(SystemClock):
    """Time that passes only when it is let."""

    def __init__(self) -> None:
        self.passed = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Wait until time is let pass."""
        del seconds
        await self.passed.wait()


class Committed:
    """A writer that keeps what it was given, and commits when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.free = asyncio.Event()
        self.free.set()

    async def submit(self, act, *, durable):
        """Take a batch."""
        assert not durable
        await self.free.wait()
        return act(self)

    def finish(self, rows, items):
        """Keep a batch."""
        assert items == []
        self.batches.append([row.id for row in rows])
        return {row.id for row in rows}


def end(run_id: int) -> Finish:
    return Finish(FinishRow(run_id, 1, 0, 1, "success", "", "{}", 200, "", "", 0, 0), [])


async def turns() -> None:
    for _ in range(10):
        await SystemClock().wait(0)


def test_the_last_of_what_is_in_hand_is_committed_without_waiting_for_others():
    async def go():
        clock, writer, in_hand = Held(), Committed(), {1: 1, 2: 1, 3: 1}
        settler = Settler(writer, clock, in_hand, lambda _at: None)
        settler.settle(end(1))
        settler.settle(end(2))
        await turns()
        assert writer.batches == []  # the third may come any moment

        settler.settle(end(3))
        await turns()
        assert writer.batches == [[1, 2, 3]]
        assert in_hand == {}

    asyncio.run(go())


def test_what_is_being_committed_is_not_waited_for():
    async def go():
        clock, writer, in_hand = Held(), Committed(), {1: 1}
        settler = Settler(writer, clock, in_hand, lambda _at: None)
        writer.free.clear()
        settler.settle(end(1))
        await turns()
        in_hand[2] = 1
        settler.settle(end(2))
        writer.free.set()
        await turns()
        assert writer.batches == [[1], [2]]
        assert in_hand == {}

    asyncio.run(go())


def test_others_in_hand_are_waited_for_no_longer_than_the_moment():
    async def go():
        clock, writer, in_hand = Held(), Committed(), {1: 1, 2: 1}
        settler = Settler(writer, clock, in_hand, lambda _at: None)
        settler.settle(end(1))
        await turns()
        assert writer.batches == []
        clock.passed.set()
        await turns()
        assert writer.batches == [[1]]

    asyncio.run(go())


def test_the_short_way_to_a_fires_row_gives_the_same_row(make_spec):
    at = to_micros(NOON)
    specs = [
        make_spec("plain"),
        make_spec("jitter", jitter=20.0),
        make_spec("once", delivery="at_most_once", overlap="queue_all", deadline=77.5),
    ]
    planner = Planner()
    planner.load((number, spec, at) for number, spec in enumerate(specs, 1))
    assert len(planner.jobs) == 3
    for job in planner.jobs.values():
        assert job.due is not None
        for now in (job.due * 1_000_000 + 3, job.due * 1_000_000 + 30_000_000):
            whole = fire_row(job, job.due, now, cursor_new=job.due * 1_000_000)
            assert _on_time(job, job.due * 1_000_000, now, start=False) == whole
            assert _on_time(job, job.due * 1_000_000, now, start=True) == whole._replace(start=True)
