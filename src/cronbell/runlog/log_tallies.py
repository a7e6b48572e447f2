"""Numbers of runs by status, as pages show them: exact, or up to where counting stopped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cronbell.runlog.queries import Tally
from cronbell.states import Status


def sum_of(tallies: Iterable[Tally], cap: int) -> Tally:
    """Return what tallies add up to; more than the cap where one of them stopped there."""
    known = list(tallies)
    total = sum(tally.number for tally in known)
    if any(tally.capped for tally in known):
        return Tally(min(total, cap), capped=True)
    return Tally(total)


def tallies(numbers: Mapping[str, int], cap: int | None = None) -> dict[Status, Tally]:
    """Return numbers of runs by status, in a fixed order.

    Args:
        numbers: by a status's value; of those that are not named there is none.
        cap: where counting stops; None where the numbers are exact.
    """
    counts = {status: int(numbers.get(status.value, 0)) for status in Status}
    if cap is None:
        return {status: Tally(number) for status, number in counts.items()}
    return {s: Tally(min(number, cap), capped=number > cap) for s, number in counts.items()}
