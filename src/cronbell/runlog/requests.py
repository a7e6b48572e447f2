"""Asking for a run by hand, and waiting for it: what "run now" does on page, API and terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from django.conf import settings
from django.db import connections, transaction
from django.utils.translation import gettext as _

from cronbell.clock import SYSTEM_CLOCK, Clock
from cronbell.domain import Delivery, JobSpec, Overlap, request_key
from cronbell.errors import CronbellError, UnknownJobError
from cronbell.runlog import audit
from cronbell.runlog.early import take_back
from cronbell.runlog.jobs import spec_of
from cronbell.runlog.models import Job, Run
from cronbell.runlog.parameters import checked
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import execute
from cronbell.runlog.wakeup import poke
from cronbell.states import Kind, Status, is_final

NONE_CHOSEN: Mapping[str, str] = MappingProxyType({})
FIRST_LOOK_SECONDS = 0.02
SLOWEST_LOOK_SECONDS = 0.25


class DryRunError(CronbellError):
    """A dry run of a job whose endpoint is not known to honour one."""

    code = "dry-run"


class HeartbeatRunError(CronbellError):
    """A run was asked for of a job that Cronbell does not call."""

    code = "heartbeat-run"


def request_run(
    job_name: str,
    *,
    nonce: str,
    actor: str,
    dry_run: bool = False,
    parameters: Mapping[str, str] = NONE_CHOSEN,
    clock: Clock = SYSTEM_CLOCK,
) -> int:
    """Record that a run was asked for and wake the runners.

    Args:
        job_name: the job.
        nonce: the id of the click or command; asking twice with the same one makes one run.
        actor: who asked, for the log.
        dry_run: ask the endpoint to say what it would do and do nothing.
        parameters: what was chosen of those the job declares.
        clock: what time it is.

    Returns:
        The run's id. Where the job's previous run still goes on the run is there too: skipped,
        waiting, or in its place, as the job's overlap says.

    Raises:
        UnknownJobError: no such job in the configuration.
        HeartbeatRunError: the job is a heartbeat, which runs elsewhere.
        DryRunError: the job does not declare ``dry_run = true``.
        ParameterError: see ``parameters.checked``.
    """
    job, spec = _asked_for(job_name, dry_run=dry_run)
    chosen = checked(spec, parameters)
    key = request_key(Kind.RUN_NOW, job.name, nonce)
    now = clock.micros()
    deadline = now + int(spec.deadline * 1_000_000)
    overlap = spec.overlap
    if dry_run and overlap is Overlap.CANCEL_RUNNING:
        # What does nothing must not end what does something.
        overlap = Overlap.SKIP
    with transaction.atomic(using=ALIAS):
        connection = connections[ALIAS]
        take_back([job.pk], clock)
        known = Run.objects.filter(key=key).exists()
        if overlap is Overlap.CANCEL_RUNNING:
            execute(connection, "replace_by_request", [now, job.pk, key])
        execute(
            connection,
            "request_run",
            [
                overlap.value, job.name, key, Kind.RUN_NOW.value, dry_run,
                now, now, now, now, deadline,
                spec.delivery is Delivery.AT_MOST_ONCE, actor[:150],
                json.dumps(chosen) if chosen else None,
            ],
        )  # fmt: skip
        run_id: int = Run.objects.values_list("id", flat=True).get(key=key)
        if not known:
            details = {"run": run_id, "dryRun": dry_run, "parameters": chosen}
            audit.record(audit.Action.RUN_NOW, "job", job.name, details, by=actor)
    poke(Path(settings.CRONBELL_DATA_DIR))
    return run_id


def _asked_for(job_name: str, *, dry_run: bool) -> tuple[Job, JobSpec]:
    job = Job.objects.filter(name=job_name, removed_at__isnull=True).first()
    if job is None:
        raise UnknownJobError(
            _("there is no job %(job)r") % {"job": job_name},
            hint=_("`cronbell jobs` lists the jobs there are"),
        )
    spec = spec_of(job)
    if spec.heartbeat:
        raise HeartbeatRunError(
            _("the job %(job)r is a heartbeat: Cronbell waits for its pings and cannot run it")
            % {"job": job_name},
            hint=_("run it where it lives; it pings from there"),
        )
    if dry_run and not spec.dry_run:
        raise DryRunError(
            _("the job %(job)r does not declare a dry run") % {"job": job_name},
            hint=_(
                "if its endpoint honours the header X-Cronbell-Dry-Run, say so in cronbell.toml:"
                " [jobs.%(job)s] dry_run = true"
            )
            % {"job": job_name},
        )
    return job, spec


def wait_for(run_id: int, timeout: float, clock: Clock = SYSTEM_CLOCK) -> Run:
    """Wait until a run is over, for at most ``timeout`` seconds.

    Returns:
        The run's row as it last was: final, or not if the time ran out.
    """
    give_up = clock.monotonic() + timeout
    pause = FIRST_LOOK_SECONDS
    while True:
        run = Run.objects.select_related("job").get(pk=run_id)
        left = give_up - clock.monotonic()
        if is_final(Status(run.status)) or left <= 0:
            return run
        clock.sleep(min(pause, left))
        pause = min(pause * 1.5, SLOWEST_LOOK_SECONDS)
