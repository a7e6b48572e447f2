"""A range of time as a few ranges of ids, from the blocks of ``log_counts``.

Ids grow with time, nearly: most blocks have only runs that began within the range, or none, however
large they are. Those of which most did are taken together, and what few of theirs did not is looked
up one by one, as are the few that did in blocks of which most did not. What is left are the blocks
at the ends of the range, whose runs are looked at while they are walked over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

from django.db import connections

from cronbell.runlog import log_guess
from cronbell.runlog.log_counts import ALL_JOBS, ANY, EVER, WEEK, State, size_of
from cronbell.runlog.log_guess import Guess
from cronbell.runlog.log_tree import Part, Range, Times, Tree, nodes
from cronbell.runlog.models import FINAL_VALUES
from cronbell.runlog.prepared import Question, answer, read
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import rows_parameter

# A range of time is at most so many ranges of ids; beyond, the smallest gaps are walked through.
SEGMENTS = 64
# The runs that were left.
LEFT = Question("runs_left")


class Found(NamedTuple):
    """A run that is known by its number.

    Attributes:
        id: its number.
        job_id: its job.
        status: what it is or became.
        counted: whether it is among those of its block.
    """

    id: int
    job_id: int
    status: str
    counted: bool


@dataclass(frozen=True, slots=True)
class Segment:
    """Runs by number, both ends included.

    Attributes:
        low: the first.
        high: the last.
        certain: whether every run in it, but for ``out``, is of the range of time asked for.
        out: those that are not.
        plus: those that are, and are not among what is counted.
        only: all there are of the range, where that is known.
    """

    low: int
    high: int
    certain: bool
    out: tuple[Found, ...] = ()
    plus: tuple[Found, ...] = ()
    only: tuple[Found, ...] | None = None

    def below(self, number: int) -> Segment:
        """Return the part of it below a number; it may be empty."""
        return replace(
            self,
            high=min(self.high, number - 1),
            out=tuple(run for run in self.out if run.id < number),
            plus=tuple(run for run in self.plus if run.id < number),
            only=None if self.only is None else tuple(r for r in self.only if r.id < number),
        )


def times(since: int | None, until: int | None) -> Times:
    """Return a range of time with both its ends; None stands for no end."""
    return Times(-EVER if since is None else since, EVER if until is None else until)


def segments(since: int | None, until: int | None, known: State) -> list[Segment]:
    """Return where runs are that began within a range of time, the newest first.

    Every one that did is in one of them; a segment that is not certain has others too. So has what
    is not counted yet, whose instants are not known.

    Args:
        since: the first instant, microseconds; None for all.
        until: the first instant after it; None for all.
        known: how far runs are counted.
    """
    asked = times(since, until)
    guess = log_guess.taken(asked)
    tree = Tree(asked, guess.blocks)
    tree.search(known.upto)
    waiting = {run.id: (run, asked.has(at)) for run, at in _left()}
    astray = {run.id: (run, asked.has(at)) for run, at in _astray(tree.parts, guess)} | waiting
    found = [astray[number] for number in sorted(astray, reverse=True)]
    pieces = list(_pieces(_few(_joined(tree.ranges)), found))
    if known.newest <= known.upto:
        return pieces
    return [Segment(known.upto + 1, EVER, certain=False), *pieces]


def counted_questions(parts: Sequence[Segment]) -> list[Question]:
    """Return what ``by_status`` asks the blocks."""
    blocks = [
        [*block, status, part.low]
        for part in parts
        if part.certain and part.only is None
        for block in nodes(part.low, part.high)
        for status in FINAL_VALUES
    ]
    return [Question("blocks_counted", (rows_parameter(blocks),))] if blocks else []


def by_status(
    parts: Sequence[Segment], since: int | None, until: int | None
) -> dict[int, Counter[str]]:
    """Return how many runs of each status segments have that began within their range of time.

    Returns:
        The numbers by status, by each segment's first id.
    """
    numbers: dict[int, Counter[str]] = {part.low: Counter() for part in parts}
    for question in counted_questions(parts) + walked_questions(parts, since, until):
        for status, low, number in answer(connections[ALIAS], question).rows:
            numbers[int(low)][status] += number
    for part in parts:
        if part.certain:
            found = numbers[part.low]
            found.update(run.status for run in (*part.plus, *(part.only or ())))
            found.subtract(run.status for run in part.out if run.counted)
    return numbers


def walked_questions(
    parts: Iterable[Segment], since: int | None, until: int | None, job_id: int = ALL_JOBS
) -> list[Question]:
    """Return what ``walked`` asks."""
    spans = [[part.low, part.high] for part in parts if not part.certain]
    if not spans:
        return []
    rows, asked = rows_parameter(spans), times(since, until)
    if job_id == ALL_JOBS:
        return [Question("runs_of_time", (rows, *asked))]
    return [Question("runs_of_time_of_job", (job_id, rows, *asked))]


def walked(
    parts: Iterable[Segment], since: int | None, until: int | None, job_id: int = ALL_JOBS
) -> Counter[str]:
    """Return how many runs of each status those segments have of the time that are not certain.

    Args:
        parts: segments of the range of time.
        since: its first instant.
        until: the first after it.
        job_id: of the runs that are counted.
    """
    found: Counter[str] = Counter()
    for question in walked_questions(parts, since, until, job_id):
        for status, _, number in answer(connections[ALIAS], question).rows:
            found[status] += number
    return found


def seek_question(blocks: Sequence[tuple[int, int, int]], status: str) -> Question:
    """Return what ``seek`` asks about blocks; first, about those that a segment is made of."""
    return Question("blocks_summed", (rows_parameter([[*block, status] for block in blocks]),))


def seek(segment: Segment, status: str, offset: int) -> tuple[int, int]:
    """Return how to come near the run that so many others of a segment stand above.

    Args:
        segment: one that is certain.
        status: of the runs that stand in the list; empty for all.
        offset: how many stand above it.

    Returns:
        The number below or at which to go on, and how many of the others stand above that.
    """
    moved = [(run.id, 1) for run in segment.plus if status in {ANY, run.status}]
    moved += [(run.id, -1) for run in segment.out if run.counted and status in {ANY, run.status}]
    high, counted, above = segment.high, 0, 0
    blocks = nodes(segment.low, segment.high)
    while blocks:
        rows = answer(connections[ALIAS], seek_question(blocks, status)).rows
        blocks = []
        size = {level: size_of(level) for level, _, _ in rows}
        for level, number, runs in sorted(rows, key=lambda row: -(row[1] + 1) * size[row[0]]):
            top = min((number + 1) * size[level] - 1, segment.high)
            here = counted + sum(sign for run_id, sign in moved if run_id > top)
            if here > offset:
                break
            high, above = top, here
            inside, counted = counted, counted + runs
            blocks = [_opened(level, number)] if level else []
        counted = inside if blocks else counted
    return high, above


def _opened(level: int, number: int) -> tuple[int, int, int]:
    size = size_of(level) // size_of(level - 1)
    return level - 1, number * size, number * size + size - 1


def left() -> tuple[Found, ...]:
    """Return the runs that were left: they are among no block's."""
    return tuple(run for run, _ in _left())


