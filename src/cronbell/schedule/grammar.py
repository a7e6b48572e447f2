"""Read a schedule expression in either dialect, or say what is wrong with it and what to write.

``vercel`` is what Vercel documents for ``crons``: digits, lists, ranges and steps, day of week
0–6, one of the two day fields ``*``, fields parted by one space (the strictest of Vercel's own
checks, that of its Schedules broker). Each departure from it has an error of its own.

``standard`` is Debian cron's grammar with names, 7 as Sunday and ``@daily``, and with ``L`` (last
day of the month), ``d#n`` (nth weekday of the month), ``a/n`` (from ``a`` to the field's end) and
``every 30s``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from cronbell.domain import Dialect
from cronbell.errors import ScheduleError
from cronbell.schedule.days import WEEK, DayFields

MAX_LENGTH = 256
LONGEST_INTERVAL = 366 * 86_400
_SHOWN = 40
_FIELDS = 5
_SUNDAY_AGAIN = 7
_MOST_NTH = 5
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_TOML = "in cronbell.toml, where a job's schedule may say it"


@dataclass(frozen=True, slots=True)
class Interval:
    """``every`` so many seconds, counted from the epoch."""

    seconds: int


class Cron(NamedTuple):
    """A five-field expression as masks.

    Attributes:
        minutes: bit ``n`` for minute ``n``.
        hours: bit ``n`` for hour ``n``.
        days: the day fields.
        fixed_time: whether Debian cron would call it a fixed-time job: neither the minute nor the
            hour begins with ``*``.
    """

    minutes: int
    hours: int
    days: DayFields
    fixed_time: bool


@dataclass(frozen=True, slots=True, eq=False)  # there are five, told apart by identity
class _Field:
    """One of the five fields: its name in messages, its range, and the names of its values."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    @property
    def range(self) -> str:
        return f"{self.low}–{self.high}"

    def bits(self, start: int, end: int, step: int = 1) -> int:
        return sum(1 << value for value in range(start, end + 1, step))


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31)
_MONTH = _Field(
    "month", 1, 12,
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
)  # fmt: skip
_WEEKDAY = _Field("day of week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat"))


def parse(expression: str, dialect: Dialect) -> Cron | Interval:
    """Read an expression.

    Raises:
        ScheduleError: it is refused; ``field`` names the part at fault.
    """
    _check_text(expression)
    if expression.lstrip(" \t")[:1] == "@":
        expression = _alias(expression.strip(" \t"), dialect)
    elif expression.split()[0].lower() == "every":
        return _interval(expression, dialect)
    return _cron(_split(expression, dialect), dialect)


def _check_text(expression: str) -> None:
    if len(expression) > MAX_LENGTH:
        raise ScheduleError(
            f"the expression has {len(expression)} characters; the limit is {MAX_LENGTH}",
            hint="use ranges and steps (0-30/5) instead of long lists",
        )
    if not expression.strip():
        raise ScheduleError("the expression is empty", hint='every day at midnight is "0 0 * * *"')
    if expression.isascii() and expression.isprintable():
        return
    for position, character in enumerate(expression, 1):
        if not (" " <= character <= "~" or character == "\t"):
            raise ScheduleError(
                f"character {position} of the expression is {character!a}, which no field can hold",
                hint="use plain ASCII digits, * , - / and blanks",
            )


def _alias(text: str, dialect: Dialect) -> str:
    meaning = _ALIASES.get(text.lower())
    if meaning is None:
        known = ", ".join(_ALIASES)
        hint = f"known are {known}"
        if text.lower() == "@reboot":
            hint = "a runner has no boot to wait for: use `run now`, or a time"
        raise ScheduleError(f"the expression {_show(text)} is not known", hint=hint)
    if dialect == Dialect.VERCEL:
        raise ScheduleError(
            f"the expression {_show(text)} is a shorthand, which Vercel does not support",
            hint=f"write `{meaning}`",
        )
    return meaning


