"""Words ─► an idea's title and description, in English or Korean."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from ideasgpt.sample.words import AUDIENCES, EARNINGS, SHELVES, TWISTS

HANGUL_FIRST = 0xAC00
HANGUL_ENDINGS = 28


class Text(NamedTuple):
    """What an idea says."""

    shelf: int
    title: str
    description: str


def compose(random: Random) -> Text:
    """Make up one idea; two in five are in English."""
    # One draw for all choices: at a million ideas the generator's calls are what takes time.
    draw = int(random.random() * 2**53)
    draw, shelf = divmod(draw, len(SHELVES))
    draw, thing = divmod(draw, len(SHELVES[shelf].things))
    draw, audience = divmod(draw, len(AUDIENCES))
    draw, twist = divmod(draw, len(TWISTS))
    draw, earning = divmod(draw, len(EARNINGS))
    words = _english if draw % 5 < 2 else _korean  # noqa: PLR2004 - two in five
    title, description = words(shelf, thing, audience, twist, earning, pattern=draw // 5 % 2)
    return Text(shelf, title, description)


def _english(
    shelf: int, thing: int, audience: int, twist: int, earning: int, *, pattern: int
) -> tuple[str, str]:
    what = SHELVES[shelf].things[thing]
    who = AUDIENCES[audience][0]
    how = TWISTS[twist][0]
    article = "An" if what[0] in "aeiou" else "A"
    title = f"{article} {what} that {how}" if pattern else f"{what.capitalize()} for {who}"
    return title, f"{article} {what} for {who} that {how}. {EARNINGS[earning][0]}"


def _korean(
    shelf: int, thing: int, audience: int, twist: int, earning: int, *, pattern: int
) -> tuple[str, str]:
    what = SHELVES[shelf].things_ko[thing]
    who = f"{AUDIENCES[audience][1]}{object_particle(AUDIENCES[audience][1])} 위한"
    how = TWISTS[twist][1]
    title = f"{how} {what}" if pattern else f"{who} {what}"
    return title, f"{who}, {how} {what}. {EARNINGS[earning][1]}"


def object_particle(word: str) -> str:
    """Return 을 after a final consonant and 를 after a vowel."""
    return "을" if (ord(word[-1]) - HANGUL_FIRST) % HANGUL_ENDINGS else "를"
