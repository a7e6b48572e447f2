"""What a job is given, and what it gives back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from cronbell.clock import SYSTEM_CLOCK, Clock
from cronbell.domain import Item, millionths

log = logging.getLogger("cronbell.endpoint")


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a job returns when it did its work, or a part of it.

    Attributes:
        message: one line for people; may be a lazy translation.
        data: more keys of the answer; what JSON can say.
        partial: some of the work is left or failed. Past the deadline this is what makes the
            difference between "goes on next time" and ``timed_out``.
    """

    message: object = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    partial: bool = False


class JobContext:
    """What a job knows about its run, and how it tells what it is doing.

    Every method may be called from any thread of the job.

    Args:
        job: the job's name.
        max_duration: seconds from now to the deadline.
        run_id: the caller's id of the run; the idempotency key where it sent none.
        scheduled_at: when the fire was due, aware; None for a call that no schedule made.
        attempt: 1 for the first try.
        dry_run: say what would be done, and do nothing.
        parameters: of the query, by name; only those the job declares and the caller gave.
        clock: where the time comes from.
        traceparent: which trace the call is part of, to be passed on to what the job calls
            (W3C Trace Context); empty where the caller did not say.
        on_progress: told of each ``progress``.
        on_log: told of each ``log``.
    """

    def __init__(
        self,
        job: str = "",
        *,
        max_duration: float = 300.0,
        run_id: str = "",
        scheduled_at: datetime | None = None,
        attempt: int = 1,
        dry_run: bool = False,
        parameters: Mapping[str, str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        traceparent: str = "",
        on_progress: Callable[[int, int | None], None] | None = None,
        on_log: Callable[[str], None] | None = None,
    ) -> None:
        self.job = job
        self.run_id = run_id
        self.scheduled_at = scheduled_at
        self.attempt = attempt
        self.dry_run = dry_run
        self.parameters: Mapping[str, str] = dict(parameters or {})
        self.clock = clock
        self.traceparent = traceparent
        self.deadline = clock.now() + timedelta(seconds=max_duration)
        self._ends = clock.monotonic() + max_duration
        self._stop = threading.Event()
        self._cancelled = False
        self._heeded = False
        self._lock = threading.Lock()
        self._items: list[Item] = []
        self._on_progress = on_progress
        self._on_log = on_log

    def remaining(self) -> float:
        """Return the seconds left until the deadline, 0 once it has passed.

        It goes by the monotonic clock: setting the wall clock neither gives nor takes time.
        """
        return max(0.0, self._ends - self.clock.monotonic())

    @property
    def should_stop(self) -> bool:
        """Whether the job is to finish what it holds and return: deadline, or told to stop."""
        told = self._stop.is_set()
        if told and self._cancelled:
            self._heeded = True
        return told or self.remaining() <= 0

    def cancel(self) -> None:
        """Tell the job that its run was cancelled; it reads ``should_stop``."""
        self._cancelled = True
        self._stop.set()

    @property
    def heeded(self) -> bool:
        """Whether the job looked after its run was cancelled, and so could leave work undone."""
        return self._heeded

    def stop(self) -> None:
        """Tell the job to stop; it reads ``should_stop``."""
        self._stop.set()

    def progress(self, done: int, total: int | None = None) -> None:
        """Say how far the job is; call it as often as you like.

        Raises:
            ValueError: a number is negative.
        """
        if done < 0 or (total is not None and total < 0):
            raise ValueError(f"progress({done}, {total}): neither number may be negative")
        if self._on_progress is not None:
            self._on_progress(done, total)

    def log(self, message: object) -> None:
        """Add a line to the run's page."""
        text = str(message)
        log.info("%s: %s", self.job, text)
        if self._on_log is not None:
            self._on_log(text)

    def item(
        self,
        record_id: object,
        *,
        ok: bool,
        status: int | None = None,
        body: Any = None,
        error: str = "",
        attempts: int | None = None,
        seconds: float | None = None,
        tokens: int | None = None,
        cost: Decimal | None = None,
    ) -> None:
        """Report one record handled; any that is not ``ok`` makes the run ``partial``.

        Args:
            record_id: the application's id of the record.
            ok: whether it was handled.
            status: HTTP status of the call made for it; 0 for a network error.
            body: what came back, parsed; None where it was not JSON.
            error: what went wrong; then the answer carries it instead of ``body``.
            attempts: how often the record has been taken up, this time included.
            seconds: how long handling it took.
            tokens: what it used of a model.
            cost: what it cost, in whatever currency you count; kept to millionths, rounded up.

        Raises:
            ValueError: one of these numbers is negative or not a number.
        """
        item = Item(
            record_id=str(record_id),
            ok=ok,
            status=status,
            body=body,
            error=str(error),
            attempts=_count("attempts", attempts),
            microseconds=_millionths("seconds", seconds),
            tokens=_count("tokens", tokens),
            micromoney=_millionths("cost", cost),
        )
        with self._lock:
            self._items.append(item)

    @property
    def items(self) -> tuple[Item, ...]:
        """The records reported so far, in order."""
        with self._lock:
            return tuple(self._items)


def _count(name: str, value: int | None) -> int | None:
    if value is not None and value < 0:
        raise ValueError(f"{name} is {value}: it may not be negative")
    return value


def _millionths(name: str, value: float | Decimal | None) -> int | None:
    if value is None:
        return None
    whole = millionths(value)
    if whole is None:
        raise ValueError(f"{name} is {value}: write a number from 0 on")
    return whole
