"""``/api/admin/alerts``: channels, what is wrong, what was sent; and a test message."""

# ruff: noqa: N815 - the fields of the schemas are named as they are on the wire
from __future__ import annotations

import logging
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Router, Schema
from ninja.responses import Status as Answer
from pydantic import Field

from cronbell.alerts.listing import as_dict, delivery_dict, standing
from cronbell.alerts.standin import StandIn
from cronbell.alerts.words import why_not
from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.answers import (
    OTHERS_THAN_GET,
    OTHERS_THAN_POST,
    REFUSALS,
    ErrorAnswer,
    in_service_language,
    wrong_method,
)
from cronbell.runlog.jobs import live_alerts

log = logging.getLogger(__name__)


class ChannelRow(Schema):
    """A channel; where it leads is told without what is secret of it."""

    name: str
    type: str
    where: str
    on: list[str]
    jobs: list[str]
    quietNow: bool
    waiting: int = Field(description="notices that wait for a message")
    fault: str = Field(description="what is wrong with its secrets; empty where nothing is")


class IncidentRow(Schema):
    """Something that is wrong now."""

    id: int
    condition: str
    jobName: str | None
    host: str | None
    runId: int | None
    since: str
    text: str


class MessageRow(Schema):
    """A message and what became of it."""

    id: int
    channel: str
    messageId: str = Field(description="sent as webhook-id, the same at every attempt")
    subject: str
    test: bool
    createdAt: str
    sent: bool
    finishedAt: str | None
    attempts: int
    httpStatus: int | None
    error: str


class AlertsAnswer(Schema):
    """How alerts stand."""

    channels: list[ChannelRow]
    incidents: list[IncidentRow]
    moreIncidents: int
    deliveries: list[MessageRow]


router = Router(tags=["alerts"])


@router.get("/alerts", response={200: AlertsAnswer, **REFUSALS}, summary="How alerts stand")
@in_service_language
def read_alerts(request: HttpRequest) -> dict[str, Any]:
    """List channels, what is wrong now, and the newest messages."""
    del request
    return as_dict(standing(live_alerts(), SYSTEM_CLOCK.now()))


@router.post(
    "/alerts/{channel}/test",
    response={200: MessageRow, **REFUSALS, 404: ErrorAnswer},
    summary="Send a test message",
)
@in_service_language
def test_channel(request: HttpRequest, channel: str) -> Answer[Any]:
    """Send a test message now and say what became of it; ``sent`` tells whether it arrived."""
    alerts = live_alerts()
    found = alerts.channels.get(channel)
    if found is None:
        return Answer(404, {"error": _("There is no such channel.")})
    log.info("%s tests the channel %s", request.user.get_username(), found.name)
    one = StandIn(SYSTEM_CLOCK).test(alerts, found)
    return Answer(200, delivery_dict(one, why_not(one)))


@router.api_operation(OTHERS_THAN_GET, "/alerts", include_in_schema=False)
@in_service_language
def alerts_are_read(request: HttpRequest) -> HttpResponse:
    """Refuse what else might be done with them."""
    del request
    return wrong_method("GET")


@router.api_operation(OTHERS_THAN_POST, "/alerts/{channel}/test", include_in_schema=False)
@in_service_language
def a_test_is_posted(request: HttpRequest, channel: str) -> HttpResponse:
    """Refuse to read what can only be asked for."""
    del request, channel
    return wrong_method("POST")
