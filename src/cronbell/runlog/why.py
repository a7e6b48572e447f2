"""Why did it not run? Answered for any job and minute from the run log alone.

The rows say what became of a fire; the versions of the job's definition say whether it was due at
all. Where neither explains what is missing, the answer says that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice, pairwise
from typing import Any

from django.db import connections

from cronbell.clock import from_micros, to_micros
from cronbell.config.source import similar
from cronbell.domain import JobSpec
from cronbell.errors import ScheduleError, UnknownJobError
from cronbell.runlog.jobs import spec_from
from cronbell.runlog.models import Job, JobVersion, Run
from cronbell.runlog.queries import LONGEST_NAME, runner_state, storable
from cronbell.runlog.retention import removed_of
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import fetch
from cronbell.schedule import schedule_of
from cronbell.schedule.blackout import blackouts_of, window_data
from cronbell.schedule.moments import MINUTE, read_moment
from cronbell.states import Reason, Status

MICROS = 1_000_000
MOST_ROWS = 200  # of one minute; a job comes due at most sixty times in it
MOST_BY_HAND = 20
NEAR = timedelta(minutes=5)
LATE_SECONDS = 60
LOOK_BACK = 500  # rows before a skipped one, among which the run it met is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of one fire, or why there was none.

    Attributes:
        code: ``ran``, ``ran_late``, ``running``, ``pending``, ``waiting``, ``not_started``,
            ``skipped``, ``missed``, ``future``, ``future_blackout``, ``future_paused``,
            ``not_recorded``, ``no_row``, ``not_due``, ``disabled``, ``not_defined``, ``removed``.
        at: when the fire is due, epoch seconds; None where none is.
        run: its row.
        data: what the sentence names.
    """

    code: str
    at: int | None = None
    run: Run | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of time under one definition; seconds, ``after < fire <= until``.

    Attributes:
        version: the definition; None before the first.
        spec: the same, read; None where the job was not configured.
        after: when it came into force.
        until: when the next one did, None if none has.
        follower: the next one.
    """

    version: JobVersion | None
    spec: JobSpec | None
    after: int
    until: int | None
    follower: JobVersion | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The answer for one minute, ``start <= second < end``, epoch seconds.

    Attributes:
        start: its first second.
        end: the next minute's.
        findings: at least one.
        segment: the definition in force when it began.
        previous: the fire before, under that definition.
        following: the fire after.
        by_hand: runs near it that no schedule asked for.
    """

    start: int
    end: int
    findings: tuple[Finding, ...]
    segment: Segment
    previous: int | None
    following: int | None
    by_hand: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is known of a job at a time.

    Attributes:
        job: its row, of whatever name it has now.
        timezone: local times are to be shown in.
        moments: one; two for a local time that comes twice.
    """

    job: Job
    timezone: str
    moments: tuple[Moment, ...]


def why(job_name: str, time: str, now: datetime, *, timezone: str = "") -> Answer:
    """Say what became of a job at a minute, and why.

    Args:
        job_name: the job; a name it had before will do, and a job that has left the configuration.
        time: ISO 8601 with an offset or without, or ``HH:MM`` for today.
        now: what time it is.
        timezone: of a time without an offset; the job's own by default.

    Raises:
        UnknownJobError: there never was such a job.
        MomentError: the time is none.
        ScheduleError: there is no such zone.
    """
    job = _find(job_name)
    zone = timezone or job.timezone
    starts = read_moment(time, zone, to_micros(now) // MICROS)
    moments = tuple(_moment(job, start, now) for start in starts)
    return Answer(job=job, timezone=zone, moments=moments)


def _find(name: str) -> Job:
    usable = 0 < len(name) <= LONGEST_NAME and storable(name)
    job = Job.objects.filter(name=name).first() if usable else None
    if job is None and usable:
        version = JobVersion.objects.filter(name=name).order_by("-id").first()
        job = version.job if version else None
    if job is None:
        shown = name if usable else name[:40].encode("ascii", "backslashreplace").decode()
        hint = similar(shown, Job.objects.values_list("name", flat=True)) if usable else ""
        raise UnknownJobError(
            f"there is no job {shown!r}", hint=hint or "`cronbell jobs` lists the jobs there are"
        )
    return job


def _moment(job: Job, start: int, now: datetime) -> Moment:
    end = start + MINUTE
    segments = _segments(job, start, end)
    rows = _rows(job, start, end)
    found = [_of_row(run, now) for run in rows]
    accounted = {to_micros(run.scheduled_at) // MICROS for run in rows}
    spans = [
        (to_micros(run.missed_first_at) // MICROS, to_micros(run.scheduled_at) // MICROS)
        for run in rows
        if run.missed_first_at is not None
    ]
    for segment in segments:
        for fire in _fires(segment, start, end):
            if fire in accounted or any(first <= fire <= last for first, last in spans):
                continue
            found.append(_without_row(job, segment, fire, now))
    found.sort(key=lambda finding: finding.at or 0)
    first = segments[0]
    previous, following = _around(first, start, end)
    return Moment(
        start=start,
        end=end,
        findings=tuple(found) or (_none_due(first),),
        segment=first,
        previous=previous,
        following=following,
        by_hand=tuple(_by_hand(job, start, end)),
    )


def _segments(job: Job, start: int, end: int) -> list[Segment]:
    """Return the stretches a minute is made of, in order; nearly always one."""
    versions = JobVersion.objects.filter(job=job)
    before = versions.filter(at__lte=from_micros(start * MICROS)).order_by("-at", "-id").first()
    later = list(versions.filter(at__gt=from_micros(start * MICROS)).order_by("at", "id")[:MINUTE])
    chain: list[JobVersion | None] = [before, *later, None]
    result: list[Segment] = []
    for version, follower in pairwise(chain):
        after = to_micros(version.at) // MICROS if version else 0
        if result and after >= end:
            break
        result.append(
            Segment(
                version=version,
                spec=None if version is None or version.spec is None else spec_from(version.spec),
                after=after,
                until=to_micros(follower.at) // MICROS if follower else None,
                follower=follower,
            )
        )
    return result


def _fires(segment: Segment, start: int, end: int) -> list[int]:
    spec = segment.spec
    if spec is None or not spec.enabled:
        return []
    after = max(start - 1, segment.after)
    until = end - 1 if segment.until is None else min(end - 1, segment.until)
    try:
        return list(islice(schedule_of(spec).fires(after, until), MINUTE))
    except ScheduleError:  # a row of another version may hold what this one refuses
        return []


def _around(segment: Segment, start: int, end: int) -> tuple[int | None, int | None]:
    """Return the fires before and after a minute, as far as its definition was in force."""
    spec = segment.spec
    if spec is None or not spec.enabled:
        return None, None
    try:
        schedule = schedule_of(spec)
    except ScheduleError:
        return None, None
    previous, following = schedule.previous(start), schedule.next(end - 1)
    if previous is not None and previous <= segment.after:
        previous = None
    if following is not None and segment.until is not None and following > segment.until:
        following = None
    return previous, following


def _rows(job: Job, start: int, end: int) -> list[Run]:
    """Return the rows of a minute's fires, a row that stands for an outage over it included."""
    found = fetch(connections[ALIAS], "rows_from", [job.pk, start * MICROS, MOST_ROWS])
    inside = [pk for pk, scheduled_at in found if scheduled_at < end * MICROS]
    # The first one after the minute: no fire between a missed row's first and last has another.
    ids = inside + [pk for pk, _ in found[len(inside) : len(inside) + 1]]
    limit = from_micros(end * MICROS)
    rows = Run.objects.select_related("job").defer("body").filter(pk__in=ids)
    return [
        run
        for run in rows.order_by("scheduled_at")
        if (run.missed_first_at or run.scheduled_at) < limit
    ]


