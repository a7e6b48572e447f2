"""Gives back what loading a configuration took and no longer needs."""

from __future__ import annotations

import contextlib
import ctypes


def give_back() -> None:
    """Hand freed memory back to the system, where the C library can be asked to (glibc can).

    By itself it keeps what was freed in the middle of its heap: measured with 100,000 jobs 50 MB,
    for as long as the runner lives. It takes milliseconds; not for the hot path.
    """
    with contextlib.suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
