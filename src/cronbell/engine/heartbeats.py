"""Waits for pings that do not come: a step function on the runner's beat.

It keeps one instant a heartbeat, when the window of its next fire closes, in a heap. What is over
by then is decided in the run log, where pings are taken too: a ping that came meanwhile has moved
the cursor, and there is nothing to record.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Mapping, Sequence

from cronbell.clock import Clock
from cronbell.domain import JobSpec
from cronbell.engine.writer import Writer
from cronbell.errors import ScheduleError
from cronbell.runlog.heartbeats import expire, key_target, look
from cronbell.runlog.rewinding import Stranded
from cronbell.runlog.store import RunStore
from cronbell.schedule import Schedule, schedule_of
from cronbell.schedule.heartbeats import MICROS, last_closed, window_of

log = logging.getLogger("cronbell.engine.heartbeats")

# So many heartbeats are looked at in one transaction.
CHUNK = 200


class Heartbeats:
    """Knows when each heartbeat's time runs out, and records those that stayed silent.

    Args:
        writer: the run log's writer.
        clock: what time it is.
    """

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self.writer = writer
        self.clock = clock
        self._jobs: dict[int, tuple[Schedule, JobSpec]] = {}
        self._closes: dict[int, int] = {}  # an entry of the heap that says otherwise is void
        self._heap: list[tuple[int, int]] = []
        self._loaded = 0

    def load(self, jobs: Iterable[tuple[int, JobSpec, int]]) -> None:
        """Replace what is watched.

        Args:
            jobs: (id, definition, cursor in microseconds); those that are called are passed over.
        """
        self._jobs.clear()
        self._closes.clear()
        self._heap.clear()
        self._loaded += 1
        for job_id, spec, cursor in jobs:
            if not (spec.heartbeat and spec.enabled):
                continue
            try:
                self._jobs[job_id] = (schedule_of(spec), spec)
            except ScheduleError:
                # An older version's row; one bad job must not stop the others.
                log.exception("heartbeat %s is not watched", spec.name)
                continue
            self._push(job_id, cursor)

    async def beat(self) -> None:
        """Do all there is to do now, a bounded piece at a time."""
        while await self.step():
            pass

    async def step(self) -> bool:
        """End what took too long and record what stayed silent; say whether more may be left."""
        now = self.clock.micros()
        due: list[int] = []
        while self._heap and self._heap[0][0] <= now and len(due) < CHUNK:
            closes, job_id = heapq.heappop(self._heap)
            if self._closes.get(job_id) == closes:
                due.append(job_id)
        loaded = self._loaded
        cursors = await self._look(due, now)
        if loaded == self._loaded:
            for job_id, cursor in cursors.items():
                self._push(job_id, cursor)
        return len(due) == CHUNK

    def __len__(self) -> int:
        """Return how many heartbeats are watched."""
        return len(self._jobs)

    def stranded(self, cursors: Mapping[int, int], now: int) -> list[Stranded]:
        """Say which of these jobs, by number and cursor, are heartbeats, and what is over of them.

        Args:
            cursors: in microseconds, in the future.
            now: microseconds.
        """
        found = []
        for job_id, cursor in cursors.items():
            if job_id in self._jobs:
                schedule, spec = self._jobs[job_id]
                over = last_closed(schedule, now, spec.grace)
                found.append(
                    Stranded(
                        job_id, cursor, schedule, key_target(spec), spec.schedule,
                        now if over is None else over * MICROS,
                    )
                )  # fmt: skip
        return found

    def moved(self, cursors: Mapping[int, int]) -> None:
        """Watch from other cursors than before; jobs that are no heartbeats are passed over."""
        for job_id, cursor in cursors.items():
            self._push(job_id, cursor)

    async def _look(self, job_ids: list[int], now: int) -> Mapping[int, int]:
        try:
            return await self.writer.submit(lambda store: _record(store, job_ids, now))
        except Exception:
            if len(job_ids) > 1:
                cursors: dict[int, int] = {}
                for job_id in job_ids:
                    cursors |= await self._look([job_id], now)
                return cursors
            log.exception("heartbeats %s cannot be recorded and are set aside", job_ids)
            return {}

    def _push(self, job_id: int, cursor: int) -> None:
        if job_id not in self._jobs:
            return
        schedule, spec = self._jobs[job_id]
        fire = schedule.next(cursor // MICROS)
        if fire is not None:
            self._closes[job_id] = window_of(schedule, fire, spec.grace).closes
            heapq.heappush(self._heap, (self._closes[job_id], job_id))


def _record(store: RunStore, job_ids: Sequence[int], now: int) -> dict[int, int]:
    expire(now)
    return look(store, job_ids, now) if job_ids else {}
