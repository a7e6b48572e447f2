"""What a model said ─► ideas, each with a title and a description.

The ladder: JSON; JSON inside other text; repaired JSON; a numbered list, "1. title" or "2) title"
with the description on the lines that follow. Each idea is judged by itself, so that the good ones
of a half-good answer are kept.

Whatever the text is, nothing is raised, and **nothing is invented**: a title or description whose
words are not in the text, one after the other, is refused, whatever a repair made of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import json_repair

LONGEST_TITLE = 200
LONGEST_DESCRIPTION = 5000
LONGEST_TEXT = 200_000
LONGEST_REPAIRED = 20_000  # repairing takes time that grows faster than the text
MOST_VALUES = 10_000
MOST_TRIES = 500
CLOSERS = ('"', "'", "}", "]", "”", "’")

TITLES = frozenset({"title", "제목"})
DESCRIPTIONS = frozenset({"description", "설명"})

_NUMBERED = re.compile(
    r"(?P<indent>[ \t]*)(?:#{1,6} |\*\*)?(?P<number>\d{1,3})(?P<mark>[.)])"
    r"(?:[ \t]+|(?!\d))(?P<title>\S.*)"  # "1.제목" is a title, "1.5 million" is not
)
_EDGE = re.compile(
    r"(?:[-*•][ \t]+)?"
    r"(?:(?:\*\*)?(?:title|description|제목|설명)(?:\*\*)?[ \t]*[::](?:\*\*)?[ \t]*)?",
    re.IGNORECASE,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_SHORT = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Draft:
    """An idea as the model put it, tidied: one line each, within what the service stores."""

    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """What was found.

    Attributes:
        ideas: the good ones, in the order of the text.
        dropped: how many had a title or a description and were still not usable.
    """

    ideas: tuple[Draft, ...] = ()
    dropped: int = 0


def parse_ideas(text: str, *, cut: bool = False) -> Parsed:
    """Read a model's answer. Never raises.

    Args:
        text: what the model said.
        cut: it was cut off for its length, so that an idea which reaches its end is not whole.
    """
    text = text[:LONGEST_TEXT]
    dropped = 0
    for candidates in (_json, _embedded, _repaired, _listed):
        found = list(candidates(text))
        if not found:
            continue
        heard = _letters(text if candidates is _listed else _unescaped(text))
        # What ends where the text does was never closed: a repair did that, or the list was cut.
        unclosed = (candidates is _repaired and not _is_closed(text)) or (
            candidates is _listed and cut
        )
        drafts = [_draft(*pair) for pair in found]
        good = tuple(one for one in drafts if one and _was_said(one, heard, unclosed=unclosed))
        if good:
            return Parsed(good, len(found) - len(good))
        dropped = max(dropped, len(found))
    return Parsed((), dropped)


def _json(text: str) -> Iterator[tuple[Any, Any]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    yield from _pairs(value)


def _embedded(text: str) -> Iterator[tuple[Any, Any]]:
    """Decode every whole object or array that stands in the text, fences and talk around it."""
    decoder = json.JSONDecoder()
    position, tries = 0, 0
    while (start := _next_bracket(text, position)) >= 0 and tries < MOST_TRIES:
        tries += 1
        try:
            value, position = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            position = start + 1
        else:
            yield from _pairs(value)


def _next_bracket(text: str, position: int) -> int:
    places = [place for one in "{[" if (place := text.find(one, position)) >= 0]
    return min(places, default=-1)


def _repaired(text: str) -> Iterator[tuple[Any, Any]]:
    if "{" not in text:
        return
    try:
        value = json_repair.loads(text[:LONGEST_REPAIRED])
    except Exception:  # noqa: BLE001 - it is given any text at all; what it can't read is no idea
        return
    yield from _pairs(value)


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield title and description of every object that has one of the two, in order."""
    waiting, seen = [value], 0
    while waiting and seen < MOST_VALUES:
        current = waiting.pop()
        seen += 1
        if isinstance(current, dict):
            keys = {str(key).strip().casefold(): key for key in current}
            titles = [keys[one] for one in TITLES if one in keys]
            descriptions = [keys[one] for one in DESCRIPTIONS if one in keys]
            if titles or descriptions:
                yield (
                    current[titles[0]] if titles else None,
                    current[descriptions[0]] if descriptions else None,
                )
                continue
            waiting += reversed(current.values())
        elif isinstance(current, list):
            waiting += reversed(current)


def _listed(text: str) -> Iterator[tuple[Any, Any]]:
    """Read a numbered list; numbers with another mark or indent belong to a description."""
    shape: tuple[str, str] | None = None
    title: str | None = None
    lines: list[str] = []
    for line in text.splitlines():
        match = _NUMBERED.fullmatch(line)
        if match and shape in {None, (match["indent"], match["mark"])}:
            if title is not None:
                yield title, " ".join(lines)
            shape = (match["indent"], match["mark"])
            title, lines = _plain(match["title"]), []
        elif title is not None:
            lines.append(_plain(line))
    if title is not None:
        yield title, " ".join(lines)


def _plain(line: str) -> str:
    """Take a bullet, a label and Markdown's marks from the edges of a line."""
    return _EDGE.sub("", line.strip(), count=1).strip("*# \t")


def _draft(title: Any, description: Any) -> Draft | None:
    if not isinstance(title, str) or not isinstance(description, str):
        return None
    title, description = _tidy(title), _tidy(description)
    if not _fits(title, LONGEST_TITLE) or not _fits(description, LONGEST_DESCRIPTION):
        return None
    return Draft(title, description)


def _tidy(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _fits(text: str, longest: int) -> bool:
    return len(text) <= longest and any(one.isalnum() for one in text)


def _was_said(draft: Draft, heard: str, *, unclosed: bool) -> bool:
    title, description = _letters(draft.title), _letters(draft.description)
    if title not in heard or description not in heard:
        return False
    return not (unclosed and heard.endswith((title, description)))


def _is_closed(text: str) -> bool:
    return text.rstrip().rstrip("`").rstrip().endswith(CLOSERS)


def _unescaped(text: str) -> str:
    """Return the text as it reads: JSON's escapes decoded, two that make one character joined."""
    decoded = _ESCAPE.sub(_decoded, text)
    return decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _decoded(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return _SHORT.get(match[2], match[2])


def _letters(text: str) -> str:
    return "".join(one for one in text if one.isalnum())
