"""The JSON API under ``/api/admin/``: the log and run now; drains are in ``drains_api``.

Shapes are those of SPEC sections 8 and 11; every error is ``{"error": …}``, with ``details`` where
there is more to say. Messages are in the service's language, whoever calls.
"""

# ruff: noqa: N815 - the fields of the schemas are named as they are on the wire
from __future__ import annotations

import json
import logging
import secrets
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Body, NinjaAPI, Query, Router, Schema
from ninja.errors import HttpError, ValidationError
from ninja.responses import Status as Answer
from pydantic import ConfigDict, Field

from cronbell import __version__
from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard import converters as _converters  # noqa: F401 - addresses need them
from cronbell.dashboard.alerts_api import router as alerts_router
from cronbell.dashboard.answers import (
    EVERY_METHOD,
    OTHERS_THAN_GET,
    OTHERS_THAN_POST,
    REFUSALS,
    ErrorAnswer,
    in_service_language,
)
from cronbell.dashboard.api_access import allowed
from cronbell.dashboard.api_again import router as again_router
from cronbell.dashboard.api_audit import router as audit_router
from cronbell.dashboard.api_jobs import router as jobs_router
from cronbell.dashboard.drains_api import router as drains_router
from cronbell.dashboard.log_shape import LogRow
from cronbell.dashboard.parameters import LogParameters, problems
from cronbell.dashboard.scopes import Scope
from cronbell.dashboard.why_shape import WhyAnswer, WhyParameters
from cronbell.dashboard.words import details_value, failure_text, not_run_here
from cronbell.errors import ScheduleError, UnknownJobError
from cronbell.runlog import queries
from cronbell.runlog.log_pages import log_before, log_page
from cronbell.runlog.models import Run
from cronbell.runlog.parameters import ParameterError
from cronbell.runlog.requests import DryRunError, request_run, wait_for
from cronbell.runlog.shape import log_row
from cronbell.runlog.why import why
from cronbell.runlog.why_words import as_dict
from cronbell.schedule.moments import MomentError
from cronbell.states import Status, is_final

logger = logging.getLogger(__name__)

WAIT_SECONDS = 60.0
SUCCEEDED = frozenset({Status.SUCCESS.value, Status.PARTIAL.value})


class Pagination(Schema):
    """Where in the list this page is.

    ``total`` is exact but for a range of time together with a job, or where no runner counts: there
    it stops at 10,000; pages beyond that are answered all the same.
    """

    total: int
    page: int
    limit: int
    pages: int


class LogAnswer(Schema):
    """A page of the log, newest first."""

    logs: list[LogRow]
    pagination: Pagination


class RunNow(Schema):
    """Which job to run; what else a caller wants to say about the call is refused."""

    model_config = ConfigDict(extra="forbid")

    jobName: str = Field("", description="the job's name")
    dryRun: bool = Field(default=False, description="say what would be done, change nothing")
    parameters: dict[str, str] = Field({}, description="what is chosen of the job's parameters")


class RunAnswer(Schema):
    """A run that ended well; ``details`` is the endpoint's answer."""

    success: bool
    message: str
    details: Any


class RunGoesOn(Schema):
    """A run that had not ended after a minute; ask ``cron-logs`` for its end."""

    success: bool
    message: str
    runId: int
    status: Status


api = NinjaAPI(
    title="Cronbell",
    version=__version__,
    description="The log of cron runs, and run now, for administrators.",
    urls_namespace="cronbell-api",
    auth=allowed(),
    docs_url=None,
    openapi_url=None,
)


@api.get("/cron-logs", response={200: LogAnswer, **REFUSALS}, summary="The log", tags=["runs"])
@in_service_language
def cron_logs(request: HttpRequest, wanted: Query[LogParameters]) -> dict[str, Any]:
    """List runs, newest first. Deep pages are reached faster with ``cursor`` than ``page``."""
    del request
    if wanted.cursor is None:
        page = log_page(wanted.wanted(), page=wanted.page, limit=wanted.limit)
    else:
        page = log_before(wanted.wanted(), cursor=wanted.cursor, limit=wanted.limit)
    return {
        "logs": [log_row(run) for run in page.runs],
        "pagination": {
            "total": page.total.number,
            "page": page.page,
            "limit": page.limit,
            "pages": page.pages,
        },
    }


@api.get(
    "/why",
    response={200: WhyAnswer, **REFUSALS, 404: ErrorAnswer},
    by_alias=True,
    summary="Why did it not run?",
    tags=["runs"],
)
@in_service_language
def why_at(request: HttpRequest, wanted: Query[WhyParameters]) -> Answer[dict[str, Any]]:
    """Say what became of a job at a minute. Two answers where the local time comes twice."""
    del request
    try:
        answer = why(wanted.job, wanted.at, SYSTEM_CLOCK.now(), timezone=wanted.timezone)
    except UnknownJobError as error:
        return Answer(404, {"error": _("There is no such job."), "details": str(error)})
    except MomentError as error:
        text = _("must be a date or time such as 2026-11-22T09:00:00Z")
        return Answer(400, {"error": f"at: {text}", "details": str(error)})
    except ScheduleError as error:
        text = _("must be a time zone such as Asia/Seoul")
        return Answer(400, {"error": f"timezone: {text}", "details": str(error)})
    return Answer(200, as_dict(answer))


