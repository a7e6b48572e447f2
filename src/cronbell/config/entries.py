"""What ``crons`` and ``schedules`` have in common: an entry that calls a path."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from cronbell.config.source import Place

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Entry(NamedTuple):
    """One job of ``vercel.json``; a tuple, since there may be 100,000 and it is quickest made.

    Attributes:
        place: where it stands, for messages only.
        path: the request target, query included, without a fragment.
        schedule: the expression as written.
        good: whether nothing is wrong with it; a faulty one still has its name.
        name: the job's name where the entry gives one; else it is made from the path.
        implied: fields of ``JobSpec`` that follow from the kind of entry; ``[defaults]`` of
            ``cronbell.toml`` goes before them.
        stated: fields the entry itself states; they go before ``[defaults]``.
    """

    place: Place
    path: str
    schedule: str
    good: bool
    name: str = ""
    implied: Mapping[str, Any] = _NOTHING
    stated: Mapping[str, Any] = _NOTHING

    @property
    def zone(self) -> tuple[str, ...]:
        """The time zone, if it is not UTC: what tells two entries of one expression apart."""
        zone = self.stated.get("timezone", "UTC")
        return () if zone == "UTC" else (zone,)