def _interval(expression: str, dialect: Dialect) -> Interval:
    if dialect == Dialect.VERCEL:
        raise ScheduleError(
            f"the expression {_show(expression)} is an interval, which Vercel does not support",
            hint=f'give five fields (`*/5 * * * *`), or `every = "30s"` {_TOML}',
        )
    words = expression.split()
    amount, unit = (words[1][:-1], words[1][-1].lower()) if len(words) == 2 else ("", "")  # noqa: PLR2004
    if unit not in _UNITS or not amount.isdigit():
        raise ScheduleError(
            f"the interval {_show(expression)} is not a whole number and a unit",
            hint="write `every 30s`, `every 5m`, `every 2h` or `every 1d`",
        )
    seconds = int(amount) * _UNITS[unit]
    if not 1 <= seconds <= LONGEST_INTERVAL:
        raise ScheduleError(
            f"the interval {_show(expression)} is out of range: 1 second to 366 days",
            hint="write `every 30s`, or five fields for a yearly job: `0 0 1 1 *`",
        )
    return Interval(seconds)


def _split(expression: str, dialect: Dialect) -> list[str]:
    fields = expression.split()
    if len(fields) != _FIELDS:
        raise ScheduleError(
            f"the expression has {len(fields)} field{'s' * (len(fields) != 1)}, "
            "and needs 5: minute, hour, day of month, month, day of week",
            hint=_count_hint(fields, dialect),
        )
    if dialect == Dialect.VERCEL and expression != " ".join(fields):
        raise ScheduleError(
            "the expression has extra blanks; Vercel parts the fields by one space",
            hint=f"write `{' '.join(fields)}`",
        )
    return fields


def _count_hint(fields: list[str], dialect: Dialect) -> str:
    if len(fields) < _FIELDS:
        return f"write `{' '.join(fields + ['*'] * (_FIELDS - len(fields)))}`, or what you meant"
    if len(fields) == _FIELDS + 1:
        hint = f"without a seconds field it is `{' '.join(fields[1:])}`; "
        where = f" {_TOML}" if dialect == Dialect.VERCEL else ""
        return hint + f'less than a minute is `every = "30s"`{where}'
    return "remove what is not one of the five"


def _check_vercel(field: _Field, text: str) -> None:
    """Give each departure from Vercel's documented grammar its own message."""
    lower = text.lower()
    if "?" in text:
        raise _refused(field, text, "holds `?`, which Vercel does not support", "write `*`")
    if "#" in text:
        hint = f"`{text}` can be written {_TOML}"
        raise _refused(field, text, "asks for an nth weekday, which Vercel does not support", hint)
    if field is _DAY and "l" in lower:
        hint = f"`{text}` can be written {_TOML}; on Vercel use a day up to 28"
        raise _refused(field, text, "asks for the last day, which Vercel does not support", hint)
    if any(character.isalpha() for character in text):
        raise _refused(
            field, text, "holds a name; Vercel reads digits only", _digits_hint(field, text)
        )
    if field is _WEEKDAY and _SUNDAY_AGAIN in _numbers(text):
        raise _refused(
            field, text, "counts Sunday as 7; on Vercel the range is 0–6", _digits_hint(field, text)
        )


def _check_repeats(field: _Field, text: str) -> None:
    """Refuse a list that names a value twice, as the check of Vercel's Schedules does."""
    seen = 0
    for item in text.split(","):
        if item == "*" and text != "*":
            problem = "has `*` in a list, which Vercel's Schedules refuse"
            raise _refused(field, text, problem, "write `*` alone, or the list without it")
        values = _item(field, item)
        if values & seen:
            twice = (values & seen & -(values & seen)).bit_length() - 1
            problem = f"names {twice} twice, which Vercel's Schedules refuse"
            raise _refused(field, text, problem, _digits_hint(field, text))
        seen |= values


