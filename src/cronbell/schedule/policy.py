"""What becomes of the fires that are due: run them, or record that they were missed. Pure.

Every fire between two instants is in exactly one place of a plan, so that the run log can account
for each by exactly one row (SPEC section 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from cronbell.domain import CatchUp
from cronbell.schedule.cron import Schedule

# A plan's rows are one transaction: a year of minutes to be caught up must not be one of them.
MOST_FIRES = 500


# Says from which instant on a blackout window covers all up to the one given; None if none does.
Closed = Callable[[int], int | None]


def never(_instant: int) -> None:
    """Say that no window covers an instant."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Fires that no runner was up for and that are not caught up: one row for all.

    Attributes:
        first: instant of the earliest, epoch seconds.
        last: instant of the latest.
        count: how many there are; other fires between first and last do not exist.
    """

    first: int
    last: int
    count: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What to record for one job now.

    Attributes:
        missed: the outage, or None.
        due: instants to run, ascending.
        cursor: the instant up to which every fire is now accounted for; pass it to the next
            planning. Store it in the transaction that stores the rows.
        missed_after: the rest of the outage, where the fire that is made up for is not its last:
            those after it were due in a blackout window.
    """

    missed: Missed | None
    due: tuple[int, ...]
    cursor: int
    missed_after: Missed | None = None


def plan_fires(
    schedule: Schedule,
    cursor: int,
    now: int,
    *,
    window: float,
    grace: float = 60,
    catch_up: CatchUp = CatchUp.LATEST,
    most: int = MOST_FIRES,
    closed: Closed = never,
) -> Plan:
    """Decide what becomes of the fires with ``cursor < fire <= now``.

    Fires at most ``grace`` old are due, one by one. Older ones mean that no runner was up:

    * ``latest``: the latest of them is due as well if it is at most ``window`` old and no younger
      fire is due anyway (which then stands for it); all others are missed.
    * ``all``: each that is at most ``window`` old is due; all others are missed.
    * ``none``: all are missed.

    A fire that was due in a blackout window is never made up for, and none is while a window is
    open. One at most ``grace`` old is in ``due`` all the same: the caller records it as skipped.

    The plan's cursor is ``now``, all that is due up to and including ``now`` being in the plan, or
    the last of ``most`` fires where more are due: the next plan goes on from there. A clock that
    was set back gives an empty plan and leaves the cursor where it is, so that no fire is planned
    twice.

    Args:
        schedule: the job's schedule.
        cursor: the instant accounted for last, epoch seconds: the cursor of the plan before, or
            the moment the schedule took effect.
        now: whole epoch seconds, rounded down.
        window: seconds; 0 never catches up.
        grace: seconds a fire may be late without counting as one that was missed.
        catch_up: what becomes of fires older than the grace.
        most: at most this many fires are due in one plan, at least 1.
        closed: the job's blackout windows.
    """
    if now <= cursor:
        return Plan(None, (), cursor)
    if closed(now) is not None:
        catch_up = CatchUp.NONE
    on_time = min(max(math.ceil(now - grace), cursor + 1), now + 1)
    young = on_time
    if catch_up is CatchUp.ALL:
        young = min(on_time, max(math.ceil(now - window), cursor + 1))
    due = tuple(islice(schedule.fires(young - 1, now), most))
    accounted = due[-1] if len(due) == most else now
    if catch_up is CatchUp.LATEST and all(closed(fire) is not None for fire in due):
        oldest = max(cursor + 1, math.ceil(now - window))
        latest = _latest_open(schedule, on_time, oldest, closed)
        if latest is not None:
            return Plan(
                _missed(schedule, cursor, latest - 1),
                (latest, *due),
                accounted,
                _missed(schedule, latest, on_time - 1),
            )
    return Plan(_missed(schedule, cursor, young - 1), due, accounted)


def _latest_open(schedule: Schedule, before: int, oldest: int, closed: Closed) -> int | None:
    """Return the latest fire before an instant that no window covers; windows are leapt over."""
    fire = schedule.previous(before)
    while fire is not None and fire >= oldest:
        since = closed(fire)
        if since is None:
            return fire
        fire = schedule.previous(since)
    return None


def _missed(schedule: Schedule, after: int, until: int) -> Missed | None:
    first, last = schedule.next(after), schedule.previous(until + 1)
    if first is None or last is None or first > until:
        return None
    return Missed(first, last, schedule.count(after, until))
