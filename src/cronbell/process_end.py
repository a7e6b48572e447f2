"""How a process ends that has used the HTTP client."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from typing import NoReturn

# Whose thread lives as long as the process.
CLIENT = "pyreqwest"


def end(code: int) -> NoReturn:
    """End the process; where the HTTP client was loaded, without taking the interpreter down.

    The client's thread cannot be ended. Should it be about to hand something over to Python at the
    moment at which the interpreter goes, Python 3.11 aborts: of 400 processes that made one call
    and ended, 23 died by signal 6, though everything they were to do was done. So what has been
    registered for the end is run, what was printed is written, and the system takes the rest.

    Args:
        code: of the exit.
    """
    if CLIENT not in sys.modules:
        sys.exit(code)
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no public way
    for stream in (sys.stdout, sys.stderr):
        # Nobody reads any more: nothing to be done about it, and no reason for another code.
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
