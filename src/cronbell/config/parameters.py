"""``parameters`` of a job in ``cronbell.toml``: what a person may choose when running it now."""

from __future__ import annotations

import re
from typing import Any

from cronbell.config.source import Place, Source, printable
from cronbell.config.tables import read_keys
from cronbell.config.values import Reader, RefusedError, flag, kind, text
from cronbell.domain import LONGEST_PARAMETER, Parameter

KEY = "parameters"
_MOST, _MOST_CHOICES = 20, 100
_LONGEST_LABEL = 200
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)
_EXAMPLE = 'write [{ name = "category", label = "Only this category" }]'


def read_parameters(source: Source, place: Place, value: Any) -> tuple[Parameter, ...] | None:
    """Read a job's list of parameters.

    Args:
        source: takes the faults.
        place: where the list is.
        value: as the TOML parser gives it.

    Returns:
        The parameters; None where any of them is at fault.
    """
    if not isinstance(value, list):
        source.error(place, f"`{KEY}` must be a list of tables, not {kind(value)}", _EXAMPLE)
        return None
    if len(value) > _MOST:
        source.error(place, f"`{KEY}` has {len(value)} entries; the limit is {_MOST}", "drop some")
        return None
    found: list[Parameter] = []
    for index, each in enumerate(value):
        read = _parameter(source, (*place, index), each)
        if read is not None and read.name in {other.name for other in found}:
            message = f"the parameter `{read.name}` is there twice"
            source.error((*place, index, "name"), message, "remove one, or rename it")
            read = None
        if read is not None:
            found.append(read)
    return tuple(found) if len(found) == len(value) else None


def _parameter(source: Source, place: Place, value: Any) -> Parameter | None:
    if not isinstance(value, dict):
        source.error(place, f"a parameter must be a table, not {kind(value)}", _EXAMPLE)
        return None
    read = read_keys(source, place, value, READERS)
    if len(read) < len(value):
        return None
    if "name" not in read:
        source.error(place, "a parameter needs `name`", _EXAMPLE)
        return None
    return Parameter(**read)


def _name(value: Any) -> str:
    name = text(value)
    if not _NAME.fullmatch(name):
        raise RefusedError(
            f"`{printable(name)}` cannot be a parameter's name",
            "use at most 64 letters, digits, - _ and ., a letter first",
        )
    return name


def _label(value: Any) -> str:
    label = text(value)
    if len(label) > _LONGEST_LABEL or not label.isprintable():
        raise RefusedError(
            f"has {len(label)} characters, or some that cannot be shown",
            f"write one line of at most {_LONGEST_LABEL} characters",
        )
    return label


def _choices(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise RefusedError(f"must be a list, not {kind(value)}", 'write ["one", "two"]')
    if not value or len(value) > _MOST_CHOICES:
        raise RefusedError(
            f"has {len(value)} entries", f"give 1 to {_MOST_CHOICES}, or remove it for any text"
        )
    for choice in map(text, value):
        if len(choice) > LONGEST_PARAMETER or not choice.isprintable() or choice != choice.strip():
            raise RefusedError(
                f"`{printable(choice)}` cannot be sent as it is",
                f"use at most {LONGEST_PARAMETER} printable characters, no blank at either end",
            )
    if len(set(value)) < len(value):
        raise RefusedError("names one twice", "remove one of them")
    return tuple(value)


READERS: dict[str, Reader] = {
    "name": _name,
    "label": _label,
    "choices": _choices,
    "required": flag,
}
