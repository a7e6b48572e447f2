"""Where an application adds a page of its own to the dashboard's navigation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from cronbell.runlog.queries import COUNT_CAP, Tally


@dataclass(frozen=True, slots=True)
class Addition:
    """A page of the application that belongs to the dashboard.

    The page itself extends ``cronbell/base.html``, says its ``nav`` in the context so that it is
    marked as the current one, and lets in ``viewers_too``.

    Attributes:
        nav: its short name.
        word: what the navigation calls it; a lazy translation.
        url_name: its address, as ``reverse`` takes it, without arguments.
        about: what it is for, in a sentence; a lazy translation.
        waiting: counts what waits there for a person, no further than it is told.
    """

    nav: str
    word: Any
    url_name: str
    about: Any
    waiting: Callable[[int], int]

    @property
    def address(self) -> str:
        """Where it is."""
        return reverse(self.url_name)

    @property
    def tally(self) -> Tally:
        """How many wait there."""
        number = self.waiting(COUNT_CAP + 1)
        return Tally(min(number, COUNT_CAP), capped=number > COUNT_CAP)


_additions: dict[str, Addition] = {}


def add_page(addition: Addition) -> None:
    """Have the navigation of every page lead to one more. Call it in ``AppConfig.ready``."""
    _additions[addition.nav] = addition


def additions() -> list[Addition]:
    """Return what was added, in order."""
    return list(_additions.values())
