"""One tree of errors, each with a stable code and a hint that says what to do.

Codes are part of the interface: tools and tests match on ``code``, people read ``message`` and
``hint``. Raise one of these wherever a person or a file was wrong; a bug may raise anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cronbell.domain import Fault


class CronbellError(Exception):
    """What went wrong, and how to mend it.

    Attributes:
        code: a stable, lower-case, hyphenated name of the kind of error.
        message: one sentence that names the place and the value.
        hint: what to write or do instead; empty where there is nothing to add.
    """

    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ScheduleError(CronbellError):
    """A schedule expression, time zone or policy that is refused.

    Attributes:
        field: the part at fault (``minute``, ``hour``, ``day of month``, ``month``,
            ``day of week``, ``expression``, ``timezone``, …).
    """

    code = "schedule"

    def __init__(self, message: str, *, hint: str = "", field: str = "expression") -> None:
        super().__init__(message, hint=hint)
        self.field = field


class ConfigError(CronbellError):
    """One or more faults in the configuration files.

    Attributes:
        faults: every one of them, in the order of the files.
    """

    code = "config"

    def __init__(self, message: str, *, hint: str = "", faults: Sequence[Fault] = ()) -> None:
        super().__init__(message, hint=hint)
        self.faults = tuple(faults)


class UnknownJobError(CronbellError):
    """A job name that is not in the run log."""

    code = "unknown-job"


class SecretError(CronbellError):
    """A secret that is missing, too short or cannot be sent in a header."""

    code = "secret"


class StorageError(CronbellError):
    """The database could not be opened, locked or written."""

    code = "storage"


class StartError(CronbellError):
    """``cronbell up`` cannot start: port taken, no target, data directory not writable."""

    code = "start"


def describe(error: CronbellError) -> str:
    """Return an error as a terminal shows it: every fault of a configuration, each with its place.

    Returns:
        Whole lines, the last one ended.
    """
    if isinstance(error, ConfigError) and error.faults:
        return "".join(
            f"{fault.file}{f':{fault.line}' if fault.line else ''}: {fault.key}: {fault.message}\n"
            + (f"    {fault.hint}\n" if fault.hint else "")
            for fault in error.faults
        )
    return f"cronbell: {error.message}\n" + (f"  {error.hint}\n" if error.hint else "")
