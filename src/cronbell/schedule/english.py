"""Shapes of schedules in English."""

from __future__ import annotations

from collections.abc import Sequence

from cronbell.schedule.shape import (
    HOUR,
    At,
    Days,
    Evenly,
    Grid,
    Numbers,
    Row,
    Times,
    clock,
    weekday_runs,
)

_MONTHS = (
    "", "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_NTH = ("", "first", "second", "third", "fourth", "fifth")
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}
_TEENS = range(11, 14)
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def sentence(times: Times, days: Days) -> str:
    """Say when a cron schedule fires."""
    when, which = _times(times), _days(days)
    if not which and not _implies_every_day(times):
        which = " every day" if isinstance(times, At) else ", every day"
    return f"{when}{which}{_in_months(days)}"


def interval(seconds: int, *, from_midnight: bool) -> str:
    """Say how often an interval fires.

    Args:
        seconds: its length.
        from_midnight: whether it divides a day, so that the same times come every day.
    """
    unit, name = next(one for one in _UNITS if seconds % one[0] == 0)
    amount = seconds // unit
    words = f"Every {name}" if amount == 1 else f"Every {amount} {name}s"
    if unit == _UNITS[0][0]:
        return f"{words} at 00:00 UTC" + ("" if amount == 1 else ", counted from 1970-01-01")
    if from_midnight:
        return words if HOUR * 60 % seconds == 0 else f"{words}, counted from 00:00 UTC"
    return f"{words}, counted from 1970-01-01 00:00 UTC"


def _implies_every_day(times: Times) -> bool:
    if isinstance(times, Evenly):
        return times.whole_day or times.minute_of_every_hour is not None
    return isinstance(times, Grid) and times.hours is None


def _times(times: Times) -> str:
    if isinstance(times, At):
        return f"At {_list([clock(time) for time in times.times])}"
    if isinstance(times, Evenly):
        return _evenly(times)
    if times.step:
        minutes = _every(times.step, "minute")
    elif isinstance(times.minutes, Row):
        row = times.minutes
        minutes = f"{_every(row.step, 'minute')} from minute {row.first} to minute {row.last}"
    else:
        minutes = f"At {'minutes' if _several(times.minutes) else 'minute'} " + _list(
            _parts(times.minutes)
        )
    if times.hours is None:
        return f"{minutes} of every hour"
    if isinstance(times.hours, Row):
        row = times.hours
        return f"{minutes} of every {_ordinal(row.step)} hour from {row.first} to {row.last}"
    hours = "hours" if _several(times.hours) else "hour"
    return f"{minutes} of {hours} {_list(_parts(times.hours))}"


def _evenly(times: Evenly) -> str:
    minute = times.minute_of_every_hour
    if minute == 0:
        return "Every hour"
    if minute is not None:
        return f"At {minute} minute{'s' * (minute != 1)} past every hour"
    row = times.row
    hours, rest = divmod(row.step, HOUR)
    every = _every(row.step, "minute") if rest else _every(hours, "hour")
    return every if times.whole_day else f"{every} from {clock(row.first)} to {clock(row.last)}"


def _every(amount: int, unit: str) -> str:
    return f"Every {unit}" if amount == 1 else f"Every {amount} {unit}s"


def _days(days: Days) -> str:
    """Say which days, with what joins them to the times; empty for every day."""
    by_weekday = _weekdays(days) if days.by_weekday and not days.both else ""
    if not days.by_month_day:
        return by_weekday
    by_month_day = f" on {_month_days(days)}"
    if days.both:
        return f"{by_month_day} if it falls on {_if_weekday(days)}"
    return f"{by_month_day}, and also{by_weekday.lstrip(',')}" if by_weekday else by_month_day


def _months_apart(days: Days) -> bool:
    """Say whether the months come at the end, rather than with the day of the month."""
    if days.by_month_day:
        return days.by_weekday and not days.both
    return not days.nth_weekdays


