"""Keeps the event loop and the HTTP client's thread on one processor while a herd is on.

The two hold the interpreter's lock in turn: for each call the client's thread needs it for a moment
to hand the answer over, and reads nothing until it has it. On two processors each of these turns
is a wake-up of the other processor and finds its caches cold; on one it is a plain switch. Which
processor is left to the system: the one the loop is on at that moment, chosen anew every now and
then; of several runners on a machine each has another. As batch work (``sched(7)``) neither
interrupts the other when it is woken, so that each does all that it has before the turn changes.
What both gave: docs/decisions/0008-engine.md.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cronbell.clock import Clock
from cronbell.engine.clocks import ALONE, Place

log = logging.getLogger("cronbell.engine.processor")

THREADS = Path("/proc/self/task")
# As the client names its thread (``comm`` of the thread, Linux).
CLIENT = "pyreqwest"
# Seconds for which a choice holds: what else runs on that processor may have grown.
CHOSEN_SECONDS = 1.0
# How long a thread that wants the interpreter waits before the one that has it is asked for it. The
# client's thread must have it for a moment to hand an answer over, and reads nothing until then: at
# Python's 5 ms a herd took 9.1 times what the server's process spent on a call, at 0.5 ms 8.4 times
# (median of 9 rounds of 10,000; 8.1 to 8.6 from 0.05 to 1 ms).
SWITCH_SECONDS = 0.0005
# proc(5), /proc/[pid]/stat: the 39th field, the 37th after the name.
LAST_PROCESSOR = 36


class OneProcessor:
    """Puts this thread and the client's on one processor, and lets them go again.

    Does nothing where there is only one, or where the system has no such thing.

    Args:
        clock: its monotonic time says how old a choice is.
        place: which of this machine's runners this is.
    """

    def __init__(self, clock: Clock, place: Callable[[], Place] = lambda: ALONE) -> None:
        self.clock = clock
        self.place = place
        self._free: set[int] | None = None  # processors before; None: not held
        self._held: list[int] = []
        self._until = 0.0
        self._able = sys.platform == "linux"

    def hold(self) -> None:
        """Keep the threads together; to be called again and again, from the loop's thread."""
        if not self._able or (self._free is not None and self.clock.monotonic() < self._until):
            return
        if self._free is not None:
            # For as long as it takes until this is called again the system may move them.
            self.let_go()
            return
        try:
            self._hold()
        except (OSError, ValueError, IndexError) as error:
            # Not allowed here, or a system that is not what it says: as if it had no such thing.
            log.debug("threads cannot be kept on one processor: %s", error)
            self.let_go()
            self._able = False

    def expire(self) -> None:
        """Let the threads go where nobody has asked for a while that they be held."""
        if self._free is not None and self.clock.monotonic() >= self._until:
            self.let_go()

    def let_go(self) -> None:
        """Let the threads run wherever they could before."""
        if self._free is None:
            return
        free, self._free = self._free, None
        for thread in self._held:
            try:
                os.sched_setaffinity(thread, free)
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
            except OSError as error:  # it has ended
                log.debug("thread %d cannot be let go: %s", thread, error)
        self._held = []

    def _hold(self) -> None:
        free = os.sched_getaffinity(0)
        if len(free) < 2:  # noqa: PLR2004 - one is all there is
            self._able = False
            return
        number, of = self.place()
        # Two that begin at the same instant would choose the same as often as not.
        here = _processor() if of == 1 else sorted(free)[number % len(free)]
        self._free, self._until = free, self.clock.monotonic() + CHOSEN_SECONDS
        for thread in (threading.get_native_id(), *_client_threads()):
            if os.sched_getscheduler(thread) == os.SCHED_OTHER:  # else it has been decided already
                self._held.append(thread)
                os.sched_setaffinity(thread, {here})
                os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))


@contextmanager
def quick_turns(together: OneProcessor) -> Iterator[None]:
    """Let threads have the interpreter sooner meanwhile; leave no thread held at the end."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
        together.let_go()


def _processor() -> int:
    text = Path("/proc/thread-self/stat").read_text()
    return int(text.rpartition(")")[2].split()[LAST_PROCESSOR])


def _client_threads() -> list[int]:
    found = []
    for thread in THREADS.iterdir():
        try:
            name = (thread / "comm").read_text().strip()
        except OSError:  # it has just ended
            continue
        if name == CLIENT:
            found.append(int(thread.name))
    return found
