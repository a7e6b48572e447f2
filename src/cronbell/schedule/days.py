"""Which days an expression matches: one bit mask for each of the fourteen kinds of year.

A year is known by the weekday of its first day and whether it is a leap year, so fourteen masks
of 366 bits answer "the next matching day" for all time with a shift and a bit trick. Days are
whole numbers since 1970-01-01; the Gregorian calendar repeats after 400 years, so any number is
good, beyond what ``datetime`` can hold too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

CYCLE_YEARS = 400
CYCLE_DAYS = 146_097  # a whole number of weeks
WEEK = 7
_CYCLE_START_YEAR = 2000
_CYCLE_START_DAY = 10_957  # 2000-01-01 in days since 1970-01-01
_CYCLE_START_WEEKDAY = 6  # a Saturday, with Sunday as 0
_MONTH_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY = 2
_YEAR_KINDS = 14
_NTH_PER_WEEKDAY = 5
_WHOLE_WEEK = (1 << WEEK) - 1
_FIVE_WEEKS = sum(1 << week * WEEK for week in range(_NTH_PER_WEEKDAY))


def is_leap(year: int) -> bool:
    """Say whether a Gregorian year has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % CYCLE_YEARS == 0)


def _year_tables() -> tuple[tuple[int, ...], tuple[int, ...]]:
    starts, kinds, day = [], [], 0
    for year in range(_CYCLE_START_YEAR, _CYCLE_START_YEAR + CYCLE_YEARS):
        leap = is_leap(year)
        starts.append(day)
        kinds.append((_CYCLE_START_WEEKDAY + day) % WEEK + WEEK * leap)
        day += 366 if leap else 365
    return (*starts, day), tuple(kinds)


# First day (within the cycle) and kind of each year of the cycle that begins in 2000.
_YEAR_STARTS, _YEAR_KIND = _year_tables()


def _find_year(day_of_cycle: int) -> int:
    year = day_of_cycle * CYCLE_YEARS // CYCLE_DAYS  # at most one off
    if _YEAR_STARTS[year] > day_of_cycle:
        return year - 1
    if _YEAR_STARTS[year + 1] <= day_of_cycle:
        return year + 1
    return year


def year_of(day: int) -> int:
    """Return the Gregorian year of a day number."""
    cycles, day_of_cycle = divmod(day - _CYCLE_START_DAY, CYCLE_DAYS)
    return _CYCLE_START_YEAR + cycles * CYCLE_YEARS + _find_year(day_of_cycle)


def first_day_of(year: int) -> int:
    """Return the day number of 1 January of a Gregorian year."""
    cycles, year_of_cycle = divmod(year - _CYCLE_START_YEAR, CYCLE_YEARS)
    return _CYCLE_START_DAY + cycles * CYCLE_DAYS + _YEAR_STARTS[year_of_cycle]


def month_length(month: int, *, leap: bool) -> int:
    """Return how many days a month (1–12) has."""
    return _MONTH_LENGTHS[month - 1] + (leap and month == _FEBRUARY)


def date_of(day: int) -> str:
    """Write a day number as ``2026-11-22``."""
    year = year_of(day)
    month, rest = 1, day - first_day_of(year)
    while rest >= month_length(month, leap=is_leap(year)):
        rest -= month_length(month, leap=is_leap(year))
        month += 1
    return f"{year:04}-{month:02}-{rest + 1:02}"


@dataclass(frozen=True, slots=True)
class DayFields:
    """The three day fields of an expression, as masks.

    Attributes:
        month_days: bit ``n`` for day ``n`` of the month.
        last_day: whether the last day of the month is named (``L``).
        months: bit ``n`` for month ``n``.
        weekdays: bit ``n`` for weekday ``n``, Sunday 0.
        nth_weekdays: bit ``weekday * 5 + n - 1`` for the nth such weekday of the month (``d#n``).
        both: whether day of month *and* day of week must match, rather than either.
    """

    month_days: int
    last_day: bool
    months: int
    weekdays: int
    nth_weekdays: int
    both: bool

    def matches_in_month(self, first_weekday: int, length: int) -> int:
        """Return the matching days of a month (its month field apart) as a mask, bit 0 the 1st."""
        month_days = self.month_days >> 1
        if self.last_day:
            month_days |= 1 << (length - 1)
        # The week as it lies from the 1st on, five times over.
        week = (self.weekdays | self.weekdays << WEEK) >> first_weekday & _WHOLE_WEEK
        weekdays = week * _FIVE_WEEKS
        if self.nth_weekdays:
            for weekday in range(WEEK):
                first = (weekday - first_weekday) % WEEK
                for nth in range(_NTH_PER_WEEKDAY):
                    if self.nth_weekdays >> (weekday * _NTH_PER_WEEKDAY + nth) & 1:
                        weekdays |= 1 << (first + nth * WEEK)
        matches = month_days & weekdays if self.both else month_days | weekdays
        return matches & ((1 << length) - 1)


