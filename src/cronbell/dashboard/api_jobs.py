"""``/api/admin/jobs/NAME/pause`` and ``/resume``: what a job's page and the command line do too."""

# ruff: noqa: N815 - the fields of the schemas are named as they are on the wire
from __future__ import annotations

import logging
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Body, Router, Schema
from ninja.responses import Status as Answer
from pydantic import Field

from cronbell.clock import iso
from cronbell.dashboard.answers import (
    NOT_FOUND,
    OTHERS_THAN_BOTH,
    OTHERS_THAN_POST,
    in_service_language,
    wrong_method,
)
from cronbell.dashboard.parameters import Word
from cronbell.errors import UnknownJobError
from cronbell.runlog.models import Job
from cronbell.runlog.pausing import LONGEST_REASON, PauseError, pause, resume
from cronbell.runlog.queries import configured_job

log = logging.getLogger(__name__)


class Pausing(Schema):
    """Why a job is to be paused."""

    reason: Word = Field(
        "", description=f"for whoever finds the job paused; 1 to {LONGEST_REASON} characters"
    )


class PauseState(Schema):
    """Whether a job is paused, and then since when, why and by whom."""

    jobName: str
    paused: bool
    since: str | None
    reason: str
    by: str


ANSWERS = {200: PauseState, **NOT_FOUND}
router = Router(tags=["jobs"])


@router.get("/jobs/{job_name}/pause", response=ANSWERS, summary="Is it paused?")
@in_service_language
def read_pause(request: HttpRequest, job_name: str) -> Answer[Any]:
    """Say whether a job is paused, since when, why and by whom."""
    del request
    return _as_it_is(job_name)


@router.post("/jobs/{job_name}/pause", response=ANSWERS, summary="Pause a job")
@in_service_language
def pause_job(request: HttpRequest, job_name: str, body: Body[Pausing]) -> Answer[Any]:
    """Skip a job's fires from now on. Paused already, it keeps its moment and gets the reason."""
    who = request.user.get_username()
    try:
        job = pause(job_name, reason=body.reason, actor=who)
    except UnknownJobError:
        return _unknown(job_name)
    except PauseError:
        words = _("Say why, in at most %(most)s characters: whoever finds the job paused will ask.")
        text = words % {"most": LONGEST_REASON}
        return Answer(400, {"error": text, "details": {"reason": text}})
    log.info("%s paused the job %s", who, job_name)
    return Answer(200, _state(job))


@router.post("/jobs/{job_name}/resume", response=ANSWERS, summary="Resume a job")
@in_service_language
def resume_job(request: HttpRequest, job_name: str) -> Answer[Any]:
    """Let a job fire again. What came due meanwhile stays skipped; resumed already, it stays so."""
    try:
        resume(job_name)
    except UnknownJobError:
        return _unknown(job_name)
    except PauseError:
        log.debug("the job %s is not paused", job_name)
    else:
        log.info("%s resumed the job %s", request.user.get_username(), job_name)
    return _as_it_is(job_name)


@router.api_operation(OTHERS_THAN_BOTH, "/jobs/{job_name}/pause", include_in_schema=False)
@in_service_language
def a_pause_is_read_and_posted(request: HttpRequest, job_name: str) -> HttpResponse:
    """Refuse what else might be done with a pause."""
    del request, job_name
    return wrong_method("GET", "POST")


@router.api_operation(OTHERS_THAN_POST, "/jobs/{job_name}/resume", include_in_schema=False)
@in_service_language
def a_resume_is_posted(request: HttpRequest, job_name: str) -> HttpResponse:
    """Refuse to read what can only be asked for."""
    del request, job_name
    return wrong_method("POST")


def _as_it_is(job_name: str) -> Answer[Any]:
    job = configured_job(job_name)
    return _unknown(job_name) if job is None else Answer(200, _state(job))


def _unknown(job_name: str) -> Answer[Any]:
    return Answer(404, {"error": _("There is no such job."), "details": {"jobName": job_name}})


def _state(job: Job) -> dict[str, Any]:
    return {
        "jobName": job.name,
        "paused": job.paused_at is not None,
        "since": iso(job.paused_at) if job.paused_at else None,
        "reason": job.pause_reason,
        "by": job.paused_by,
    }
