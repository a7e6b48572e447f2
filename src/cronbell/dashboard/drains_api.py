"""The part of the JSON API about drains: how they stand, dead letters, one record's history."""

# ruff: noqa: N815 - the fields of the schemas are named as they are on the wire
from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Body, Query, Router, Schema
from ninja.errors import HttpError
from ninja.responses import Status as Answer
from pydantic import ConfigDict, Field, StrictBool, StringConstraints

from cronbell.clock import SYSTEM_CLOCK, iso
from cronbell.dashboard.answers import (
    NOT_FOUND,
    OTHERS_THAN_GET,
    OTHERS_THAN_POST,
    REFUSALS,
    in_service_language,
    wrong_method,
)
from cronbell.dashboard.parameters import Limit, RowId
from cronbell.dashboard.retrying import retry_records
from cronbell.domain import cost_text
from cronbell.drain import ledger
from cronbell.drain.claim import idempotency_key
from cronbell.drain.drain import Drain
from cronbell.drain.ledger import CursorError
from cronbell.drain.models import DrainState
from cronbell.drain.registry import drains
from cronbell.endpoint.registry import Job
from cronbell.runlog import records
from cronbell.runlog.shape import item_row

DEFAULT_LIMIT = 50
MOST_RETRIED = 1_000
LONGEST_ID = 255

router = Router(tags=["drains"])


class Used(Schema):
    """What all runs of a drain used today."""

    items: int
    calls: int
    tokens: int
    seconds: float
    cost: str


class DrainRow(Schema):
    """A drain and its backlog. Instants are ISO 8601 in UTC, days are UTC days."""

    jobName: str
    pending: int = Field(description="records that qualify and are not being handled")
    inProgress: int
    dead: int = Field(description="records set aside after failing too often")
    oldest: str | None = Field(description="since when the oldest pending record waits")
    inflow: int = Field(description="records that joined within the last hour")
    outflow: int = Field(description="records done or set aside within the last hour")
    secondsToEmpty: float | None = Field(description="null: at this rate, never")
    batchSize: int
    pausedUntil: str | None = Field(description="until when the target asked to be left alone")
    today: Used


class DrainList(Schema):
    """Every drain of the application that serves this."""

    drains: list[DrainRow]


class RecordRow(Schema):
    """A record as it stands now."""

    recordId: str
    state: str = Field(description="pending, done or dead (set aside)")
    version: int
    failures: int = Field(description="of its own, of this version")
    attempts: int = Field(description="how often it has been taken up, all versions together")
    idempotencyKey: str
    heldUntil: str | None = Field(description="when whoever handles it loses the right to")
    availableAt: str = Field(description="not to be handled before")
    enteredAt: str = Field(description="since when it waits or waited")
    settledAt: str | None = Field(description="when it was done or set aside")
    error: str = Field(description="what the last failure said")


class DeadLetters(Schema):
    """A page of records that were set aside, the last one first."""

    records: list[RecordRow]
    cursor: str | None = Field(description="leads to the next page; null on the last")


class ItemRow(Schema):
    """One run's dealing with a record."""

    id: int
    runId: int
    jobName: str
    executionTime: str
    recordId: str
    ok: bool
    httpStatus: int | None
    error: str
    body: Any
    attempts: int | None
    seconds: float | None
    tokens: int | None
    cost: str | None


class RecordHistory(Schema):
    """A record over all runs, newest first."""

    jobName: str
    recordId: str
    record: RecordRow | None = Field(description="as it stands now; null where it is not known")
    items: list[ItemRow]
    cursor: int | None = Field(description="leads to the next page; null on the last")


class Retry(Schema):
    """Which records to try again: exactly one of these."""

    model_config = ConfigDict(extra="forbid")

    recordIds: (
        Annotated[
            list[Annotated[str, StringConstraints(max_length=LONGEST_ID)]],
            Field(min_length=1, max_length=MOST_RETRIED),
        ]
        | None
    ) = Field(None, description="these, as far as they failed")
    runId: RowId = Field(None, description="those that failed in this run")
    allDead: StrictBool = Field(default=False, description="all that were set aside")


class Retried(Schema):
    """How many records will be tried again by the job's next run."""

    retried: int


class RecordPage(Schema):
    """Which part of a record's history."""

    limit: Limit = Field(DEFAULT_LIMIT, description="items per page")
    cursor: RowId = Field(None, description="of the page before")


class DeadPage(Schema):
    """Which part of the dead letters."""

    limit: Limit = Field(DEFAULT_LIMIT, description="records per page")
    cursor: str = Field("", max_length=1_000, description="of the page before")


@router.get("/drains", response={200: DrainList, **REFUSALS}, summary="All drains")
@in_service_language
def list_drains(request: HttpRequest) -> dict[str, Any]:
    """List the drains of this application with their backlogs."""
    del request
    now = SYSTEM_CLOCK.now()
    return {"drains": [_drain_row(name, drain, now) for name, (_job, drain) in drains().items()]}


@router.get("/drains/{job}", response={200: DrainRow, **NOT_FOUND}, summary="One drain")
@in_service_language
def one_drain(request: HttpRequest, job: str) -> dict[str, Any]:
    """Show one drain's backlog, its day, and whether its target asked for a pause."""
    del request
    _job, drain = _found(job)
    return _drain_row(job, drain, SYSTEM_CLOCK.now())


