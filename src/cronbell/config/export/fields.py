"""An expression as the values it stands for, and those as text that every cron reads alike."""

from __future__ import annotations

from dataclasses import dataclass

from cronbell.domain import Dialect, JobSpec
from cronbell.schedule.grammar import Cron, Interval, parse

RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_ALL = tuple(tuple(range(low, high + 1)) for low, high in RANGES)
_STEPS_WORTH_IT = 3
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Fields:
    """The values of a five-field expression.

    Attributes:
        minutes: in order, as all of these.
        hours: hours of the day.
        days: days of the month.
        months: months.
        weekdays: Sunday is 0.
        last_day: whether the month's last day is named too.
        nth: pairs (weekday, which one in the month).
        both: whether day of month and day of week must both match.
        starred: whether minute or hour begins with a star, which decides about daylight saving.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    last_day: bool
    nth: tuple[tuple[int, int], ...]
    both: bool
    starred: bool

    @property
    def any_day(self) -> bool:
        """Whether day of month says nothing."""
        return self.days == _ALL[2]

    @property
    def any_weekday(self) -> bool:
        """Whether day of week says nothing."""
        return self.weekdays == _ALL[4]


def fields_of(job: JobSpec) -> Fields | Interval:
    """Read a job's schedule.

    Raises:
        ScheduleError: it is refused.
    """
    parsed = parse(job.schedule, job.dialect)
    if isinstance(parsed, Interval):
        return parsed
    return _fields(parsed)


def _fields(cron: Cron) -> Fields:
    days = cron.days
    masks = (cron.minutes, cron.hours, days.month_days, days.months, days.weekdays)
    minutes, hours, month_days, months, weekdays = (
        tuple(value for value in range(low, high + 1) if mask >> value & 1)
        for mask, (low, high) in zip(masks, RANGES, strict=True)
    )
    nth = tuple(
        (weekday, which + 1)
        for weekday in range(7)
        for which in range(5)
        if days.nth_weekdays >> (weekday * 5 + which) & 1
    )
    both, last_day = days.both, days.last_day
    if not both and (month_days == _ALL[2] or weekdays == _ALL[4]):
        # Either of the two, and one of them (1-31, 0-6) is always so: every day.
        month_days, weekdays, both, last_day, nth = _ALL[2], _ALL[4], True, False, ()
    return Fields(
        minutes, hours, month_days, months, weekdays,
        last_day, nth, both, not cron.fixed_time,
    )  # fmt: skip


def as_cron(interval: Interval, job: JobSpec) -> str | None:
    """Return the expression that fires at an interval's very instants; None if there is none.

    Intervals count from 1970-01-01T00:00:00Z, so that only divisors of an hour or a day fit five
    fields, and only in UTC.
    """
    seconds = interval.seconds
    if job.timezone != "UTC" or seconds % 60:
        return None
    minutes = seconds // 60
    if minutes < 60 and 60 % minutes == 0:  # noqa: PLR2004 - minutes of an hour
        return "* * * * *" if minutes == 1 else f"*/{minutes} * * * *"
    if minutes % 60 == 0 and _DAY % seconds == 0:
        hours = minutes // 60
        return {1: "0 * * * *", 24: "0 0 * * *"}.get(hours, f"0 */{hours} * * *")
    return None


def text_of(fields: Fields) -> str:
    """Write the five fields with numbers only; what ``Fields.both`` says is not in it.

    Steps are written only over a whole field: ``*/n``, which every cron reads alike.
    """
    values = (fields.minutes, fields.hours, fields.days, fields.months, fields.weekdays)
    return " ".join(
        _field(these, every, index)
        for index, (these, every) in enumerate(zip(values, _ALL, strict=True))
    )


def _field(values: tuple[int, ...], every: tuple[int, ...], index: int) -> str:
    if values == every:
        return "*"
    # A star in a day field may mean "and"; lists are the same everywhere.
    if index < 2 and len(values) >= _STEPS_WORTH_IT:  # noqa: PLR2004 - minute and hour
        step = values[1] - values[0]
        if values == every[::step]:
            return f"*/{step}"
    return ranges(values)


def ranges(values: tuple[int, ...], to: str = "-") -> str:
    """Write values as a list of values and ranges: ``1-5,9``."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ",".join(
        f"{run[0]}{to}{run[-1]}" if len(run) > 2 else ",".join(map(str, run))  # noqa: PLR2004
        for run in runs
    )


def plain_text(job: JobSpec) -> str | None:
    """Return a job's schedule in the words all crons share; None if it has none.

    Names, 7, shorthands and intervals are written out. ``L``, ``d#n`` and day fields that must
    both match have no such words.
    """
    fields = fields_of(job)
    if isinstance(fields, Interval):
        return as_cron(fields, job)
    if fields.last_day or fields.nth:
        return None
    if fields.both and not (fields.any_day or fields.any_weekday):
        return None
    return text_of(fields)


def is_vercels(job: JobSpec) -> bool:
    """Say whether Vercel's own header may name the job's schedule."""
    return job.dialect == Dialect.VERCEL and job.timezone == "UTC"
