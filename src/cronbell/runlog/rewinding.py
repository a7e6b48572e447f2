"""Takes back what a clock that was ahead has recorded of the future: cursors, outages, waits.

While a clock is ahead, fires that have not come are recorded: some run early, the others are one
``missed`` row, for it looks as if no runner had been up. When the clock is right again the cursor
is in the future, and the job would not fire until then. What ran early keeps its row and never
runs again. What nobody ran is still to come: the cursor goes back to before it, and the missed row
ends with what was missed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from django.db import connections
from django.db.models import F, OuterRef, Subquery

from cronbell.clock import to_micros
from cronbell.domain import fire_key_at
from cronbell.runlog.models import Attempt, Job, Run
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import lock_planning
from cronbell.schedule import Schedule
from cronbell.states import Kind, Reason, Status

MICROS = 1_000_000
DAY = 86_400 * MICROS
# Fires with rows of their own that are looked at; where all of these have one the look is put off:
# it comes again long before the first that may have none.
MOST_OWN = 1000
MOST_HASTENED = 500  # in one transaction; the rest at the next look


class Stranded(NamedTuple):
    """A job whose cursor is in the future; instants in microseconds.

    Attributes:
        job_id: the job.
        cursor: as the planner knows it.
        schedule: the job's.
        target: what the keys of its fires are made of.
        expression: likewise.
        over: up to here fires are past: now, but for a heartbeat the newest fire that no ping can
            answer any more.
    """

    job_id: int
    cursor: int
    schedule: Schedule
    target: str
    expression: str
    over: int


@dataclass(frozen=True, slots=True)
class Rewound:
    """What was taken back.

    Attributes:
        cursors: where they now are, in microseconds, by job: of jobs whose cursor was moved here,
            and of those where another runner had moved it.
        fires: how many that had been counted as missed are still to come.
    """

    cursors: dict[int, int]
    fires: int


def believable(now: int) -> bool:
    """Say whether a clock may be right: it is not a day before everything the log holds.

    A machine that starts without its time shows 1970 or the day it was built. A cursor that went
    back to then would make every fire since count as missed when the clock is set.
    """
    first = Job.objects.order_by("created_at").values_list("created_at", flat=True).first()
    return first is None or now > to_micros(first) - DAY


def rewind(stranded: Iterable[Stranded]) -> Rewound:
    """Let jobs fire again whose cursors are in the future.

    A job all of whose fires up to its cursor have rows of their own is left alone: there is
    nothing to wait for that is not recorded, and it is the clock of now that may be wrong.
    """
    lock_planning(connections[ALIAS])
    cursors: dict[int, int] = {}
    fires = 0
    for one in stranded:
        back = _before_unrecorded(one)
        if back is None:
            continue
        moved = Job.objects.filter(pk=one.job_id, cursor_at=one.cursor).update(cursor_at=back)
        if moved:
            cursors[one.job_id] = back
            fires += _end_outages(one) + _forget_silence(one)
        else:
            found = Job.objects.filter(pk=one.job_id).values_list("pk", "cursor_at")
            cursors |= {pk: to_micros(cursor) for pk, cursor in found}
    return Rewound(cursors, fires)


def _before_unrecorded(one: Stranded) -> int | None:
    """Return where the cursor belongs: at the last fire before the first without its own row."""
    own = (
        Run.objects.filter(
            job_id=one.job_id, kind=Kind.SCHEDULE.value,
            scheduled_at__gt=one.over, scheduled_at__lte=one.cursor,
        )
        .exclude(status=Status.MISSED.value)
        .order_by("scheduled_at")
        .values_list("scheduled_at", flat=True)[:MOST_OWN]
    )  # fmt: skip
    back, fire = one.over, one.schedule.next(one.over // MICROS)
    for seen, at in enumerate(chain(map(to_micros, own), [one.cursor + 1])):
        if fire is None or fire * MICROS > one.cursor:
            return None
        if at > fire * MICROS:
            return None if seen == MOST_OWN else back
        # A row of a definition before this one may lie between two fires.
        if at == fire * MICROS:
            back, fire = at, one.schedule.next(fire)
    return None


def _end_outages(one: Stranded) -> int:
    """Cut missed rows of the future down to what was missed; return how many fires that frees."""
    freed = 0
    rows = Run.objects.filter(
        job_id=one.job_id, kind=Kind.SCHEDULE.value, status=Status.MISSED.value,
        scheduled_at__gt=one.over, missed_first_at__isnull=False,
    )  # fmt: skip
    for run in rows:
        first = to_micros(run.missed_first_at or run.scheduled_at) // MICROS
        last = to_micros(run.scheduled_at) // MICROS
        if one.schedule.count(first - 1, last) != run.missed_count:
            continue  # of another definition of the job: these are not the fires to come
        as_read = Run.objects.filter(
            pk=run.pk, status=Status.MISSED.value, scheduled_at=run.scheduled_at
        )
        end = one.schedule.previous(one.over // MICROS + 1)
        if end is None or end < first:
            as_read.delete()
            freed += run.missed_count
            continue
        count = one.schedule.count(first - 1, end)
        as_read.update(
            scheduled_at=end * MICROS,
            missed_count=count,
            key=fire_key_at(one.target, one.expression, end),
        )
        freed += run.missed_count - count
    return freed


def _forget_silence(one: Stranded) -> int:
    """Delete the rows of fires to come that no ping had answered; return how many."""
    silent = Run.objects.filter(
        job_id=one.job_id, kind=Kind.SCHEDULE.value, status=Status.MISSED.value,
        reason=Reason.NO_PING.value, scheduled_at__gt=one.over, scheduled_at__lte=one.cursor,
    )  # fmt: skip
    ours = [
        pk
        for pk, at in silent.values_list("pk", "scheduled_at")
        # A row of a definition before this one is of another fire.
        if one.schedule.next(to_micros(at) // MICROS - 1) == to_micros(at) // MICROS
    ]
    return silent.filter(pk__in=ours).delete()[0] if ours else 0


def hasten(now: int, after: int) -> int:
    """Let runs be tried again that a clock which was ahead has put off; return how many.

    A run waits for its next try from the moment at which its last one ended. Where that moment is
    still to come, the wait begins now; so does what is left of the deadline, where the run was
    queued by that clock, too.

    Args:
        now: microseconds; nothing is done by a clock that cannot be right (``believable``).
        after: only what is later than this was written by a clock that was ahead.
    """
    hastened = 0
    ended = Attempt.objects.filter(run=OuterRef("pk")).order_by("-id").values("finished_at")[:1]
    runs = Run.objects.filter(status=Status.PENDING.value, available_at__gt=after)
    # A wait that ends before it began has been put right already.
    ahead_of_us = runs.annotate(ended=Subquery(ended)).filter(
        ended__gt=after, available_at__gte=F("ended")
    )
    found = list(ahead_of_us[:MOST_HASTENED])
    # Looked at only now, since it reads all jobs.
    if not found or not believable(now):
        return 0
    for run in found:
        ahead = to_micros(run.ended) - now
        deadline = to_micros(run.deadline_at)
        if to_micros(run.queued_at) > after:
            deadline -= ahead
        hastened += Run.objects.filter(
            pk=run.pk, status=Status.PENDING.value, available_at=run.available_at
        ).update(available_at=to_micros(run.available_at) - ahead, deadline_at=deadline)
    return hastened


def cursors_after(after: int) -> dict[int, int]:
    """Return the cursors later than an instant, by job; both in microseconds."""
    jobs = Job.objects.filter(removed_at__isnull=True, enabled=True, cursor_at__gt=after)
    return {pk: to_micros(cursor) for pk, cursor in jobs.values_list("pk", "cursor_at")}


def ahead_of(now: int, tolerance: int) -> list[tuple[str, int]]:
    """Return name and cursor (microseconds) of the jobs recorded further than ``now``.

    Args:
        now: microseconds.
        tolerance: so many microseconds do not count.
    """
    jobs = Job.objects.filter(
        removed_at__isnull=True, enabled=True, cursor_at__gt=now + tolerance
    ).order_by("-cursor_at")
    return [(job.name, to_micros(job.cursor_at)) for job in jobs.only("name", "cursor_at")]