def _left() -> list[tuple[Found, int]]:
    rows = answer(connections[ALIAS], LEFT).rows
    return [(Found(pk, job_id, status, counted=False), at) for pk, job_id, status, at in rows]


def _astray(parts: Sequence[Part], guess: Guess) -> Iterator[tuple[Found, int]]:
    rows: list[tuple[Any, ...]] = []
    looked_up = []
    for part in parts:
        known = guess.of(part)
        if known is None:
            begin = part.week * WEEK
            looked_up.append([part.first, part.last, begin, begin + WEEK - 1])
        else:
            rows += known
    if looked_up:
        rows += read(connections[ALIAS], "runs_astray", [rows_parameter(looked_up)])
    for pk, job_id, status, at in rows:
        yield Found(pk, job_id, status, counted=True), at


def _joined(ranges: Iterable[Range]) -> list[Range]:
    """Return ranges that have runs of the time, the newest first, neighbours put together.

    Where no block is between two there is no run that is counted.
    """
    joined: list[Range] = []
    for older in sorted(ranges, key=lambda one: -one.low):
        if joined and joined[-1].certain == older.certain:
            joined[-1] = Range(older.low, joined[-1].high, older.certain)
        else:
            joined.append(older)
    return [one for one in joined if one.certain is not None]


def _few(ranges: list[Range]) -> list[Range]:
    while len(ranges) > SEGMENTS:
        gaps = [newer.low - older.high for newer, older in pairwise(ranges)]
        at = gaps.index(min(gaps))
        bridged = Range(ranges[at + 1].low, ranges[at].high, certain=False)
        ranges = [*ranges[:at], bridged, *ranges[at + 2 :]]
    return ranges


def _pieces(ranges: Sequence[Range], runs: Sequence[tuple[Found, bool]]) -> Iterator[Segment]:
    """Yield ranges, and between them what is known by number, the newest first."""
    at = 0
    for each in ranges:
        above, at = at, _past(runs, at, each.high)
        yield from _known(runs[above:at])
        begin, at = at, _past(runs, at, each.low - 1)
        segment = Segment(each.low, each.high, bool(each.certain))
        if each.certain:
            segment = replace(
                segment,
                out=tuple(run for run, inside in runs[begin:at] if not inside),
                plus=tuple(run for run, inside in runs[begin:at] if inside and not run.counted),
            )
        yield segment
    yield from _known(runs[at:])


def _past(runs: Sequence[tuple[Found, bool]], at: int, number: int) -> int:
    while at < len(runs) and runs[at][0].id > number:
        at += 1
    return at


def _known(runs: Sequence[tuple[Found, bool]]) -> Iterator[Segment]:
    only = tuple(run for run, inside in runs if inside)
    if only:
        yield Segment(only[-1].id, only[0].id, certain=True, only=only)
