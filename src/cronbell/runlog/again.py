"""Doing runs again: one (rerun), many that ended badly (replay), each with a row of its own.

A rerun has a key of its own, so that the endpoint works again, and points to the run it repeats.
It is sent with that run's due instant. It waits its turn behind every other run of its job.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import connections, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from cronbell.clock import SYSTEM_CLOCK, Clock, to_micros
from cronbell.domain import Delivery, Overlap, request_key
from cronbell.errors import CronbellError, UnknownJobError
from cronbell.runlog import audit
from cronbell.runlog.jobs import spec_of
from cronbell.runlog.models import Job, Run
from cronbell.runlog.queries import configured_job
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import execute, lock_planning, rows_parameter
from cronbell.runlog.wakeup import poke
from cronbell.states import ACTIVE, FINAL, Kind, Reason, Status, is_final

MICROS = 1_000_000
LARGEST_ID = (1 << 63) - 1
LONGEST_NONCE = 64
MOST_REPLAYED = 1_000
CHUNK = 100
REPLAYED = (Status.ERROR, Status.TIMED_OUT)
# Ends before the first byte of a request was written: doing it again is doing it once.
NEVER_SENT = (Reason.CONNECT, Reason.DNS, Reason.JOB_REMOVED, Reason.OVERLAP, Reason.PAUSED)
GONE_ON_OR_WELL = sorted({*ACTIVE, Status.SUCCESS, Status.PARTIAL})


class RerunError(CronbellError):
    """A run that cannot be done again, or a choice of runs that makes no sense."""

    code = "rerun"


class AgainRow(NamedTuple):
    """One row to record; instants in microseconds. See ``sql/request_again.sql``."""

    job_id: int
    key: str
    kind: str
    dry_run: bool
    scheduled_at: int
    deadline: int
    at_most_once: bool
    origin_id: int | None
    backfill_id: int | None
    overlap: str
    ahead: int
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which runs a replay is to do again.

    Attributes:
        job_name: of this job; empty for all jobs.
        statuses: with one of these.
        since: due at this instant or later.
        until: due before this instant.
        limit: the oldest so many, 1 to 1,000.
        at_most_once: runs too that may be sent only once and whose request may have been sent.
    """

    job_name: str = ""
    statuses: tuple[Status, ...] = REPLAYED
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100
    at_most_once: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What a replay would do again.

    Attributes:
        runs: oldest first, each with its job.
        more: whether the limit left some out.
        left_out: how many were left out since their request may be sent only once.
    """

    runs: list[Run]
    more: bool
    left_out: int


def rerun(run_id: int, *, nonce: str, actor: str, clock: Clock = SYSTEM_CLOCK) -> Run:
    """Do one run again, whatever its delivery: whoever names it takes it upon himself.

    Args:
        run_id: the run.
        nonce: the id of the click or command; the same one again makes no second run.
        actor: who asked, for the log.
        clock: what time it is.

    Returns:
        The new run.

    Raises:
        RerunError: there is no such run, it still goes on, it stands for several fires, its job
            left the configuration, or the nonce is none.
    """
    check_nonce(nonce)
    known = 0 < run_id <= LARGEST_ID
    run = Run.objects.select_related("job").filter(pk=run_id).first() if known else None
    if run is None:
        raise RerunError(
            _("there is no run %(id)s") % {"id": run_id},
            hint=_("`cronbell runs` lists the newest"),
        )
    _check(run)
    row = _row(run, nonce, actor, 0, _overlap(run.job))

    def note(_made: int) -> None:
        new = Run.objects.values_list("id", flat=True).get(key=row.key)
        details = {"job": run.job.name, "run": new}
        audit.record(audit.Action.RERUN, "run", str(run_id), details, by=actor)

    record([row], clock, note)
    return Run.objects.select_related("job").get(key=row.key)


def find(chosen: Chosen) -> Found:
    """Say which runs a replay would do again, and change nothing.

    Raises:
        UnknownJobError: no such job in the configuration.
        RerunError: the limit, the range or a status makes no sense.
    """
    _check_choice(chosen)
    runs = _matching(chosen)
    may = runs if chosen.at_most_once else runs.exclude(_sent_once())
    found = list(may.select_related("job").order_by("id")[: chosen.limit + 1])
    left_out = 0 if chosen.at_most_once else runs.filter(_sent_once()).count()
    return Found(found[: chosen.limit], len(found) > chosen.limit, left_out)


def replay(
    runs: Sequence[Run],
    *,
    nonce: str,
    actor: str,
    overlap: Overlap | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> int:
    """Do the runs that ``find`` gave again; return how many rows that made.

    Args:
        runs: with their jobs.
        nonce: the id of the click or command.
        actor: who asked.
        overlap: ``queue_all`` (one after the other), ``allow`` or ``skip``; by default
            ``queue_all``, and ``allow`` for jobs whose own overlap is that.
        clock: what time it is.
    """
    check_nonce(nonce)
    made = 0
    for start in range(0, len(runs), CHUNK):
        ahead: dict[int, int] = {}
        rows = []
        for run in runs[start : start + CHUNK]:
            before = ahead.get(run.job_id, 0)
            rows.append(_row(run, nonce, actor, before, overlap or _overlap(run.job)))
            ahead[run.job_id] = before + 1
        numbers = [run.pk for run in runs[start : start + CHUNK]]
        made += record(rows, clock, partial(_note_replay, numbers, actor))
    return made


def _note_replay(runs: list[int], actor: str, made: int) -> None:
    details = {"made": made, "runs": runs}
    audit.record(audit.Action.REPLAY, "runs", f"{runs[0]}-{runs[-1]}", details, by=actor)


def record(rows: Sequence[AgainRow], clock: Clock, note: Callable[[int], None]) -> int:
    """Write rows in one transaction and wake the runners; return how many are new.

    Args:
        rows: what to write.
        clock: what time it is.
        note: has the audit told, in the same transaction, how many rows are new; not if none is.
    """
    now = clock.micros()
    with transaction.atomic(using=ALIAS):
        connection = connections[ALIAS]
        lock_planning(connection)
        made = execute(connection, "request_again", [now, now, now, now, rows_parameter(rows)])
        if made > 0:
            note(made)
    poke(Path(settings.CRONBELL_DATA_DIR))
    return made


def check_nonce(nonce: str) -> None:
    """See that the id of a click can be one.

    Raises:
        RerunError: it is empty, too long, or not plain text.
    """
    if not (0 < len(nonce) <= LONGEST_NONCE and nonce.isascii() and nonce.isprintable()):
        raise RerunError(
            _("the nonce must be 1 to %(most)s printable ASCII characters")
            % {"most": LONGEST_NONCE},
            hint=_("use a random text, made anew for each click"),
        )


def rerun_key(run: Run, nonce: str) -> str:
    """Return the key of the run that does ``run`` again, for the click ``nonce``."""
    return request_key(Kind.RERUN, run.job.name, f"{run.key}:{nonce}")


def _check(run: Run) -> None:
    if not is_final(Status(run.status)):
        raise RerunError(
            _("run %(id)s still goes on: %(status)s")
            % {"id": run.pk, "status": run.get_status_display()},
            hint=_("wait for its end, or `cronbell cancel %(id)s` first") % {"id": run.pk},
        )
    if run.missed_count > 1:
        raise RerunError(
            _("run %(id)s stands for %(n)s fires that were missed")
            % {"id": run.pk, "n": run.missed_count},
            hint=_("fill them fire by fire: `cronbell backfill JOB --since … --missed-only`"),
        )
    if run.job.removed_at is not None:
        raise RerunError(
            _("the job %(job)r is not in the configuration any more") % {"job": run.job.name},
            hint=_("`cronbell jobs` lists the jobs there are"),
        )


def _overlap(job: Job) -> Overlap:
    return Overlap.ALLOW if spec_of(job).overlap is Overlap.ALLOW else Overlap.QUEUE_ALL


def _row(run: Run, nonce: str, actor: str, ahead: int, overlap: Overlap) -> AgainRow:
    spec = spec_of(run.job)
    return AgainRow(
        job_id=run.job_id,
        key=rerun_key(run, nonce),
        kind=Kind.RERUN.value,
        dry_run=run.dry_run,
        scheduled_at=to_micros(run.scheduled_at),
        deadline=int(spec.deadline * MICROS),
        at_most_once=spec.delivery is Delivery.AT_MOST_ONCE,
        origin_id=run.pk,
        backfill_id=None,
        overlap=overlap.value,
        ahead=ahead,
        actor=actor[:150],
    )


def _check_choice(chosen: Chosen) -> None:
    if chosen.job_name and configured_job(chosen.job_name) is None:
        raise UnknownJobError(
            _("there is no job %(job)r") % {"job": chosen.job_name},
            hint=_("`cronbell jobs` lists the jobs there are"),
        )
    if not 1 <= chosen.limit <= MOST_REPLAYED:
        raise RerunError(
            _("the limit %(limit)s is not from 1 to %(most)s")
            % {"limit": chosen.limit, "most": f"{MOST_REPLAYED:,}"},
            hint=_("replay in several steps: what was done again is left out the next time"),
        )
    if not chosen.statuses or not set(chosen.statuses) <= FINAL:
        raise RerunError(
            _("only runs that are over can be replayed"),
            hint=_("name statuses among %(names)s") % {"names": ", ".join(sorted(FINAL))},
        )
    if chosen.since and chosen.until and chosen.since >= chosen.until:
        raise RerunError(_("since is not before until"), hint=_("swap them"))


def _matching(chosen: Chosen) -> QuerySet[Run]:
    again = Run.objects.filter(
        origin=OuterRef("pk"), origin__isnull=False, status__in=GONE_ON_OR_WELL
    )
    runs = Run.objects.filter(
        status__in=chosen.statuses,
        finished_at__isnull=False,
        missed_count__lte=1,
        job__removed_at__isnull=True,
    ).exclude(Exists(again))
    if chosen.job_name:
        runs = runs.filter(job__name=chosen.job_name)
    if chosen.since is not None:
        runs = runs.filter(scheduled_at__gte=chosen.since)
    if chosen.until is not None:
        runs = runs.filter(scheduled_at__lt=chosen.until)
    return runs


def _sent_once() -> Q:
    return Q(at_most_once=True) & ~Q(reason__in=NEVER_SENT) & Q(started_at__isnull=False)
