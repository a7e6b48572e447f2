"""The whole way down the tree of blocks in one trip, guessed by PostgreSQL itself.

Each level of ``log_tree`` is asked for what the one above it showed, which was three trips to the
server and a fourth for the runs that began at another time than their neighbours. A statement that
follows the same rule gives all of it at once. Nobody believes it: ``log_tree`` decides anew from
what it gives, takes of it what it would have asked for, and asks for what is not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connections

from cronbell.runlog import log_counts, log_tree
from cronbell.runlog.log_counts import EVER
from cronbell.runlog.log_tree import Part, Times
from cronbell.runlog.prepared import Question, kept
from cronbell.runlog.router import ALIAS

# The level of rows that are runs.
_RUN = -1


@dataclass(slots=True)
class Guess:
    """What was asked ahead; what is empty is not in it, for there is something in each block.

    Attributes:
        blocks: what blocks have, by level, the first of those that were looked at together, and
            week; None for all weeks.
        runs: number, job, status and instant, by the ids they were looked up between and the week.
    """

    blocks: dict[tuple[int, int, int | None], list[Part]] = field(default_factory=dict)
    runs: dict[tuple[int, int, int], list[tuple[Any, ...]]] = field(default_factory=dict)

    def of(self, part: Part) -> Sequence[tuple[Any, ...]] | None:
        """Return the runs of a part, None where they were not looked up."""
        return self.runs.get((part.first, part.last, part.week))


def question(asked: Times) -> Question:
    """Return what gives all that finding a range of time is going to ask, nearly always."""
    values = (
        *asked, log_counts.LEVELS - 1, log_counts.FANOUT, log_tree.LOOKED_UP_IN_BLOCK,
        log_tree.OPENING, log_counts.WEEK, EVER,
    )  # fmt: skip
    return Question("range_guessed", values)


def taken(asked: Times) -> Guess:
    """Return what was asked ahead of a range of time; nothing where nothing was."""
    guess = Guess()
    answer = kept(connections[ALIAS], question(asked))
    top, fanout = log_counts.LEVELS - 1, log_counts.FANOUT
    for row in answer.rows if answer else ():
        level, whole, block, week, number, at, newest, first, last, status = row
        if level == _RUN:
            guess.runs.setdefault((first, last, week), []).append((block, number, status, at))
            continue
        begin = 0 if level == top else block - block % fanout
        part = Part(block, week, number, at, newest, first, last)
        guess.blocks.setdefault((level, begin, None if whole else week), []).append(part)
    return guess
