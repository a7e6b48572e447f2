"""``GET /api/admin/audit``: who changed what, when and from where."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import Field

from cronbell.dashboard.answers import OTHERS_THAN_GET, REFUSALS, in_service_language, wrong_method
from cronbell.dashboard.pages.audit import AuditFilter
from cronbell.dashboard.parameters import DEFAULT_LIMIT, Limit
from cronbell.runlog import audit

router = Router(tags=["audit"])


class AuditParameters(AuditFilter):
    """The filter, and how many rows."""

    limit: Limit = Field(DEFAULT_LIMIT, description="rows per page")


class AuditLine(Schema):
    """A change; rows are added and never changed."""

    id: int
    at: str
    actor: str
    means: str = Field(description="session, token, command or program")
    source: str = Field(description="the network address, or a command's machine")
    token: str = Field(description="the API token's name and number; empty without one")
    action: str
    kind: str = Field(description="of what it was done to: job, run, user …")
    subject: str
    details: dict[str, Any]


class AuditAnswer(Schema):
    """A page of the audit, newest first."""

    rows: list[AuditLine]
    cursor: int | None = Field(description="leads to the next page; null on the last")


@router.get("/audit", response={200: AuditAnswer, **REFUSALS}, summary="The audit")
@in_service_language
def list_audit(request: HttpRequest, wanted: Query[AuditParameters]) -> dict[str, Any]:
    """List what was changed, by whom, when and from where."""
    del request
    found = audit.page(wanted.wanted(), limit=wanted.limit, before=wanted.cursor)
    return {"rows": [audit.shape(row) for row in found.rows], "cursor": found.cursor}


@router.api_operation(OTHERS_THAN_GET, "/audit", include_in_schema=False)
@in_service_language
def the_audit_is_read(request: HttpRequest) -> HttpResponse:
    """Refuse to change what nobody changes."""
    del request
    return wrong_method("GET")
