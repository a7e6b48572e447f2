"""Ends a child process when its parent is gone, however the parent went.

A supervisor that is killed outright can tell its children nothing, and a runner that outlives it
would go on firing beside the one that is started next.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

from cronbell.clock import SYSTEM_CLOCK

# The supervisor's process id; anything else where who starts a process is not its supervisor.
SUPERVISED = "CRONBELL_SUPERVISED"
LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 40.0


def end_with_parent() -> None:
    """Watch the parent from a daemon thread; ask this process to end once it is gone."""
    parent = _parent()
    threading.Thread(target=_watch, args=(parent,), name="lifeline", daemon=True).start()


def _parent() -> int:
    """Return whose end is to be this process's, even where that has come already.

    Asking the system is too late where the parent was killed while this process was starting: it
    then names whoever took the orphan in, who lives for ever.
    """
    forked_by = multiprocessing.parent_process()  # a worker of the web server's
    if forked_by is not None and forked_by.pid is not None:
        return forked_by.pid
    told = os.environ.get(SUPERVISED, "")
    return int(told) if told.isdecimal() else os.getppid()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        SYSTEM_CLOCK.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    SYSTEM_CLOCK.sleep(PATIENCE_SECONDS)
    os._exit(1)
