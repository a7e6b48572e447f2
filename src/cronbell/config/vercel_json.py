"""``vercel.json``: its jobs, judged by the rules and in the words of Vercel's own CLI.

Shape rules and message texts are those of Vercel's CLI 64 (``cronsSchema``, ``schedulesSchema``,
``functionsSchema``). Unlike there, every fault is reported and not just the first, each with its
line, and the expression itself is judged too. Whatever else the file holds is Vercel's affair.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from cronbell.config.advice import advise
from cronbell.config.entries import Entry
from cronbell.config.functions import Durations, read_functions
from cronbell.config.lines import json_lines
from cronbell.config.schedules import read_schedules
from cronbell.config.shapes import (
    Twice,
    check_path,
    check_schedule,
    message,
    refuse,
    refuse_additional,
    refuse_twice,
)
from cronbell.config.source import Place, Source, UnreadableError, key_text, read_text

MAX_JOBS = 100_000
_PROPERTIES = ("path", "schedule")


@dataclass(frozen=True, slots=True)
class VercelJson:
    """What was read.

    Attributes:
        source: the file and its faults.
        entries: the jobs, each once.
        durations: ``functions.*.maxDuration``.
        complete: whether every entry could be named; if not, a job that seems to be missing may
            be among the faulty ones.
    """

    source: Source
    entries: tuple[Entry, ...] = ()
    durations: Durations = field(default_factory=Durations)
    complete: bool = True


def read(path: Path, *, plan: str = "") -> VercelJson:
    """Read a ``vercel.json``; what is wrong with it is in its ``source``.

    Args:
        path: the file.
        plan: ``hobby`` to be warned of what that plan of Vercel's would not deploy.

    Raises:
        UnreadableError: it is not text, or not JSON.
    """
    text = read_text(path)
    source = Source(str(path), text, json_lines)
    document = _parse(text)
    if not isinstance(document, dict):
        refuse(source, (), "should be object.")
        return VercelJson(source, complete=False)
    refuse_twice(source, (), document)
    crons, all_crons = _crons(source, document.get("crons", []))
    schedules, all_schedules = read_schedules(source, document.get("schedules", []))
    durations = read_functions(source, document)
    entries = _distinct(source, [*crons, *schedules])
    advise(source, document, [*crons, *schedules], plan=plan)
    return VercelJson(source, entries, durations, all_crons and all_schedules)


def _parse(text: str) -> Any:
    if not text.strip():
        raise UnreadableError("is empty", 'write at least {"crons": []}', 1)
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise UnreadableError(
            f"is not valid JSON: {error.msg} at column {error.colno}",
            "JSON has double quotes, no comments and no comma before a closing bracket",
            error.lineno,
        ) from None
    except RecursionError:
        raise UnreadableError("is nested too deeply", "flatten it") from None
    except ValueError as error:
        raise UnreadableError(f"is not valid JSON: {error}", "correct the number") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    times = Counter(key for key, _ in pairs)
    result = Twice(plain)
    result.twice = tuple(key for key, count in times.items() if count > 1)
    return result


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _crons(source: Source, crons: Any) -> tuple[list[Entry], bool]:
    """Return the entries of ``crons`` that can be named, and whether those are all."""
    if not isinstance(crons, list):
        refuse(source, ("crons",), "should be array.")
        return [], False
    if len(crons) > MAX_JOBS:
        source.error(
            ("crons",), f"`crons` has {len(crons)} entries; the limit is {MAX_JOBS}", "split it"
        )
        return [], False
    found = [_cron(source, index, value) for index, value in enumerate(crons)]
    entries = [entry for entry in found if entry is not None]
    return entries, len(entries) == len(crons)


def _cron(source: Source, index: int, value: Any) -> Entry | None:
    place: Place = ("crons", index)
    if not isinstance(value, dict):
        refuse(source, place, "should be object.")
        return None
    good = not refuse_twice(source, place, value)
    for key in value:
        if key not in _PROPERTIES:
            good = False
            refuse_additional(source, place, key, _additional_hint(key))
    for key in _PROPERTIES:
        if key not in value:
            good = False
            source.error(
                place, message(place, f"missing required property `{key}`."), f'add "{key}"'
            )
    path, schedule = value.get("path"), value.get("schedule")
    if "path" in value:
        good = check_path(source, (*place, "path"), path, 1, "^/.*") and good
    if "schedule" in value:
        good = check_schedule(source, (*place, "schedule"), schedule) and good
    if not (isinstance(path, str) and isinstance(schedule, str)):
        return None
    return Entry(place, path.partition("#")[0], schedule, good)


def _additional_hint(key: str) -> str:
    if key in {"timezone", "jitter", "name", "requestMethod"}:
        return f"`{key}` goes with an entry of `schedules`, or into cronbell.toml"
    if key in {"method", "timeout", "retry", "enabled"}:
        return f"`{key}` goes into cronbell.toml, under [jobs.NAME]"
    return "only `path` and `schedule` are known"


def _distinct(source: Source, entries: list[Entry]) -> tuple[Entry, ...]:
    """Drop entries that say what another says already; a job with a name of its own stays."""
    kept: dict[tuple[str, ...], Entry] = {}
    result = []
    for entry in entries:
        first = kept.setdefault((entry.path, entry.schedule, *entry.zone), entry)
        if first is entry:
            result.append(entry)
            continue
        then = "Cronbell does once"
        if entry.name:
            result.append(entry)
            then = "Cronbell has a job for each, and an endpoint that keeps receipts works once"
        source.warn(
            entry.place,
            f"`{key_text(entry.place)}` is the same as `{key_text(first.place)}`; "
            f"Vercel would call the path twice, {then}",
            "remove one of them",
        )
    return tuple(result)
