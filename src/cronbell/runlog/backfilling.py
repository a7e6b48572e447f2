"""Backfills: the fires of a range, each as a run of its own, recorded bit by bit by the runners.

Few runs of a backfill are pending at a time, so that a long one burdens nobody's claims and can be
paused or cancelled. The rows and the backfill's cursor are written in one transaction, under the
planners' lock: however many runners feed it, each fire gets one row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice
from pathlib import Path

from django.conf import settings
from django.db import connections, transaction
from django.db.models import Count, F
from django.utils.translation import gettext as _

from cronbell.clock import SYSTEM_CLOCK, Clock, iso, to_micros
from cronbell.domain import Delivery, JobSpec, Overlap, request_key
from cronbell.errors import CronbellError, UnknownJobError
from cronbell.runlog import audit
from cronbell.runlog.again import AgainRow, check_nonce
from cronbell.runlog.jobs import spec_of
from cronbell.runlog.models import Backfill, Job, Run
from cronbell.runlog.queries import configured_job
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import execute, fetch, lock_planning, rows_parameter
from cronbell.runlog.wakeup import poke
from cronbell.schedule import Schedule, schedule_of
from cronbell.states import ACTIVE, Kind, Status

MICROS = 1_000_000
SECOND = timedelta(seconds=1)
MOST_FIRES = 10_000
# Runs of one backfill that are pending or running at a time at most.
AHEAD = 20
OVERLAPS = (Overlap.QUEUE_ALL, Overlap.ALLOW, Overlap.SKIP)
FILLED = (Status.SUCCESS, Status.PARTIAL)


class BackfillError(CronbellError):
    """A backfill that cannot be made, or is not there, or is over."""

    code = "backfill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What to fill.

    Attributes:
        job_name: the job.
        since: the first instant, included; aware.
        until: the last instant, included; aware, not in the future.
        overlap: ``queue_all``, ``allow`` or ``skip``.
        missed_only: only fires that a missed row stands for.
    """

    job_name: str
    since: datetime
    until: datetime
    overlap: Overlap = Overlap.QUEUE_ALL
    missed_only: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """What a backfill would do: how many fires, and the first and last of them (epoch seconds)."""

    job: Job
    fires: int
    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class Filling:
    """How much of a missed row's interval a backfill has filled: distinct fires that ended well."""

    backfill: int
    filled: int
    recorded: int


def preview(wanted: Range, clock: Clock = SYSTEM_CLOCK) -> Preview:
    """Say what a backfill would do, and change nothing.

    Raises:
        UnknownJobError: no such job in the configuration.
        BackfillError: the range, the overlap or the number of fires makes no sense.
    """
    job = configured_job(wanted.job_name)
    if job is None:
        raise UnknownJobError(
            _("there is no job %(job)r") % {"job": wanted.job_name},
            hint=_("`cronbell jobs` lists the jobs there are"),
        )
    _check_range(wanted, clock)
    if not job.schedule:
        raise BackfillError(
            _("the job %(job)r has no schedule, and so no fires") % {"job": job.name},
            hint=_("`cronbell run %(job)s` runs it now") % {"job": job.name},
        )
    schedule = schedule_of(spec_of(job))
    spans = _spans(job, wanted.since, wanted.until, missed_only=wanted.missed_only)
    fires = sum(schedule.count(low, high) for low, high in spans)
    if fires > MOST_FIRES:
        raise BackfillError(
            _("%(job)s has %(n)s fires in that range; one backfill fills %(most)s")
            % {"job": job.name, "n": f"{fires:,}", "most": f"{MOST_FIRES:,}"},
            hint=_("fill a shorter range first, or only what was missed: --missed-only"),
        )
    firsts = [fire for low, high in spans for fire in islice(schedule.fires(low, high), 1)]
    lasts = [
        fire
        for low, high in spans
        if (fire := schedule.previous(high + 1)) is not None and fire > low
    ]
    return Preview(job, fires, min(firsts, default=None), max(lasts, default=None))


