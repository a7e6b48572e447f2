"""A document's text as a reviewer sees it: evidence is marked, and nothing in it stays hidden."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ideasgpt.verification.checks import places
from ideasgpt.verification.suspicion import is_invisible


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text.

    Attributes:
        text: as it is shown.
        kind: ``claim`` (a claimed value), ``quote`` (what the model quoted), ``unseen`` (the
            number of a character that nobody would see) or empty.
    """

    text: str
    kind: str = ""


def pieces(text: str, claims: Iterable[str], quotes: Iterable[str]) -> list[Piece]:
    """Cut a text where it is to be marked; a claimed value stands out of a quote around it."""
    kinds = bytearray(len(text))
    for number, wanted in ((2, quotes), (1, claims)):
        for value in wanted:
            for start, end in places(value, text):
                kinds[start:end] = bytes([number]) * (end - start)
    found: list[Piece] = []
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or kinds[at] != kinds[start]:
            found += _seen(text[start:at], ("", "claim", "quote")[kinds[start]])
            start = at
    return found


def _seen(text: str, kind: str) -> Sequence[Piece]:
    found: list[Piece] = []
    kept = 0
    for at, one in enumerate(text):
        if is_invisible(one):
            found += [Piece(text[kept:at], kind)] if at > kept else []
            found.append(Piece(f"U+{ord(one):04X}", "unseen"))
            kept = at + 1
    return [*found, Piece(text[kept:], kind)] if kept < len(text) else found