class DayRule:
    """The days an expression matches, forward and backward.

    Attributes:
        fields: what it is made of.
        ever: whether any day of any year matches.
    """

    __slots__ = ("_masks", "ever", "fields")

    def __init__(self, fields: DayFields) -> None:
        self.fields = fields
        # Filled as years of each kind are met: most schedules are only ever asked about a few.
        self._masks: list[int | None] = [None] * _YEAR_KINDS
        self.ever = any(self._mask(kind) for kind in range(_YEAR_KINDS))

    def _mask(self, kind: int) -> int:
        mask = self._masks[kind]
        if mask is None:
            mask = self._masks[kind] = self._build(kind)
        return mask

    def _build(self, kind: int) -> int:
        leap, weekday = divmod(kind, WEEK)
        fields, mask, day = self.fields, 0, 0
        for month in range(1, 13):
            length = month_length(month, leap=bool(leap))
            if fields.months >> month & 1:
                mask |= fields.matches_in_month((weekday + day) % WEEK, length) << day
            day += length
        return mask

    def at_or_after(self, day: int) -> int:
        """Return the first matching day not before ``day``; the rule must match some day."""
        day_of_cycle = (day - _CYCLE_START_DAY) % CYCLE_DAYS
        # This is the hot path of the engine: what helpers do elsewhere is written out here.
        year = day_of_cycle * CYCLE_YEARS // CYCLE_DAYS
        if _YEAR_STARTS[year] > day_of_cycle:
            year -= 1
        elif _YEAR_STARTS[year + 1] <= day_of_cycle:
            year += 1
        kind = _YEAR_KIND[year]
        mask = (self._masks[kind] or self._mask(kind)) >> (day_of_cycle - _YEAR_STARTS[year])
        if mask & 1:
            return day
        if mask:
            return day + (mask & -mask).bit_length() - 1
        cycles = (day - _CYCLE_START_DAY) // CYCLE_DAYS
        while True:
            year += 1
            if year == CYCLE_YEARS:
                year, cycles = 0, cycles + 1
            mask = self._mask(_YEAR_KIND[year])
            if mask:
                start = _CYCLE_START_DAY + cycles * CYCLE_DAYS + _YEAR_STARTS[year]
                return start + (mask & -mask).bit_length() - 1

    def at_or_before(self, day: int) -> int:
        """Return the last matching day not after ``day``; the rule must match some day."""
        cycles, day_of_cycle = divmod(day - _CYCLE_START_DAY, CYCLE_DAYS)
        year = _find_year(day_of_cycle)
        start = _YEAR_STARTS[year]
        mask = self._mask(_YEAR_KIND[year]) & ((2 << (day_of_cycle - start)) - 1)
        while not mask:
            year -= 1
            if year < 0:
                year, cycles = CYCLE_YEARS - 1, cycles - 1
            mask = self._mask(_YEAR_KIND[year])
        start = _CYCLE_START_DAY + cycles * CYCLE_DAYS + _YEAR_STARTS[year]
        return start + mask.bit_length() - 1

    def _years(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield (day number of bit 0, mask) for the years of ``first <= day < end``."""
        day = first
        while day < end:
            cycles, day_of_cycle = divmod(day - _CYCLE_START_DAY, CYCLE_DAYS)
            year = _find_year(day_of_cycle)
            base = _CYCLE_START_DAY + cycles * CYCLE_DAYS
            stop = min(end, base + _YEAR_STARTS[year + 1])
            mask = self._mask(_YEAR_KIND[year]) >> (day_of_cycle - _YEAR_STARTS[year])
            yield day, mask & ((1 << (stop - day)) - 1)
            day = stop

    def between(self, first: int, end: int) -> Iterator[int]:
        """Yield the matching days with ``first <= day < end``, ascending."""
        for base, year_mask in self._years(first, end):
            mask = year_mask
            while mask:
                lowest = mask & -mask
                yield base + lowest.bit_length() - 1
                mask ^= lowest

    def count(self, first: int, end: int) -> int:
        """Return how many days with ``first <= day < end`` match."""
        return sum(mask.bit_count() for _, mask in self._years(first, end))


@lru_cache(maxsize=4096)
def day_rule(fields: DayFields) -> DayRule:
    """Return the rule for these fields; schedules with the same day fields share one."""
    return DayRule(fields)
