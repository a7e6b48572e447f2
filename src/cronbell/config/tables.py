"""A table of `cronbell.toml` is read key by key: each fault of each is said at its own line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cronbell.config.source import Place, Source, printable, similar
from cronbell.config.values import Reader, RefusedError


def read_keys(
    source: Source,
    place: Place,
    table: Mapping[str, Any],
    known: Mapping[str, Reader],
    *,
    also: Sequence[str] = (),
) -> dict[str, Any]:
    """Read the known keys of a table and report the rest.

    Args:
        source: takes the faults.
        place: where the table is.
        table: as the TOML parser gives it.
        known: what reads each key.
        also: keys that are known elsewhere, named in hints.

    Returns:
        What could be read; a key that is at fault is not among it.
    """
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            hint = similar(key, (*known, *also)) or "known here are " + ", ".join((*known, *also))
            source.error((*place, key), f"`{printable(key)}` is not known", hint)
            continue
        try:
            found[key] = known[key](value)
        except RefusedError as error:
            source.error((*place, key), f"`{key}`: {error.message}", error.hint)
    return found
