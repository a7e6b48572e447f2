"""Shape rules of ``vercel.json``, in the words of Vercel's own CLI.

The rules are JSON schemas there, judged by ajv 6; each function here says what ajv would say of
one rule. A message begins with the place as ajv writes it: ``functions['api/x.ts'].maxDuration``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from cronbell.config.source import Place, Source, key_text, printable
from cronbell.config.urls import LONGEST_PATH, path_problem
from cronbell.domain import Dialect
from cronbell.errors import ScheduleError
from cronbell.schedule import compile_schedule

SCHEDULE_LENGTH = (9, 256)
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_HINTS = (
    ("longer than", "shorten it"),
    ("shorter than", "write it out"),
    ("string", 'write it in quotes: "…"'),
    ("array", "write [ … ]"),
    ("object", "write { … }"),
    ("pattern", "use letters, digits, _ and -"),
)


class Twice(dict[str, Any]):
    """A JSON object some of whose keys were given more than once.

    Attributes:
        twice: those keys.
    """

    __slots__ = ("twice",)
    twice: tuple[str, ...]


def place_text(place: Place) -> str:
    """Write a place as ajv does: names that are no identifiers stand in brackets."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _IDENTIFIER.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"['{printable(part)}']"
    return text


def message(place: Place, problem: str) -> str:
    """Return the CLI's sentence about a place."""
    key = f"`{place_text(place)}`" if place else "the file"
    return f"Invalid vercel.json - {key} {problem}"


def refuse(source: Source, place: Place, problem: str, hint: str = "", at: Place = ()) -> None:
    """Record a broken rule.

    Args:
        source: the file.
        place: what the sentence is about.
        problem: ajv's words.
        hint: what to write instead.
        at: where the fault stands, if that is inside ``place``.
    """
    source.error(at or place, message(place, problem), hint or _usual_hint(problem))


def _usual_hint(problem: str) -> str:
    return next((hint for part, hint in _HINTS if part in problem), "")


def refuse_twice(source: Source, place: Place, value: dict[str, Any]) -> bool:
    """Refuse keys given more than once; say whether there were any."""
    if not isinstance(value, Twice):
        return False
    for key in value.twice:
        source.error(
            (*place, key),
            f"`{key_text((*place, key))}` is given more than once",
            "keep one: which of them counts differs from parser to parser",
        )
    return True


def refuse_additional(source: Source, place: Place, key: str, hint: str) -> None:
    """Refuse a key the schema does not know."""
    problem = f"should NOT have additional property `{printable(key)}`. Please remove it."
    refuse(source, place, problem, hint, (*place, key))


def text_problem(value: Any, shortest: int, longest: int) -> str:
    """Return what is wrong with the type or length of a text, or an empty string."""
    if not isinstance(value, str):
        return "should be string."
    if len(value) > longest:
        return f"should NOT be longer than {longest} characters."
    if len(value) < shortest:
        return f"should NOT be shorter than {shortest} character{'s' * (shortest != 1)}."
    return ""


def integer_problem(value: Any, low: int, high: int) -> str:
    """Return what keeps a value from being an integer in a range, or an empty string."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return "should be integer."
    if value < low:
        return f"should be >= {low}."
    return f"should be <= {high}." if value > high else ""


def enum_problem(value: Any, known: Iterable[str]) -> str:
    """Return what is wrong with a value that must be one of some words, or an empty string."""
    return "" if value in tuple(known) else "should be equal to one of the allowed values."


def check_path(source: Source, place: Place, value: Any, shortest: int, pattern: str) -> bool:
    """Judge a request target; say whether it is good."""
    problem, hint = text_problem(value, shortest, LONGEST_PATH), ""
    if not problem and not value.startswith("/"):
        problem = f'should match pattern "{pattern}".'
        hint = "write the path alone: /api/cron/job"
        if "://" in value:
            hint = "a path begins with /; another host's URL goes into cronbell.toml, as url"
    if problem:
        refuse(source, place, problem, hint)
        return False
    unsendable = path_problem(value)
    if unsendable:
        source.error(place, f"`{key_text(place)}` {unsendable}", "percent-encode or remove it")
        return False
    if "#" in value:
        source.warn(
            place, f"`{key_text(place)}` has a fragment (#…), which is never sent", "remove it"
        )
    return True


def check_schedule(source: Source, place: Place, value: Any) -> bool:
    """Judge an expression's length and the expression itself; say whether it is good.

    Vercel's CLI judges the length only.
    """
    problem, hint = text_problem(value, *SCHEDULE_LENGTH), ""
    refused: ScheduleError | None = None
    if isinstance(value, str):
        try:
            compile_schedule(value, dialect=Dialect.VERCEL)
        except ScheduleError as error:
            refused, hint = error, error.hint
    if problem:
        refuse(source, place, problem, hint)
    elif refused:
        source.error(place, f"`{key_text(place)}`: {refused.message}", hint)
    return not problem and refused is None
