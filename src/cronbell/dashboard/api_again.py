"""``/api/admin/runs/…`` and ``/api/admin/backfills``: cancel, rerun and backfill."""

# ruff: noqa: N815 - the fields of the schemas are named as they are on the wire
from __future__ import annotations

import secrets
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Body, Router, Schema
from ninja.responses import Status as Answer
from pydantic import Field

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.answers import (
    NOT_FOUND,
    OTHERS_THAN_BOTH,
    OTHERS_THAN_POST,
    REFUSALS,
    in_service_language,
    wrong_method,
)
from cronbell.dashboard.api_access import allowed
from cronbell.dashboard.parameters import Instant, Word
from cronbell.dashboard.scopes import Scope
from cronbell.domain import Overlap
from cronbell.errors import CronbellError
from cronbell.runlog import again, backfilling
from cronbell.runlog.cancelling import cancel
from cronbell.runlog.models import Backfill, Run
from cronbell.runlog.queries import configured_job
from cronbell.runlog.shape import log_row

SHOWN = 50
Nonce = Annotated[str, Field(max_length=again.LONGEST_NONCE, pattern=r"^[!-~]*$")]


class Rerun(Schema):
    """Which click this is."""

    nonce: Nonce = Field("", description="the same one again makes no second run")


class NewBackfill(Schema):
    """What to fill; both ends are included."""

    jobName: Word = ""
    since: Instant = Field(None, description="UTC if no offset")
    until: Instant = Field(None, description="now, unless given")
    overlap: Overlap = Field(Overlap.QUEUE_ALL, description="queue_all, allow or skip")
    missedOnly: bool = Field(default=False, description="only fires that a missed row stands for")
    nonce: Nonce = Field("", description="the same one again makes no second backfill")


router = Router(tags=["runs"])


@router.post(
    "/runs/{int:run_id}/rerun",
    response={200: dict[str, Any], **NOT_FOUND},
    auth=allowed(Scope.RUN),
)
@in_service_language
def rerun_run(request: HttpRequest, run_id: int, body: Body[Rerun]) -> Answer[Any]:
    """Do a run once more, under a key of its own."""
    nonce = body.nonce or secrets.token_urlsafe(16)
    try:
        run = again.rerun(run_id, nonce=nonce, actor=request.user.get_username())
    except CronbellError as error:
        return _refused("run_id", error)
    return Answer(200, log_row(run))


@router.post(
    "/runs/{int:run_id}/cancel",
    response={200: dict[str, Any], **NOT_FOUND},
    auth=allowed(Scope.RUN),
)
@in_service_language
def cancel_run(request: HttpRequest, run_id: int) -> Answer[Any]:
    """Cancel a run: at once where it waits, else its runner drops the call within a second."""
    try:
        run: Run = cancel(run_id, actor=request.user.get_username())
    except CronbellError as error:
        return _refused("run_id", error)
    return Answer(200, log_row(run) | {"cancelRequested": True})


@router.get("/backfills", response={200: dict[str, Any], **REFUSALS})
@in_service_language
def list_backfills(request: HttpRequest) -> dict[str, Any]:
    """List the newest backfills and how far each is."""
    del request
    newest = Backfill.objects.select_related("job").order_by("-id")[:SHOWN]
    return {"backfills": [backfilling.shape(one) for one in newest]}


@router.post("/backfills", response={200: dict[str, Any], **REFUSALS})
@in_service_language
def start_backfill(request: HttpRequest, body: Body[NewBackfill]) -> Answer[Any]:
    """Run a job for every fire of its schedule in a range of the past; 10,000 at most."""
    if configured_job(body.jobName) is None:
        details = {"jobName": _("must be a job's name")}
        return Answer(400, {"error": _("This job is not supported."), "details": details})
    if body.since is None:
        text = _("must be a date or time such as 2026-11-22T09:00:00Z")
        return Answer(400, {"error": f"since: {text}", "details": {"since": text}})
    wanted = backfilling.Range(
        job_name=body.jobName,
        since=body.since,
        until=body.until or SYSTEM_CLOCK.now(),
        overlap=body.overlap,
        missed_only=body.missedOnly,
    )
    nonce = body.nonce or secrets.token_urlsafe(16)
    try:
        made = backfilling.start(wanted, nonce=nonce, actor=request.user.get_username())
    except CronbellError as error:
        return _refused("overlap" if "overlap" in error.message else "since", error)
    return Answer(200, backfilling.shape(made))


@router.post("/backfills/{int:backfill_id}/{word}", response={200: dict[str, Any], **NOT_FOUND})
@in_service_language
def change_backfill(request: HttpRequest, backfill_id: int, word: str) -> Answer[Any]:
    """Pause, resume or cancel a backfill (``word``)."""
    try:
        match word:
            case "pause":
                changed = backfilling.pause(backfill_id)
            case "resume":
                changed = backfilling.resume(backfill_id)
            case "cancel":
                changed = backfilling.cancel(backfill_id, actor=request.user.get_username())
            case _:
                return Answer(400, {"error": "word: pause, resume, cancel", "details": None})
    except CronbellError as error:
        return _refused("backfill_id", error)
    return Answer(200, backfilling.shape(changed))


@router.api_operation(OTHERS_THAN_POST, "/runs/{int:run_id}/rerun", include_in_schema=False)
@router.api_operation(OTHERS_THAN_POST, "/runs/{int:run_id}/cancel", include_in_schema=False)
@in_service_language
def a_change_is_posted(request: HttpRequest, run_id: int) -> HttpResponse:
    """Refuse to read what can only be asked for."""
    del request, run_id
    return wrong_method("POST")


@router.api_operation(OTHERS_THAN_BOTH, "/backfills", include_in_schema=False)
@in_service_language
def backfills_are_read_and_posted(request: HttpRequest) -> HttpResponse:
    """Refuse what else might be done with backfills."""
    del request
    return wrong_method("GET", "POST")


@router.api_operation(
    OTHERS_THAN_POST, "/backfills/{int:backfill_id}/{word}", include_in_schema=False
)
@in_service_language
def a_backfills_change_is_posted(request: HttpRequest, backfill_id: int, word: str) -> HttpResponse:
    """Refuse to read what can only be asked for."""
    del request, backfill_id, word
    return wrong_method("POST")


def _refused(field: str, error: CronbellError) -> Answer[Any]:
    details = {field: error.message, "hint": error.hint}
    return Answer(400, {"error": error.message, "details": details})
