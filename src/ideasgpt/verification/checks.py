"""Claim, text ─► whether the text says so: rules that no model has a say in."""

from __future__ import annotations

import re
import unicodedata
from calendar import month_name
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_BUSINESS = re.compile(r"(\d{3})-(\d{2})-(\d{5})")
_WEIGHTS = (1, 3, 7, 1, 3, 7, 1, 3, 5)
_SEPARATOR = re.compile(r"[:=]")
_LONGEST_LABEL = 60
_LONGEST_SAID = 301
_MONTHS = tuple(month_name[1:])  # English: this process sets no locale


class Found(StrEnum):
    """What the rules say of one claim."""

    MATCH = "match"
    MISSING = "missing"  # the text nowhere says it
    MISMATCH = "mismatch"  # the text names the field and gives another value
    IMPOSSIBLE = "impossible"  # no document could make it true


@dataclass(frozen=True, slots=True)
class Check:
    """One claim and what the rules found."""

    field: str
    found: Found


def check(fields: dict[str, str], text: str) -> list[Check]:
    """Judge every claim by the text of all documents together."""
    return [Check(name, _judge(name, value, text)) for name, value in fields.items()]


def normal(text: str) -> str:
    """Return a text as it is compared: without case, width, and differences of blanks."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def says(value: str, text: str) -> bool:
    """Say whether a text has a value in it, as whole words, in any usual way to write a date."""
    there = normal(text)
    return any(_has(there, normal(one)) for one in _ways(value))


def labelled(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a text says in lines like ``Name: Kim`` or ``- name = Kim``.

    By hand and not by one expression: that took the square of a line's length, and whoever sends
    a document chooses the line (40,000 blanks: minutes, in which the process did nothing else).
    """
    for line in text.split("\n"):
        separator = _SEPARATOR.search(line)
        if separator is None:
            continue
        label = line[: separator.start()].rstrip(" \t").lstrip(" \t*#-")
        said = line[separator.end() :].lstrip(" \t")
        if 0 < len(label) <= _LONGEST_LABEL and 0 < len(said) <= _LONGEST_SAID:
            yield label, said


def places(value: str, text: str) -> list[tuple[int, int]]:
    """Return where a text as it stands has a value, to be marked for a person.

    An aid, not a finding: a value written in another width is one that ``says`` alone sees.
    """
    found = []
    for way in _ways(value):
        words = way.split()
        if words:
            pattern = r"\s+".join(map(re.escape, words))
            found += [one.span() for one in re.finditer(pattern, text, re.IGNORECASE)]
    return sorted(found)


def _judge(name: str, value: str, text: str) -> Found:
    if _impossible(value):
        return Found.IMPOSSIBLE
    if not says(value, text):
        return Found.MISSING
    given = [said for label, said in labelled(text) if normal(label) == normal(name)]
    if given and not any(normal(said) in {normal(one) for one in _ways(value)} for said in given):
        return Found.MISMATCH
    return Found.MATCH


def _has(text: str, value: str) -> bool:
    # \b would not do: values begin and end with any character, and Korean particles follow words.
    before = r"(?<![^\W_])" if value[:1].isalnum() else ""
    after = r"(?![a-z0-9])" if value[-1:].isascii() and value[-1:].isalnum() else ""
    return re.search(before + re.escape(value) + after, text) is not None


def _impossible(value: str) -> bool:
    if match := _DATE.fullmatch(value):
        try:
            date(*map(int, match.groups()))
        except ValueError:
            return True
    elif match := _BUSINESS.fullmatch(value):
        digits = [int(one) for one in "".join(match.groups())]
        total = sum(map(int.__mul__, digits[:9], _WEIGHTS)) + digits[8] * 5 // 10
        return (10 - total % 10) % 10 != digits[9]
    return False


def _ways(value: str) -> list[str]:
    if match := _DATE.fullmatch(value):
        year, month, day = map(int, match.groups())
        if 1 <= month <= len(_MONTHS):
            name = _MONTHS[month - 1]
            return [
                value,
                f"{year}.{month:02}.{day:02}",
                f"{year}. {month}. {day}",
                f"{year}년 {month}월 {day}일",
                f"{year}년 {month:02}월 {day:02}일",
                f"{day} {name} {year}",
                f"{name} {day}, {year}",
            ]
    if _BUSINESS.fullmatch(value):
        return [value, value.replace("-", "")]
    return [value]