def start(wanted: Range, *, nonce: str, actor: str, clock: Clock = SYSTEM_CLOCK) -> Backfill:
    """Have a range filled. Asking twice with the same nonce makes one backfill.

    Args:
        wanted: what to fill.
        nonce: the id of the click or command.
        actor: who asked, for the log.
        clock: what time it is.

    Raises:
        UnknownJobError: no such job.
        BackfillError: see ``preview``; or there is nothing to fill.
        RerunError: the nonce is none.
    """
    check_nonce(nonce)
    found = preview(wanted, clock)
    if not found.fires:
        raise BackfillError(
            _("%(job)s has nothing to fill from %(since)s to %(until)s")
            % {"job": wanted.job_name, "since": iso(wanted.since), "until": iso(wanted.until)},
            hint=_("`cronbell backfill … --dry-run` says what there is"),
        )
    since = to_micros(wanted.since)
    with transaction.atomic(using=ALIAS):
        backfill, is_new = Backfill.objects.get_or_create(
            nonce=nonce,
            defaults={
                "job": found.job,
                "since": since,
                "until": to_micros(wanted.until),
                "cursor_at": _second_before(since) * MICROS,
                "overlap": wanted.overlap.value,
                "missed_only": wanted.missed_only,
                "fires": found.fires,
                "actor": actor[:150],
                "created_at": clock.micros(),
            },
        )
        if is_new:
            details = {
                "backfill": backfill.pk,
                "since": iso(wanted.since),
                "until": iso(wanted.until),
                "fires": found.fires,
                "missedOnly": wanted.missed_only,
            }
            audit.record(audit.Action.BACKFILL, "job", wanted.job_name, details, by=actor)
    poke(Path(settings.CRONBELL_DATA_DIR))
    return Backfill.objects.select_related("job").get(pk=backfill.pk)


def feed(now: int) -> int:
    """Record the next runs of every backfill that goes on; return how many.

    To be called inside a transaction of the run log.

    Args:
        now: microseconds.
    """
    going = Backfill.objects.filter(ended_at__isnull=True, paused_at__isnull=True)
    if not going.exists():
        return 0
    lock_planning(connections[ALIAS])
    made = 0
    for backfill in going.filter(job__removed_at__isnull=True).select_related("job").order_by("id"):
        made += _feed(backfill, now)
    return made


def pause(backfill_id: int, clock: Clock = SYSTEM_CLOCK) -> Backfill:
    """Record no further runs of a backfill; those that are recorded still run.

    Raises:
        BackfillError: there is none of that number, or it is over.
    """
    return _change(backfill_id, audit.Action.BACKFILL_PAUSE, paused_at=clock.micros())


def resume(backfill_id: int) -> Backfill:
    """Go on with a paused backfill where it stopped.

    Raises:
        BackfillError: there is none of that number, or it is over.
    """
    backfill = _change(backfill_id, audit.Action.BACKFILL_RESUME, paused_at=None)
    poke(Path(settings.CRONBELL_DATA_DIR))
    return backfill


def cancel(backfill_id: int, *, actor: str, clock: Clock = SYSTEM_CLOCK) -> Backfill:
    """End a backfill: its waiting runs at once, the one that is running as ``cronbell cancel``.

    Raises:
        BackfillError: there is none of that number, or it is over.
    """
    now = clock.micros()
    with transaction.atomic(using=ALIAS):
        backfill = _change(
            backfill_id, audit.Action.BACKFILL_CANCEL, ended_at=now, cancelled_by=actor[:150]
        )
        active = Run.objects.filter(
            backfill=backfill, status__in=[status.value for status in ACTIVE]
        )
        for run_id in active.values_list("id", flat=True):
            fetch(connections[ALIAS], "cancel", [now, actor[:150], now, actor[:150], run_id])
    return backfill


def fire_key(job_name: str, fire: int, nonce: str) -> str:
    """Return the idempotency key with which a backfill runs a fire (epoch seconds)."""
    return request_key(Kind.BACKFILL, job_name, f"{fire}:{nonce}")


def filled(run: Run) -> list[Filling]:
    """Say how much of a missed row backfills have filled; its own row never changes."""
    if run.status != Status.MISSED or run.missed_first_at is None:
        return []
    inside = Run.objects.filter(
        job=run.job_id,
        backfill__isnull=False,
        scheduled_at__gte=run.missed_first_at,
        scheduled_at__lte=run.scheduled_at,
    )
    counts = inside.values("backfill_id").annotate(n=Count("scheduled_at", distinct=True))
    recorded = dict(counts.values_list("backfill_id", "n"))
    well = dict(counts.filter(status__in=FILLED).values_list("backfill_id", "n"))
    return [Filling(key, well.get(key, 0), recorded[key]) for key in sorted(recorded)]


def progress(backfill: Backfill) -> dict[str, int]:
    """Return how many runs of a backfill there are by status."""
    counts = Run.objects.filter(backfill=backfill).values("status").annotate(n=Count("id"))
    return dict(counts.order_by().values_list("status", "n"))


def state_of(backfill: Backfill) -> str:
    """Return ``going on``, ``paused``, ``recorded`` (all fires have rows) or ``cancelled``."""
    if backfill.ended_at is not None:
        return "cancelled" if backfill.cancelled_by else "recorded"
    return "paused" if backfill.paused_at else "going on"


def shape(backfill: Backfill) -> dict[str, object]:
    """Return a backfill as API and command line show it."""
    return {
        "id": backfill.pk,
        "jobName": backfill.job.name,
        "since": iso(backfill.since),
        "until": iso(backfill.until),
        "overlap": backfill.overlap,
        "missedOnly": backfill.missed_only,
        "fires": backfill.fires,
        "state": state_of(backfill),
        "runs": progress(backfill),
        "actor": backfill.actor,
        "createdAt": iso(backfill.created_at),
    }


