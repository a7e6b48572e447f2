"""Executes one claimed run in this process: a pipeline of named steps, outcomes as values."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import lru_cache

from cronbell.clock import Clock, from_micros
from cronbell.dispatch import AttemptCall, Dispatcher
from cronbell.domain import JobSpec, Outcome
from cronbell.engine.settle import Finish, Release, decide, gone, removed
from cronbell.runlog.store import Claimed

MICROS = 1_000_000
# A herd shares its instant.
_instant = lru_cache(maxsize=256)(from_micros)


class EmbeddedExecutor:
    """Calls endpoints from the runner's own event loop.

    Args:
        dispatcher: makes the HTTP call.
        specs: job definitions by id; looked up when a run starts, so a reload reaches it.
        clock: what time it is.
        rng: spreads retries; seeded in tests.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        specs: Mapping[int, JobSpec],
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self.dispatcher = dispatcher
        self.specs = specs
        self.clock = clock
        self.rng = rng

    async def execute(self, run: Claimed) -> Finish | Release:
        """Take a run from claim to decision: look up, check the deadline, call, decide."""
        spec = self.specs.get(run.job_id)
        started_at = self.clock.micros()
        outcome = await self._attempt(run, spec, started_at)
        return decide(
            run,
            spec,
            outcome,
            started_at=started_at,
            # A wall clock that is set back during the call must not end it before it began.
            finished_at=max(self.clock.micros(), started_at),
            jitter=self.rng.random(),
        )

    async def _attempt(self, run: Claimed, spec: JobSpec | None, started_at: int) -> Outcome:
        if spec is None:
            return removed()
        left = (run.deadline_at - started_at) / MICROS
        if left <= 0:
            return gone((run.deadline_at - run.queued_at) / MICROS)
        call = AttemptCall(
            key=run.key,
            scheduled_at=_instant(run.scheduled_at),
            attempt=run.attempt,
            dry_run=bool(run.dry_run),
        )
        return await self.dispatcher.call(spec, call, timeout=min(spec.timeout, left))
