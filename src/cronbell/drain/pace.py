"""How fast one target may be called, and until when it asked to be left alone."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from django.db import DEFAULT_DB_ALIAS, transaction

from cronbell.drain.models import TargetPause
from cronbell.errors import ConfigError

LONGEST_PAUSE = 3600.0  # seconds; a target that asks for more is asked again after an hour
FIRST_PAUSE, LONGEST_GUESS = 1.0, 60.0  # seconds, where a 429 does not say how long
MOST_DOUBLINGS = 6
BELIEVED = 0.2  # seconds; how late a run may notice a pause that another process was asked for


class Pace:
    """The pace of calls to one target. Any thread may use it.

    The rate holds within a process: give the drains that call the same target the same ``Pace``.
    A pause is stored, so it holds for every run in every process and after a crash.

    Args:
        target: its name; drains that call the same target use the same.
        rate: calls begun per second; None for as many as the concurrency allows.
        using: the database alias that holds the pauses.

    Raises:
        ConfigError: the rate is not positive.
    """

    def __init__(
        self, target: str, *, rate: float | None = None, using: str = DEFAULT_DB_ALIAS
    ) -> None:
        if rate is not None and not rate > 0:
            raise ConfigError(
                f"the rate for {target} is {rate}", hint="write calls per second, such as 5 or 0.5"
            )
        self.target = target
        self._interval = 1.0 / rate if rate else 0.0
        self._using = using
        self._lock = threading.Lock()
        self._next_at = float("-inf")
        self._rejections = 0
        self._slowed_at = float("-inf")
        self._free_at = float("-inf")

    @property
    def rated(self) -> bool:
        """Whether calls are to keep to a rate."""
        return self._interval > 0

    def paused(self, now: datetime, monotonic: float) -> float:
        """Return the seconds until the target may be called again at all, 0 for now.

        That it may is believed for ``BELIEVED`` seconds: asking the store before each call would
        cost more than the call's own two writes.
        """
        if 0 <= monotonic - self._free_at < BELIEVED:
            return 0.0
        row = TargetPause.objects.using(self._using).filter(target=self.target).first()
        left = 0.0 if row is None else (row.until - now).total_seconds()
        if left <= 0:
            self._free_at = monotonic
            return 0.0
        # A clock that was set back must not make the pause last longer than it ever could.
        return min(left, LONGEST_PAUSE)

    def turn(self, monotonic: float) -> float:
        """Return the seconds until the rate allows the next call; at 0 the turn is taken."""
        with self._lock:
            wait = self._next_at - monotonic
            if wait > 0:
                return wait
            self._next_at = monotonic + self._interval
            return 0.0

    def slow_down(
        self, asked: float | None, *, begun: float, now: datetime, monotonic: float
    ) -> None:
        """Take in that the target rejected a call for coming too soon.

        Args:
            asked: the seconds of its ``Retry-After``; None doubles the pause each time.
            begun: when the rejected call began, on the monotonic clock: the calls that were on
                their way when the first rejection came say nothing new.
            now: the wall time.
            monotonic: the monotonic time.
        """
        with self._lock:
            if asked is None and begun < self._slowed_at:
                return
            self._slowed_at = monotonic
            guess = FIRST_PAUSE * 2 ** min(self._rejections, MOST_DOUBLINGS)
            self._rejections += 1
        seconds = min(asked, LONGEST_PAUSE) if asked is not None else min(guess, LONGEST_GUESS)
        until = now + timedelta(seconds=seconds)
        self._free_at = float("-inf")
        rows = TargetPause.objects.using(self._using)
        made = TargetPause(target=self.target, until=until)
        with transaction.atomic(using=self._using):
            rows.bulk_create([made], ignore_conflicts=True)
            rows.filter(target=self.target, until__lt=until).update(until=until)

    def accepted(self) -> None:
        """Take in that the target answered: the next pause is a short one again."""
        with self._lock:
            self._rejections = 0
