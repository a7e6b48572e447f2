"""How many runs the log holds, and where: kept up with the roll-ups, so that pages need not count.

Two small tables. Totals by job and status (job 0: all jobs together) give exact numbers at once.
Blocks of ``BLOCK`` ids say for each status and week how many runs of it began then, between which
instants and ids; so do blocks of ``FANOUT`` blocks, and of ``FANOUT`` of those. So a page by number
is found without walking to it, and a range of time is a few ranges of ids (``log_ranges``), with a
look at a few dozen blocks of each level however long the log is. A run that began long before its
neighbours, as in a backfill that was skipped, is a row of its own there, which knows its id.
Neither is an index of the runs: recording and ending a run costs nothing more.

What is not counted yet are the runs after the roll-ups' cursor and those it left: readers add them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connections

from cronbell.runlog.log_count_tables import LogBlock
from cronbell.runlog.prepared import Question, answer
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import execute, rows_parameter

BLOCK = 512
# Of a level's blocks so many are one of the next.
FANOUT = 32
LEVELS = 3
# With more than so many runs not counted yet, adding them would take longer than a page may.
UNCOUNTED_MOST = 5_000
# Microseconds; a block's runs that began in different ones are counted apart.
WEEK = 7 * 86_400 * 1_000_000
EVER = 1 << 62
ALL_JOBS = 0
ANY = ""


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


def count(runs: Iterable[Counted], sign: int = 1) -> None:
    """Count runs that have ended, or (sign -1) take those away that are removed.

    To be called inside a transaction that holds the roll-ups' cursor: it decides who counts, and
    rows are changed in one order.
    """
    totals: Counter[tuple[int, str]] = Counter()
    lowest: _Blocks = {}
    for run in runs:
        totals[run.job_id, run.status] += sign
        totals[ALL_JOBS, run.status] += sign
        _widen(lowest, (0, run.id // BLOCK, run.status, run.at // WEEK),
               [sign, run.at, run.at, run.id, run.id])  # fmt: skip
    if not totals:
        return
    blocks: _Blocks = {}
    for (_, number, status, week), block in lowest.items():
        for level in range(LEVELS):
            for each in (status, ANY):
                _widen(blocks, (level, number // FANOUT**level, each, week), block)
    connection = connections[ALIAS]
    of_jobs = [(*key, number) for key, number in sorted(totals.items())]
    of_blocks = [(*key, *block) for key, block in sorted(blocks.items())]
    execute(connection, "add_log_counts", [rows_parameter(of_jobs)])
    execute(connection, "count_blocks", [rows_parameter(of_blocks)])
    if sign < 0:
        for level in range(LEVELS):
            numbers = {key[1] for key in blocks if key[0] == level}
            statuses = {key[2] for key in blocks}
            known = LogBlock.objects.filter(level=level, status__in=statuses, block__in=numbers)
            known.filter(runs=0).delete()


# By level, block, status and week: how many, oldest, newest, first id, last id.
_Blocks = dict[tuple[int, int, str, int], list[int]]


def _widen(blocks: _Blocks, key: tuple[int, int, str, int], more: Sequence[int]) -> None:
    block = blocks.get(key)
    if block is None:
        blocks[key] = list(more)
        return
    block[0] += more[0]
    block[1], block[2] = min(block[1], more[1]), max(block[2], more[2])
    block[3], block[4] = min(block[3], more[3]), max(block[4], more[4])


def size_of(level: int) -> int:
    """Return how many ids a block of a level has."""
    return int(BLOCK * FANOUT**level)


def state_question() -> Question:
    """Return what ``state`` asks."""
    return Question("counts_state", (UNCOUNTED_MOST + 1,))


def state() -> State:
    """Return how far runs are counted."""
    return State(*answer(connections[ALIAS], state_question()).rows[0])


def status_question(job_id: int | None, known: State) -> Question:
    """Return what ``by_status`` asks."""
    if job_id is None:
        return Question("counts_of_log", (known.upto,))
    return Question("counts_of_job", (job_id, job_id, known.upto, job_id))


def by_status(job_id: int | None, known: State) -> dict[str, int]:
    """Return how many runs there are of each status, exactly; of one job or of all."""
    return dict(answer(connections[ALIAS], status_question(job_id, known)).rows)


def job_question(job_ids: Sequence[int], status: str, known: State) -> Question:
    """Return what ``by_job`` asks."""
    jobs = rows_parameter([[each] for each in job_ids])
    return Question("counts_by_job", (jobs, known.upto, *[status] * 6))


def by_job(job_ids: Sequence[int], status: str, known: State) -> dict[int, int]:
    """Return how many runs of a status (empty: of any) these jobs have, exactly."""
    return dict(answer(connections[ALIAS], job_question(job_ids, status, known)).rows)
