"""``schedules`` of ``vercel.json``: as an array (Vercel's CLI) and keyed by name (its pages).

Rules: ``schedulesSchema`` of Vercel's CLI 64. Which of its sentences comes first where an entry
has no target, or two, follows from how ajv walks ``oneOf``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from cronbell.config.entries import Entry
from cronbell.config.names import LONGEST_NAME, shortened
from cronbell.config.shapes import (
    SCHEDULE_LENGTH,
    check_path,
    check_schedule,
    enum_problem,
    integer_problem,
    refuse,
    refuse_additional,
    refuse_twice,
    text_problem,
)
from cronbell.config.source import Place, Source, key_text, printable
from cronbell.domain import Dialect, DstGap, DstRepeat
from cronbell.errors import ScheduleError
from cronbell.schedule import compile_schedule
from cronbell.schedule.grammar import Cron, parse
from cronbell.schedule.zones import load_zone

_MOST = 100
_LONGEST_NAME = 256
_LONGEST_ZONE = 50
_MOST_JITTER = 15
_MINUTE, _DAY = 60, 86_400
_NAME = "^[0-9A-Za-z][0-9A-Za-z._-]*$"
_TOPIC = "^[A-Za-z0-9_-]+$"
_TARGETS = ("path", "function", "topic", "entrypoint")
_KNOWN = ("name", "schedule", "timezone", "jitter", *_TARGETS, "requestMethod", "service")
_METHODS = ("GET", "POST")
_LATE_MORNING = 1_798_761_600  # 2027-01-01T00:00:00Z; any five years with a leap year do

# What Vercel does where nothing is stated; measured against its scheduler.
_IMPLIED = {"method": "POST", "dst_gap": DstGap.SKIP, "dst_repeat": DstRepeat.FIRST}


def read_schedules(source: Source, value: Any) -> tuple[list[Entry], bool]:
    """Read ``schedules``.

    Returns:
        The entries with a path that can be named, and whether those are all that call a path.
    """
    place: Place = ("schedules",)
    items: Iterable[tuple[str | int, Any]]
    if isinstance(value, dict):
        refuse_twice(source, place, value)
        items, kind = value.items(), "properties"
    elif isinstance(value, list):
        items, kind = enumerate(value), "items"
    else:
        refuse(source, place, "should be array.", "write a list, or an object keyed by name")
        return [], False
    if len(value) > _MOST:
        refuse(
            source,
            place,
            f"should NOT have more than {_MOST} {kind}.",
            "the rest goes into `crons` or cronbell.toml",
        )
        return [], False
    entries, complete = [], True
    for key, item in items:
        entry, known = _entry(source, (*place, key), item)
        complete = complete and known
        entries += [entry] if entry else []
    return _unique(source, entries), complete


def _unique(source: Source, entries: list[Entry]) -> list[Entry]:
    first: dict[str, Entry] = {}
    result = []
    for entry in entries:
        if entry.name and first.setdefault(entry.name, entry) is not entry:
            source.error(
                (*entry.place, "name"),
                f"`{key_text(entry.place)}` has the name `{entry.name}`, as "
                f"`{key_text(first[entry.name].place)}` has",
                "names are unique: give one of them another",
            )
        else:
            result.append(entry)
    return result


def _entry(source: Source, place: Place, value: Any) -> tuple[Entry | None, bool]:
    """Return an entry with a path, and whether what stands here is known to be one or none."""
    if not isinstance(value, dict):
        refuse(source, place, "should be object.")
        return None, False
    good = not refuse_twice(source, place, value)
    keyed = isinstance(place[-1], str)
    for key in value:
        if key not in _KNOWN or (keyed and key == "name"):
            good = False
            hint = "the key is the name" if key == "name" else f"known are {', '.join(_KNOWN)}"
            refuse_additional(source, place, key, hint)
    if "schedule" not in value:
        good = False
        refuse(source, place, "missing required property `schedule`.", 'add "schedule"')
    else:
        good = check_schedule(source, (*place, "schedule"), value["schedule"]) and good
    good = _check_name(source, place, value) and good
    good = _check_zone(source, (*place, "timezone"), value) and good
    good = _check_jitter(source, (*place, "jitter"), value) and good
    target, fine = _target(source, place, value)
    good = _check_companions(source, place, value) and fine and good
    if target in {"function", "topic", "entrypoint"}:
        if fine:
            _warn_of(source, (*place, target), value, target)
        return None, True
    path, schedule = value.get("path"), value.get("schedule")
    if not (isinstance(path, str) and isinstance(schedule, str)):
        return None, False
    name = place[-1] if keyed else value.get("name", "")
    if not isinstance(name, str):
        return None, False
    entry = Entry(
        place,
        path.partition("#")[0],
        schedule,
        good,
        _job_name(source, place, name),
        _IMPLIED,
        _stated(value) if good else {},
    )
    return entry, True


def _stated(value: dict[str, Any]) -> dict[str, Any]:
    stated: dict[str, Any] = {}
    if "timezone" in value:
        stated["timezone"] = value["timezone"]
    if "requestMethod" in value:
        stated["method"] = value["requestMethod"]
    if "jitter" in value:
        stated["jitter"] = float(value["jitter"] * _MINUTE)
    return stated


def _check_name(source: Source, place: Place, value: dict[str, Any]) -> bool:
    keyed = isinstance(place[-1], str)
    if not keyed and "name" not in value:
        return True
    name: Any = place[-1] if keyed else value["name"]
    at = place if keyed else (*place, "name")
    problem = text_problem(name, 0, _LONGEST_NAME)
    if not problem and not re.fullmatch(_NAME[1:-1], name):
        problem = f'should match pattern "{_NAME}".'
    if problem:
        refuse(source, at, problem, "use letters, digits, . _ and -, a letter or digit first")
    return not problem


def _job_name(source: Source, place: Place, name: str) -> str:
    if len(name) <= LONGEST_NAME:
        return name
    short = shortened(name)
    source.warn(
        place,
        f"the name has {len(name)} characters, the job is called `{short}`",
        f"use at most {LONGEST_NAME}",
    )
    return short


def _check_zone(source: Source, place: Place, value: dict[str, Any]) -> bool:
    if "timezone" not in value:
        return True
    zone = value["timezone"]
    problem, hint = text_problem(zone, 0, _LONGEST_ZONE), "write for example Asia/Seoul"
    if not problem:
        try:
            load_zone(zone)
        except ScheduleError as error:
            problem = "must be a valid IANA timezone. [INVALID_SCHEDULE_TIMEZONE]"
            hint = error.hint
    if problem:
        refuse(source, place, problem, hint)
    return not problem


def _check_jitter(source: Source, place: Place, value: dict[str, Any]) -> bool:
    if "jitter" not in value:
        return True
    problem = integer_problem(value["jitter"], 1, _MOST_JITTER)
    if problem:
        refuse(source, place, problem, f"write minutes, 1 to {_MOST_JITTER}")
        return False
    schedule = value.get("schedule")
    if not isinstance(schedule, str) or text_problem(schedule, *SCHEDULE_LENGTH):
        return True  # the schedule has its own fault
    try:
        cadence = shortest_gap(schedule, most=_MOST_JITTER)
    except ScheduleError:
        return True
    fits = bool(value["jitter"] <= cadence)
    if not fits:
        source.error(
            place,
            f"`{key_text(place)}` is {value['jitter']} min, but `{schedule}` fires "
            f"{cadence} min apart",
            f"write at most {cadence}",
        )
    return fits


def shortest_gap(schedule: str, *, most: int) -> int:
    """Return how many minutes apart a Vercel expression's fires are at least.

    Args:
        schedule: the expression.
        most: gaps longer than this need not be told apart; it is returned for them.

    Raises:
        ScheduleError: the expression is refused.
    """
    parsed = parse(schedule, Dialect.VERCEL)
    if not isinstance(parsed, Cron):  # the dialect has no intervals
        return most
    hours = [hour for hour in range(24) if parsed.hours >> hour & 1]
    minutes = [minute for minute in range(60) if parsed.minutes >> minute & 1]
    times = [hour * 60 + minute for hour in hours for minute in minutes]
    gaps = [after - before for before, after in pairwise(times)]
    over_midnight = times[0] + 24 * 60 - times[-1]
    if over_midnight < most and _on_two_days_running(schedule):
        gaps.append(over_midnight)
    return min([*gaps, most])


def _on_two_days_running(schedule: str) -> bool:
    days = compile_schedule(" ".join(["0", "0", *schedule.split()[2:]]), dialect=Dialect.VERCEL)
    before = 0
    for day in days.fires(_LATE_MORNING, _LATE_MORNING + 5 * 366 * _DAY):
        if day - before == _DAY:
            return True
        before = day
    return False


def _target(source: Source, place: Place, value: dict[str, Any]) -> tuple[str, bool]:
    """Return the target an entry is taken to have, and whether nothing is wrong with it."""
    found = [target for target in _TARGETS if target in value]
    if len(found) != 1:
        # ajv reports the first alternative that fails before the second that fits.
        tried = _TARGETS if len(found) < 2 else _TARGETS[: _TARGETS.index(found[1])]  # noqa: PLR2004
        missing = next((target for target in tried if target not in found), "")
        problem = f"missing required property `{missing}`."
        if not missing:
            problem = "should match exactly one schema in oneOf."
        hint = f"an entry has exactly one of {', '.join(_TARGETS)}"
        refuse(source, place, problem, hint)
        return (found or [""])[0], False
    target, at = found[0], (*place, found[0])
    if target == "path":
        return target, check_path(source, at, value["path"], 0, "^/")
    problem = text_problem(value[target], 0, _LONGEST_NAME * 2)
    if not problem and target == "topic" and not re.fullmatch(_TOPIC[1:-1], value[target]):
        problem = f'should match pattern "{_TOPIC}".'
    if not problem and not value[target]:
        problem = "should NOT be shorter than 1 character."
    if problem:
        refuse(source, at, problem)
    return target, not problem


def _check_companions(source: Source, place: Place, value: dict[str, Any]) -> bool:
    """Judge the two keys that go with one kind of target only."""
    good = True
    for key, target in (("requestMethod", "path"), ("service", "function")):
        if key not in value:
            continue
        at = (*place, key)
        if key == "requestMethod":
            problem, hint = enum_problem(value[key], _METHODS), "write GET or POST"
        else:
            problem, hint = text_problem(value[key], 0, _LONGEST_NAME), ""
        if problem:
            good = False
            refuse(source, at, problem, hint)
        if target not in value:
            good = False
            source.error(
                at, f"`{key_text(at)}` goes with `{target}` only", f"remove it, or add {target}"
            )
    return good


def _warn_of(source: Source, place: Place, value: dict[str, Any], target: str) -> None:
    # The type of `name` was judged before.
    named = place[1] if isinstance(place[1], str) else value.get("name")
    called = f" (`{printable(str(named))}`)" if named else ""
    source.warn(
        place,
        f"`{key_text(place[:-1])}`{called} has the {target} `{printable(value[target])}`, which "
        "only Vercel can start; it is left out",
        "give it a path that Cronbell can call; all other entries are loaded",
    )
