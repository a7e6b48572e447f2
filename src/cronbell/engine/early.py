"""Fires recorded before they are due, and held until they are.

What makes that safe is in ``runlog/early.py``: whoever decides about a job takes its rows back, and
before they are sent the run log is asked whether all are there still. Here they are recorded while
nothing else is to be done, handed to the pool when they are due, and taken back where they cannot
be sent then: this runner stops or stands aside, or its clock has jumped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cronbell.engine.due import HOLD_SECONDS, PLAN_CHUNK
from cronbell.engine.planner import LEAD, Planner
from cronbell.engine.pool import Pool
from cronbell.engine.waiting import wait_or
from cronbell.runlog.early import held, take_back_runs
from cronbell.runlog.store import Claimed, FireRow, RunStore

log = logging.getLogger("cronbell.engine.early")

MICROS = 1_000_000
# Held at most; their requests take 3 KB each.
MOST = 10_000
HERD = 100  # so many at once are one
# Microseconds after they are due: what has no worker by then is given back, for whichever runner
# has room. Rows that nobody could see to for so long are taken back and planned anew.
HOLD = int(HOLD_SECONDS * MICROS)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Runs of one commit, due at the same instant (microseconds)."""

    due: int
    lease: int  # when it expires; no other batch has the same
    runs: list[Claimed]
    terms: dict[int, int]  # by the run's id


@dataclass(frozen=True, slots=True)
class _Wrote:
    started: list[Claimed]
    lease: int
    elsewhere: dict[int, int]  # cursors of jobs whose fires were not recorded


class Early:
    """Records fires early and hands them over when they are due.

    Args:
        pool: executes what is due; its writer, clocks and leases are used here, too.
        planner: knows what is due soon.
        herd: called when many runs are handed over at once.
        replan: called when jobs were put back that are due.
    """

    def __init__(
        self,
        pool: Pool,
        planner: Planner,
        herd: Callable[[], None],
        replan: Callable[[], None],
    ) -> None:
        self.pool = pool
        self.planner = planner
        self.herd = herd
        self.replan = replan
        self.writer, self.clock, self.clocks = pool.writer, pool.clock, pool.clocks
        self.lease = int(pool.lease_seconds * MICROS)
        self._held: list[_Batch] = []
        self._changed = asyncio.Event()
        self._handing_over = asyncio.Lock()
        self._last_lease = 0
        self._crowded_until: int | None = None  # then what has no worker is given back
        self._stopping = False

    async def record(self) -> bool:
        """Record some of what is due in a moment; say whether there may be more.

        Not while runs wait to be sent: those are late already.
        """
        now, rows = self.clock.micros(), []
        if self._may():
            number, of = self.clocks.place
            limit = min(PLAN_CHUNK, self._room())
            rows = self.planner.early(now, limit, number=number, of=of)
        if not rows:
            return False
        try:
            wrote = await self.writer.submit(
                lambda store: self._write(store, rows, now), closing=True
            )
        except Exception:
            # When they are due each job's rows are judged alone.
            log.exception("%d fires could not be recorded before they are due", len(rows))
            return True
        started = {run.job_id for run in wrote.started}
        self.planner.planned([row for row in rows if row.job_id in started])
        read = {row.job_id: row.cursor_read for row in rows}
        self.planner.moved(
            {job: cursor for job, cursor in wrote.elsewhere.items() if cursor != read[job]}
        )
        if wrote.started:
            terms = {run.id: run.term for run in wrote.started}
            self._held.append(_Batch(rows[0].scheduled_at, wrote.lease, wrote.started, terms))
            self._changed.set()
        return True

    def next(self) -> int | None:
        """Return the instant (microseconds) from which on there is something to ``record``."""
        return self.planner.next_early() if self._may() else None

    def _may(self) -> bool:
        no = self._stopping or self.clocks.aside or self.pool.behind() or self._room() <= 0
        return not no

    def _room(self) -> int:
        return MOST - sum(len(batch.runs) for batch in self._held)

    def _write(self, store: RunStore, rows: list[FireRow], now: int) -> _Wrote:
        if self.clock.micros() >= rows[0].scheduled_at:
            return _Wrote([], 0, {})  # the store was away: they are due, and planned as such
        # Each batch has a lease of its own, by which its rows are counted; from the moment of the
        # write, as for every other.
        self._last_lease = lease = max(self.clocks.now() + self.lease, self._last_lease + 1)
        recorded = store.record_fires(rows, now, lease, early=True)
        left = {row.job_id for row in rows} - recorded.moved
        return _Wrote(recorded.started, lease, store.cursors(left) if left else {})

    async def hand_over_forever(self) -> None:
        """Hand runs to the pool when they are due."""
        while True:
            now = self.clock.micros()
            if self._crowded_until is not None and now >= self._crowded_until:
                self._crowded_until = None
                self.pool.give_back()
            due = min([batch.due for batch in self._held], default=None)
            if due is not None and (due <= now or due - now > 2 * LEAD):
                await self._hand_over(self._taken(due), now)
                continue
            moments = [each for each in (due, self._crowded_until) if each is not None]
            if moments:
                await wait_or(self._changed, self.clock, (min(moments) - now) / MICROS)
            else:
                await self._changed.wait()
                self._changed.clear()

    def _taken(self, due: int) -> list[_Batch]:
        taken = [batch for batch in self._held if batch.due == due]
        self._held = [batch for batch in self._held if batch.due != due]
        return taken

    async def _hand_over(self, batches: list[_Batch], now: int) -> None:
        async with self._handing_over:
            late = now - batches[0].due
            if not -2 * LEAD <= late <= HOLD or self.clocks.aside or self._stopping:
                # A clock has jumped, or this process stood still.
                await self._take_back(run for batch in batches for run in batch.runs)
            else:
                if sum(len(batch.runs) for batch in batches) >= HERD:
                    self.herd()
                for batch in batches:
                    self.pool.in_hand.update(batch.terms)
                    self.pool.begin(await self._still_mine(batch))
                self._crowded_until = now + HOLD

    async def _still_mine(self, batch: _Batch) -> list[Claimed]:
        """Leave out runs that were taken back or ended since; their jobs are planned anew.

        Asked now that they are due: whatever was decided about their jobs before is committed.
        """
        terms = batch.terms

        def look(store: RunStore) -> tuple[set[int], dict[int, int]]:
            now = self.clocks.now()
            if now >= batch.lease - self.lease // 2:  # the store was away
                lost = terms.keys() - store.renew(terms, now + self.lease)
            else:
                all_there = held(store.owner, batch.lease, batch.due) == len(terms)
                lost = set() if all_there else store.lost(terms)
            jobs = {run.job_id for run in batch.runs if run.id in lost}
            return lost, store.cursors(jobs) if jobs else {}

        lost, cursors = await self.writer.submit(look, durable=False, closing=True)
        if not lost:
            return batch.runs
        for run_id in lost:
            self.pool.in_hand.pop(run_id, None)
        self.planner.moved(cursors)
        self.replan()
        return [run for run in batch.runs if run.id not in lost]

    async def _take_back(self, runs: Iterable[Claimed]) -> None:
        ids = [run.id for run in runs]
        cursors = await self.writer.submit(lambda store: take_back_runs(store.owner, ids))
        self.planner.moved(cursors)
        self.replan()

    async def stop(self) -> None:
        """Take back what is held: whoever runs next records it when it is due."""
        self._stopping = True
        async with self._handing_over:
            batches, self._held = self._held, []
            if batches:
                await self._take_back(run for batch in batches for run in batch.runs)
