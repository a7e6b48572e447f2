"""A range of time as a few ranges of ids, from the blocks of ``log_counts``.

Ids grow with time, nearly: most blocks have only runs that began within the range, or none. Blocks
of which most did are taken together, and what few of theirs did not is looked up one by one, as are
the few that did in blocks of which most did not: a block knows their ids. What is left are the
blocks at the ends of the range, whose runs are looked at while they are walked over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from django.db import connections

from cronbell.runlog import log_counts
from cronbell.runlog.log_counts import ANY, EVER, WEEK, State
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import fetch, rows_parameter

# A range of time is at most so many ranges of ids; beyond, the smallest gaps are walked through.
SEGMENTS = 64
# So many ids are looked at for runs that began at another time than their block's others, and so
# many in one block; beyond, the block is walked over.
LOOKED_UP, LOOKED_UP_IN_BLOCK = 4_096, 256
# What ``blocks_within`` says of a block of which every run is of the range.
WHOLE = 2


class Found(NamedTuple):
    """A run that is known by its number."""

    id: int
    job_id: int
    status: str


@dataclass(frozen=True, slots=True)
class Segment:
    """Runs by number, both ends included.

    Attributes:
        low: the first.
        high: the last.
        certain: whether every run in it, but for ``out``, is of the range of time asked for.
        out: those that are not.
        plus: those that are, and are not among what is counted of the range.
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


class _Part(NamedTuple):
    """Runs of one block, status and week."""

    block: int
    status: str
    week: int
    runs: int
    oldest: int
    newest: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _Range:
    """Neighbouring blocks; places count the blocks that have runs of the status asked for."""

    first: int
    last: int
    places: tuple[int, int]
    certain: bool


class _Times(NamedTuple):
    since: int
    until: int

    def has(self, at: int) -> bool:
        return self.since <= at < self.until

    def has_all(self, part: _Part) -> bool:
        return self.since <= part.oldest and part.newest < self.until

    def has_none(self, part: _Part) -> bool:
        return part.newest < self.since or part.oldest >= self.until


def times(since: int | None, until: int | None) -> _Times:
    """Return a range of time with both its ends; None stands for no end."""
    return _Times(-EVER if since is None else since, EVER if until is None else until)


def segments(since: int | None, until: int | None, status: str, known: State) -> list[Segment]:
    """Return where runs are that began within a range of time, the newest first.

    Every one that did is in one of them; a segment that is not certain has others too. So has what
    is not counted yet, whose instants are not known.

    Args:
        since: the first instant, microseconds; None for all.
        until: the first instant after it; None for all.
        status: of the runs that are looked for; empty for all.
        known: how far runs are counted.
    """
    asked = times(since, until)
    ranges, parts = _ranges(asked, status)
    runs = [*_astray(parts), *_left()]
    astray = {run.id: (run, asked.has(at)) for run, at in runs if status in {ANY, run.status}}
    newest = Segment(known.upto + 1, EVER, certain=False)
    return [newest, *_pieces(_few(_joined(ranges)), astray, known.upto)]


