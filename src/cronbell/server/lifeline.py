"""Ends a child process when its parent is gone, however the parent went.

A supervisor that is killed outright can tell its children nothing, and a runner that outlives it
would go on firing beside the one that is started next.
"""

from __future__ import annotations

import os
import signal
import threading

from cronbell.clock import SYSTEM_CLOCK

SUPERVISED = "CRONBELL_SUPERVISED"
LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 40.0


def end_with_parent() -> None:
    """Watch the parent from a daemon thread; ask this process to end once it is gone."""
    parent = os.getppid()
    threading.Thread(target=_watch, args=(parent,), name="lifeline", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        SYSTEM_CLOCK.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    SYSTEM_CLOCK.sleep(PATIENCE_SECONDS)
    os._exit(1)
