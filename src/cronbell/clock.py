"""The only file that asks the time; everything else is handed a ``Clock``.

Wall time answers "which fire is due", monotonic time answers "how long has it taken": a clock
that is set back must not make a request wait longer, so the two are never mixed.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Clock(Protocol):
    """Wall time, monotonic time and waiting, injected wherever time matters."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        ...

    def micros(self) -> int:
        """Return the wall time as whole microseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that is never set; only differences mean anything."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block this thread for ``seconds``."""
        ...

    async def wait(self, seconds: float) -> None:
        """Suspend this task for ``seconds``."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the file that asks

    def micros(self) -> int:
        """Return the wall time as whole microseconds since the epoch."""
        return time.time_ns() // 1000  # noqa: TID251

    def monotonic(self) -> float:
        """Return seconds on a clock that is never set."""
        return time.monotonic()  # noqa: TID251

    def sleep(self, seconds: float) -> None:
        """Block this thread for ``seconds``."""
        time.sleep(seconds)  # noqa: TID251

    async def wait(self, seconds: float) -> None:
        """Suspend this task for ``seconds``."""
        import asyncio  # noqa: PLC0415 - `cronbell next` starts without it

        await asyncio.sleep(seconds)  # noqa: TID251


SYSTEM_CLOCK = SystemClock()


def to_micros(instant: datetime) -> int:
    """Convert an aware datetime to whole microseconds since the epoch.

    Raises:
        ValueError: the datetime is naive; which instant it means cannot be known.
    """
    if instant.tzinfo is None:
        raise ValueError(f"naive datetime {instant!r}: say which zone it is in")
    return (instant - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """Convert whole microseconds since the epoch to an aware UTC datetime."""
    return EPOCH + timedelta(microseconds=micros)


def iso(instant: datetime) -> str:
    """Write an instant as ``2026-11-22T00:00:00Z``, with microseconds only where there are any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