def _by_hand(job: Job, start: int, end: int) -> list[Run]:
    near = int(NEAR.total_seconds())
    parameters = [job.pk, (start - near) * MICROS, (end + near) * MICROS, MOST_BY_HAND]
    ids = [row[0] for row in fetch(connections[ALIAS], "rows_by_hand", parameters)]
    runs = Run.objects.select_related("job").defer("body").filter(pk__in=ids)
    return list(runs.order_by("scheduled_at", "id"))


def _of_row(run: Run, now: datetime) -> Finding:
    at = to_micros(run.scheduled_at) // MICROS
    status = Status(run.status)
    data: dict[str, Any] = {}
    if status is Status.MISSED:
        code = "missed"
    elif status is Status.SKIPPED and run.started_at is None:
        code, data = "skipped", dict(run.reason_data)
        if run.reason == Reason.OVERLAP:
            met = _met(run)
            data |= {} if met is None else {"run": met}
    elif status is Status.RUNNING:
        code = "running"
    elif status is Status.PENDING:
        code = "waiting" if run.waits else "pending"
        data = {"runner": runner_state(now).alive, "again": run.available_at > now}
    elif run.started_at is None:
        code = "not_started"
    else:
        code = "ran"
    if run.started_at is not None:
        late = (_began(run, run.started_at) - run.scheduled_at).total_seconds()
        data["lateSeconds"] = late
        # A job that is spread by jitter is not late for it.
        if code == "ran" and late > LATE_SECONDS + float(run.job.spec.get("jitter", 0)):
            code = "ran_late"
    return Finding(code=code, at=at, run=run, data=data)


