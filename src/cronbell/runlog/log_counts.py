"""How many runs the log holds, and where: kept up with the roll-ups, so that pages need not count.

Two small tables. Totals by job and status (job 0: all jobs together) give exact numbers at once.
Blocks of ``BLOCK`` ids say for each status how many runs of it are there and between which instants
they began; so a page by number is found without walking to it, and a range of time is a few ranges
of ids. Neither is an index of the runs: recording and ending a run costs nothing more.

What is not counted yet are the runs after the roll-ups' cursor and those it left: readers add them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from django.db import connections

from cronbell.runlog.log_count_tables import LogBlock
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import execute, fetch, rows_parameter

BLOCK = 4_096
# With more than so many runs not counted yet, adding them would take longer than a page may.
UNCOUNTED_MOST = 5_000
EVER = 1 << 62
# A range of time is at most so many ranges of ids; beyond, the smallest gaps are walked through.
SEGMENTS = 64
ALL_JOBS = 0


class Counted(NamedTuple):
    """A run as it is counted; ``at`` is when it began, or was due where nothing began."""

    id: int
    job_id: int
    status: str
    at: int


@dataclass(frozen=True, slots=True)
class State:
    """How far runs are counted.

    Attributes:
        upto: every run up to this one is, but for those left.
        version: grows with each change of what is counted.
        newest: the newest run's number; 0 for none.
        left: how many were left, at most one more than ``UNCOUNTED_MOST``.
    """

    upto: int
    version: int
    newest: int
    left: int

    @property
    def near(self) -> bool:
        """Whether so little is not counted yet that it can be added."""
        return max(self.newest - self.upto, self.left) <= UNCOUNTED_MOST


@dataclass(frozen=True, slots=True)
class Segment:
    """Runs by number, both ends included.

    Attributes:
        low: the first.
        high: the last.
        certain: whether every run in it is of the range of time asked for, and is counted.
    """

    low: int
    high: int
    certain: bool

    def below(self, number: int) -> Segment:
        """Return the part of it below a number; it may be empty."""
        return Segment(self.low, min(self.high, number - 1), self.certain)


def count(runs: Iterable[Counted], sign: int = 1) -> None:
    """Count runs that have ended, or (sign -1) take those away that are removed.

    To be called inside a transaction that holds the roll-ups' cursor: it decides who counts, and
    rows are changed in one order.
    """
    totals: Counter[tuple[int, str]] = Counter()
    blocks: dict[tuple[int, str], list[int]] = {}
    for run in runs:
        totals[run.job_id, run.status] += sign
        totals[ALL_JOBS, run.status] += sign
        block = blocks.setdefault((run.id // BLOCK, run.status), [0, run.at, run.at])
        block[:] = [block[0] + sign, min(block[1], run.at), max(block[2], run.at)]
    if not totals:
        return
    connection = connections[ALIAS]
    of_jobs = [(*key, number) for key, number in sorted(totals.items())]
    of_blocks = [(*key, *block) for key, block in sorted(blocks.items())]
    execute(connection, "add_log_counts", [rows_parameter(of_jobs)])
    execute(connection, "count_blocks", [rows_parameter(of_blocks)])
    if sign < 0:
        LogBlock.objects.filter(block__in={key[0] for key in blocks}, runs=0).delete()


def state() -> State:
    """Return how far runs are counted."""
    return State(*fetch(connections[ALIAS], "counts_state", [UNCOUNTED_MOST + 1])[0])


def by_status(job_id: int | None, known: State) -> dict[str, int]:
    """Return how many runs there are of each status, exactly; of one job or of all."""
    connection = connections[ALIAS]
    if job_id is None:
        return dict(fetch(connection, "counts_of_log", [known.upto]))
    return dict(fetch(connection, "counts_of_job", [job_id, job_id, known.upto, job_id]))


def by_job(job_ids: Sequence[int], status: str, known: State) -> dict[int, int]:
    """Return how many runs of a status (empty: of any) these jobs have, exactly."""
    jobs = rows_parameter([[each] for each in job_ids])
    parameters = [jobs, known.upto, *[status] * 6]
    return dict(fetch(connections[ALIAS], "counts_by_job", parameters))


def segments(since: int | None, until: int | None, known: State) -> list[Segment]:
    """Return where runs are that began within a range of time, the newest first.

    Every one that did is in one of them; a segment that is not certain has others too. So has what
    is not counted yet, whose instants are not known.

    Args:
        since: the first instant, microseconds; None for all.
        until: the first instant after it; None for all.
        known: how far runs are counted.
    """
    low, high = -EVER if since is None else since, EVER if until is None else until
    connection = connections[ALIAS]
    found = {
        block: bool(certain)
        for block, certain in fetch(connection, "blocks_within", [low, high, low, high])
    }
    found |= dict.fromkeys(_left(), False)
    joined = [Segment(known.upto + 1, EVER, certain=False)]
    for block in sorted(found, reverse=True):
        first, last = block * BLOCK, min(block * BLOCK + BLOCK - 1, known.upto)
        if first > known.upto:
            continue
        newer = joined[-1]
        if newer.low == last + 1 and newer.certain == found[block]:
            joined[-1] = Segment(first, newer.high, newer.certain)
        else:
            joined.append(Segment(first, last, found[block]))
    return _few(joined)


def _left() -> list[int]:
    """Return the blocks with runs that were left: when those began is not known to any block."""
    return [block for (block,) in fetch(connections[ALIAS], "blocks_left", [BLOCK])]


def _few(joined: list[Segment]) -> list[Segment]:
    while len(joined) > SEGMENTS:
        gaps = [newer.low - older.high for newer, older in pairwise(joined)]
        at = gaps.index(min(gaps))
        bridged = Segment(joined[at + 1].low, joined[at].high, certain=False)
        joined = [*joined[:at], bridged, *joined[at + 2 :]]
    return joined


def by_status_of_time(since: int | None, until: int | None, known: State) -> dict[str, int]:
    """Return how many runs of each status began within a range of time, exactly."""
    times = [-EVER if since is None else since, EVER if until is None else until]
    parameters = [*times * 3, BLOCK, BLOCK, BLOCK, known.upto, *times, known.upto, *times * 2]
    return dict(fetch(connections[ALIAS], "blocks_of_time", parameters))


def counted_in(segment: Segment) -> dict[str, int]:
    """Return how many runs of each status are in a segment that is certain."""
    bounds = [segment.low // BLOCK, segment.high // BLOCK]
    return dict(fetch(connections[ALIAS], "blocks_counted", bounds))


def seek(segment: Segment, status: str, offset: int) -> tuple[int, int]:
    """Return how to come near the run that so many others of a segment stand above.

    Args:
        segment: one whose runs are counted, but for those left.
        status: of the runs that stand in the list; empty for all.
        offset: how many stand above it.

    Returns:
        The number below or at which to go on, and how many of the others stand above that.
    """
    bounds = [segment.low // BLOCK, segment.high // BLOCK]
    parameters = [BLOCK, *bounds, status, status, *bounds, status, status, offset]
    found = fetch(connections[ALIAS], "blocks_seek", parameters)
    if not found:
        return segment.high, 0
    block, above = found[0]
    return min(block * BLOCK + BLOCK - 1, segment.high), int(above)
