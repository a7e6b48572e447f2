"""Four questions about all jobs at once: what fails, what is late, what is stuck, what comes next.

Each list is bounded, and says so where it had to stop. What a job's runs amount to comes from
``statistics``; here it is put beside the clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from heapq import nsmallest
from typing import Generic, TypeVar

from django.db.models import F

from cronbell.clock import MICROSECOND, from_micros, to_micros
from cronbell.domain import JobSpec
from cronbell.errors import CronbellError
from cronbell.runlog import statistics
from cronbell.runlog.jobs import spec_of
from cronbell.runlog.models import Job, Run
from cronbell.runlog.queries import RUNNER_STALE
from cronbell.runlog.statistics import Standing, Streak
from cronbell.schedule import Schedule, schedule_of
from cronbell.states import Kind, Status

SHOWN = 8
LATE = timedelta(seconds=60)
LATE_STARTS_FOR = timedelta(days=1)
MISSED_FOR = timedelta(days=7)
LATE_WINDOW = 1_000
MISSED_JUDGED = 500
JUDGED = 200
# Twice what nineteen in twenty runs take, and at least so much more: short jobs vary widely.
MUCH_LONGER = 2.0
LONGER_BY = timedelta(seconds=60)
MICROS = 1_000_000
Row = TypeVar("Row")


class Delay(StrEnum):
    """In which way something is late."""

    OVERDUE = "overdue"  # due, and not even recorded: no runner plans it
    WAITING = "waiting"  # recorded, and no runner has taken it
    MISSED = "missed"  # no runner was up; nothing of this job has run since
    LATE = "late"  # it ran, but began late


class Standstill(StrEnum):
    """In which way something does not get on by itself."""

    LEASE = "lease"  # whoever runs it has not been heard of
    DEADLINE = "deadline"  # it should have ended
    LONG = "long"  # it takes far longer than it usually does
    DEFINITION = "definition"  # the job's definition can't be read, so it never fires


@dataclass(frozen=True, slots=True)
class Failing:
    """A job whose last run failed.

    Attributes:
        job: its row.
        run: the run that failed last.
        streak: how often in a row.
    """

    job: Job
    run: Run
    streak: Streak


@dataclass(frozen=True, slots=True)
class Late:
    """Something late or missed.

    Attributes:
        job: its row.
        how: in which way.
        due: when it was due.
        by: how late it is, or was at its start; None for what was missed.
        run: its row in the log; None where it has none.
    """

    job: Job
    how: Delay
    due: datetime
    by: timedelta | None
    run: Run | None


@dataclass(frozen=True, slots=True)
class Stuck:
    """Something that does not get on by itself.

    Attributes:
        job: its row.
        how: in which way.
        run: the run; None where it is the job itself.
        since: when it began, or when it should have ended.
        usual: how long it usually takes, where that is what it is measured by.
        fault: what is wrong with a definition; else empty.
    """

    job: Job
    how: Standstill
    run: Run | None = None
    since: datetime | None = None
    usual: timedelta | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Coming:
    """A fire to come."""

    job: Job
    at: datetime


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """The first rows of a list.

    Attributes:
        rows: at most ``SHOWN``.
        more: how many are left out.
    """

    rows: Sequence[Row]
    more: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The four lists.

    Attributes:
        failing: jobs whose last run failed, the longest failing first.
        late: what is late or missed, the most pressing first.
        stuck: what does not get on by itself.
        coming: the next fires, the soonest first.
        jobs: how many jobs were looked at.
        more_jobs: whether there are more.
        paused: how many of them are paused.
    """

    failing: Listing[Failing]
    late: Listing[Late]
    stuck: Listing[Stuck]
    coming: Listing[Coming]
    jobs: int
    more_jobs: bool
    paused: int


def overview(now: datetime) -> Overview:
    """Answer the four questions.

    Args:
        now: what time it is, aware.
    """
    known, more_jobs = statistics.standings()
    plans: list[tuple[Job, JobSpec, Schedule]] = []
    faults: list[Stuck] = []
    paused = 0
    for standing in known:
        job = standing.job
        paused += job.paused_at is not None
        if not job.enabled or job.paused_at is not None or not job.schedule:
            continue
        try:
            spec = spec_of(job)
            plans.append((job, spec, schedule_of(spec)))
        except (CronbellError, KeyError, TypeError, ValueError) as error:
            words = str(error) or type(error).__name__
            faults.append(Stuck(job, Standstill.DEFINITION, fault=words))
    return Overview(
        failing=_failing(known),
        late=_listing([*_overdue(plans, now), *_waiting(now), *_missed(known, now), *_late(now)]),
        stuck=_listing([*_stuck(now), *faults]),
        coming=_coming(plans, now),
        jobs=len(known),
        more_jobs=more_jobs,
        paused=paused,
    )