def _began(run: Run, started_at: datetime) -> datetime:
    """Return when a run was first tried; its own column is of the try that ended it."""
    if run.lease_term <= 1:
        return started_at
    first = run.attempts.order_by("id").first()
    return started_at if first is None else min(first.started_at, started_at)


def _met(skipped: Run) -> int | None:
    """Return the run that a fire met still going on."""
    earlier = Run.objects.filter(job_id=skipped.job_id, pk__lt=skipped.pk).order_by("-id")
    going = [
        (run.started_at is None, -run.pk, run.pk)
        for run in earlier.only("started_at", "finished_at", "status")[:LOOK_BACK]
        if run.status not in {Status.SKIPPED, Status.MISSED}
        and (run.finished_at is None or run.finished_at > skipped.queued_at)
    ]
    return min(going)[2] if going else None


def _without_row(job: Job, segment: Segment, fire: int, now: datetime) -> Finding:
    second = to_micros(now) // MICROS
    if fire > second:
        return _future(job, segment, fire)
    if segment.until is None and fire * MICROS > to_micros(job.cursor_at):
        state = runner_state(now)
        seen = None if state.seen_at is None else to_micros(state.seen_at) // MICROS
        return Finding(code="not_recorded", at=fire, data={"runner": state.alive, "seen": seen})
    oldest = Run.objects.filter(job=job).order_by("id").first()
    kept = None if oldest is None else oldest.missed_first_at or oldest.scheduled_at
    data: dict[str, Any] = {}
    removed = removed_of(job.pk, fire * MICROS)
    if removed:
        # Ended, counted and of that day: the roll-up knows how many, the rows are gone.
        return Finding(code="no_row", at=fire, data={"removed": removed})
    if kept is None or to_micros(kept) // MICROS > fire:
        data["oldest"] = None if kept is None else to_micros(kept) // MICROS
    after = fetch(connections[ALIAS], "rows_from", [job.pk, fire * MICROS, 1])
    if segment.until is not None and not (after and after[0][1] <= segment.until * MICROS):
        # Nothing was recorded between the fire and the change: the cursor had not got so far.
        data["changed"] = segment.until
    return Finding(code="no_row", at=fire, data=data)


def _future(job: Job, segment: Segment, fire: int) -> Finding:
    if job.paused_at is not None:
        paused = {"reason": job.pause_reason, "by": job.paused_by}
        return Finding(code="future_paused", at=fire, data=paused)
    spec = segment.spec
    blackouts = blackouts_of(spec) if spec is not None else None
    window = blackouts.covering(fire) if blackouts is not None else None
    if spec is not None and window is not None:
        data = window_data(window, spec.timezone)
        return Finding(code="future_blackout", at=fire, data=data)
    return Finding(code="future", at=fire)


def _none_due(segment: Segment) -> Finding:
    if segment.version is None:
        return Finding(code="not_defined", data={"until": segment.until})
    if segment.spec is None:
        return Finding(code="removed", data={"since": segment.after, "until": segment.until})
    if not segment.spec.enabled:
        return Finding(code="disabled", data={"since": segment.after, "until": segment.until})
    return Finding(code="not_due")