@api.post(
    "/run-cron-job",
    response={
        200: RunAnswer,
        202: RunGoesOn,
        **REFUSALS,
        409: ErrorAnswer,
        500: ErrorAnswer,
    },
    auth=allowed(Scope.RUN),
    exclude_unset=True,
    summary="Run a job now",
    tags=["runs"],
)
@in_service_language
def run_cron_job(request: HttpRequest, body: Body[RunNow]) -> Answer[dict[str, Any]]:
    """Run a job and wait for it. 409: not run, since its previous run still goes on."""
    name = body.jobName
    if not name:
        return Answer(400, {"error": _("No job name was given.")})
    job = queries.configured_job(name)
    if job is None:
        return Answer(400, {"error": _("This job is not supported.")})
    if job.spec.get("heartbeat"):
        return Answer(400, {"error": not_run_here(name)})
    try:
        run_id = request_run(
            name,
            nonce=secrets.token_urlsafe(16),
            actor=request.user.get_username(),
            dry_run=body.dryRun,
            parameters=body.parameters,
        )
    except UnknownJobError:
        return Answer(400, {"error": _("This job is not supported.")})
    except (DryRunError, ParameterError) as error:
        return Answer(400, {"error": error.message, "details": error.hint})
    return Answer(*run_answer(name, wait_for(run_id, WAIT_SECONDS, SYSTEM_CLOCK)))


def run_answer(name: str, run: Run) -> tuple[int, dict[str, Any]]:
    """Return HTTP status and body for a run that was waited for."""
    if not is_final(Status(run.status)):
        return 202, {
            "success": False,
            "message": _("%(job)s is still running.") % {"job": name},
            "runId": run.pk,
            "status": run.status,
        }
    if run.status in SUCCEEDED:
        message = _("%(job)s has been run.") % {"job": name}
        return 200, {"success": True, "message": message, "details": details_value(run)}
    status = 409 if run.status == Status.SKIPPED.value else 500
    return status, {"error": failure_text(run), "details": details_value(run)}


@api.get("/openapi.json", include_in_schema=False)
def openapi(request: HttpRequest) -> HttpResponse:
    """Give the OpenAPI document of this API, to administrators."""
    del request
    document = json.dumps(api.get_openapi_schema(), ensure_ascii=False)
    return HttpResponse(document, content_type="application/json")


@api.api_operation(OTHERS_THAN_GET, "/cron-logs", include_in_schema=False)
@api.api_operation(OTHERS_THAN_GET, "/why", include_in_schema=False)
@api.api_operation(OTHERS_THAN_GET, "/openapi.json", include_in_schema=False)
@api.api_operation(OTHERS_THAN_POST, "/run-cron-job", include_in_schema=False)
@in_service_language
def wrong_method(request: HttpRequest) -> HttpResponse:
    """Refuse methods that these addresses do not take."""
    allowed = "POST" if request.path.endswith("/run-cron-job") else "GET"
    answer = api.create_response(
        request,
        {"error": _("Use %(method)s here.") % {"method": allowed}},
        status=405,
    )
    answer.headers["Allow"] = allowed
    return answer


# A router of its own, added last: what the others have comes before it.
leftovers = Router()


@leftovers.api_operation(EVERY_METHOD, "/{anything:rest}", include_in_schema=False)
@in_service_language
def nothing_here(request: HttpRequest, rest: str) -> HttpResponse:
    """Answer for addresses that do not exist, so that signed out they look like all others."""
    del rest
    return api.create_response(request, {"error": _("There is nothing here.")}, status=404)


@leftovers.api_operation(EVERY_METHOD, "/", include_in_schema=False)
def nothing_at_all(request: HttpRequest) -> Any:
    """Answer likewise for the bare prefix."""
    return nothing_here(request, "")


api.add_router("", again_router)
api.add_router("", jobs_router)
api.add_router("", audit_router)
api.add_router("", drains_router)
api.add_router("", alerts_router)
api.add_router("", leftovers)


@api.exception_handler(HttpError)
def refused(request: HttpRequest, error: HttpError) -> HttpResponse:
    """Give every refusal the shape of an error."""
    answer = api.create_response(request, {"error": str(error)}, status=error.status_code)
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


@api.exception_handler(ValidationError)
@in_service_language
def not_valid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Say which parameter is at fault; a body without a usable job name lacks the job name."""
    if request.path.endswith("/run-cron-job"):
        return api.create_response(request, {"error": _("No job name was given.")}, status=400)
    found = problems(error.errors)
    text = "; ".join(f"{name}: {problem}" for name, problem in found.items())
    return api.create_response(request, {"error": text, "details": found}, status=400)


@api.exception_handler(Exception)
@in_service_language
def broke(request: HttpRequest, error: Exception) -> HttpResponse:
    """Log what broke; tell the caller only that it did."""
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    words = _("The error has been written to the server's log.")
    return api.create_response(request, {"error": words}, status=500)