def _feed(backfill: Backfill, now: int) -> int:
    job, spec = backfill.job, spec_of(backfill.job)
    active = Run.objects.filter(
        backfill=backfill, status__in=[status.value for status in ACTIVE]
    ).count()
    room = AHEAD - active
    if room <= 0:
        return 0
    fires = list(islice(_left(backfill, schedule_of(spec)), room + 1))
    rows = [_row(backfill, job, spec, fire, active + n) for n, fire in enumerate(fires[:room])]
    if rows:
        execute(connections[ALIAS], "request_again", [now, now, now, now, rows_parameter(rows)])
    last = fires[len(rows) - 1] * MICROS if rows else to_micros(backfill.until)
    over = len(fires) <= room
    Backfill.objects.filter(pk=backfill.pk).update(
        cursor_at=last, ended_at=now if over else F("ended_at")
    )
    return len(rows)


def _left(backfill: Backfill, schedule: Schedule) -> Iterator[int]:
    since = max(backfill.since, backfill.cursor_at + SECOND)
    spans = _spans(backfill.job, since, backfill.until, missed_only=backfill.missed_only)
    return chain.from_iterable(schedule.fires(low, high) for low, high in spans)


def _row(backfill: Backfill, job: Job, spec: JobSpec, fire: int, ahead: int) -> AgainRow:
    return AgainRow(
        job_id=job.pk,
        key=fire_key(job.name, fire, backfill.nonce),
        kind=Kind.BACKFILL.value,
        dry_run=False,
        scheduled_at=fire * MICROS,
        deadline=int(spec.deadline * MICROS),
        at_most_once=spec.delivery is Delivery.AT_MOST_ONCE,
        origin_id=None,
        backfill_id=backfill.pk,
        overlap=backfill.overlap,
        ahead=ahead,
        actor=backfill.actor,
    )


def _spans(
    job: Job, since: datetime, until: datetime, *, missed_only: bool
) -> list[tuple[int, int]]:
    """Return what to fill as (after, up to) in epoch seconds, ascending and apart."""
    low, high = _second_before(to_micros(since)), to_micros(until) // MICROS
    if not missed_only:
        return [(low, high)] if low < high else []
    missed = Run.objects.filter(
        job=job,
        status=Status.MISSED.value,
        finished_at__isnull=False,
        scheduled_at__gte=since,
        missed_first_at__lte=until,
    )
    spans: list[tuple[int, int]] = []
    for first, last in missed.order_by("scheduled_at").values_list(
        "missed_first_at", "scheduled_at"
    ):
        if first is None:
            continue
        after = max(low, to_micros(first) // MICROS - 1, spans[-1][1] if spans else low)
        end = min(high, to_micros(last) // MICROS)
        if after < end:
            spans.append((after, end))
    return spans


def _second_before(micros: int) -> int:
    return -(-micros // MICROS) - 1


def _check_range(wanted: Range, clock: Clock) -> None:
    if wanted.since > wanted.until:
        raise BackfillError(_("since is after until"), hint=_("swap them"))
    if to_micros(wanted.until) > clock.micros():
        raise BackfillError(
            _("until %(until)s is in the future") % {"until": iso(wanted.until)},
            hint=_(
                "fires that are not due yet run by themselves; without --until it fills up to now"
            ),
        )
    if wanted.overlap not in OVERLAPS:
        raise BackfillError(
            _("a backfill cannot have the overlap %(overlap)s") % {"overlap": wanted.overlap.value},
            hint=_("use one of %(names)s") % {"names": ", ".join(OVERLAPS)},
        )


def _change(backfill_id: int, action: audit.Action, **values: object) -> Backfill:
    known = 0 < backfill_id < 1 << 63
    going = Backfill.objects.filter(pk=backfill_id, ended_at__isnull=True) if known else None
    with transaction.atomic(using=ALIAS):
        changed = going is not None and going.update(**values)
        found = (
            Backfill.objects.select_related("job").filter(pk=backfill_id).first() if known else None
        )
        if found is not None and changed:
            by = str(values.get("cancelled_by", ""))
            audit.record(action, "backfill", str(backfill_id), {"job": found.job.name}, by=by)
    if found is None:
        raise BackfillError(
            _("there is no backfill %(id)s") % {"id": backfill_id},
            hint=_("`cronbell backfills` lists them"),
        )
    if not changed:
        raise BackfillError(
            _("backfill %(id)s has recorded all its fires or was cancelled") % {"id": backfill_id},
            hint=_("its runs can be cancelled one by one: `cronbell cancel RUN`"),
        )
    return found
