"""Spares typer the loading of pydantic for values of options that are what they should be already.

Typer hands every value to pydantic, which takes longer to load than most commands need to answer.
A text for an option that takes text, a folder that is there or a default need no conversion;
whatever else is given goes typer's way, so that what is refused is refused in typer's words.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Digits that no limit of an option comes near.
MOST_DIGITS = 9


def convert_less(command: Any) -> None:
    """Have the parameters of a command, and of the commands below it, keep values that fit.

    Args:
        command: a command or a group of typer's, changed in place.
    """
    given = command.get_params
    # Asked with each call: the option --help is made only then.
    vars(command)["get_params"] = lambda context: [spare(one) for one in given(context)]
    for below in getattr(command, "commands", {}).values():
        convert_less(below)


def spare(parameter: Any) -> Any:
    """Have one parameter keep values that fit; return it."""
    # A typer without this attribute converts without pydantic.
    if hasattr(parameter, "type_descriptor") and "process_value" not in vars(parameter):
        vars(parameter)["process_value"] = _sparing(parameter, parameter.process_value)
    return parameter


def _sparing(parameter: Any, process: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def process_value(context: Any, value: Any) -> Any:
        found = _as_it_is(parameter, value)
        if found is None:
            return process(context, value)
        (fitting,) = found
        after = parameter.callback
        return fitting if after is None else after(context, parameter, fitting)

    return process_value


def _as_it_is(parameter: Any, value: Any) -> tuple[Any] | None:
    """Return the value a command gets, in a tuple; None where typer has to see to it."""
    wanted, facts = parameter.type_descriptor.annotation, parameter.type_descriptor.parameter_info
    single = parameter.nargs == 1 and not parameter.multiple
    if not single or facts.parser is not None:
        return None
    if value is None:
        return None if parameter.required else (None,)
    judge = {str: _text, int: _number, Path: _path}.get(wanted, _default)
    return (value,) if value is parameter.default and wanted is not Path else judge(value, facts)


def _default(_value: Any, _facts: Any) -> None:
    """Leave everything but the default, which mypy has held against the annotation, to typer."""


def _text(value: Any, _facts: Any) -> tuple[str] | None:
    return (value,) if type(value) is str else None


def _number(value: Any, facts: Any) -> tuple[int] | None:
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS:
        value = int(value)
    if type(value) is not int or facts.clamp:
        return None
    above = facts.min is None or value >= facts.min
    below = facts.max is None or value <= facts.max
    return (value,) if above and below else None


def _path(value: Any, facts: Any) -> tuple[Path] | None:
    """Take a path that is there and can be read, of an option that asks for nothing else."""
    anything = facts.file_okay and facts.dir_okay and not facts.writable
    as_written = not (facts.resolve_path or facts.allow_dash or facts.path_type)
    if not (anything and as_written and isinstance(value, str | Path)):
        return None
    return (Path(value),) if os.access(value, os.R_OK) else None
