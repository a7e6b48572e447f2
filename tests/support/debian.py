"""Debian cron as a model: the oracle for what fires when, where a clock changes and where not.

It is written from what cron(8) and cron.c of Debian's cron 3.0pl1 document, apart from the
evaluator: it asks ``zoneinfo`` for each minute, knows nothing of stretches, and walks.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cronbell.schedule.zones import zone_info

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR, DAY = 60, 1440  # in minutes, like all of the model
CORRECTION = 3 * HOUR  # cron(8): "clock changes of more than 3 hours are considered corrections"


class Step(NamedTuple):
    """What cron sees when it wakes up: the minute, and how far virtual time has to go."""

    instant: int
    now: int  # local minutes since 1970
    virtual: int  # the local minute it had got to before


def offset(zone_name: str, instant: int) -> int:
    """Return minutes east of UTC, as ``zoneinfo`` has them."""
    moment = EPOCH + timedelta(minutes=instant)
    return int(moment.astimezone(zone_info(zone_name)).utcoffset().total_seconds()) // 60


def steps(zone: str, first: int, last: int) -> list[Step]:
    """Wake up each minute from ``first`` to before ``last``, as cron's main loop does."""
    woken: list[Step] = []
    virtual: int | None = None
    for instant in range(first, last):
        now = instant + offset(zone, instant)
        virtual = now - 1 if virtual is None else virtual
        woken.append(Step(instant, now, virtual))
        # Virtual time stands still while the clock repeats itself, unless it was corrected.
        if now > virtual or now - virtual <= -CORRECTION:
            virtual = now
    return woken


class Debian:
    """An expression as Debian cron holds it, read here with as little code as can be."""

    def __init__(self, expression: str) -> None:
        fields = expression.split()
        ranges = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
        self.values = [self._set(*pair) for pair in zip(fields, ranges, strict=True)]
        self.wild = fields[0].startswith("*") or fields[1].startswith("*")
        self.both = fields[2].startswith("*") or fields[4].startswith("*")
        self._days: dict[int, bool] = {}

    @staticmethod
    def _set(field: str, limits: tuple[int, int]) -> set[int]:
        values: set[int] = set()
        for item in field.split(","):
            low, high, step = re.fullmatch(r"(\*|\d+)(?:-(\d+))?(?:/(\d+))?", item).groups()
            first, last = limits if low == "*" else (int(low), int(high or low))
            values.update(range(first, last + 1, int(step or 1)))
        return values

    def _day(self, day: int) -> bool:
        if day not in self._days:
            time = EPOCH + timedelta(days=day)
            of_month = time.day in self.values[2]
            of_week = time.isoweekday() % 7 in self.values[4]
            which = of_month and of_week if self.both else of_month or of_week
            self._days[day] = which and time.month in self.values[3]
        return self._days[day]

    def matches(self, local: int) -> bool:
        minute = local % HOUR
        if minute not in self.values[0]:
            return False
        day, rest = divmod(local, DAY)
        return rest // HOUR in self.values[1] and self._day(day)

    def fires(self, steps: list[Step]) -> set[int]:
        """Return the instants (minutes) at which it is started, once or more."""
        return {step.instant for step in steps if self._due(step)}

    def _due(self, step: Step) -> bool:
        ahead = step.now - step.virtual
        if ahead == 1 or abs(ahead) > CORRECTION or ahead == -CORRECTION:
            return self.matches(step.now)  # an ordinary minute, or a corrected clock
        if self.wild:
            return self.matches(step.now)  # "run based on the new time immediately"
        if ahead > 0:  # "those jobs which would have run in the time skipped will be run"
            return any(self.matches(local) for local in range(step.virtual + 1, step.now + 1))
        return False  # "those jobs that fall into the repeated time will not be re-run"
