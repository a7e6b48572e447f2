"""Shapes of schedules in Korean: the days first, then the time, as one says it."""

from __future__ import annotations

from collections.abc import Sequence

from cronbell.schedule.shape import (
    HOUR,
    At,
    Days,
    Evenly,
    Grid,
    Row,
    Times,
    clock,
    weekday_runs,
)

_WEEKDAYS = ("일요일", "월요일", "화요일", "수요일", "목요일", "금요일", "토요일")
_NTH = ("", "첫째", "둘째", "셋째", "넷째", "다섯째")
_UNITS = ((86_400, "일"), (3600, "시간"), (60, "분"), (1, "초"))


def sentence(times: Times, days: Days) -> str:
    """Say when a cron schedule fires."""
    which = _days(days)
    if not which and not _implies_every_day(times):
        which = "매일"
    return f"{_months(days)} {which} {_times(times)}".replace("  ", " ").strip()


def interval(seconds: int, *, from_midnight: bool) -> str:
    """Say how often an interval fires; see ``english.interval``."""
    unit, name = next(one for one in _UNITS if seconds % one[0] == 0)
    amount = seconds // unit
    if unit == _UNITS[0][0]:
        return "매일 00:00 UTC" if amount == 1 else f"1970-01-01부터 세어 {amount}일마다 00:00 UTC"
    words = "1시간마다" if seconds == HOUR * 60 else f"{amount}{name}마다"
    if from_midnight:
        return words if HOUR * 60 % seconds == 0 else f"00:00 UTC부터 세어 {words}"
    return f"1970-01-01 00:00 UTC부터 세어 {words}"


def _implies_every_day(times: Times) -> bool:
    if isinstance(times, Evenly):
        return times.whole_day or times.minute_of_every_hour is not None
    return isinstance(times, Grid) and times.hours is None


def _times(times: Times) -> str:
    if isinstance(times, At):
        return ", ".join(clock(time) for time in times.times)
    if isinstance(times, Evenly):
        return _evenly(times)
    if times.step:
        minutes = f"{times.step}분마다"
    elif isinstance(times.minutes, Row):
        row = times.minutes
        minutes = f"{row.first}분부터 {row.last}분까지 {row.step}분마다"
    else:
        minutes = _list(times.minutes, "분")
    if times.hours is None:
        return f"매시 {minutes}"
    spaced = times.step or isinstance(times.minutes, Row)
    if isinstance(times.hours, Row):
        row = times.hours
        hours = f"{row.first}시부터 {row.last}시까지 {row.step}시간 간격"
        return f"{hours}으로 한 시간 동안 {minutes}" if spaced else f"{hours}의 {minutes}"
    hours = _list(times.hours, "시")
    return f"{hours}대에 {minutes}" if spaced else f"{hours}의 {minutes}"


def _evenly(times: Evenly) -> str:
    minute = times.minute_of_every_hour
    if minute is not None:
        return f"매시 {minute}분" if minute else "매시 정각"
    row = times.row
    hours, rest = divmod(row.step, HOUR)
    every = f"{row.step}분마다" if rest else f"{hours}시간마다"
    return every if times.whole_day else f"{clock(row.first)}부터 {clock(row.last)}까지 {every}"


def _months(days: Days) -> str:
    if days.months is None:
        return ""
    words = f"매년 {_list(days.months, '월')}"
    one_month = len(days.months) == 1 and isinstance(days.months[0], int)
    either = days.by_month_day and days.by_weekday and not days.both
    dated = days.by_month_day or (days.nth_weekdays and not days.weekdays)
    return words if one_month and dated and not either else f"{words} 중"


def _days(days: Days) -> str:
    monthly = "" if days.months is not None else "매월 "
    by_month_day = monthly + _month_days(days) if days.by_month_day else ""
    if days.both:
        return f"{by_month_day} 중 {_weekday_names(days)}인 날"
    if not days.by_weekday:
        return by_month_day
    weekly = "매주 " if days.weekdays else monthly
    by_weekday = f"{weekly}{_weekday_names(days, monthly)}"
    return f"{by_month_day} 또는 {by_weekday}" if by_month_day else by_weekday


def _month_days(days: Days) -> str:
    numbers = days.month_days
    named = []
    if isinstance(numbers, Row):
        named.append(f"{numbers.first}일부터 {numbers.last}일까지 {numbers.step}일 간격의 날")
    elif numbers:
        named.append(_list(numbers, "일"))
    if days.last_day:
        named.append("마지막 날")
    return ", ".join(named)


def _weekday_names(days: Days, monthly: str = "") -> str:
    named = []
    for run in weekday_runs(days.weekdays):
        first, last = _WEEKDAYS[run[0]], _WEEKDAYS[run[-1]]
        named.append(first if len(run) == 1 else f"{first}~{last}")
    nth = [f"{_NTH[nth]} {_WEEKDAYS[day]}" for day, nth in days.nth_weekdays]
    if named and nth:
        return f"{', '.join(named)} 또는 {monthly}{', '.join(nth)}"
    return ", ".join(named or nth)


def _list(numbers: tuple[int | Row, ...], unit: str) -> str:
    return ", ".join(
        f"{part.first}~{part.last}{unit}" if isinstance(part, Row) else f"{part}{unit}"
        for part in numbers
    )


def gap_note(zone: str, day: str, times: str, moved_to: str, *, several: bool) -> str:
    """Say what becomes of local times that do not exist."""
    missing = f"{zone}의 {day}에는 {times} 시각이 없습니다"
    if not moved_to:
        return f"{missing}: 실행하지 않습니다"
    return f"{missing}: {moved_to}에 {'한 번 ' if several else ''}실행합니다"


def repeat_note(zone: str, day: str, times: str, *, several: bool, both: bool) -> str:
    """Say what becomes of local times that come twice."""
    each = "각각 " if several else ""
    runs = "두 번 다 실행합니다" if both else "첫 번째에만 실행합니다"
    return f"{zone}의 {day}에는 {times} 시각이 {each}두 번 있습니다: {runs}"


def time_list(times: Sequence[str]) -> str:
    """List a few times of day; of many, name the first, the last and how many."""
    few = 3
    if len(times) <= few:
        return ", ".join(times)
    return f"{times[0]}~{times[-1]}({len(times)}개)"