def _listing(rows: Sequence[Row]) -> Listing[Row]:
    return Listing(rows[:SHOWN], max(0, len(rows) - SHOWN))


def _failing(known: Sequence[Standing]) -> Listing[Failing]:
    failing = sorted(
        (standing for standing in known if standing.failing), key=lambda one: one.succeeded
    )
    shown = _listing(failing)
    runs = _runs([standing.failed for standing in shown.rows])
    rows = [
        Failing(standing.job, runs[standing.failed], statistics.streak(standing))
        for standing in shown.rows
        if standing.failed in runs  # pruned meanwhile
    ]
    return Listing(sorted(rows, key=lambda row: row.streak.since), shown.more)


def _overdue(plans: Sequence[tuple[Job, JobSpec, Schedule]], now: datetime) -> list[Late]:
    found = []
    for job, spec, schedule in plans:
        due = schedule.next(to_micros(job.cursor_at) // MICROS)
        if due is None:
            continue
        at = from_micros(due * MICROS)
        if now - at > LATE + timedelta(seconds=spec.jitter):
            found.append(Late(job, Delay.OVERDUE, at, now - at, None))
    return sorted(found, key=lambda late: late.due)


def _waiting(now: datetime) -> Iterator[Late]:
    """Yield runs that any runner might have taken a minute ago; those behind another run wait."""
    runs = Run.objects.filter(
        status=Status.PENDING.value, available_at__lt=now - LATE, waits=False
    ).order_by("available_at")
    for run in runs.select_related("job").defer("body")[:JUDGED]:
        yield Late(run.job, Delay.WAITING, run.scheduled_at, now - run.available_at, run)


def _missed(known: Sequence[Standing], now: datetime) -> Iterator[Late]:
    numbers = sorted((standing.missed for standing in known if standing.missed), reverse=True)
    runs = _runs(numbers[:MISSED_JUDGED])
    for run in (runs[number] for number in numbers if number in runs):
        if run.finished_at is not None and now - run.finished_at <= MISSED_FOR:
            yield Late(run.job, Delay.MISSED, run.scheduled_at, None, run)


def _late(now: datetime) -> Iterator[Late]:
    """Yield, once for each job, runs among the newest that began late within the last day."""
    newest = Run.objects.order_by("-id").values("id")[:LATE_WINDOW]
    runs = Run.objects.filter(
        id__in=newest,
        kind=Kind.SCHEDULE.value,
        started_at__gt=F("scheduled_at") + LATE // MICROSECOND,
        started_at__gte=now - LATE_STARTS_FOR,
    )
    told: set[int] = set()
    for run in runs.select_related("job").defer("body").order_by("-id"):
        if run.started_at is None or run.job_id in told:
            continue
        by = run.started_at - run.scheduled_at
        if by - timedelta(seconds=float(run.job.spec.get("jitter") or 0)) > LATE:
            told.add(run.job_id)
            yield Late(run.job, Delay.LATE, run.scheduled_at, by, run)


def _stuck(now: datetime) -> Iterator[Stuck]:
    running = Run.objects.filter(status=Status.RUNNING.value).order_by("started_at")
    for run in running.select_related("job").defer("body")[:JUDGED]:
        if run.lease_expires_at is not None and run.lease_expires_at < now - RUNNER_STALE:
            yield Stuck(run.job, Standstill.LEASE, run, run.lease_expires_at)
        elif run.deadline_at < now - LATE:
            yield Stuck(run.job, Standstill.DEADLINE, run, run.deadline_at)
        elif run.started_at is not None and now - run.started_at > LONGER_BY:
            usual = statistics.usual_seconds(run.job_id)
            if usual is None:
                continue
            expected = timedelta(seconds=usual)
            if now - run.started_at > max(expected * MUCH_LONGER, expected + LONGER_BY):
                yield Stuck(run.job, Standstill.LONG, run, run.started_at, usual=expected)


def _coming(plans: Sequence[tuple[Job, JobSpec, Schedule]], now: datetime) -> Listing[Coming]:
    second = to_micros(now) // MICROS
    fires = [
        (fire, job.name, job)
        for job, _, schedule in plans
        if (fire := schedule.next(second)) is not None
    ]
    soonest = nsmallest(SHOWN, fires, key=lambda one: one[:2])
    rows = [Coming(job, from_micros(fire * MICROS)) for fire, _, job in soonest]
    return Listing(rows, len(fires) - len(rows))


def _runs(numbers: Sequence[int]) -> dict[int, Run]:
    return Run.objects.select_related("job").defer("body").in_bulk(numbers)
