"""Two configurations ─► what is different between them; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from cronbell.domain import JobSpec

PlainSpec = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A job that is defined differently.

    Attributes:
        name: the job, by its new name.
        fields: (before, after) by field, only those that differ.
    """

    name: str
    fields: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Difference:
    """What makes one configuration into another.

    Attributes:
        added: names of jobs that are new, in the order of the files.
        changed: jobs defined differently; a renamed one that is otherwise the same is not here.
        removed: names of jobs that are gone.
        renamed: (before, after): the same path and schedule under another name, because a new
            entry took the short one; history goes along.
        unchanged: how many jobs are the same.
    """

    added: tuple[str, ...]
    changed: tuple[Change, ...]
    removed: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    unchanged: int

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.added or self.changed or self.removed or self.renamed)


def plain_spec(spec: JobSpec) -> dict[str, Any]:
    """Return a definition as plain values, as it comes back from a JSON column."""
    plain: dict[str, Any] = msgspec.to_builtins(spec)
    # It leaves tuples as they are.
    plain["blackout"] = [{**window, "days": list(window["days"])} for window in plain["blackout"]]
    plain["parameters"] = [
        {**each, "choices": list(each["choices"])} for each in plain["parameters"]
    ]
    plain["retry"]["retry_on"] = list(plain["retry"]["retry_on"])
    return plain


def compare(live: Mapping[str, PlainSpec], wanted: Sequence[JobSpec]) -> Difference:
    """Say what would change if ``wanted`` took the place of ``live``.

    Args:
        live: plain definitions by job name.
        wanted: the new configuration's jobs.
    """
    specs = {spec.name: plain_spec(spec) for spec in wanted}
    renamed = _renames(live, specs)
    came_from = {after: before for before, after in renamed}
    added: list[str] = []
    changed: list[Change] = []
    unchanged = 0
    for name, after in specs.items():
        before = live.get(came_from.get(name, name))
        if before is None:
            added.append(name)
            continue
        fields = {
            field: (before.get(field), value)
            for field, value in after.items()
            # Where a job is defined is no part of what it is: entries may change places.
            if field not in {"name", "source"} and before.get(field) != value
        }
        if fields:
            changed.append(Change(name, fields))
        elif name not in came_from:
            unchanged += 1
    gone = {before for before, _ in renamed}
    removed = tuple(name for name in live if name not in specs and name not in gone)
    return Difference(tuple(added), tuple(changed), removed, renamed, unchanged)


def _renames(
    live: Mapping[str, PlainSpec], specs: Mapping[str, PlainSpec]
) -> tuple[tuple[str, str], ...]:
    # A heartbeat has no path to be known by: another name is another job, with another ping URL.
    homeless = {
        _fires(spec): name for name, spec in live.items() if name not in specs and spec["path"]
    }
    found = []
    for name, spec in specs.items():
        before = homeless.get(_fires(spec)) if name not in live else None
        if before is not None:
            found.append((before, name))
    return tuple(found)


def _fires(spec: PlainSpec) -> tuple[Any, ...]:
    """What makes two definitions the same job under two names: the same call at the same times."""
    return spec["path"], spec["schedule"], spec["timezone"]
