"""What the run log says about a job for whoever must decide whether somebody is to be told.

Each answer is one look into an index, or a few rows from its end; none reads a job's history.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db.models import Max, Q

from cronbell.clock import from_micros, to_micros
from cronbell.errors import CronbellError
from cronbell.runlog.jobs import spec_of
from cronbell.runlog.models import Job, Run, Runner
from cronbell.runlog.queries import RUNNER_STALE
from cronbell.runlog.reasons import explain
from cronbell.runlog.statistics import FAILED
from cronbell.schedule import schedule_of
from cronbell.states import Kind, Status

MICROS = 1_000_000
COUNTED = 1_000
JUDGED = 500
GROWING = 3
RUNNERS = 200
# A host that has been silent for so long is taken for one that is no more.
FORGOTTEN = timedelta(days=1)
_LATER = ("body", "details")


class _Answer(msgspec.Struct):
    pending: Any = None


@dataclass(frozen=True, slots=True)
class Streak:
    """How a job's last runs went.

    Attributes:
        failures: in a row, up to ``COUNTED``.
        run: the newest that failed; None where none did since the last success.
        well: whether the newest run that was carried out went well.
    """

    failures: int
    run: Run | None
    well: bool


@dataclass(frozen=True, slots=True)
class RunnerSeen:
    """The newest runner of a host.

    Attributes:
        host: its name.
        seen: when it was last.
        stopped: whether it said that it stops.
    """

    host: str
    seen: datetime
    stopped: bool


def streak(job_id: int, *, partial: bool) -> Streak:
    """Return how a job's last runs went.

    Args:
        job_id: the job.
        partial: whether one that ended ``partial`` failed; if not, it went well.
    """
    runs = Run.objects.filter(job_id=job_id, dry_run=False, finished_at__isnull=False)
    good = [Status.SUCCESS.value] + ([] if partial else [Status.PARTIAL.value])
    bad = [status.value for status in FAILED if status.value not in good]
    succeeded = _newest(runs.filter(status__in=good), good)
    failed = runs.filter(status__in=bad, id__gt=succeeded)
    run = failed.order_by("-id").defer("body").first()
    count = failed.order_by().values("id")[:COUNTED].count() if run is not None else 0
    return Streak(count, run, well=run is None and succeeded > 0)


def _newest(runs: Any, statuses: Sequence[str]) -> int:
    # One look for each status: the index has the job's runs of each in order.
    found = [
        runs.filter(status=status).aggregate(newest=Max("id"))["newest"] for status in statuses
    ]
    return max((number for number in found if number), default=0)


def missed(job_id: int) -> Run | None:
    """Return a job's newest missed row if nothing was carried out since, else None."""
    runs = Run.objects.filter(job_id=job_id, dry_run=False, finished_at__isnull=False)
    row = runs.filter(status=Status.MISSED.value).order_by("-id").defer(*_LATER).first()
    if row is None:
        return None
    done = [Status.SUCCESS.value, Status.PARTIAL.value, *(status.value for status in FAILED)]
    return row if row.pk > _newest(runs, list(dict.fromkeys(done))) else None


def lateness(job: Job) -> tuple[Run, timedelta] | None:
    """Return a job's newest fire that began, and how late it did; None where none has.

    A heartbeat begins when it pings.
    """
    runs = Run.objects.filter(job_id=job.pk, kind=Kind.SCHEDULE.value, started_at__isnull=False)
    run = runs.order_by("-id").defer(*_LATER).first()
    if run is None or run.started_at is None:
        return None
    return run, run.started_at - run.scheduled_at - _jitter(job)


def _jitter(job: Job) -> timedelta:
    return timedelta(seconds=float(job.spec.get("jitter") or 0))


def waiting(before: datetime) -> list[Run]:
    """Return runs that any runner might have taken before an instant, the oldest first."""
    runs = Run.objects.filter(
        status=Status.PENDING.value, available_at__lt=before, waits=False, gives_way=False
    )
    return list(runs.select_related("job").defer(*_LATER).order_by("available_at")[:JUDGED])


def going_on(before: datetime) -> list[Run]:
    """Return runs that began before an instant and go on, the oldest first."""
    runs = Run.objects.filter(status=Status.RUNNING.value, started_at__lt=before)
    return list(runs.select_related("job").defer(*_LATER).order_by("started_at")[:JUDGED])


def ended(run_ids: Sequence[int]) -> set[int]:
    """Return those of the runs that go on no more."""
    going = Run.objects.filter(pk__in=run_ids, finished_at__isnull=True)
    return set(run_ids) - set(going.values_list("pk", flat=True))


def jobs_after(job_id: int, limit: int) -> list[Job]:
    """Return the next jobs in force by number, to be gone through a few at a time."""
    jobs = Job.objects.filter(
        pk__gt=job_id, removed_at__isnull=True, enabled=True, paused_at__isnull=True
    )
    return list(jobs.exclude(schedule="").order_by("pk")[:limit])


def overdue(job: Job, now: datetime) -> timedelta | None:
    """Return how long ago a fire was due that has no row; None where there is none.

    Raises:
        CronbellError: the definition can't be read.
    """
    try:
        spec = spec_of(job)
    except (KeyError, TypeError, ValueError) as error:
        raise CronbellError(f"the definition of {job.name} cannot be read: {error!r}") from error
    due = schedule_of(spec).next(to_micros(job.cursor_at) // MICROS)
    if due is None:
        return None
    late = now - from_micros(due * MICROS) - timedelta(seconds=spec.jitter)
    return late if late > timedelta(0) else None


def pending_counts(job_id: int) -> list[int]:
    """Return what the last answers of a job say is pending, the newest first; none where one of
    them says nothing.
    """  # noqa: D205 - one sentence
    done = Q(status=Status.SUCCESS.value) | Q(status=Status.PARTIAL.value)
    runs = Run.objects.filter(done, job_id=job_id, dry_run=False, finished_at__isnull=False)
    found = []
    for body in runs.order_by("-id").values_list("body", flat=True)[:GROWING]:
        try:
            pending = msgspec.json.decode(body, type=_Answer).pending
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return []
        if isinstance(pending, bool) or not isinstance(pending, int) or pending < 0:
            return []
        found.append(pending)
    return found if len(found) == GROWING else []


def runners(now: datetime) -> list[RunnerSeen]:
    """Return the newest runner of each host that was heard of within a day."""
    found: dict[str, RunnerSeen] = {}
    for row in _recent(now):
        if row.host not in found:
            found[row.host] = RunnerSeen(row.host, row.seen_at, row.stopped_at is not None)
    return list(found.values())


def _recent(now: datetime) -> Iterator[Runner]:
    rows = Runner.objects.filter(seen_at__gt=now - FORGOTTEN).order_by("-seen_at")
    yield from rows[:RUNNERS]


def last_runner() -> Runner | None:
    """Return the runner seen last, however long ago; None where there never was one."""
    return Runner.objects.order_by("-seen_at").first()


def somebody_runs(now: datetime) -> bool:
    """Say whether a runner is alive."""
    alive = Runner.objects.filter(stopped_at__isnull=True, seen_at__gte=now - RUNNER_STALE)
    return alive.exists()


def why(run: Run) -> str:
    """Return a failed run's reason and the endpoint's own words, in the language in force."""
    reason = explain(run.reason, run.reason_data) if run.reason else ""
    return ": ".join(part for part in (reason, run.details) if part)
