"""A real clock that shows another time: real waits, real sockets, the minute of one's choice."""

from __future__ import annotations

from datetime import datetime, timedelta

from cronbell.clock import SystemClock, to_micros


class ShiftedClock(SystemClock):
    """The machine's clock, moved by a constant that can be changed.

    For tests and benchmarks that run real processes or sockets and cannot wait for a full minute:
    they move the minute instead. Monotonic time is the machine's own.
    """

    def __init__(self) -> None:
        self._shift = timedelta()
        self._shift_micros = 0

    def now(self) -> datetime:
        """Return the shifted wall time."""
        return super().now() + self._shift

    def micros(self) -> int:
        """Return the shifted wall time in microseconds."""
        # Asked several times for each run of a herd: ``super()`` costs as much as the question.
        return SystemClock.micros(self) + self._shift_micros

    def show(self, instant: datetime) -> None:
        """Make it ``instant`` now; time goes on from there."""
        self._shift = instant - super().now()
        self._shift_micros = self._shift // timedelta(microseconds=1)

    def show_second(self, second: float) -> int:
        """Make it that second of the current minute; return the instant in microseconds."""
        instant = self.now().replace(second=0, microsecond=0) + timedelta(seconds=second)
        self.show(instant)
        return to_micros(instant)
