"""Ends are gathered for a moment, but not where few others can come."""

from __future__ import annotations

import asyncio

from cronbell.clock import SystemClock
from cronbell.engine.settle import GATHER_SECONDS, Finish, Settler
from cronbell.runlog.store import FinishRow


class Held(SystemClock):
    """Time that passes only when it is let."""

    def __init__(self) -> None:
        self.passed = asyncio.Event()
        self.at = 0.0

    def monotonic(self) -> float:
        """Say how late it is."""
        return self.at

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


def test_what_has_gathered_waits_for_no_fewer_than_it_is_itself():
    async def go():
        clock, writer, in_hand = Held(), Committed(), dict.fromkeys([1, 2, 3, 4, 5], 1)
        settler = Settler(writer, clock, in_hand, lambda _at: None)
        settler.settle(end(1))
        settler.settle(end(2))
        await turns()
        assert writer.batches == []  # three more may come any moment

        settler.settle(end(3))
        await turns()
        assert writer.batches == [[1, 2, 3]]

        settler.settle(end(4))
        await turns()
        assert len(writer.batches) == 1  # the fifth may

        settler.settle(end(5))
        await turns()
        assert writer.batches == [[1, 2, 3], [4, 5]]
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


def test_when_all_is_committed_nothing_more_is_waited_for():
    async def go():
        settler = Settler(Committed(), Held(), {1: 1}, lambda _at: None)
        settler.settle(end(1))
        async with asyncio.timeout(5):
            await settler.drain()

    asyncio.run(go())


def test_what_came_during_a_long_commit_does_not_wait_once_more():
    async def go():
        clock, writer, in_hand = Held(), Committed(), {1: 1, 2: 1, 3: 1, 4: 1}
        settler = Settler(writer, clock, in_hand, lambda _at: None)
        writer.free.clear()
        settler.settle(end(1))
        clock.at = GATHER_SECONDS
        clock.passed.set()
        await turns()
        clock.passed.clear()  # the commit has begun
        settler.settle(end(2))
        clock.at += GATHER_SECONDS
        settler.settle(end(3))
        writer.free.set()
        await turns()
        assert writer.batches == [[1], [2, 3]]

        in_hand[5] = 1
        settler.settle(end(4))
        clock.at += GATHER_SECONDS / 2
        await turns()
        assert writer.batches == [[1], [2, 3]], "the fifth may come"

    asyncio.run(go())
