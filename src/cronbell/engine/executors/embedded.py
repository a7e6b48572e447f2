"""Executes one claimed run in this process: a pipeline of named steps, outcomes as values."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Mapping
from functools import lru_cache

import msgspec

from cronbell.clock import Clock, from_micros
from cronbell.dispatch import AttemptCall, Dispatcher
from cronbell.dispatch.request import in_order
from cronbell.domain import JobSpec, Outcome
from cronbell.engine.settle import Finish, Release, decide, gone, removed
from cronbell.logs import from_now_on
from cronbell.runlog.store import FIRST_ATTEMPT, Claimed
from cronbell.states import Status
from cronbell.tracing import CallAbout, Tracing

calls = logging.getLogger("cronbell.calls")

MICROS = 1_000_000
# Looked up once: a member of an enumeration costs a tenth of a microsecond to find.
SUCCESS, INFO, WARNING = Status.SUCCESS, logging.INFO, logging.WARNING
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
        # Set where traces are configured; a call that is not traced costs a look at this.
        self.tracing: Tracing | None = None

    async def execute(self, run: Claimed) -> Finish | Release:
        """Take a run from claim to decision: look up, check the deadline, call, decide."""
        spec = self.specs.get(run.job_id)
        started_at = self.clock.micros()
        from_now_on(spec.name if spec else "", run.id, run.key)
        if self.tracing is None:
            attempt = self._attempt(run, spec, started_at)
            outcome = attempt if isinstance(attempt, Outcome) else await attempt
        else:
            outcome = await self._traced(self.tracing, run, spec, started_at)
        # A wall clock that is set back during the call must not end it before it began.
        finished_at = max(self.clock.micros(), started_at)
        level = INFO if outcome.status is SUCCESS else WARNING
        if calls.isEnabledFor(level):
            _tell(level, run, outcome, finished_at - started_at)
        return decide(run, spec, outcome, started_at, finished_at, jitter=self.rng.random)

    def make_ready(self, spec: JobSpec, key: str, scheduled_at: int) -> None:
        """Have the request of a fire put together that is due soon.

        Args:
            spec: its job.
            key: of the fire.
            scheduled_at: microseconds.
        """
        if self.tracing is None:  # a trace begins with its call
            call = AttemptCall(key, _instant(scheduled_at), FIRST_ATTEMPT)
            self.dispatcher.make(spec, call, timeout=spec.timeout)

    async def _traced(
        self, tracing: Tracing, run: Claimed, spec: JobSpec | None, started_at: int
    ) -> Outcome:
        about_it = CallAbout(
            run_id=run.id,
            key=run.key,
            attempt=run.attempt,
            scheduled_at=run.scheduled_at,
            queued_at=run.queued_at,
            started_at=started_at,
        )
        with tracing.call(about_it, spec) as span:
            attempt = self._attempt(run, spec, started_at, span.traceparent)
            outcome = attempt if isinstance(attempt, Outcome) else await attempt
            span.ended(outcome, max(self.clock.micros(), started_at))
            return outcome

    def _attempt(
        self,
        run: Claimed,
        spec: JobSpec | None,
        started_at: int,
        traceparent: str | None = None,
    ) -> Outcome | Awaitable[Outcome]:
        """Return the call to await, or what becomes of a run for which none is made.

        No coroutine of its own: each between here and the client is paid for by every run.
        """
        if spec is None:
            return removed()
        left = (run.deadline_at - started_at) / MICROS
        if left <= 0:
            return gone((run.deadline_at - run.queued_at) / MICROS)
        plain = not (run.dry_run or run.parameters) and traceparent is None
        if plain and run.attempt == FIRST_ATTEMPT:
            made = self.dispatcher.send_made(spec, run.key, run.scheduled_at, left)
            if made is not None:
                return made
        # By position, in the order of the fields.
        call = AttemptCall(
            run.key,
            _instant(run.scheduled_at),
            run.attempt,
            bool(run.dry_run),
            _chosen(run.parameters) if run.parameters else (),
            traceparent,
        )
        return self.dispatcher.call(spec, call, timeout=min(spec.timeout, left))


def _chosen(parameters: str) -> tuple[tuple[str, str], ...]:
    return in_order(msgspec.json.decode(parameters, type=dict[str, str]))


def _tell(level: int, run: Claimed, outcome: Outcome, took: int) -> None:
    calls.log(
        level,
        "the call came back",
        extra={
            "event": "call",
            "attempt": run.attempt,
            "status": outcome.status.value,
            "reason": outcome.reason.value if outcome.reason else "",
            "http_status": outcome.http_status,
            "seconds": took / MICROS,
        },
    )
