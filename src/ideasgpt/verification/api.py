"""The JSON API: create records with documents, have one verified, review what is in doubt."""

# ruff: noqa: N815 - the fields of the schemas are named as they are on the wire
from __future__ import annotations

import json
import math
import threading
from http import HTTPStatus
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import SuspiciousOperation
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.utils.translation import gettext as _
from ninja import Body, File, Form, NinjaAPI, Query, Schema, Status
from ninja.errors import HttpError, ValidationError
from ninja.files import UploadedFile
from ninja.security import APIKeyCookie
from ninja.utils import check_csrf
from pydantic import Field

from cronbell.clock import SYSTEM_CLOCK, iso
from cronbell.dashboard.access import viewers_too
from cronbell.dashboard.answers import (
    NOT_FOUND,
    OTHERS_THAN_GET,
    OTHERS_THAN_POST,
    REFUSALS,
    ErrorAnswer,
    wrong_method,
)
from cronbell.dashboard.api_access import allowed
from cronbell.drain.claim import idempotency_key
from cronbell.endpoint.auth import Gate
from ideasgpt.verification import service, standing
from ideasgpt.verification.models import Attachment, Record, Standing, Verdict, check_fields
from ideasgpt.verification.storage import LARGEST_FILE, MOST_FILES, UploadError, attach, path_of
from ideasgpt.verification.verifying import AwayError, BusyError, verify

LARGEST_REQUEST = MOST_FILES * LARGEST_FILE // 2
LAST_ID = 2**63 - 1
MOST_LIMIT = 200
# Each may start a child with half a gigabyte: more at once would starve pages.
SLOTS = threading.BoundedSemaphore(4)


class SignedIn(APIKeyCookie):
    """Anybody signed in. The size is looked at before anything is read, the CSRF token after."""

    param_name = settings.SESSION_COOKIE_NAME

    def __call__(self, request: HttpRequest) -> Any:
        """Return the user."""
        if not request.user.is_authenticated:
            raise HttpError(401, "Unauthorized")
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length) > LARGEST_REQUEST:
            raise HttpError(413, _("The files together may have at most %(n)d MB.") % {"n": 25})
        if check_csrf(request) is not None:
            raise HttpError(403, _("The request carries no valid CSRF token (header X-CSRFToken)."))
        return request.user

    def authenticate(self, request: HttpRequest, key: str | None) -> None:
        """Let nobody in by the cookie's value alone."""
        del request, key


def service_only(request: HttpRequest) -> bool:
    """Let in who shows the service token, and nobody else, an administrator included."""
    header = request.META.get("HTTP_AUTHORIZATION", "").encode("utf-8", "surrogateescape")
    return Gate.of(service.service_token()).which([header]) is not None


class RecordOut(Schema):
    """A record."""

    id: int
    status: Standing
    version: int
    fields: dict[str, str]
    attachments: list[dict[str, Any]]


class Wanted(Schema):
    """Which record to verify."""

    recordId: int = Field(ge=1, le=LAST_ID)


class Told(Schema):
    """A verdict, as the job hears it."""

    success: bool
    recordId: int
    version: int
    status: str
    reasons: list[Any]
    usage: dict[str, Any]


class Decided(Schema):
    """A reviewer's decision on what they saw."""

    decision: str
    version: int = Field(ge=1, le=LAST_ID)
    status: str
    note: str = Field("", max_length=2000, pattern=r"^[^\x00]*$")


class Paged(Schema):
    """Which page of the queue."""

    page: int = Field(1, ge=1, le=10_000)
    limit: int = Field(50, ge=1, le=MOST_LIMIT)


api = NinjaAPI(
    title="IdeasGPT verification",
    version="1",
    urls_namespace="verification-api",
    docs_url=None,
    openapi_url="records/openapi.json",
    docs_decorator=viewers_too,
)


@api.post("records", auth=SignedIn(), response={201: RecordOut})
def create_record(
    request: HttpRequest, fields: Form[str], files: File[list[UploadedFile]]
) -> Status[dict[str, Any]]:
    """Create a record: ``fields`` is a JSON object of claims, ``files`` its 1 to 5 documents."""
    if not 1 <= len(files) <= MOST_FILES:
        raise HttpError(400, _("Send 1 to %(n)d files.") % {"n": MOST_FILES})
    try:
        claims = json.loads(fields)
        check_fields(claims)
    except (ValueError, RecursionError) as error:
        raise HttpError(400, _("fields is no JSON.")) from error
    except DjangoValidationError as error:
        raise HttpError(400, " ".join(error.messages)) from error
    made: list[Attachment] = []
    try:
        with transaction.atomic():
            record = Record.objects.create(owner=cast("User", request.user), fields=claims)
            made.extend(attach(record, one.name or "", one.chunks()) for one in files)
    except BaseException:
        for one in made:  # their rows are gone with the transaction
            path_of(one.pk).unlink(missing_ok=True)
        raise
    return Status(201, _shown(record))


@api.post(
    "admin/records",
    auth=service_only,
    response={200: Told, frozenset({400, 401, 404, 409, 503}): ErrorAnswer},
)
def verify_record(request: HttpRequest, body: Body[Wanted]) -> HttpResponse:
    """Have a record verified; 409 where somebody else is at it. Repeated: the same verdict."""
    record = Record.objects.filter(pk=body.recordId).first()
    if record is None:
        return _answer(request, 404, {"error": "no such record"})
    current = idempotency_key(record)
    key = request.headers.get("Idempotency-Key") or current
    known = Verdict.objects.filter(record=record, key=key).first()
    if known is not None:
        return _answer(request, 200, _told(known))
    if key != current:
        return _answer(request, 409, {"error": "the record has changed"})
    return _verified(request, record)


