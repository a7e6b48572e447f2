"""What the pages of one job, one run and the settings read; bounded like ``queries``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from cronbell.clock import from_micros, to_micros
from cronbell.runlog.jobs import spec_of
from cronbell.runlog.models import Item, Job, Run, Runner
from cronbell.runlog.queries import COUNT_CAP, RUNNER_STALE, Tally, storable
from cronbell.schedule import schedule_of
from cronbell.schedule.explain import dst_notes
from cronbell.states import Status

MICROS = 1_000_000
YEAR_SECONDS = 366 * 24 * 3600
RUNNERS_SHOWN = 20
AT_WORK_SHOWN = 20
LARGEST_ID = (1 << 63) - 1
LONGEST_RECORD_ID = 255


@dataclass(frozen=True, slots=True)
class Fires:
    """When a job fires.

    Attributes:
        next: the next fires, the soonest first.
        notes: what changes of the clocks within a year do to it, a sentence for each.
    """

    next: Sequence[datetime]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Some of a run's items.

    Attributes:
        items: those of this page.
        total: how many match.
        ok: how many went well, of those the search finds.
        failed: how many did not.
        page: 1-based.
        pages: how many pages there are.
    """

    items: Sequence[Item]
    total: Tally
    ok: Tally
    failed: Tally
    page: int
    pages: int


@dataclass(frozen=True, slots=True)
class RunnerLine:
    """A runner process.

    Attributes:
        runner: its row.
        alive: whether it was seen within the last 15 seconds and has not stopped.
    """

    runner: Runner
    alive: bool


@dataclass(frozen=True, slots=True)
class AtWork:
    """What goes on.

    Attributes:
        runs: those running, the longest first.
        running: how many run in all.
        due: how many wait for a runner, available already.
        later: how many wait for their moment: a retry, jitter, or their turn.
    """

    runs: Sequence[Run]
    running: Tally
    due: Tally
    later: Tally


def job_by_id(job_id: int) -> Job | None:
    """Return a job, configured still or not; None where there is none of that number."""
    return Job.objects.filter(pk=job_id).first() if 0 < job_id <= LARGEST_ID else None


def removed_jobs(text: str, *, limit: int, skip: int) -> tuple[list[Job], Tally]:
    """Return jobs that left the configuration, by name, and how many there are.

    Args:
        text: only jobs whose name or path has this in it, whatever the case.
        limit: how many at most.
        skip: how many to leave out first.
    """
    jobs = Job.objects.filter(removed_at__isnull=False)
    if text:
        named = Q(name__icontains=text) | Q(path__icontains=text)
        jobs = jobs.filter(named) if storable(text) else jobs.none()
    return list(jobs.order_by("name")[skip : skip + limit]), Tally(jobs.count())


def job_tallies() -> dict[str, int]:
    """Return how many jobs the configuration has, and how many are paused or disabled."""
    configured = Q(removed_at__isnull=True)
    counts: dict[str, int] = Job.objects.aggregate(
        configured=Count("id", filter=configured),
        paused=Count("id", filter=configured & Q(paused_at__isnull=False)),
        disabled=Count("id", filter=configured & Q(enabled=False)),
        removed=Count("id", filter=~configured),
    )
    return counts


def fires(job: Job, now: datetime, count: int, language: str) -> Fires:
    """Return a job's next fires, as its definition has them: paused or disabled, they are skipped.

    Args:
        job: its row.
        now: fires after this.
        count: how many.
        language: of the notes.

    Raises:
        ScheduleError: the definition has no schedule that can be read.
    """
    schedule = schedule_of(spec_of(job))
    start = to_micros(now) // MICROS
    found: list[datetime] = []
    fire = schedule.next(start)
    while fire is not None and len(found) < count:
        found.append(from_micros(fire * MICROS))
        fire = schedule.next(fire)
    return Fires(found, dst_notes(schedule, start, start + YEAR_SECONDS, language))


def neighbours(run: Run) -> tuple[int | None, int | None]:
    """Return the numbers of the job's run before and after this one."""
    runs = Run.objects.filter(job_id=run.job_id)
    before = runs.filter(id__lt=run.pk).order_by("-id").values_list("id", flat=True).first()
    after = runs.filter(id__gt=run.pk).order_by("id").values_list("id", flat=True).first()
    return before, after


def items_page(run: Run, *, ok: bool | None, text: str, page: int, limit: int) -> ItemPage:
    """Return a page of a run's items, those that failed first.

    Args:
        run: the run.
        ok: only those that went well, or did not; None for all.
        text: found in the record's id or the error, whatever the case; empty for all.
        page: 1-based; past the end it is empty.
        limit: rows per page.
    """
    items = Item.objects.filter(run=run)
    if text:
        found = Q(record_id__icontains=text) | Q(error__icontains=text)
        items = items.filter(found) if storable(text) else items.none()
    well = items.filter(ok=True).count()
    failed = items.filter(ok=False).count()
    total = well + failed if ok is None else well if ok else failed
    chosen = items if ok is None else items.filter(ok=ok)
    start = (page - 1) * limit
    return ItemPage(
        items=list(chosen.order_by("ok", "id")[start : start + limit]) if start < total else [],
        total=Tally(total),
        ok=Tally(well),
        failed=Tally(failed),
        page=page,
        pages=-(-total // limit),
    )


def runners(now: datetime) -> list[RunnerLine]:
    """Return the runners seen last, those alive first."""
    known = Runner.objects.order_by("-seen_at")[:RUNNERS_SHOWN]
    lines = [
        RunnerLine(one, one.stopped_at is None and one.seen_at >= now - RUNNER_STALE)
        for one in known
    ]
    return sorted(lines, key=lambda line: not line.alive)


def at_work(now: datetime) -> AtWork:
    """Return what is running and what waits."""
    running = Run.objects.filter(status=Status.RUNNING.value)
    pending = Run.objects.filter(status=Status.PENDING.value)
    longest = running.order_by("started_at").select_related("job").defer("body")
    return AtWork(
        runs=list(longest[:AT_WORK_SHOWN]),
        running=_capped(running),
        due=_capped(pending.filter(available_at__lte=now, waits=False)),
        later=_capped(pending.filter(Q(available_at__gt=now) | Q(waits=True))),
    )


def _capped(runs: QuerySet[Run]) -> Tally:
    number = runs.order_by().values("id")[: COUNT_CAP + 1].count()
    return Tally(min(number, COUNT_CAP), capped=number > COUNT_CAP)