def counted_in(segment: Segment, since: int | None, until: int | None) -> dict[str, int]:
    """Return how many runs of each status a segment has that is certain."""
    bounds = [segment.low // log_counts.BLOCK, segment.high // log_counts.BLOCK]
    parameters = [*bounds, *times(since, until)]
    numbers = dict(fetch(connections[ALIAS], "blocks_counted", parameters))
    for run in segment.plus:
        numbers[run.status] = numbers.get(run.status, 0) + 1
    return numbers


def seek(
    segment: Segment, since: int | None, until: int | None, status: str, offset: int
) -> tuple[int, int]:
    """Return how to come near the run that so many others of a segment stand above.

    Args:
        segment: one that is certain.
        since: the range of time it is certain of, as for ``segments``.
        until: the end of it.
        status: of the runs that stand in the list; empty for all.
        offset: how many stand above it.

    Returns:
        The number below or at which to go on, and how many of the others stand above that.
    """
    size = log_counts.BLOCK
    bounds = [segment.low // size, segment.high // size]
    plus = [[run.id // size] for run in segment.plus if status in {ANY, run.status}]
    parameters = [*bounds, *times(since, until), status, status, rows_parameter(plus), offset]
    found = fetch(connections[ALIAS], "blocks_seek", parameters)
    if not found:
        return segment.high, 0
    block, above = found[0]
    return min(block * size + size - 1, segment.high), int(above)


def left() -> tuple[Found, ...]:
    """Return the runs that were left: they are among no block's."""
    return tuple(run for run, _ in _left())


def _left() -> list[tuple[Found, int]]:
    return [(Found(*row), at) for *row, at in fetch(connections[ALIAS], "runs_left", [])]


def _ranges(asked: _Times, status: str) -> tuple[list[_Range], list[_Part]]:
    """Return ranges of blocks, the newest first, and what is to be looked up."""
    connection = connections[ALIAS]
    parameters = [*asked, *asked, status]
    islands = list(_islands(fetch(connection, "blocks_within", parameters)))
    mixed = rows_parameter([[low, high] for whole, low, high, *_ in islands if not whole])
    blocks: dict[int, list[_Part]] = {}
    for row in fetch(connection, "blocks_mixed", [mixed, status, status]):
        part = _Part(*row)
        blocks.setdefault(part.block, []).append(part)
    ranges: list[_Range] = []
    looked_up: list[_Part] = []
    room = LOOKED_UP
    for whole, low, high, first, last in islands:
        if whole:
            ranges.append(_Range(low, high, (first, last), certain=True))
            continue
        own = sorted((block for block in blocks if low <= block <= high), reverse=True)
        for place, block in enumerate(own):
            certain, parts, cost = _decided(blocks[block], asked, room)
            looked_up += parts
            room -= cost
            if certain is not None:
                places = (last - place, last - place)
                ranges.append(_Range(block, block, places, certain=certain))
    return ranges, looked_up


def _islands(kinds: Iterable[tuple[int, int]]) -> Iterator[tuple[bool, int, int, int, int]]:
    """Yield neighbouring blocks, the newest first: whether whole, blocks and ranks of both ends.

    Blocks without runs of the status have no rank; one with runs of which none is of the range
    has, so that ranks say whether one stands between.
    """
    before = high = low = first = 0
    place = 0
    for block, kind in kinds:
        place -= 1
        if kind != before:
            if before:
                yield before == WHOLE, low, high, place + 1, first
            before, high, first = kind, block, place
        low = block
    if before:
        yield before == WHOLE, low, high, place, first


def _decided(
    parts: Sequence[_Part], asked: _Times, room: int
) -> tuple[bool | None, list[_Part], int]:
    """Return whether a block is certain, None where it is left out; what to look up; at what cost.

    Whichever takes fewer looks: what is not of the range, or what is. Where both take many the
    block is walked over.
    """
    runs: dict[str, int] = {}
    for part in parts:
        runs[part.status] = runs.get(part.status, 0) + part.runs
    costs = [min(part.last - part.first + 1, runs[part.status]) for part in parts]
    out = [not asked.has_all(part) for part in parts]
    inside = [not asked.has_none(part) for part in parts]
    cost_out = sum(cost for cost, one in zip(costs, out, strict=True) if one)
    cost_inside = sum(cost for cost, one in zip(costs, inside, strict=True) if one)
    least = min(cost_out, cost_inside)
    if least > min(room, LOOKED_UP_IN_BLOCK):
        return False, [], 0
    if cost_out <= cost_inside:
        return True, [part for part, one in zip(parts, out, strict=True) if one], least
    return None, [part for part, one in zip(parts, inside, strict=True) if one], least


def _astray(parts: Sequence[_Part]) -> Iterator[tuple[Found, int]]:
    if not parts:
        return
    looked_up = [
        [part.status, part.first, part.last, part.week * WEEK, part.week * WEEK + WEEK - 1]
        for part in parts
    ]
    for *row, at in fetch(connections[ALIAS], "runs_astray", [rows_parameter(looked_up)]):
        yield Found(*row), at


def _joined(ranges: Sequence[_Range]) -> list[_Range]:
    joined: list[_Range] = []
    for older in ranges:
        newer = joined[-1] if joined else None
        beside = newer and newer.places[0] == older.places[1] + 1
        if newer and beside and newer.certain == older.certain:
            joined[-1] = _over(older, newer, certain=newer.certain)
        else:
            joined.append(older)
    return joined


def _over(older: _Range, newer: _Range, *, certain: bool) -> _Range:
    places = (older.places[0], newer.places[1])
    return _Range(older.first, newer.last, places, certain=certain)


def _few(ranges: list[_Range]) -> list[_Range]:
    while len(ranges) > SEGMENTS:
        gaps = [newer.first - older.last for newer, older in pairwise(ranges)]
        at = gaps.index(min(gaps))
        bridged = _over(ranges[at + 1], ranges[at], certain=False)
        ranges = [*ranges[:at], bridged, *ranges[at + 2 :]]
    return ranges


def _pieces(
    ranges: Sequence[_Range], astray: Mapping[int, tuple[Found, bool]], upto: int
) -> Iterator[Segment]:
    """Yield ranges, and between them what is known by number, the newest first."""
    size = log_counts.BLOCK
    runs = [astray[number] for number in sorted(astray, reverse=True)]
    at = 0
    for each in ranges:
        low, high = each.first * size, min(each.last * size + size - 1, upto)
        above, at = at, _past(runs, at, high)
        yield from _known(runs[above:at])
        begin, at = at, _past(runs, at, low - 1)
        segment = Segment(low, high, each.certain)
        if each.certain:
            segment = replace(
                segment,
                out=tuple(run for run, inside in runs[begin:at] if not inside),
                plus=tuple(run for run, inside in runs[begin:at] if inside),
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
