"""All commands by name; a command's module is loaded when that command is asked for.

Loading all of them would take a command as long as most need to answer.
"""

from __future__ import annotations

from collections import UserDict
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from cronbell.cli.values import convert_less, spare

# In the order of ``cronbell --help``: the command, its module, and the function or group there.
COMMANDS = {
    "up": ("up", "up"),
    "prepare": ("prepare", "prepare"),
    "check": ("check", "check"),
    "plan": ("plan", "plan"),
    "apply": ("plan", "apply"),
    "simulate": ("simulate", "simulate"),
    "run": ("run", "run"),
    "runs": ("runs", "runs"),
    "jobs": ("jobs", "jobs"),
    "pings": ("pings", "pings"),
    "cancel": ("cancel", "cancel"),
    "why": ("why", "why"),
    "rerun": ("again", "rerun"),
    "replay": ("again", "replay"),
    "backfill": ("again", "backfill"),
    "backfills": ("again", "backfills"),
    "pause": ("pause", "pause"),
    "resume": ("pause", "resume"),
    "export": ("export_jobs", "export_jobs"),
    "audit": ("audit", "audit"),
    "password": ("password", "password"),
    "doctor": ("doctor", "doctor"),
    "health": ("health", "health"),
    "backup": ("backup", "backup"),
    "restore": ("backup", "restore"),
    "next": ("next_fires", "main"),
    "import": ("import_jobs", "app"),
    "rotate-secret": ("rotate_secret", "app"),
    "tokens": ("tokens", "app"),
    "alerts": ("alerts", "app"),
}


class Loaded(UserDict[str, Any]):
    """Commands by name, each made when it is first looked up."""

    def __init__(self) -> None:
        """Know all names, and no command yet."""
        super().__init__(dict.fromkeys(COMMANDS))

    def __getitem__(self, name: str) -> Any:
        """Return a command of typer's.

        Raises:
            KeyError: there is none of that name.
        """
        if super().__getitem__(name) is None:
            self.data[name] = _load(name)
        return self.data[name]


class Commands(TyperGroup):
    """The group of all commands, which loads none before it is asked for."""

    def __init__(self, **attributes: Any) -> None:
        """Take what typer gives a group, but for the commands."""
        super().__init__(**attributes)
        self.commands = Loaded()

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names; typer's own way would load every command for them."""
        del ctx
        return list(self.commands)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options, which is --help, each sparing itself what it does not need."""
        return [spare(one) for one in super().get_params(ctx)]


app = typer.Typer(
    name="cronbell",
    cls=Commands,
    help="Rings your application's cron endpoints on time, once, and keeps the record.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def nothing_first() -> None:
    """Do nothing before a command: having this makes typer build a group."""


def _load(name: str) -> Any:
    module, attribute = COMMANDS[name]
    found = getattr(import_module(f"cronbell.cli.{module}"), attribute)
    holder = typer.Typer(add_completion=False)
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
        command: Any = typer.main.get_group(holder).commands[name]
    else:
        _add(holder, name, found)
        command = typer.main.get_command(holder)
    convert_less(command)
    return command


def _add(holder: typer.Typer, name: str, function: Any) -> None:
    if name != "next":
        holder.command(name)(function)
        return
    from cronbell.cli.next_fires import SUMMARY

    @holder.command(
        name,
        help=SUMMARY,
        # Its arguments, --help included, are read in one place only: by the command itself.
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )
    def next_(context: typer.Context) -> None:
        """Hand over to ``cronbell next``."""
        raise typer.Exit(function(context.args))
