"""Counts of lengths of time by bucket, and what half or nineteen in twenty of them stay below.

Four buckets an octave from a millisecond to a month: what is read out of a bucket is at most a
fifth more than it was. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from math import ceil

MILLISECOND = 1_000
MONTH = 30 * 86_400 * 1_000_000
PER_OCTAVE = 4


def _bounds() -> tuple[int, ...]:
    bounds = [MILLISECOND]
    while bounds[-1] < MONTH:
        bounds.append(ceil(MILLISECOND * 2 ** (len(bounds) / PER_OCTAVE)))
    return tuple(bounds)


# Upper bounds in microseconds, included; what is longer than the last is in one bucket more.
BOUNDS = _bounds()


def bucket(micros: int) -> int:
    """Return the number of the bucket a length of time falls into; what is negative is in 0."""
    return bisect_left(BOUNDS, micros)


def below(counts: Mapping[int, int], place: int, longest: int) -> int:
    """Return what the sorted lengths up to and including one place stay below.

    Args:
        counts: by bucket.
        place: from 0.
        longest: the longest there is, microseconds; nothing above it is returned.

    Returns:
        Microseconds.
    """
    seen = 0
    for number in sorted(counts):
        seen += counts[number]
        if seen > place:
            return min(BOUNDS[number], longest) if number < len(BOUNDS) else longest
    return longest
