"""Processes that a killing test starts by fork and ends by ``kill -9``, and its command line."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.support.waiting import wait_until


def start(work: Callable[[], object]) -> int:
    """Run something in a process of its own, and return its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may get past the fork
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def fork(work: Callable[[], object]) -> None:
    """Run something to its end, outside this process: it must open no connection, nor threads."""
    code = os.waitstatus_to_exitcode(os.waitpid(start(work), 0)[1])
    assert code == 0, f"a process ended with {code}; see its words above"


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def wait_for_more(log: Path, *, what: str) -> None:
    """Wait until something is added to a file."""
    size = log.stat().st_size
    wait_until(lambda: log.stat().st_size > size, 20, what=what)


def arguments(description: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--store", default="", help="a DATABASE_URL; empty for SQLite")
    parser.add_argument("--sabotage", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()
