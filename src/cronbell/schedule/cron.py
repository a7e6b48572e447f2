"""Compiled schedules: the next fire, the one before, all between two instants.

Instants are whole seconds since 1970-01-01T00:00:00Z. A compiled cron schedule is a sorted tuple
of times of day, a ``DayRule`` and a zone's ``Stretches``: an instant is moved to local time, looked
up by bisection and shifts, and moved back. What daylight saving does to a fire is in the
stretches, so nothing here compares clocks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import chain
from typing import TypeVar

from cronbell.domain import Dialect, DstGap, DstRepeat, JobSpec
from cronbell.errors import ScheduleError
from cronbell.schedule.days import DayFields, day_rule
from cronbell.schedule.grammar import Cron, Interval, parse
from cronbell.schedule.zones import (
    CYCLE,
    DAY,
    FIRST_INSTANT,
    LAST_INSTANT,
    Reach,
    load_zone,
    stretches,
)

_MINUTES_OF_DAY = tuple(range(0, DAY, 60))  # shared, so that a time of day costs 8 bytes
_SETTLED = 4_102_444_800  # 2100-01-01: by then every zone only follows its lasting rule
_CACHED = 1 << 17  # a configuration may hold 100,000 jobs
# What is not here is Debian cron's rule, which depends on the expression.
_GAPS = {DstGap.SHIFT: Reach.ALL, DstGap.SKIP: Reach.NONE}
_REPEATS = {DstRepeat.FIRST: Reach.ALL, DstRepeat.BOTH: Reach.NONE}


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A change of a zone's clocks that falls on times a schedule names.

    Attributes:
        instant: when the clocks change, epoch seconds.
        before: seconds east of UTC until then.
        after: seconds east of UTC from then on.
        left_out: local times (seconds since 1970 as if in UTC) that the schedule names and the
            change leaves out, ascending.
        made_up: whether they are made up for by a fire at ``instant``.
        repeated: local times that the schedule names and that come twice, ascending.
        twice: whether it fires both times, rather than the first time only.
    """

    instant: int
    before: int
    after: int
    left_out: tuple[int, ...]
    made_up: bool
    repeated: tuple[int, ...]
    twice: bool


class Schedule(ABC):
    """When a job fires. Immutable; every method is a pure function of its arguments.

    All instants are UTC epoch seconds within the years 1 to 9999; an argument outside stands for
    the nearest end.

    Attributes:
        expression: as written.
        timezone: the IANA name it is read in.
    """

    __slots__ = ("expression", "timezone")

    def __init__(self, expression: str, timezone: str) -> None:
        self.expression = expression
        self.timezone = timezone

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.expression!r}, {self.timezone!r})"

    def next(self, after: int) -> int | None:
        """Return the first fire strictly after an instant; None if there is none before 10000."""
        if after >= LAST_INSTANT:
            return None
        found = self._at_or_after(max(after + 1, FIRST_INSTANT))
        return found if found <= LAST_INSTANT else None

    def previous(self, before: int) -> int | None:
        """Return the last fire strictly before an instant; None if there is none since year 1."""
        if before <= FIRST_INSTANT:
            return None
        found = self._before(min(before, LAST_INSTANT + 1))
        return found if found is not None and found >= FIRST_INSTANT else None

    def fires(self, start: int, end: int) -> Iterator[int]:
        """Yield every fire with ``start < fire <= end``, ascending."""
        low, high = _bounds(start, end)
        return self._between(low, high) if low < high else iter(())

    def count(self, start: int, end: int) -> int:
        """Return how many fires there are with ``start < fire <= end``, without listing them."""
        low, high = _bounds(start, end)
        return self._count(low, high) if low < high else 0

    def clock_changes(self, start: int, end: int) -> Iterator[ClockChange]:  # noqa: ARG002 - an interval has none
        """Yield the changes of the clocks that touch this schedule, ``start < instant <= end``."""
        return iter(())

    @abstractmethod
    def _at_or_after(self, instant: int) -> int: ...

    @abstractmethod
    def _before(self, instant: int) -> int | None: ...

    @abstractmethod
    def _between(self, low: int, high: int) -> Iterator[int]: ...

    @abstractmethod
    def _count(self, low: int, high: int) -> int: ...


