"""Keeps the garbage collector's hands off what stays, and gives back what loading took.

A runner holds a few objects a job for as long as a configuration is in force, and makes some more
for each run. The collector decides by the number of new ones when to look at all of them again: in
the middle of a herd it walked through every job, holding up every thread. That was a third of the
event loop's time with 10,000 jobs (decision 8).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc

# New objects between two looks at the young ones, and how many of those looks make one at the
# older: some thousand runs' worth, nearly all of which are freed by their reference counts anyway.
THRESHOLDS = (100_000, 50, 100)


def set_aside() -> None:
    """Take all that is there now out of the collector's reach, after freeing what is garbage.

    For a process of the engine's own, after each time a configuration was put into force: what
    belonged to the one before is freed first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    give_back()


def give_back() -> None:
    """Hand freed memory back to the system, where the C library can be asked to (glibc can).

    By itself it keeps what was freed in the middle of its heap: measured with 100,000 jobs 50 MB,
    for as long as the runner lives. It takes milliseconds; not for the hot path.
    """
    with contextlib.suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