@api.get("admin/reviews", auth=allowed(), response={200: dict[str, Any], **REFUSALS})
def list_reviews(request: HttpRequest, wanted: Query[Paged]) -> dict[str, Any]:
    """List what waits for a person, oldest first: undecided, failed, and sampled approvals."""
    del request
    queue = Record.objects.filter(awaits_review=True)
    first = (wanted.page - 1) * wanted.limit
    total = queue.count()
    rows = queue.order_by("id").prefetch_related("attachments", "verdicts", "audit")
    return {
        "reviews": [_reviewed(one) for one in rows[first : first + wanted.limit]],
        "pagination": {
            "total": total,
            "page": wanted.page,
            "limit": wanted.limit,
            "pages": math.ceil(total / wanted.limit),
        },
    }


@api.post(
    "admin/reviews/{int:record_id}",
    auth=allowed(),
    response={200: dict[str, Any], **NOT_FOUND, 409: ErrorAnswer},
)
def decide_review(request: HttpRequest, record_id: int, body: Body[Decided]) -> HttpResponse:
    """Decide; 409 where the record is no longer what was looked at."""
    record = Record.objects.filter(pk=min(record_id, LAST_ID)).first()
    if record is None:
        return _answer(request, 404, {"error": _("There is no such record.")})
    try:
        standing.review(
            record,
            version=body.version,
            seen=body.status,
            decision=body.decision,
            actor=request.user.get_username(),
            note=body.note,
            now=SYSTEM_CLOCK.now(),
        )
    except standing.ReviewError as error:
        return _answer(request, 409, {"error": error.message})
    return _answer(request, 200, {"success": True, "id": record.pk, "status": body.decision})


@api.api_operation(OTHERS_THAN_POST, "admin/records", auth=service_only, include_in_schema=False)
def a_verification_is_posted(request: HttpRequest) -> HttpResponse:
    """Refuse other methods, to whoever shows the token."""
    del request
    return wrong_method("POST")


@api.api_operation(OTHERS_THAN_GET, "admin/reviews", auth=allowed(), include_in_schema=False)
def reviews_are_read(request: HttpRequest) -> HttpResponse:
    """Refuse other methods, to administrators."""
    del request
    return wrong_method("GET")


@api.api_operation(
    OTHERS_THAN_POST,
    "admin/reviews/{int:record_id}",
    auth=allowed(),
    include_in_schema=False,
)
def a_review_is_posted(request: HttpRequest, record_id: int) -> HttpResponse:
    """Refuse other methods, to administrators."""
    del request, record_id
    return wrong_method("POST")


def _verified(request: HttpRequest, record: Record) -> HttpResponse:
    if not SLOTS.acquire(blocking=False):
        return _answer(request, 503, {"error": "too many verifications"}, retry_after=2)
    try:
        verdict = verify(record, SYSTEM_CLOCK)
    except BusyError as error:
        return _answer(request, 409, {"error": str(error)}, retry_after=5)
    except AwayError as error:
        return _answer(request, 503, {"error": str(error)}, retry_after=error.seconds)
    finally:
        SLOTS.release()
    return _answer(request, 200, _told(verdict))


def _shown(record: Record) -> dict[str, Any]:
    return {
        "id": record.pk,
        "status": record.verification_status,
        "version": record.drain_version,
        "fields": record.fields,
        "attachments": [
            {"id": str(one.pk), "name": one.name, "type": one.content_type, "size": one.size}
            for one in record.attachments.all()
        ],
    }


def _reviewed(record: Record) -> dict[str, Any]:
    found = [one for one in record.verdicts.all() if one.version == record.drain_version]
    audit = [
        {"at": iso(one.at), "who": one.actor, "from": one.from_status, "to": one.to_status}
        | ({"note": one.note} if one.note else {})
        for one in record.audit.all()
    ]
    verdict = {"reasons": found[0].reasons, "checks": found[0].checks} if found else None
    return {**_shown(record), "verdict": verdict, "audit": audit}


def _told(verdict: Verdict) -> dict[str, Any]:
    return {
        "success": True,
        "recordId": verdict.record_id,
        "version": verdict.version,
        "status": verdict.status,
        "reasons": verdict.reasons,
        "usage": {
            "calls": verdict.calls,
            "tokens": verdict.prompt_tokens + verdict.completion_tokens,
            "cost": None if verdict.cost is None else f"{verdict.cost.normalize():f}",
        },
    }


def _answer(
    request: HttpRequest, status: int, body: dict[str, Any], *, retry_after: int | None = None
) -> HttpResponse:
    response = api.create_response(request, body, status=status)
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    return response


@api.exception_handler(UploadError)
def _not_taken(request: HttpRequest, error: UploadError) -> HttpResponse:
    return _answer(request, HTTPStatus.BAD_REQUEST, {"error": error.message})


@api.exception_handler(SuspiciousOperation)
@api.exception_handler(MultiPartParserError)
def _malformed(request: HttpRequest, error: Exception) -> HttpResponse:
    del error
    return _answer(request, HTTPStatus.BAD_REQUEST, {"error": _("The request is not valid.")})


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    details = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors]
    body = {"error": _("The request is not valid."), "details": details}
    return _answer(request, HTTPStatus.BAD_REQUEST, body)


@api.exception_handler(HttpError)
def _refused(request: HttpRequest, error: HttpError) -> HttpResponse:
    return _answer(request, error.status_code, {"error": str(error)})
