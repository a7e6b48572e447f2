"""What a sentence about a schedule has to say, in no language yet.

Made from what an expression matches, not from how it is written: ``0 9 * * mon-fri`` and
``0 9 * * 1,2,3,4,5`` have one shape and so one sentence, and two schedules that differ on any day
differ in shape. ``english`` and ``korean`` put shapes into words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cronbell.schedule.days import WEEK, DayFields

HOUR = 60
DAY = 24 * HOUR
_ALL_HOURS = list(range(24))
_ALL_MONTH_DAYS = (1 << 32) - 2
_ALL_MONTHS = (1 << 13) - 2
_ALL_WEEKDAYS = (1 << WEEK) - 1
_NTH_PER_WEEKDAY = 5
_FEW_TIMES = 4  # up to here each time is listed, even where they are evenly spaced
_MANY_TIMES = 6  # and up to here where they are not
_SHORTEST_ROW = 3  # evenly spaced values that are worth calling so


@dataclass(frozen=True, slots=True)
class Row:
    """Evenly spaced numbers.

    Attributes:
        first: the first of them.
        last: the last of them; more than ``first``.
        step: from each to the next.
    """

    first: int
    last: int
    step: int


# A set of numbers: one row with a step above 1, or single numbers and runs, ascending.
Numbers = Row | tuple[int | Row, ...]


@dataclass(frozen=True, slots=True)
class At:
    """A few times of day, each in minutes since midnight, ascending."""

    times: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Evenly:
    """Times of day that are evenly spaced, in minutes since midnight."""

    row: Row

    @property
    def whole_day(self) -> bool:
        """Whether the spacing goes on over midnight, counted from it."""
        return self.row.first == 0 and self.row.last + self.row.step == DAY

    @property
    def minute_of_every_hour(self) -> int | None:
        """The minute, where it is the same one of every hour."""
        row = self.row
        every_hour = row.step == HOUR and row.first < HOUR and row.last >= DAY - HOUR
        return row.first if every_hour else None


@dataclass(frozen=True, slots=True)
class Grid:
    """These minutes of these hours.

    Attributes:
        minutes: of the hour.
        hours: of the day; None for all of them.
        step: minutes between fires, where they are evenly spaced over the whole hour; else 0.
    """

    minutes: Numbers
    hours: Numbers | None
    step: int


Times = At | Evenly | Grid


@dataclass(frozen=True, slots=True)
class Days:
    """Which days.

    Attributes:
        month_days: days of the month; None where the day of the month does not matter or only
            the last one is named.
        last_day: whether the last day of the month is named.
        weekdays: Sunday 0, in the order Monday to Sunday; empty where they do not matter.
        nth_weekdays: (weekday, n) for the nth such weekday of the month.
        both: whether day of month and weekday must both match, rather than either.
        months: 1 to 12; None for all.
    """

    month_days: Numbers | None
    last_day: bool
    weekdays: tuple[int, ...]
    nth_weekdays: tuple[tuple[int, int], ...]
    both: bool
    months: tuple[int | Row, ...] | None

    @property
    def by_month_day(self) -> bool:
        """Whether the day of the month matters."""
        return self.month_days is not None or self.last_day

    @property
    def by_weekday(self) -> bool:
        """Whether the day of the week matters."""
        return bool(self.weekdays or self.nth_weekdays)


def times_of(times: Sequence[int]) -> Times:
    """Return the shape of times of day, in minutes since midnight, ascending.

    They must be those of an expression: each of some minutes of each of some hours.
    """
    minutes = sorted({time % HOUR for time in times})
    hours = sorted({time // HOUR for time in times})
    row = _row(times)
    if row and (Evenly(row).whole_day or len(times) > _FEW_TIMES):
        evenly = Evenly(row)
        # From :05 to :50 of every hour is better said so than from 00:05 to 23:50.
        if evenly.whole_day or row.step >= HOUR or hours != _ALL_HOURS:
            return evenly
    if len(times) <= _MANY_TIMES:
        return At(tuple(times))
    step = HOUR // len(minutes)
    whole_hour = minutes == list(range(0, HOUR, step))
    return Grid(
        _numbers(minutes),
        None if hours == _ALL_HOURS else _numbers(hours),
        step if whole_hour else 0,
    )


def days_of(fields: DayFields) -> Days:
    """Return the shape of an expression's days."""
    every_month_day = fields.month_days & _ALL_MONTH_DAYS == _ALL_MONTH_DAYS
    every_weekday = fields.weekdays & _ALL_WEEKDAYS == _ALL_WEEKDAYS
    # "Either of the two" leaves no day out once one of them is every day.
    everything = not fields.both and (every_month_day or every_weekday)
    by_month_day = not (everything or every_month_day)
    by_weekday = not (everything or every_weekday)
    month_days = _values(fields.month_days & _ALL_MONTH_DAYS)
    return Days(
        month_days=_numbers(month_days) if by_month_day and month_days else None,
        last_day=by_month_day and fields.last_day,
        weekdays=_weekdays(fields.weekdays) if by_weekday else (),
        nth_weekdays=_nth_weekdays(fields.nth_weekdays, fields.weekdays) if by_weekday else (),
        both=fields.both and by_month_day and by_weekday,
        months=None if fields.months == _ALL_MONTHS else _runs(_values(fields.months)),
    )


def weekday_runs(weekdays: Sequence[int]) -> list[tuple[int, ...]]:
    """Cut weekdays, Monday first, into runs of neighbours; runs of two are taken apart."""
    positions = [(day - 1) % WEEK for day in weekdays]
    runs: list[tuple[int, ...]] = []
    for part in _runs(positions):
        first, last = (part.first, part.last) if isinstance(part, Row) else (part, part)
        runs.append(tuple((position + 1) % WEEK for position in range(first, last + 1)))
    return runs


def clock(minutes: int) -> str:
    """Write minutes since midnight as ``03:00``."""
    return f"{minutes // HOUR:02}:{minutes % HOUR:02}"


def _values(mask: int) -> list[int]:
    return [value for value in range(mask.bit_length()) if mask >> value & 1]


def _weekdays(mask: int) -> tuple[int, ...]:
    return tuple(sorted(_values(mask & _ALL_WEEKDAYS), key=lambda day: (day - 1) % WEEK))


def _nth_weekdays(mask: int, weekdays: int) -> tuple[tuple[int, int], ...]:
    pairs = [divmod(bit, _NTH_PER_WEEKDAY) for bit in _values(mask)]
    # Every Friday has the second Friday in it.
    left = [(day, nth + 1) for day, nth in pairs if not weekdays >> day & 1]
    return tuple(sorted(left, key=lambda pair: (pair[1], (pair[0] - 1) % WEEK)))


def _row(values: Sequence[int]) -> Row | None:
    """Return the row that these values are; None if they are none."""
    if len(values) < _SHORTEST_ROW:
        return None
    step = values[1] - values[0]
    row = Row(values[0], values[-1], step)
    return row if list(values) == list(range(row.first, row.last + 1, step)) else None


def _runs(values: Sequence[int]) -> tuple[int | Row, ...]:
    """Join three or more neighbours into a run."""
    parts: list[int | Row] = []
    start = 0
    for index in range(1, len(values) + 1):
        if index < len(values) and values[index] == values[index - 1] + 1:
            continue
        run = values[start:index]
        parts += [Row(run[0], run[-1], 1)] if len(run) >= _SHORTEST_ROW else run
        start = index
    return tuple(parts)


def _numbers(values: Sequence[int]) -> Numbers:
    row = _row(values)
    if row and row.step > 1 and len(values) > _SHORTEST_ROW:
        return row
    return _runs(values)
