"""What pages and API read beside the log, with bounded cost however long the log is.

The log itself is in ``log_pages``; what both speak of is here. SQLite appends the row id to every
index, so that (job), (status) and (job, status) each give "newest first" without sorting;
PostgreSQL has the id in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from django.db import connections

from cronbell.clock import from_micros, to_micros
from cronbell.errors import CronbellError
from cronbell.runlog.job_rows import jobs_of
from cronbell.runlog.jobs import spec_of
from cronbell.runlog.models import Item, Job, LogLine, Run, Runner
from cronbell.runlog.prepared import Question, answer
from cronbell.runlog.router import ALIAS
from cronbell.schedule import schedule_of
from cronbell.schedule.heartbeats import window_at
from cronbell.states import Status

COUNT_CAP = 10_000
RUNNER_STALE = timedelta(seconds=15)
LONGEST_NAME = 600
MICROS = 1_000_000
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which runs are asked for; empty means all.

    Attributes:
        job_name: exactly this job.
        status: exactly this status.
        since: began (or, where nothing began, was due) at this instant or later.
        until: began or was due before this instant.
        text: found in the details or the job's name, whatever the case, or the run's number.
    """

    job_name: str = ""
    status: Status | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """A count that may have stopped at its cap.

    Attributes:
        number: how many, at most the cap.
        capped: whether there are more.
    """

    number: int
    capped: bool = False

    def __str__(self) -> str:
        return f"{self.number:,}+" if self.capped else f"{self.number:,}"


