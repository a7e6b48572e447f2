"""What a call of the API may do, from least to most."""

from __future__ import annotations

from enum import IntEnum


class Scope(IntEnum):
    """What a call does or a token may be used for; a larger one includes the smaller."""

    READ = 1
    RUN = 2
    MANAGE = 3

    @property
    def word(self) -> str:
        """Return its name as it is written on pages, in the API and on the command line."""
        return self.name.lower()


def scope_of(word: str) -> Scope | None:
    """Return the scope of that name; None where there is none."""
    return next((scope for scope in Scope if scope.word == word), None)
