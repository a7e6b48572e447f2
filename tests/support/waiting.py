"""The one place where a test may wait: for a real process or thread to have had its effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cronbell.clock import SYSTEM_CLOCK

STEP = 0.01
LONGEST = 120.0  # a real fire at the minute may be a minute away, on a busy machine
T = TypeVar("T")


def wait_until(predicate: Callable[[], T], timeout: float = 10.0, *, what: str = "") -> T:
    """Ask ``predicate`` until it answers with something true, and return that.

    Args:
        predicate: has no side effect; an ``OSError`` it raises counts as "not yet".
        timeout: seconds, at most 120: a test that needs more needs a FakeClock.
        what: the thing waited for, for the message.

    Raises:
        AssertionError: it did not come true in time.
    """
    assert 0 < timeout <= LONGEST, f"wait at most {LONGEST:.0f} s, not {timeout}"
    give_up = SYSTEM_CLOCK.monotonic() + timeout
    while True:
        trouble: OSError | None = None
        answer: T | None = None
        try:
            answer = predicate()
        except OSError as error:
            trouble = error
        if answer:
            return answer
        if SYSTEM_CLOCK.monotonic() >= give_up:
            raise AssertionError(
                f"waited {timeout:g} s in vain for {what or repr(predicate)}; "
                f"last answer {answer!r}{f', last error {trouble!r}' if trouble else ''}"
            )
        SYSTEM_CLOCK.sleep(STEP)
