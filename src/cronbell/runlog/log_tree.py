"""The blocks of the log as a tree: opened only where a range of time begins or ends.

A block of which all runs began within the range, or none, needs no look inside. Of one with a few
of the other kind only those are looked for, by the week they began in: a block knows between which
ids they are, and where that is a wide span the blocks within it know more. So what is gone through
are some dozen blocks of each level, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from typing import NamedTuple

from django.db import connections

from cronbell.runlog import log_counts
from cronbell.runlog.log_counts import EVER, size_of
from cronbell.runlog.prepared import Question, answer
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import rows_parameter

# So many ids are looked at for runs that began at another time than their block's others, and so
# many in one block; beyond, the block is opened, one of the lowest level walked over.
LOOKED_UP, LOOKED_UP_IN_BLOCK = 4_096, 256
# What it takes, in such looks, to find a run by opening blocks for its week alone.
OPENING = 16
# So many blocks of a level are opened; others stay as they are, to be walked over.
OPENED = 1_024


class Times(NamedTuple):
    """A range of time, its end not included; microseconds."""

    since: int
    until: int

    def has(self, at: int) -> bool:
        """Say whether an instant is in it."""
        return self.since <= at < self.until


class Part(NamedTuple):
    """Runs of one block and week."""

    block: int
    week: int
    runs: int
    oldest: int
    newest: int
    first: int
    last: int

    def cost(self, level: int) -> int:
        """Return how many ids are looked at to find its runs, nearly."""
        wide = self.last - self.first + 1
        return min(wide, OPENING * self.runs) if level else wide


@dataclass(frozen=True, slots=True)
class Range:
    """Neighbouring ids.

    Attributes:
        low: the first.
        high: the last.
        certain: whether all runs in it, but for what is known by number, are of the range of time;
            None where none is.
    """

    low: int
    high: int
    certain: bool | None


@dataclass(slots=True)
class Tree:
    """What is found of a range of time.

    Attributes:
        asked: the range.
        ahead: what blocks have that was asked before, by level, the first of those looked at
            together, and week; None for all weeks.
        ranges: in any order; neighbours are apart yet.
        parts: whose runs are to be looked up.
    """

    asked: Times
    ahead: Mapping[tuple[int, int, int | None], Sequence[Part]] = field(default_factory=dict)
    ranges: list[Range] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    _room: int = LOOKED_UP

    def search(self, upto: int) -> None:
        """Go through the blocks of the ids up to one."""
        self._room = LOOKED_UP
        top = log_counts.LEVELS - 1
        opened = [(0, EVER)]
        weeks: list[Part] = []
        for level in range(top, -1, -1):
            if not opened and not weeks:
                return
            blocks, astray = self._blocks(level, opened, weeks)
            weeks = self._kept(level, astray)
            mixed: list[int] = []
            for number, parts in blocks.items():
                if number > upto // size_of(level):
                    continue
                certain, others = self._decided(parts, level)
                if certain is False and level and len(mixed) < OPENED:
                    mixed.append(number)
                    continue
                weeks += self._kept(level, others)
                size = size_of(level)
                low = number * size
                self.ranges.append(Range(low, min(low + size - 1, upto), certain))
            opened = [_within(number) for number in mixed]

    def _blocks(
        self, level: int, opened: Sequence[tuple[int, int]], weeks: Sequence[Part]
    ) -> tuple[dict[int, list[Part]], list[Part]]:
        """Return the parts of opened blocks by block, and those of a week that was looked for."""
        # A block is opened whole or for some weeks, never both.
        parents = {first // log_counts.FANOUT for first, _ in opened}
        everything = level == log_counts.LEVELS - 1
        blocks: dict[int, list[Part]] = {}
        astray: list[Part] = []
        for part in self._parts(level, opened, weeks):
            if everything or part.block // log_counts.FANOUT in parents:
                blocks.setdefault(part.block, []).append(part)
            else:
                astray.append(part)
        return blocks, astray

    def _parts(
        self, level: int, opened: Sequence[tuple[int, int]], weeks: Sequence[Part]
    ) -> Iterator[Part]:
        wanted: list[list[int]] = []
        for first, last in opened:
            known = self.ahead.get((level, first, None))
            if known is None:
                wanted.append([level, first, last, -EVER, EVER])
            else:
                yield from known
        for part in weeks:
            first, last = _within(part.block)
            known = self.ahead.get((level, first, part.week))
            if known is None:
                wanted.append([level, first, last, part.week, part.week])
            else:
                yield from known
        if wanted:
            question = Question("blocks_parts", (rows_parameter(wanted),))
            yield from starmap(Part, answer(connections[ALIAS], question).rows)

    def _kept(self, level: int, parts: Sequence[Part]) -> list[Part]:
        """Have the runs of parts looked up; return those of which blocks within know more."""
        wide: list[Part] = []
        for part in parts:
            few = not level or part.last - part.first < LOOKED_UP_IN_BLOCK
            (self.parts if few else wide).append(part)
        return wide

    def _decided(self, parts: Sequence[Part], level: int) -> tuple[bool | None, list[Part]]:
        """Return whether a block is certain, False for neither; and whose runs are looked up.

        Whichever takes fewer looks: what is not of the range, or what is. A block where both take
        many is opened, or walked over.
        """
        out: list[Part] = []
        inside: list[Part] = []
        since, until = self.asked
        # In one pass: a range of time goes through some hundreds of parts.
        for part in parts:
            none = part.newest < since or part.oldest >= until
            if not none:
                inside.append(part)
            if none or part.oldest < since or part.newest >= until:
                out.append(part)
        if not out:
            return True, []
        if not inside:
            return None, []
        cost_out = sum(part.cost(level) for part in out)
        cost_inside = sum(part.cost(level) for part in inside)
        least = min(cost_out, cost_inside)
        if least > min(self._room, LOOKED_UP_IN_BLOCK):
            return False, []
        self._room -= least
        return (True, out) if cost_out <= cost_inside else (None, inside)


def _within(block: int) -> tuple[int, int]:
    """Return the first and the last block that a block of the next level has."""
    first = block * log_counts.FANOUT
    return first, first + log_counts.FANOUT - 1


def nodes(low: int, high: int) -> list[tuple[int, int, int]]:
    """Return few blocks that have the ids between two: level, first, last.

    Args:
        low: the first id of a block of the lowest level.
        high: an id of the last block.
    """
    found: list[tuple[int, int, int]] = []
    first, last = low // log_counts.BLOCK, high // log_counts.BLOCK
    for level in range(log_counts.LEVELS):
        fanout = log_counts.FANOUT
        if level == log_counts.LEVELS - 1 or last - first < fanout:
            break
        begin, end = -(-first // fanout), (last + 1) // fanout
        if first < begin * fanout:
            found.append((level, first, begin * fanout - 1))
        if end * fanout <= last:
            found.append((level, end * fanout, last))
        first, last = begin, end - 1
    if first <= last:
        found.append((level, first, last))
    return found
