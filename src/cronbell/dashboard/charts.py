"""Where the marks of a drawing go; templates turn them into SVG. Pure geometry and words.

Every drawing has words beside it that say the same: a summary, and a table or a title for each
mark. No colour stands alone: failures carry a cross, what was not run is hollow, and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from cronbell.runlog.statistics import DECIDED, FAILED, Figures, Mark, Spread
from cronbell.states import Status

SIDE = 14
GAP = 4
STEP = SIDE + GAP
COLUMN = 10
COLUMN_GAP = 3
HEIGHT = 56
# A day with any failure shows at least so much of it, however many runs went well.
LEAST = 3


@dataclass(frozen=True, slots=True)
class Square:
    """One run.

    Attributes:
        mark: the run.
        x: its left edge.
    """

    mark: Mark
    x: int


@dataclass(frozen=True, slots=True)
class Squares:
    """A row of runs, oldest first.

    Attributes:
        squares: the runs.
        vacant: where runs to come will stand.
        width: of the whole drawing.
        succeeded: how many succeeded.
        failed: how many failed, wholly or in part.
        others: how many were not run, or go on.
    """

    squares: Sequence[Square]
    vacant: Sequence[int]
    width: int
    succeeded: int
    failed: int
    others: int

    @property
    def carried_out(self) -> int:
        """How many were carried out."""
        return self.succeeded + self.failed

    @property
    def percent(self) -> int | None:
        """How many in a hundred of those carried out succeeded, rounded down; None for none."""
        return 100 * self.succeeded // self.carried_out if self.carried_out else None


@dataclass(frozen=True, slots=True)
class Bar:
    """One day.

    Attributes:
        day: which, in UTC.
        figures: what its runs amount to.
        x: its left edge.
        low: height of the part that stands below: successes, or the median.
        high: height of the part on top of it: failures, or what nineteen in twenty stay below.
    """

    day: date
    figures: Figures
    x: int
    low: float
    high: float

    @property
    def low_y(self) -> float:
        """The upper edge of the lower part."""
        return HEIGHT - self.low

    @property
    def high_y(self) -> float:
        """The upper edge of the upper part."""
        return HEIGHT - self.low - self.high


@dataclass(frozen=True, slots=True)
class Trend:
    """Days beside each other.

    Attributes:
        bars: the days, oldest first.
        width: of the whole drawing.
        height: of the whole drawing.
        most: the value the full height stands for.
    """

    bars: Sequence[Bar]
    width: int
    height: int
    most: float


def squares(marks: Sequence[Mark], places: int) -> Squares:
    """Place runs, oldest first; a short history stands at the right, where the newest is."""
    first = places - len(marks)
    succeeded = sum(mark.status == Status.SUCCESS for mark in marks)
    failed = sum(mark.status in FAILED for mark in marks)
    return Squares(
        squares=[Square(mark, (first + place) * STEP) for place, mark in enumerate(marks)],
        vacant=[place * STEP for place in range(first)],
        width=places * STEP - GAP,
        succeeded=succeeded,
        failed=failed,
        others=sum(mark.status not in DECIDED for mark in marks),
    )


def outcomes(days: Sequence[tuple[date, Figures]], places: int) -> Trend:
    """Place the days' successes with their failures on top."""
    most = max((figures.carried_out for _, figures in days), default=0)
    bars = []
    for place, (day, figures) in _placed(days, places):
        high = max(LEAST, HEIGHT * figures.failed / most) if figures.failed else 0
        low = min(HEIGHT * figures.succeeded / most, HEIGHT - high) if figures.succeeded else 0
        bars.append(Bar(day, figures, place, round(low, 1), round(high, 1)))
    return _trend(bars, places, most)


def durations(days: Sequence[tuple[date, Figures]], places: int) -> Trend:
    """Place how long the days' runs took."""
    return _spreads(days, places, lambda figures: figures.duration)


def latenesses(days: Sequence[tuple[date, Figures]], places: int) -> Trend:
    """Place how late the days' runs began."""
    return _spreads(days, places, lambda figures: figures.lateness)


def _spreads(
    days: Sequence[tuple[date, Figures]], places: int, read: Callable[[Figures], Spread | None]
) -> Trend:
    known = [spread for _, figures in days if (spread := read(figures)) is not None]
    most = max((spread.most for spread in known), default=0.0)
    bars = []
    for place, (day, figures) in _placed(days, places):
        spread = read(figures)
        low = high = 0.0
        if spread is not None:
            # A clock that was set back between two machines makes a start early: it is no height.
            low = HEIGHT * max(spread.median, 0) / most if most > 0 else 0.0
            top = HEIGHT * max(spread.most, 0) / most if most > 0 else 0.0
            low = max(low, 1.0)
            high = max(top - low, 0.0)
        bars.append(Bar(day, figures, place, round(low, 1), round(high, 1)))
    return _trend(bars, places, most)


def _placed(
    days: Sequence[tuple[date, Figures]], places: int
) -> list[tuple[int, tuple[date, Figures]]]:
    first = places - len(days)
    return [((first + place) * (COLUMN + COLUMN_GAP), one) for place, one in enumerate(days)]


def _trend(bars: Sequence[Bar], places: int, most: float) -> Trend:
    return Trend(bars, places * (COLUMN + COLUMN_GAP) - COLUMN_GAP, HEIGHT, most)
