"""Which instants a job's blackout windows cover; pure.

An instant is in a window if the window's clock shows a time in it at that instant. So nothing has
to be decided about changes of the clocks: an hour that comes twice is in both times, one that is
left out holds no instant.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from cronbell.domain import Blackout, JobSpec
from cronbell.errors import ScheduleError
from cronbell.schedule.days import WEEK
from cronbell.schedule.zones import DAY, FOREVER, Reach, stretches

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONDAY = 4  # 1970-01-01 was a Thursday: day number -3, and 4, are Mondays
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])", re.ASCII)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local times are counted from it, in whatever zone
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Recurring:
    """A window that comes back: local seconds of the week's days it begins on.

    Attributes:
        days: weekdays it begins on, Monday is 0.
        start: seconds after midnight.
        length: seconds on the clock, at most a day.
    """

    days: frozenset[int]
    start: int
    length: int

    def begin(self, local: int) -> int | None:
        """Return the local second at which the window that covers ``local`` began."""
        today = local // DAY
        for day in (today, today - 1):
            begin = day * DAY + self.start
            if (day - _MONDAY) % WEEK in self.days and begin <= local < begin + self.length:
                return begin
        return None


@dataclass(frozen=True, slots=True)
class Once:
    """A window that comes once, ``start <= second < end``; ``local`` seconds or instants."""

    start: int
    end: int
    local: bool

    def begin(self, second: int) -> int | None:
        """Return the second at which the window began, if it covers this one."""
        return self.start if self.start <= second < self.end else None


class Blackouts:
    """A job's windows, compiled.

    Args:
        windows: as configured.
        timezone: the zone of those that name none.

    Raises:
        ScheduleError: a window or its zone is refused.
    """

    def __init__(self, windows: Sequence[Blackout], timezone: str) -> None:
        self._windows = [
            (window, compile_window(window), window.timezone or timezone) for window in windows
        ]
        for _, _, zone in self._windows:
            stretches(zone, Reach.NONE, Reach.NONE)

    def covering(self, instant: int) -> Blackout | None:
        """Return the first window that covers an instant (epoch seconds), None if none does."""
        for window, rule, zone in self._windows:
            if _covered_since(rule, zone, instant) is not None:
                return window
        return None

    def since(self, instant: int) -> int | None:
        """Return an instant from which on a window covers all up to ``instant``, None if none does.

        It need not be the earliest: a change of the clocks within a window ends the answer.
        """
        found = [_covered_since(rule, zone, instant) for _, rule, zone in self._windows]
        return min((begin for begin in found if begin is not None), default=None)


def blackouts_of(spec: JobSpec) -> Blackouts | None:
    """Return a job's windows, None where it has none.

    Raises:
        ScheduleError: a window is refused.
    """
    return Blackouts(spec.blackout, spec.timezone) if spec.blackout else None


def window_data(window: Blackout, timezone: str) -> dict[str, Any]:
    """Return a window as plain values, for a row or an answer that names it.

    Args:
        window: the window.
        timezone: the job's, for a window that names none.
    """
    return {
        "days": list(window.days),
        "from": window.start,
        "to": window.end,
        "timezone": window.timezone or timezone,
        "reason": window.reason,
    }


@lru_cache(maxsize=1024)
def compile_window(window: Blackout) -> Recurring | Once:
    """Return what a window covers.

    Raises:
        ScheduleError: its days, start or end are refused; ``field`` names which of them.
    """
    start, end = time_of_day(window.start), time_of_day(window.end)
    if start is not None and end is not None:
        return _recurring(window, start, end)
    if start is not None or end is not None:
        _moment(window.end if end is None else window.start, "to" if end is None else "from")
        raise ScheduleError(
            "one of `from` and `to` is a time of day, the other is not",
            hint='write two times ("22:00", "06:00") or two dates or moments',
            field="to" if start is not None else "from",
        )
    if window.days:
        raise ScheduleError(
            "a window between two moments comes once; days say when one comes back",
            hint='remove days, or write times of day: from = "22:00"',
            field="days",
        )
    first, first_local = _moment(window.start, "from")
    last, last_local = _moment(window.end, "to", day_included=True)
    if first_local != last_local:
        raise ScheduleError(
            "one of `from` and `to` has an offset from UTC, the other has not",
            hint="write both with an offset (or Z), or both without",
            field="to",
        )
    if last <= first:
        raise ScheduleError(
            "ends before it begins", hint="put the later moment in `to`", field="to"
        )
    return Once(first, last, first_local)


def time_of_day(text: str) -> int | None:
    """Return the seconds after midnight of ``HH:MM`` up to ``24:00``, None if it is none."""
    match = _TIME_OF_DAY.fullmatch(text)
    seconds = (int(match[1]) * 60 + int(match[2])) * 60 if match else None
    return None if seconds is None or seconds > DAY else seconds


def _recurring(window: Blackout, start: int, end: int) -> Recurring:
    unknown = [day for day in window.days if day not in WEEKDAYS]
    if unknown:
        raise ScheduleError(
            f"{unknown[0]!r} is no day", hint=f"write {', '.join(WEEKDAYS)}", field="days"
        )
    if start == DAY:
        raise ScheduleError("no window begins at 24:00", hint='write "00:00"', field="from")
    if start == end:
        raise ScheduleError(
            "begins and ends at the same time of day",
            hint="for whole days leave `from` and `to` out",
            field="to",
        )
    days = frozenset(WEEKDAYS.index(day) for day in window.days or WEEKDAYS)
    return Recurring(days, start, (end - start) % DAY or DAY)


def _moment(text: str, field: str, *, day_included: bool = False) -> tuple[int, bool]:
    """Return the second a text stands for, and whether it is one of a local clock."""
    try:
        if len(text) == len("2026-12-24"):
            day = datetime.combine(date.fromisoformat(text), datetime.min.time())
            return (day - _EPOCH) // _SECOND + DAY * day_included, True
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ScheduleError(
            f"{text[:40]!r} is no time, date or moment",
            hint='write "22:00", 2026-12-24, or 2026-12-24T18:00:00Z',
            field=field,
        ) from None
    offset = moment.utcoffset()
    local = (moment.replace(tzinfo=None) - _EPOCH) // _SECOND
    return (local, True) if offset is None else (local - offset // _SECOND, False)


def _covered_since(rule: Recurring | Once, zone: str, instant: int) -> int | None:
    if isinstance(rule, Once) and not rule.local:
        return rule.begin(instant)
    table = stretches(zone, Reach.NONE, Reach.NONE)
    inside, moved = table.fold(instant)
    index = bisect_right(table.starts, inside) - 1
    offset = table.offsets[index]
    begin = rule.begin(instant + offset)
    if begin is None:
        return None
    change = table.starts[index]
    return begin - offset if change == -FOREVER else max(begin - offset, change + moved)
