"""Fires that are due: recorded a piece at a time, as fast as they can be sent.

A herd that is quick to send is planned as fast as it is sent, each fire recorded and started in one
commit. One that is slow is recorded all the same, to wait for whichever runner has room.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from cronbell.engine.planner import Planner
from cronbell.engine.pool import Pool
from cronbell.runlog.store import FireRow, Recorded, RunStore

log = logging.getLogger("cronbell.engine.due")

MICROS = 1_000_000
PLAN_CHUNK = 1_000
FIRST_PIECE = 100  # of a herd; each further one is twice as large
MOST_RECORDING = 3
# A fire that is due is in the run log after this at the latest, however busy the runner is.
HOLD_SECONDS = 1.0


class Due:
    """Plans and records what is due.

    Args:
        pool: executes what is started; its writer, clocks and leases are used here, too.
        planner: knows what is due.
        herd: called when many fires are due at once.
        guard: runs a coroutine whose error ends the runner.
    """

    def __init__(
        self,
        pool: Pool,
        planner: Planner,
        herd: Callable[[], None],
        guard: Callable[[Coroutine[Any, Any, None]], Coroutine[Any, Any, None]],
    ) -> None:
        self.pool = pool
        self.planner = planner
        self.herd = herd
        self.guard = guard
        self.writer, self.clock, self.clocks = pool.writer, pool.clock, pool.clocks
        self._recording: set[asyncio.Task[None]] = set()
        self._piece = FIRST_PIECE  # rows of a herd to be recorded at once

    async def plan(self) -> bool:
        """Record some of the fires that are due now; say whether there were any."""
        now = self.clock.micros()
        self.planner.put_back(now, 0)
        due = self.planner.next_due()
        if due is None or due * MICROS > now or self.clocks.aside:
            return False
        room = self.pool.room()
        held = (now - due * MICROS) / MICROS
        if held < HOLD_SECONDS and not self.pool.roomy():
            if self._recording:
                await asyncio.wait(self._recording, return_when=asyncio.FIRST_COMPLETED)
            else:
                await self.pool.wait_for_room(HOLD_SECONDS - held)
            return True
        limit = PLAN_CHUNK
        if held < HOLD_SECONDS:
            # The first of a herd in small pieces: their calls need not wait for a large commit.
            self._piece = min(2 * self._piece, PLAN_CHUNK) if self.pool.busy else FIRST_PIECE
            limit = min(room, self._piece)
        rows = self.planner.plan(now, limit, room)
        if len(rows) == limit:
            self.herd()
        elif not rows:
            return True
        # The next fires are planned while these are being committed; a few commits ahead at most.
        starting = sum([row.start for row in rows])
        self.pool.expected += starting
        task = asyncio.create_task(self.guard(self._record_and_wake(rows, now, starting)))
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)
        if len(self._recording) >= MOST_RECORDING:
            await asyncio.wait(self._recording, return_when=asyncio.FIRST_COMPLETED)
        return True

    async def recorded(self, seconds: float) -> None:
        """Wait until what is being recorded is, for at most so long."""
        if self._recording:
            await asyncio.wait(self._recording, timeout=seconds)

    async def _record_and_wake(self, rows: list[FireRow], now: int, starting: int) -> None:
        try:
            await self.record(rows, now)
        finally:
            self.pool.expected -= starting
        if starting < len(rows):
            self.pool.wake()

    async def record(self, rows: list[FireRow], now: int) -> None:
        """Record rows and start those that are to start.

        Args:
            rows: of fires that are due.
            now: microseconds, when they were planned.
        """
        try:
            recorded = await self.writer.submit(
                lambda store: self._write(store, rows, now), closing=True
            )
        except Exception:
            jobs = {row.job_id for row in rows}
            if len(jobs) > 1:
                # One job's rows are at fault: the others must not wait for it.
                for job_id in jobs:
                    await self.record([row for row in rows if row.job_id == job_id], now)
                return
            log.exception("job %d cannot be planned and is set aside", rows[0].job_id)
            return
        self.pool.take(recorded.started)
        moved = recorded.moved
        if len(moved) == len(rows):
            self.planner.recorded(rows, self.clock.micros())
            return
        self.planner.planned([row for row in rows if row.job_id in moved])
        elsewhere = {row.job_id for row in rows} - moved
        if elsewhere:
            self.planner.moved(await self.writer.submit(lambda store: store.cursors(elsewhere)))

    def _write(self, store: RunStore, rows: list[FireRow], now: int) -> Recorded:
        # The lease counts from the write, which may have waited long for the store: one that is
        # born expired would be taken for a dead runner's while its call is under way.
        expires = self.clocks.now() + int(self.pool.lease_seconds * MICROS)
        return store.record_fires(rows, now, expires)