def _bounds(start: int, end: int) -> tuple[int, int]:
    """Turn ``start < t <= end`` into ``low <= t < high`` within the years that exist."""
    return max(start + 1, FIRST_INSTANT), min(end, LAST_INSTANT) + 1


class IntervalSchedule(Schedule):
    """``every 30s``: the instants divisible by the interval, whatever the zone."""

    __slots__ = ("_seconds",)

    def __init__(self, expression: str, timezone: str, seconds: int) -> None:
        super().__init__(expression, timezone)
        self._seconds = seconds

    def _at_or_after(self, instant: int) -> int:
        return -(-instant // self._seconds) * self._seconds

    def _before(self, instant: int) -> int | None:
        return (instant - 1) // self._seconds * self._seconds

    @property
    def seconds(self) -> int:
        """The interval's length."""
        return self._seconds

    def _between(self, low: int, high: int) -> Iterator[int]:
        return iter(range(self._at_or_after(low), high, self._seconds))

    def _count(self, low: int, high: int) -> int:
        return len(range(self._at_or_after(low), high, self._seconds))


class CronSchedule(Schedule):
    """A five-field expression in a zone."""

    __slots__ = ("_days", "_step", "_stretches", "_times")

    def __init__(
        self, expression: str, timezone: str, cron: Cron, gap: Reach, repeat: Reach
    ) -> None:
        super().__init__(expression, timezone)
        self._times, self._step = _times_of_day(cron.minutes, cron.hours)
        self._days = day_rule(cron.days)
        self._stretches = stretches(timezone, gap, repeat)
        if not self._days.ever:
            raise ScheduleError(
                f"`{expression}` never fires: the months it names have no such day",
                hint="check the day of month against the month: 30 February does not exist",
                field="day of month",
            )
        # A zone whose clocks are at rest for ever leaves no time out for ever.
        if self._stretches.repeat_from >= 0 and self._find(_SETTLED) is None:
            raise ScheduleError(
                f"`{expression}` never fires in {timezone}: the only times it names are left out "
                "when the clocks change",
                hint='choose another time, or dst_gap = "shift"',
            )

    def next(self, after: int) -> int | None:
        """Return the first fire strictly after an instant; None if there is none before 10000."""
        # The engine asks about now, over and over: most answers lie in the stretch of the last.
        first, end, offset = self._stretches.recent
        if first <= after < end:
            found = self._local_at_or_after(after + 1 + offset) - offset
            if found < end:
                return found
        return super().next(after)

    def _local_at_or_after(self, local: int) -> int:
        times = self._times
        day = local // DAY
        second = local - day * DAY
        if second > times[-1]:
            day, second = day + 1, 0
        match = self._days.at_or_after(day)
        if match == day:
            return day * DAY + times[bisect_left(times, second)]
        return match * DAY + times[0]

    def _local_before(self, local: int) -> int:
        times = self._times
        day, second = divmod(local, DAY)
        if second <= times[0]:
            day, second = day - 1, DAY
        match = self._days.at_or_before(day)
        if match == day:
            return day * DAY + times[bisect_left(times, second) - 1]
        return match * DAY + times[-1]

    def _at_or_after(self, instant: int) -> int:
        found = self._find(instant)
        return LAST_INSTANT + 1 if found is None else found

    def _find(self, instant: int) -> int | None:
        """Return the first fire not before an instant; None if a whole cycle has none."""
        table = self._stretches
        starts, offsets, gaps, floors = table.starts, table.offsets, table.gaps, table.floors
        time, moved = table.fold(instant)
        index = bisect_right(starts, time) - 1
        give_up = instant + 2 * CYCLE
        while time + moved <= give_up:
            begin, offset = starts[index], offsets[index]
            local = time + offset
            if time == begin and gaps[index] < local and self._made_up(index):
                return begin + moved
            found = self._local_at_or_after(max(local, floors[index])) - offset
            if found < starts[index + 1]:
                if not moved:
                    table.remember(index)
                return found + moved
            index += 1
            if index == len(offsets):
                index, moved = table.repeat_from, moved + CYCLE
            time = starts[index]
        return None

    def _before(self, instant: int) -> int | None:
        table = self._stretches
        starts, offsets, floors = table.starts, table.offsets, table.floors
        time, moved = table.fold(instant - 1)
        index = bisect_right(starts, time) - 1
        time += 1
        while index >= 0:
            begin, offset = starts[index], offsets[index]
            found = self._local_before(min(time, starts[index + 1]) + offset)
            if found >= floors[index]:
                return found - offset + moved
            if self._made_up(index):
                return begin + moved
            if index == table.repeat_from and moved:
                index, moved, time = len(offsets), moved - CYCLE, time + CYCLE
            index -= 1
        return None

    def _made_up(self, index: int) -> bool:
        """Say whether a stretch begins with a fire for local times that were left out."""
        table = self._stretches
        gap, local = table.gaps[index], table.starts[index] + table.offsets[index]
        return gap < local and self._local_at_or_after(gap) < local

    def _spans(self, low: int, high: int) -> Iterator[tuple[int | None, int, int, int]]:
        """Cut ``low <= fire < high`` by stretches.

        Yields:
            The made-up fire at a stretch's start or None, then local bounds ``first <= t < end``
            within which every match is a fire, and what to add to one to get its instant.
        """
        table = self._stretches
        starts, offsets, floors = table.starts, table.offsets, table.floors
        time, moved = table.fold(low)
        index = bisect_right(starts, time) - 1
        while time + moved < high:
            begin, offset = starts[index], offsets[index]
            made_up = time == begin and self._made_up(index)
            first = max(time + made_up + offset, floors[index])
            end = min(starts[index + 1], high - moved) + offset
            yield begin + moved if made_up else None, first, end, moved - offset
            index += 1
            if index == len(offsets):
                if table.repeat_from < 0:
                    return
                index, moved = table.repeat_from, moved + CYCLE
            time = starts[index]

    @property
    def times(self) -> tuple[int, ...]:
        """The local times of day it names, in seconds since midnight, ascending."""
        return self._times

    @property
    def day_fields(self) -> DayFields:
        """What it says about days."""
        return self._days.fields

    def clock_changes(self, start: int, end: int) -> Iterator[ClockChange]:
        """Yield the changes of the clocks that touch this schedule, ``start < instant <= end``."""
        low, high = _bounds(start, end)
        table = self._stretches
        time, moved = table.fold(low)
        index = bisect_left(table.starts, time) - 1
        while True:
            before = table.offsets[index]
            index += 1
            if index == len(table.offsets):
                if table.repeat_from < 0:
                    return
                index, moved = table.repeat_from, moved + CYCLE
            instant, after = table.starts[index] + moved, table.offsets[index]
            if instant >= high:
                return
            left_out = tuple(self._local_between(instant + before, instant + after))
            repeated = tuple(self._local_between(instant + after, instant + before))
            if left_out or repeated:
                twice = table.floors[index] + moved <= instant + after
                made_up = self._made_up(index)
                yield ClockChange(instant, before, after, left_out, made_up, repeated, twice)

    def _between(self, low: int, high: int) -> Iterator[int]:
        # A year has half a million minutes: what goes through here is days, not single fires.
        return chain.from_iterable(self._batches(low, high))

    def _batches(self, low: int, high: int) -> Iterator[Iterable[int]]:
        for made_up, first, end, delta in self._spans(low, high):
            if made_up is not None:
                yield (made_up,)
            yield from self._local_batches(first, end, delta)

    def _local_between(self, first: int, end: int) -> Iterator[int]:
        """Yield the local matches with ``first <= t < end``."""
        return chain.from_iterable(self._local_batches(first, end, 0))

    def _local_batches(self, first: int, end: int, delta: int) -> Iterator[Iterable[int]]:
        """Yield the local matches with ``first <= t < end``, moved by ``delta``, day by day."""
        if first >= end:
            return
        times, step = self._times, self._step
        earliest, latest = times[0], times[-1]
        first_day, first_second = divmod(first, DAY)
        last_day, last_second = divmod(end, DAY)
        for day in self._days.between(first_day, last_day + 1):
            base = day * DAY + delta
            if first_day < day < last_day:
                # A range makes its numbers in half the time of adding to each.
                if step:
                    yield range(base + earliest, base + latest + 1, step)
                else:
                    yield map(base.__add__, times)
                continue
            start = bisect_left(times, first_second) if day == first_day else 0
            stop = bisect_left(times, last_second) if day == last_day else len(times)
            yield map(base.__add__, times[start:stop])

    def _count(self, low: int, high: int) -> int:
        total = 0
        for made_up, first, end, _ in self._spans(low, high):
            total += made_up is not None
            if first < end:
                total += self._count_local(first, end)
        return total

    def _count_local(self, first: int, end: int) -> int:
        """Count the local matches with ``first <= t < end``."""
        first_day, first_second = divmod(first, DAY)
        last_day, last_second = divmod(end, DAY)
        days, times = self._days, self._times
        total = days.count(first_day, last_day) * len(times)
        if days.count(last_day, last_day + 1):
            total += bisect_left(times, last_second)
        if days.count(first_day, first_day + 1):
            total -= bisect_left(times, first_second)
        return total


@lru_cache(maxsize=4096)
def _times_of_day(minutes: int, hours: int) -> tuple[tuple[int, ...], int]:
    """Return the times of day in seconds, and how far apart they are if that is always the same."""
    times = tuple(
        _MINUTES_OF_DAY[hour * 60 + minute]
        for hour in range(24)
        if hours >> hour & 1
        for minute in range(60)
        if minutes >> minute & 1
    )
    step = times[1] - times[0] if len(times) > 1 else DAY
    return times, step if times == tuple(range(times[0], times[-1] + 1, step)) else 0


def compile_schedule(
    expression: str,
    *,
    dialect: Dialect = Dialect.STANDARD,
    timezone: str = "UTC",
    dst_gap: DstGap = DstGap.DEBIAN,
    dst_repeat: DstRepeat = DstRepeat.DEBIAN,
) -> Schedule:
    """Compile an expression; the same arguments give the same object while it is cached.

    Args:
        expression: five fields, a shorthand or an interval, at most 256 characters.
        dialect: the grammar it is read in (``cronbell.schedule.grammar``).
        timezone: IANA name of the zone its times are local to; intervals have no zone.
        dst_gap: what a fire at a local time that does not exist does.
        dst_repeat: what a fire at a local time that comes twice does.

    Raises:
        ScheduleError: the expression, zone or a policy is refused, or it could never fire.
    """
    _check_text(expression, "expression")
    _check_text(timezone, "timezone")
    return _compile(expression, dialect, timezone, dst_gap, dst_repeat)


def _check_text(value: object, field: str) -> None:
    """Refuse what is not text before it meets the cache, which only takes what is hashable."""
    if not isinstance(value, str):
        raise ScheduleError(
            f"{field}: text is expected, not {type(value).__name__}",
            hint='write it in quotes, as "0 0 * * *" or "UTC"',
            field=field,
        )


_Member = TypeVar("_Member", bound=StrEnum)


def _member(kind: type[_Member], value: str, field: str) -> _Member:
    if isinstance(value, kind):
        return value
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(kind)
        raise ScheduleError(
            f"{field}: {value!r} is not known", hint=f"known are {known}", field=field
        ) from None


@lru_cache(maxsize=_CACHED)
def _compile(
    expression: str, dialect: Dialect, timezone: str, dst_gap: DstGap, dst_repeat: DstRepeat
) -> Schedule:
    dialect = _member(Dialect, dialect, "dialect")
    dst_gap = _member(DstGap, dst_gap, "dst_gap")
    dst_repeat = _member(DstRepeat, dst_repeat, "dst_repeat")
    parsed = parse(expression, dialect)
    if isinstance(parsed, Interval):
        load_zone(timezone)  # an unknown zone is refused even where it makes no difference
        return IntervalSchedule(expression, timezone, parsed.seconds)
    # Debian cron's rule: a fixed-time job runs once whatever the clock does, a job with a
    # wildcard follows real time.
    default = Reach.DEBIAN if parsed.fixed_time else Reach.NONE
    gap, repeat = _GAPS.get(dst_gap, default), _REPEATS.get(dst_repeat, default)
    return CronSchedule(expression, timezone, parsed, gap, repeat)


def schedule_of(spec: JobSpec) -> Schedule:
    """Compile a job's schedule, with its zone and policies.

    Raises:
        ScheduleError: the expression, zone or policy is refused.
    """
    return compile_schedule(
        spec.schedule,
        dialect=spec.dialect,
        timezone=spec.timezone,
        dst_gap=spec.dst_gap,
        dst_repeat=spec.dst_repeat,
    )
