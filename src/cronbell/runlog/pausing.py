"""Pausing a job and resuming it: a person's decision, kept beside the configuration.

It is read by the statement that records fires, so it holds for every runner from its commit on
and needs no reload.
"""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from cronbell.clock import SYSTEM_CLOCK, Clock, from_micros
from cronbell.errors import CronbellError, UnknownJobError
from cronbell.runlog import audit
from cronbell.runlog.early import take_back
from cronbell.runlog.models import Job
from cronbell.runlog.queries import configured_job, storable
from cronbell.runlog.router import ALIAS

LONGEST_REASON = 500


class PauseError(CronbellError):
    """A pause without a usable reason, or a resume of a job that is not paused."""

    code = "pause"


def pause(job_name: str, *, reason: str, actor: str, clock: Clock = SYSTEM_CLOCK) -> Job:
    """Skip a job's fires from now on. Paused already, it keeps its moment and gets the new reason.

    Args:
        job_name: the job.
        reason: why, for whoever finds it paused; 1 to 500 characters.
        actor: who pauses it.
        clock: what time it is.

    Raises:
        UnknownJobError: no such job in the configuration.
        PauseError: the reason is empty, too long, or no text the log can hold.
    """
    reason = reason.strip()
    if not 0 < len(reason) <= LONGEST_REASON or not storable(reason):
        raise PauseError(
            _("the reason must be text of 1 to %(most)s characters") % {"most": LONGEST_REASON},
            hint=_(
                "say why, for whoever finds the job paused: --reason “the target is being moved”"
            ),
        )
    with transaction.atomic(using=ALIAS):
        job = _configured(job_name)
        take_back([job.pk], clock)
        job.paused_at = job.paused_at or from_micros(clock.micros())
        job.pause_reason, job.paused_by = reason, actor[:150]
        _save(job)
        audit.record(audit.Action.PAUSE, "job", job.name, {"reason": reason}, by=actor)
    return job


def resume(job_name: str) -> Job:
    """Let a job fire again; fires that came due meanwhile stay skipped.

    Returns:
        The job as it was while paused.

    Raises:
        UnknownJobError: no such job in the configuration.
        PauseError: it is not paused.
    """
    with transaction.atomic(using=ALIAS):
        job = _configured(job_name)
        if job.paused_at is None:
            raise PauseError(
                _("the job %(job)r is not paused") % {"job": job_name},
                hint=_("`cronbell jobs` says which jobs are"),
            )
        _save(Job(pk=job.pk, paused_at=None, pause_reason="", paused_by=""))
        audit.record(audit.Action.RESUME, "job", job.name, {"reason": job.pause_reason})
    return job


def _save(job: Job) -> None:
    # These columns alone: a configuration that is taken over at this moment writes the others.
    Job.objects.filter(pk=job.pk).update(
        paused_at=job.paused_at, pause_reason=job.pause_reason, paused_by=job.paused_by
    )


def _configured(name: str) -> Job:
    job = configured_job(name)
    if job is None:
        raise UnknownJobError(
            _("there is no job %(job)r") % {"job": name},
            hint=_("`cronbell jobs` lists the jobs there are"),
        )
    return job
