"""A schedule in words: one sentence for it, and one for each oddity of daylight saving.

Pure, like the rest of this package. A sentence says when, in local time; which zone that is stays
with the caller, who has it in a column of its own.
"""

from __future__ import annotations

from types import ModuleType

from cronbell.domain import Dialect, JobSpec
from cronbell.schedule import english, korean
from cronbell.schedule.cron import (
    ClockChange,
    CronSchedule,
    IntervalSchedule,
    Schedule,
    compile_schedule,
    schedule_of,
)
from cronbell.schedule.days import date_of
from cronbell.schedule.shape import HOUR, clock, days_of, times_of
from cronbell.schedule.zones import DAY

Language = str  # ``en`` or ``ko``, a country after it or not
_MINUTE = 60
_HOURS = 24
_WORDS: dict[str, ModuleType] = {"en": english, "ko": korean}


def explain(
    schedule: Schedule | JobSpec | str,
    *,
    dialect: Dialect = Dialect.STANDARD,
    language: Language = "en",
) -> str:
    """Say in one plain sentence when a schedule fires.

    Two expressions that match the same days and times get the same sentence, others do not.

    Args:
        schedule: a compiled schedule, a job or an expression.
        dialect: the grammar an expression is read in.
        language: ``en`` or ``ko``; what is neither gets English.

    Returns:
        For example ``At 03:00 on Sundays`` or ``매주 일요일 03:00``; no full stop.

    Raises:
        ScheduleError: the expression is refused.
    """
    compiled = _compiled(schedule, dialect)
    words = _words(language)
    if isinstance(compiled, IntervalSchedule):
        text = words.interval(compiled.seconds, from_midnight=DAY % compiled.seconds == 0)
    elif isinstance(compiled, CronSchedule):
        times = times_of([second // _MINUTE for second in compiled.times])
        text = words.sentence(times, days_of(compiled.day_fields))
    else:
        raise TypeError(f"a schedule of a kind that has no words: {compiled!r}")
    return str(text)


def dst_notes(schedule: Schedule, start: int, end: int, language: Language = "en") -> list[str]:
    """Say what changes of the clocks do to a schedule, one sentence for each that matters.

    Where a schedule runs in every hour and simply follows real time, there is nothing to say.

    Args:
        schedule: a compiled schedule.
        start: epoch seconds; changes after it are looked at.
        end: epoch seconds; changes up to it are looked at.
        language: as for ``explain``.

    Returns:
        For example ``in America/New_York 02:30 does not exist on 2027-03-14: runs at 03:00``.
    """
    words = _words(language)
    return [
        _note(words, schedule.timezone, change)
        for change in schedule.clock_changes(start, end)
        if not _follows_real_time(schedule, change)
    ]


def _words(language: Language) -> ModuleType:
    return _WORDS.get(language.partition("-")[0].lower(), english)


def _compiled(schedule: Schedule | JobSpec | str, dialect: Dialect) -> Schedule:
    if isinstance(schedule, Schedule):
        return schedule
    if isinstance(schedule, JobSpec):
        return schedule_of(schedule)
    return compile_schedule(schedule, dialect=dialect)


def _follows_real_time(schedule: Schedule, change: ClockChange) -> bool:
    if not isinstance(schedule, CronSchedule):
        return True
    every_hour = len({second // (HOUR * _MINUTE) for second in schedule.times}) == _HOURS
    return every_hour and (not change.made_up if change.left_out else change.twice)


def _note(words: ModuleType, zone: str, change: ClockChange) -> str:
    named = change.left_out or change.repeated
    day = date_of(named[0] // DAY)
    times = words.time_list([_local_clock(local) for local in named])
    several = len(named) > 1
    if change.repeated:
        return str(words.repeat_note(zone, day, times, several=several, both=change.twice))
    moved_to = _local_clock(change.instant + change.after) if change.made_up else ""
    if moved_to and (change.instant + change.after) // DAY != named[0] // DAY:
        moved_to = f"{date_of((change.instant + change.after) // DAY)} {moved_to}"
    return str(words.gap_note(zone, day, times, moved_to, several=several))


def _local_clock(local: int) -> str:
    return clock(local % DAY // _MINUTE)