@router.get(
    "/drains/{job}/dead-letters", response={200: DeadLetters, **NOT_FOUND}, summary="Dead letters"
)
@in_service_language
def dead_letters(request: HttpRequest, job: str, wanted: Query[DeadPage]) -> dict[str, Any]:
    """List records that were set aside, the last one first."""
    del request
    _job, drain = _found(job)
    try:
        page = ledger.set_aside(drain, limit=wanted.limit, cursor=wanted.cursor)
    except CursorError:
        raise HttpError(400, _("cursor: take it from the page before")) from None
    return {
        "records": [_record_row(record) for record in page.records],
        "cursor": page.cursor or None,
    }


@router.post(
    "/drains/{job}/retry", response={200: Retried, **NOT_FOUND}, summary="Try failed records again"
)
@in_service_language
def retry(
    request: HttpRequest, job: str, body: Body[Retry]
) -> Answer[dict[str, Any]] | dict[str, Any]:
    """Have records that failed tried again by the job's next run, under the same keys.

    Records that are done, being handled, or have not failed are left alone, and so are those that
    the application does not want tried again: a person has decided on them, say.
    """
    endpoint, drain = _found(job)
    if [body.recordIds is not None, body.runId is not None, body.allDead].count(True) != 1:
        raise HttpError(400, _("Say which records: one of recordIds, runId and allDead."))
    if body.allDead:
        return {"retried": retry_records(job, drain, None, actor=request.user.get_username())}
    ids = body.recordIds
    if body.runId is not None:
        ids = records.failed_records(records.jobs_of(job, endpoint.path), body.runId)
        if ids is None:
            raise HttpError(404, _("This job has no run of that number that handled records."))
    return {"retried": retry_records(job, drain, ids or [], actor=request.user.get_username())}


@router.get(
    "/records/{job}/{anything:record_id}",
    response={200: RecordHistory, **NOT_FOUND},
    summary="One record's history",
)
@in_service_language
def record_history(
    request: HttpRequest, job: str, record_id: str, wanted: Query[RecordPage]
) -> dict[str, Any]:
    """Show where a record stands and what became of it in every run, newest first.

    For jobs of other applications, whose records are not known here, ``record`` is null.
    """
    del request
    endpoint, drain = drains().get(job, (None, None))
    jobs = records.jobs_of(job, endpoint.path if endpoint else "")
    if drain is None and not jobs:
        raise HttpError(404, _("There is no job of that name."))
    record = ledger.record_of(drain, record_id) if drain else None
    page = records.record_history(jobs, record_id, limit=wanted.limit, before=wanted.cursor)
    if record is None and not page.items and wanted.cursor is None:
        raise HttpError(404, _("No run of this job has handled such a record."))
    return {
        "jobName": job,
        "recordId": record_id,
        "record": _record_row(record) if record else None,
        "items": [item_row(item) for item in page.items],
        "cursor": page.cursor,
    }


@router.api_operation(OTHERS_THAN_GET, "/drains", include_in_schema=False)
@in_service_language
def drains_are_read(request: HttpRequest) -> HttpResponse:
    """Refuse to change what can only be read."""
    del request
    return wrong_method("GET")


@router.api_operation(OTHERS_THAN_GET, "/drains/{job}", include_in_schema=False)
@router.api_operation(OTHERS_THAN_GET, "/drains/{job}/dead-letters", include_in_schema=False)
@in_service_language
def a_drain_is_read(request: HttpRequest, job: str) -> HttpResponse:
    """Refuse to change what can only be read."""
    del request, job
    return wrong_method("GET")


@router.api_operation(
    OTHERS_THAN_GET, "/records/{job}/{anything:record_id}", include_in_schema=False
)
@in_service_language
def history_is_read(request: HttpRequest, job: str, record_id: str) -> HttpResponse:
    """Refuse to change what can only be read."""
    del request, job, record_id
    return wrong_method("GET")


@router.api_operation(OTHERS_THAN_POST, "/drains/{job}/retry", include_in_schema=False)
@in_service_language
def a_retry_is_posted(request: HttpRequest, job: str) -> HttpResponse:
    """Refuse to read what can only be asked for."""
    del request, job
    return wrong_method("POST")


def _found(name: str) -> tuple[Job, Drain]:
    found = drains().get(name)
    if found is None:
        raise HttpError(404, _("There is no drain of that name in this application."))
    return found


def _drain_row(name: str, drain: Drain, now: datetime) -> dict[str, Any]:
    standing = ledger.standing(drain, now=now)
    backlog, used = standing.backlog, standing.used
    left = backlog.time_to_empty
    return {
        "jobName": name,
        "pending": backlog.pending,
        "inProgress": backlog.in_progress,
        "dead": backlog.dead,
        "oldest": _iso(backlog.oldest),
        "inflow": backlog.inflow,
        "outflow": backlog.outflow,
        "secondsToEmpty": None if left is None else left.total_seconds(),
        "batchSize": drain.batch.size,
        "pausedUntil": _iso(standing.paused_until),
        "today": {
            "items": used["items"],
            "calls": used["calls"],
            "tokens": used["tokens"],
            "seconds": used["seconds"] / 1_000_000,
            "cost": cost_text(used["money"]),
        },
    }


def _record_row(record: DrainState) -> dict[str, Any]:
    return {
        "recordId": str(record.pk),
        "state": record.drain_state,
        "version": record.drain_version,
        "failures": record.drain_failures,
        "attempts": record.drain_term,
        "idempotencyKey": idempotency_key(record),
        "heldUntil": _iso(record.drain_lease_expires_at),
        "availableAt": iso(record.drain_available_at),
        "enteredAt": iso(record.drain_entered_at),
        "settledAt": _iso(record.drain_settled_at),
        "error": record.drain_error,
    }


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else iso(instant)
