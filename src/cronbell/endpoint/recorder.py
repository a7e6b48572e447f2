"""Run ─► run log: how the endpoint tells the record of runs, without knowing what keeps it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from cronbell.clock import Clock
from cronbell.domain import Outcome
from cronbell.states import Kind

log = logging.getLogger("cronbell.endpoint")

PROGRESS_EVERY = 0.5  # seconds between two written values: a job may report every row it touches
MAX_LINE = 10_000  # characters of one log line that are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call that is about to run its job.

    Attributes:
        job: the job's name.
        path: the request target, query included.
        key: the idempotency key.
        run_id: ``X-Cronbell-Run-Id``; empty when the caller is not a runner.
        kind: ``SCHEDULE`` when the key is that of a fire Vercel named, else ``CALL``.
        schedule: ``x-vercel-cron-schedule``, or empty.
        scheduled_at: when the fire was due, aware, if known.
        attempt: 1 for the first try.
        dry_run: nothing will be changed.
        started_at: now, aware.
        parameters: what the job was given of those it declares.
    """

    job: str
    path: str
    key: str
    run_id: str
    kind: Kind
    schedule: str
    scheduled_at: datetime | None
    attempt: int
    dry_run: bool
    started_at: datetime
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunRef:
    """A run's row in the log.

    Attributes:
        id: the row's id.
        owned: this process made the row, keeps its lease alive and must finish it.
    """

    id: int
    owned: bool


class RunRecorder(Protocol):
    """What the endpoint tells the run log. Any of these may fail without harm to the job."""

    def open(self, call: Call) -> RunRef | None:
        """Return the row of this call's key, made if there is none (then ``owned``)."""
        ...

    def renew(self, ref: RunRef) -> None:
        """Keep the row's lease alive."""
        ...

    def stop_wanted(self, ref: RunRef) -> bool:
        """Say whether the run was cancelled meanwhile, by a person or the run after it."""
        ...

    def progress(self, ref: RunRef, done: int, total: int | None) -> None:
        """Store how far the run is."""
        ...

    def log(self, ref: RunRef, message: str) -> None:
        """Store one line the job wrote."""
        ...

    def close(self, ref: RunRef, outcome: Outcome) -> None:
        """Give an owned row its final status."""
        ...


class NullRecorder:
    """For a process without a run log: the caller's own log is the record."""

    def open(self, call: Call) -> RunRef | None:  # noqa: ARG002 - the protocol's signature
        """Record nothing."""
        return None

    def renew(self, ref: RunRef) -> None:
        """Do nothing."""

    def stop_wanted(self, ref: RunRef) -> bool:  # noqa: ARG002 - the protocol's signature
        """Say no: nobody could ask here."""
        return False

    def progress(self, ref: RunRef, done: int, total: int | None) -> None:
        """Do nothing."""

    def log(self, ref: RunRef, message: str) -> None:
        """Do nothing."""

    def close(self, ref: RunRef, outcome: Outcome) -> None:
        """Do nothing."""


class Recording:
    """One run's line to the run log: a failure of the log is written down and never raised."""

    def __init__(self, recorder: RunRecorder, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock
        self._lock = threading.Lock()
        self._ref: RunRef | None = None
        self._unwritten: tuple[int, int | None] | None = None
        self._next_write = clock.monotonic()

    def open(self, call: Call) -> None:
        """Make or find the run's row."""
        with _guarded("open"):
            self._ref = self._recorder.open(call)

    def renew(self) -> None:
        """Keep the row's lease alive, if the row is ours."""
        self._tell("renew", lambda ref: self._recorder.renew(ref) if ref.owned else None)

    def stop_wanted(self) -> bool:
        """Say whether the run log wants the run to stop; no where it cannot be asked."""
        ref = self._ref
        if ref is not None and not ref.owned:
            with _guarded("look after"):
                return self._recorder.stop_wanted(ref)
        return False

    def progress(self, done: int, total: int | None) -> None:
        """Write the value, or keep it for the next write when the last one was just now."""
        with self._lock:
            self._unwritten = (done, total)
            now = self._clock.monotonic()
            if now < self._next_write:
                return
            self._next_write = now + PROGRESS_EVERY
        self._write_progress()

    def log(self, message: str) -> None:
        """Write one line, cut at ``MAX_LINE`` characters."""
        self._tell("log", lambda ref: self._recorder.log(ref, message[:MAX_LINE]))

    def close(self, outcome: Outcome) -> None:
        """Write the last progress value and, if the row is ours, its final status."""
        self._write_progress()
        self._tell("close", lambda ref: self._recorder.close(ref, outcome) if ref.owned else None)

    def _write_progress(self) -> None:
        with self._lock:
            value, self._unwritten = self._unwritten, None
        if value is not None:
            self._tell("progress", lambda ref: self._recorder.progress(ref, *value))

    def _tell(self, what: str, tell: Callable[[RunRef], None]) -> None:
        ref = self._ref
        if ref is not None:
            with _guarded(what):
                tell(ref)


@contextmanager
def _guarded(what: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        log.exception("the run log could not %s a run; the job goes on", what)