def _numbers(text: str) -> set[int]:
    """Return the day numbers in a day-of-week field; a step is not one."""
    values = [item.partition("/")[0] for item in text.split(",")]
    return {int(end) for value in values for end in value.split("-") if end.isdigit()}


def _digits_hint(field: _Field, text: str) -> str:
    """Say how a field that ``standard`` understands is written in digits."""
    try:
        mask = _parse_field(field, text).values
    except ScheduleError:
        return f"write the value as a number, {field.range}"
    values = [value for value in range(field.low, field.high + 1) if mask >> value & 1]
    if len(values) == field.high - field.low + 1:
        return "write `*`"
    if len(values) > 2 and values[-1] - values[0] == len(values) - 1:  # noqa: PLR2004
        return f"write `{values[0]}-{values[-1]}`"
    return f"write `{','.join(map(str, values))}`"


def _cron(fields: list[str], dialect: Dialect) -> Cron:
    # Written out: a large configuration comes through here a hundred thousand times.
    minute = _read_field(_MINUTE, fields[0], dialect)
    hour = _read_field(_HOUR, fields[1], dialect)
    day = _read_field(_DAY, fields[2], dialect)
    month = _read_field(_MONTH, fields[3], dialect)
    weekday = _read_field(_WEEKDAY, fields[4], dialect)
    if dialect == Dialect.VERCEL and "*" not in (fields[2], fields[4]):
        first, second = (
            " ".join([*fields[:2], fields[2], fields[3], "*"]),
            " ".join([*fields[:2], "*", *fields[3:]]),
        )
        raise ScheduleError(
            f"day of month `{_cut(fields[2])}` and day of week `{_cut(fields[4])}` are both set; "
            "on Vercel one of them must be `*`",
            hint=f"make two entries, `{first}` and `{second}`, or write it {_TOML}",
            field="day of week",
        )
    # Debian: a field counts as unrestricted if its *text* begins with a star, */2 included.
    both = fields[2].startswith("*") or fields[4].startswith("*")
    return Cron(
        minutes=minute.values,
        hours=hour.values,
        days=_day_fields(day, month, weekday, both=both),
        fixed_time=not (fields[0].startswith("*") or fields[1].startswith("*")),
    )


# A hundred thousand expressions are made of a few hundred different fields.
@lru_cache(maxsize=4096)
def _read_field(field: _Field, text: str, dialect: Dialect) -> _Values:
    if dialect == Dialect.VERCEL:
        _check_vercel(field, text)
    values = _parse_field(field, text)
    if dialect == Dialect.VERCEL:
        _check_repeats(field, text)
    return values


@lru_cache(maxsize=4096)
def _day_fields(day: _Values, month: _Values, weekday: _Values, *, both: bool) -> DayFields:
    return DayFields(
        day.values, day.last_day, month.values, weekday.values, weekday.nth_weekdays, both
    )


@dataclass(slots=True, eq=False)  # the same field text gives the same object while it is cached
class _Values:
    """What a field names: plain values as a mask, and what depends on the month."""

    values: int = 0
    last_day: bool = False
    nth_weekdays: int = 0


def _parse_field(field: _Field, text: str) -> _Values:
    if text == "*":
        return _Values(field.bits(field.low, field.high))
    result = _Values()
    for item in text.split(","):
        if not item:
            raise _refused(field, text, "has an empty entry in its list", "remove a comma")
        if field is _DAY and item in ("L", "l"):
            result.last_day = True
        elif field is _WEEKDAY and "#" in item:
            result.nth_weekdays |= _nth_weekday(item)
        else:
            result.values |= _item(field, item)
    if field is _WEEKDAY and result.values >> _SUNDAY_AGAIN & 1:
        result.values = (result.values | 1) & ~(1 << _SUNDAY_AGAIN)
    return result


