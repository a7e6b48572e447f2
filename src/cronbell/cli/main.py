"""The ``cronbell`` command: finds the command asked for, turns errors into exit codes."""

from __future__ import annotations

import atexit
import gc
import json
import sys
from typing import TYPE_CHECKING, Any

from cronbell.errors import ConfigError, CronbellError, describe
from cronbell.process_end import end

if TYPE_CHECKING:
    from cronbell.cli.commands import app as app  # noqa: PLC0414 - it is part of this module


# Most of what a command loads stays until it ends. Python's own threshold has it look through that
# hundreds of times, a tenth of the processor time of most commands (measured).
GARBAGE_THRESHOLD = 50_000


def __getattr__(name: str) -> Any:
    """Load ``app``, all commands as one typer application, when it is asked for."""
    if name == "app":
        from cronbell.cli.commands import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def run() -> None:
    """Run the command line as a process, and end it."""
    try:
        command_line()
    except SystemExit as asked:
        if isinstance(asked.code, str):
            raise
        end(asked.code or 0)
    end(0)


def command_line() -> None:
    """Run the command line; every error of ours is a sentence, a hint and exit code 1."""
    try:
        _dispatch(sys.argv[1:])
    except CronbellError as error:
        if "--json" in sys.argv:
            sys.stdout.write(json.dumps(_as_dict(error), ensure_ascii=False) + "\n")
        else:
            sys.stderr.write(describe(error))
        sys.exit(1)


def _as_dict(error: CronbellError) -> dict[str, Any]:
    found: dict[str, Any] = {"error": error.message, "hint": error.hint}
    if isinstance(error, ConfigError):
        found["errors"] = [
            {"file": fault.file, "line": fault.line, "key": fault.key,
             "message": fault.message, "hint": fault.hint}
            for fault in error.faults
        ]  # fmt: skip
    return found


def _dispatch(arguments: list[str]) -> None:
    if arguments[:1] == ["next"]:
        # Loading the other commands would take several times as long as this one runs.
        from cronbell.cli.next_fires import main

        sys.exit(main(arguments[1:]))
    gc.set_threshold(GARBAGE_THRESHOLD)
    # What is loaded is gone with the process: looking through it for garbage at the end, as Python
    # does, would be another fifth.
    atexit.register(gc.freeze)
    from cronbell.cli.commands import app

    app()


if __name__ == "__main__":
    run()