@dataclass(frozen=True, slots=True)
class LogPage(Generic[Row]):
    """One page of the log.

    Attributes:
        runs: newest first, each with its job; whole but for the body, or what a list shows.
        total: how many runs match in all.
        page: 1-based.
        limit: rows per page.
        pages: how many pages there are; 0 for none.
    """

    runs: Sequence[Row]
    total: Tally
    page: int
    limit: int

    @property
    def pages(self) -> int:
        """How many pages the counted rows fill."""
        return -(-self.total.number // self.limit)


class NewestRun(NamedTuple):
    """What a line says of a job's newest run.

    Attributes:
        pk: its number.
        status: its status.
    """

    pk: int
    status: str


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job as a list shows it.

    Attributes:
        job: its row.
        next_fire: when it fires next; None where it does not (disabled, or at fault).
        fault: why its next fire can't be told; empty where it can.
        last_run: its newest run; None where it never ran.
        waiting_since: of a heartbeat whose ping is due and has not come: when it was due.
    """

    job: Job
    next_fire: datetime | None
    fault: str
    last_run: NewestRun | None
    waiting_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunnerState:
    """Whether a runner is alive.

    Attributes:
        alive: one was seen within the last 15 seconds.
        seen_at: when one was last seen; None where none ever was.
        config_fault: why a running runner did not take a changed configuration over; may be empty.
    """

    alive: bool
    seen_at: datetime | None
    config_fault: str = ""


def storable(text: str) -> bool:
    """Say whether a text can be in the run log at all: no NUL, nothing that is not Unicode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def names_question(limit: int) -> Question:
    """Return what ``job_names`` asks."""
    return Question("job_names", (limit + 1,))


def job_names(limit: int) -> tuple[list[tuple[int, str]], bool]:
    """Return (id, name) of the jobs by name, at most ``limit``, and whether there are more."""
    found = answer(connections[ALIAS], names_question(limit)).rows
    rows = [(pk, name) for pk, name in found]
    return rows[:limit], len(rows) > limit


def job_id(name: str) -> int | None:
    """Return the number of the job of that name, configured still or not; None for none."""
    if not name or len(name) > LONGEST_NAME or not storable(name):
        return None
    rows = answer(connections[ALIAS], id_question(name)).rows
    return rows[0][0] if rows else None


def id_question(name: str) -> Question:
    """Return what ``job_id`` asks of a name that a job can have."""
    return Question("job_id", (name,))


def job_lines(now: datetime, *, limit: int, name_contains: str = "") -> tuple[list[JobLine], int]:
    """Return the configured jobs by name, each with its next fire and last run.

    Args:
        now: the next fire is the first after this.
        limit: how many at most.
        name_contains: only jobs whose name has this in it, whatever the case.

    Returns:
        The lines, and how many jobs there are in all.
    """
    if not storable(name_contains):
        return [], 0
    jobs = jobs_of(answer(connections[ALIAS], lines_question(limit, name_contains)))
    lines = [_line(job, now, _newest(job.last_run, job.last_status)) for job in jobs]
    return lines, jobs[0].jobs_total if jobs else 0


def lines_question(limit: int, name_contains: str = "") -> Question:
    """Return what ``job_lines`` asks."""
    pattern = f"%{connections[ALIAS].ops.prep_for_like_query(name_contains)}%"
    return Question("job_lines", (pattern, limit, pattern), named=True)


def _newest(run_id: int | None, status: str) -> NewestRun | None:
    return None if run_id is None else NewestRun(run_id, status)


def typical_durations(runs: int = 20_000) -> dict[str, float]:
    """Return how long each job's runs take, in seconds: nineteen in twenty take no longer.

    Args:
        runs: judged by at most so many of the newest runs that succeeded.
    """
    newest = (
        Run.objects.filter(status=Status.SUCCESS.value, finished_at__isnull=False)
        .order_by("-id")
        .values_list("job__name", "started_at", "finished_at")[:runs]
    )
    taken: dict[str, list[float]] = {}
    for name, started, finished in newest:
        if started is not None and finished is not None:
            taken.setdefault(name, []).append((finished - started).total_seconds())
    return {
        name: sorted(seconds)[min(len(seconds) - 1, int(0.95 * len(seconds)))]
        for name, seconds in taken.items()
    }


def configured_job(name: str) -> Job | None:
    """Return the job of that name, None where the configuration has none."""
    if not name or len(name) > LONGEST_NAME or not storable(name):
        return None
    return Job.objects.filter(name=name, removed_at__isnull=True).first()


def run_detail(run_id: int) -> Run | None:
    """Return one run with everything about it, None where there is none of that number."""
    if not 0 < run_id < 1 << 63:
        return None
    return Run.objects.select_related("job").prefetch_related("attempts").filter(pk=run_id).first()


def run_items(run: Run, limit: int) -> list[Item]:
    """Return a run's items, those that failed first, at most ``limit``."""
    return list(Item.objects.filter(run=run).order_by("ok", "id")[:limit])


def run_log_lines(run: Run, limit: int) -> list[LogLine]:
    """Return the last ``limit`` lines a run's job wrote, oldest first."""
    newest = LogLine.objects.filter(run=run).order_by("-id")[:limit]
    return list(reversed(newest))


def runner_state(now: datetime, host: str = "") -> RunnerState:
    """Return whether a runner was seen alive within the last 15 seconds.

    Args:
        now: what time it is.
        host: the machine whose runners are meant; empty for any.
    """
    since = to_micros(now - RUNNER_STALE)
    rows = answer(connections[ALIAS], runner_question(now, host)).rows
    if not rows:
        return RunnerState(alive=False, seen_at=None)
    faults = [fault for seen, stopped, fault in rows if seen >= since and stopped is None]
    return RunnerState(
        alive=bool(faults),
        seen_at=from_micros(rows[0][0]),
        config_fault=next(filter(None, faults), ""),
    )


def runner_question(now: datetime, host: str = "") -> Question:
    """Return what ``runner_state`` asks."""
    return Question("runner_state", (host, host, to_micros(now - RUNNER_STALE), host, host))


def clocks_of_runners(now: datetime) -> dict[str, int]:
    """Return by how many microseconds each live runner's clock is ahead of the store's, by name.

    Args:
        now: by the store's clock.
    """
    alive = Runner.objects.filter(stopped_at__isnull=True, seen_at__gte=now - RUNNER_STALE)
    return {f"the runner {runner.pk}": runner.clock_ahead for runner in alive}


def next_fire(job: Job, now: datetime) -> tuple[datetime | None, str]:
    """Return when a job fires next, and why that can't be told; a paused job's fires are skipped.

    Args:
        job: its row.
        now: the first fire after this is meant.

    Returns:
        The instant, None where it does not fire; and what is wrong with its definition, or empty.
    """
    try:
        return _next_fire(job, now), ""
    except (CronbellError, KeyError, TypeError, ValueError) as error:
        # One row that can't be read must not take the page with it.
        return None, str(error) or type(error).__name__


def _line(job: Job, now: datetime, last_run: NewestRun | None) -> JobLine:
    due, fault = next_fire(job, now)
    return JobLine(job, due, fault, last_run, None if fault else _waiting_since(job, now))


def _next_fire(job: Job, now: datetime) -> datetime | None:
    if not job.enabled or not job.schedule:
        return None
    spec = spec_of(job)
    after = to_micros(now)
    if spec.heartbeat:
        # A ping that came a little early has answered its fire already.
        after = max(after, to_micros(job.cursor_at))
    fire = schedule_of(spec).next(after // MICROS)
    return None if fire is None else from_micros(fire * MICROS)


def _waiting_since(job: Job, now: datetime) -> datetime | None:
    if not job.enabled or not job.spec.get("heartbeat"):
        return None
    spec, at = spec_of(job), to_micros(now)
    window = window_at(schedule_of(spec), at, spec.grace)
    if window is None or not to_micros(job.cursor_at) < window.fire <= at:
        return None
    return from_micros(window.fire)