def _item(field: _Field, item: str) -> int:
    """Read one entry of a list: ``*``, ``a``, ``a-b``, each with or without ``/step``."""
    span, slash, step_text = item.partition("/")
    step = _step(field, item, step_text) if slash else 1
    if span == "*":
        return field.bits(field.low, field.high, step)
    if not span:
        raise _refused(field, item, "has a step of nothing", f"write `*{_cut(item)}`")
    low, dash, high = span.partition("-")
    if not low and dash:
        raise _refused(
            field, item, "is negative or lacks the start of a range", f"the range is {field.range}"
        )
    start = _value(field, item, low)
    if not dash:
        return field.bits(start, max(start, field.high), step) if slash else 1 << start
    end = _value(field, item, high)
    if field is _WEEKDAY and end == 0 and start > 0 and not high.isdigit():
        end = _SUNDAY_AGAIN  # fri-sun can only mean one thing
    if end < start:
        raise _refused(field, item, "is a range that runs backwards", _wrap_hint(field, start, end))
    return field.bits(start, end, step)


def _wrap_hint(field: _Field, start: int, end: int) -> str:
    after = f"{field.low}-{end}" if end > field.low else str(end)
    before = f"{start}-{field.high}" if start < field.high else str(start)
    return f"write `{before},{after}`"


def _step(field: _Field, item: str, text: str) -> int:
    if not text.isdigit():
        raise _refused(field, item, "has a step that is not a whole number", "write `*/5`")
    step = int(text)
    if step == 0:
        raise _refused(field, item, "has a step of 0", "a step is 1 or more")
    return step


def _value(field: _Field, item: str, text: str) -> int:
    high = _SUNDAY_AGAIN if field is _WEEKDAY else field.high
    if text.isdigit():
        value = int(text)
        if not field.low <= value <= high:
            raise _refused(
                field, item, "is out of range", f"write a value in the range {field.range}"
            )
        return value
    if text.lower() in field.names:
        return field.low + field.names.index(text.lower())
    raise _refused(field, item, *_unknown_value(field, text))


def _unknown_value(field: _Field, text: str) -> tuple[str, str]:
    """Return what is wrong with a value that is neither number nor name, and what to write."""
    lower = text.lower()
    names = f" and {field.names[0]}–{field.names[-1]}" if field.names else ""
    # The first that applies; from the particular to the general.
    known: list[tuple[bool, str, str]] = [
        (not text, "lacks the end of a range", f"write for example `{field.low}-{field.high}`"),
        (lower == "?", "holds `?`, which is another cron's", "write `*`"),
        (lower[:3] in field.names, "holds a name that is not known", f"write `{lower[:3]}`"),
        (
            field is _DAY and bool({"w", "l"} & set(lower)),
            "asks for a day that is not known",
            "known are 1–31 and L (the last day)",
        ),
        (
            field is _WEEKDAY and lower.endswith("l"),
            "asks for the last weekday",
            "write nth weekdays as `5#1` … `5#5`",
        ),
        ("-" in text, "has a range with more than two ends", "write one range, or a list of them"),
        (bool(names), "holds a value that is not known", f"known are {field.range}{names}"),
    ]
    for applies, problem, hint in known:
        if applies:
            return problem, hint
    return "holds something that is not a number", f"write numbers in the range {field.range}"


def _nth_weekday(item: str) -> int:
    day, _, nth = item.partition("#")
    weekday = _value(_WEEKDAY, item, day) % WEEK
    if not nth.isdigit() or not 1 <= int(nth) <= _MOST_NTH:
        raise _refused(
            _WEEKDAY, item, "asks for a weekday other than the 1st to 5th", "write `5#1` … `5#5`"
        )
    return 1 << (weekday * _MOST_NTH + int(nth) - 1)


def _refused(field: _Field, value: str, problem: str, hint: str) -> ScheduleError:
    return ScheduleError(
        f"{field.name} {_show(value)} {problem} (range {field.range})", hint=hint, field=field.name
    )


def _show(value: str) -> str:
    return f"`{_cut(value)}`"


def _cut(value: str) -> str:
    value = value.replace("\t", " ")
    return value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
