"""Notices jobs whose cursors a wrong clock has left in the future, and lets them fire again."""

from __future__ import annotations

import logging

from cronbell.clock import Clock, from_micros, iso
from cronbell.engine.clocks import Clocks
from cronbell.engine.heartbeats import Heartbeats
from cronbell.engine.planner import GRACE, MICROS, Planner
from cronbell.engine.writer import Writer
from cronbell.runlog.rewinding import (
    Rewound,
    Stranded,
    believable,
    cursors_after,
    hasten,
    rewind,
)

log = logging.getLogger("cronbell.engine.rewind")

# Jobs in one transaction, a few statements each.
CHUNK = 50


class Rewinder:
    """Looks for jobs that stand still since a clock was ahead.

    A cursor less than the planner's grace ahead is let be: within it each fire got a row of its
    own, so that waiting loses none.

    Args:
        writer: the run log's writer.
        planner: knows the cursor of every job that is called.
        heartbeats: knows the others; their cursors are the run log's to say, since pings move them.
        clock: what time it is.
        clocks: what the store's clock says; a job counts as ahead only if it is ahead of both.
    """

    def __init__(
        self,
        writer: Writer,
        planner: Planner,
        heartbeats: Heartbeats,
        clock: Clock,
        clocks: Clocks,
    ) -> None:
        self.writer = writer
        self.planner = planner
        self.heartbeats = heartbeats
        self.clock = clock
        self.clocks = clocks
        self._told: tuple[str, int] = ("", 0)

    async def look(self) -> None:
        """Rewind what is stranded; say so, and say once what is left as it is."""
        if self.clocks.aside:
            return
        now = self.clock.micros()
        after = max(now, self.clocks.now()) + GRACE * MICROS
        await self._hasten(now, after)
        stranded = [*self._stranded(after, now), *await self._stranded_heartbeats(after, now)]
        if not stranded:
            self._told = ("", 0)
            return
        if not await self.writer.submit(lambda _store: believable(now)):
            self._tell(
                "this machine's clock shows %s, before anything the run log holds, and %d jobs wait"
                " for the time they were last recorded at: set the clock",
                iso(from_micros(now)),
                len(stranded),
            )
            return
        cursors: dict[int, int] = {}
        fires = 0
        for start in range(0, len(stranded), CHUNK):
            some = stranded[start : start + CHUNK]

            def act(_store: object, some: list[Stranded] = some) -> Rewound:
                return rewind(some)

            done = await self.writer.submit(act)
            self.planner.moved(done.cursors)
            self.heartbeats.moved(done.cursors)
            cursors |= done.cursors
            fires += done.fires
        if cursors:
            log.warning(
                "a clock was ahead: %d jobs were recorded further than now and fire again;"
                " %d fires that had been counted as missed are still to come",
                len(cursors),
                fires,
            )
        if left := len(stranded) - len(cursors):
            self._tell(
                "%s: %d jobs have rows for fires that are still to come and do not fire again"
                " before those are past: a clock was ahead, or this machine's is behind",
                iso(from_micros(now)),
                left,
            )

    async def _hasten(self, now: int, after: int) -> None:
        if count := await self.writer.submit(lambda _store: hasten(now, after)):
            log.warning("a clock was ahead: %d runs that it had put off are tried again", count)

    async def _stranded_heartbeats(self, after: int, now: int) -> list[Stranded]:
        if not len(self.heartbeats):
            return []
        cursors = await self.writer.submit(lambda _store: cursors_after(after))
        return self.heartbeats.stranded(cursors, now)

    def _stranded(self, after: int, now: int) -> list[Stranded]:
        return [
            Stranded(job.id, job.cursor, job.schedule, job.target, job.spec.schedule, now)
            for job in self.planner.jobs.values()
            if job.cursor > after
        ]

    def _tell(self, words: str, when: str, count: int) -> None:
        # Looked at again and again; said once.
        if self._told != (words, count):
            self._told = (words, count)
            log.error(words, when, count)