def _in_months(days: Days) -> str:
    if days.months is None or not _months_apart(days):
        return ""
    # "On the 13th, and also on Fridays in January" would leave open which Fridays.
    either = days.by_month_day and days.by_weekday
    return f"{', only' if either else ''} in {_month_names(days.months)}"


def _month_names(months: tuple[int | Row, ...]) -> str:
    return _list(
        [
            f"{_MONTHS[part.first]} to {_MONTHS[part.last]}"
            if isinstance(part, Row)
            else _MONTHS[part]
            for part in months
        ]
    )


def _of_the_month(days: Days) -> str:
    if days.months is None or _months_apart(days):
        return "of the month"
    return f"of {_month_names(days.months)}"


def _month_days(days: Days) -> str:
    of_the_month, numbers = _of_the_month(days), days.month_days
    named: list[str] = []
    if isinstance(numbers, Row):
        named.append(
            f"every {_ordinal(numbers.step)} day from the {_ordinal(numbers.first)} "
            f"to the {_ordinal(numbers.last)}"
        )
    else:
        named += [
            f"the {_ordinal(part.first)} to the {_ordinal(part.last)}"
            if isinstance(part, Row)
            else f"the {_ordinal(part)}"
            for part in numbers or ()
        ]
    if days.last_day:
        named.append("the last day")
    return f"{_list(named)} {of_the_month}"


def _weekdays(days: Days) -> str:
    runs = weekday_runs(days.weekdays)
    if len(runs) == 1 and len(runs[0]) > 1 and not days.nth_weekdays:
        return f", {_run(runs[0])}"
    named = [_run(run) if len(run) > 1 else f"{_WEEKDAYS[run[0]]}s" for run in runs]
    nth = [f"the {_NTH[nth]} {_WEEKDAYS[day]}" for day, nth in days.nth_weekdays]
    words = f" on {_list(named + nth)}"
    return f"{words} {_of_the_month(days)}" if nth else words


def _if_weekday(days: Days) -> str:
    named = [
        _run(run) if len(run) > 1 else f"a {_WEEKDAYS[run[0]]}"
        for run in weekday_runs(days.weekdays)
    ]
    named += [f"the {_NTH[nth]} {_WEEKDAYS[day]} of the month" for day, nth in days.nth_weekdays]
    return _list(named, "or")


def _run(weekdays: Sequence[int]) -> str:
    return f"{_WEEKDAYS[weekdays[0]]} to {_WEEKDAYS[weekdays[-1]]}"


def _parts(numbers: tuple[int | Row, ...]) -> list[str]:
    return [
        f"{part.first} to {part.last}" if isinstance(part, Row) else str(part) for part in numbers
    ]


def _several(numbers: Numbers) -> bool:
    return isinstance(numbers, Row) or len(numbers) > 1 or isinstance(numbers[0], Row)


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in _TEENS else _ENDINGS.get(number % 10, "th")
    return f"{number}{ending}"


def _list(words: Sequence[str], last: str = "and") -> str:
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def gap_note(zone: str, day: str, times: str, moved_to: str, *, several: bool) -> str:
    """Say what becomes of local times that do not exist."""
    verb = "do" if several else "does"
    if not moved_to:
        are = "are" if several else "is"
        return f"in {zone} {times} {verb} not exist on {day} and {are} left out"
    once = "runs once at" if several else "runs at"
    return f"in {zone} {times} {verb} not exist on {day}: {once} {moved_to}"


def repeat_note(zone: str, day: str, times: str, *, several: bool, both: bool) -> str:
    """Say what becomes of local times that come twice."""
    verb = "come" if several else "comes"
    runs = "runs both times" if both else "runs the first time only"
    return f"in {zone} {times} {verb} twice on {day}: {runs}"


def time_list(times: Sequence[str]) -> str:
    """List a few times of day; of many, name the first, the last and how many."""
    few = 3
    if len(times) <= few:
        return _list(times)
    return f"{times[0]} to {times[-1]} ({len(times)} times)"
