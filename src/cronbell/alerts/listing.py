"""What pages, API and command line show of alerts: channels, what is wrong, what was sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count

from cronbell.alerts.messages import explain_incident, title
from cronbell.alerts.outbox import quiet
from cronbell.alerts.secrets import fault_of
from cronbell.alerts.words import why_not
from cronbell.clock import iso
from cronbell.config.alerts import Alerts, Channel, ChannelType
from cronbell.config.urls import parse_url
from cronbell.runlog.alert_tables import Delivery, Incident, Notice

INCIDENTS_SHOWN = 50
DELIVERIES_SHOWN = 30


@dataclass(frozen=True, slots=True)
class ChannelLine:
    """A channel as it stands.

    Attributes:
        channel: as configured.
        where: where it leads, with nothing in it that is secret.
        quiet: whether it is to be left alone now.
        waiting: how many notices wait for a message.
        fault: what is wrong with its secrets in this process; empty where nothing is.
        last: its newest message; None where there is none.
    """

    channel: Channel
    where: str
    quiet: bool
    waiting: int
    fault: str
    last: Delivery | None

    @property
    def conditions(self) -> list[str]:
        """What it is told of, in words."""
        return [title(event) for event in self.channel.on]


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """Something that is wrong, with the words for it."""

    incident: Incident
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """A message, with why it did not arrive."""

    delivery: Delivery
    why_not: str


@dataclass(frozen=True, slots=True)
class Standing:
    """All of it.

    Attributes:
        channels: in the order of the file.
        incidents: that are open, the newest first; at most ``INCIDENTS_SHOWN``.
        more: how many more are open.
        deliveries: the newest messages.
    """

    channels: Sequence[ChannelLine]
    incidents: Sequence[IncidentLine]
    more: int
    deliveries: Sequence[DeliveryLine]


def standing(alerts: Alerts, now: datetime, timezone: str = "UTC") -> Standing:
    """Return how alerts stand at an instant, in the language in force.

    Args:
        alerts: what is configured.
        now: the instant, aware.
        timezone: of the times in the sentences.
    """
    waiting = dict(
        Notice.objects.filter(done=False)
        .order_by()
        .values_list("channel")
        .annotate(number=Count("id"))
    )
    found = Incident.objects.filter(recovered_at__isnull=True)
    rows = found.select_related("job").order_by("-id")[:INCIDENTS_SHOWN]
    incidents = [
        IncidentLine(one, title(one.condition), explain_incident(one, timezone)) for one in rows
    ]
    more = found.count() - len(incidents) if len(incidents) == INCIDENTS_SHOWN else 0
    return Standing(
        channels=[_line(one, now, waiting.get(one.name, 0)) for one in alerts.channels.values()],
        incidents=incidents,
        more=more,
        deliveries=[
            DeliveryLine(one, why_not(one))
            for one in Delivery.objects.order_by("-id")[:DELIVERIES_SHOWN]
        ],
    )


def _line(channel: Channel, now: datetime, waiting: int) -> ChannelLine:
    last = Delivery.objects.filter(channel=channel.name).order_by("-id").first()
    return ChannelLine(
        channel=channel,
        where=where(channel),
        quiet=quiet(channel, now),
        waiting=waiting,
        fault=fault_of(channel),
        last=last,
    )


def where(channel: Channel) -> str:
    """Say where a channel leads; of an address only the host, since its path may be a secret."""
    if channel.type is ChannelType.EMAIL:
        return f"{', '.join(channel.to)} ({channel.smtp})"
    if channel.url.startswith(("env:", "file:")):
        return channel.url
    return parse_url(channel.url).host_and_port


def as_dict(found: Standing) -> dict[str, Any]:
    """Return it as JSON shows it."""
    return {
        "channels": [_channel(line) for line in found.channels],
        "incidents": [_incident(line) for line in found.incidents],
        "moreIncidents": found.more,
        "deliveries": [delivery_dict(line.delivery, line.why_not) for line in found.deliveries],
    }


def _channel(line: ChannelLine) -> dict[str, Any]:
    channel = line.channel
    return {
        "name": channel.name,
        "type": channel.type.value,
        "where": line.where,
        "on": list(channel.on),
        "jobs": list(channel.jobs),
        "quietNow": line.quiet,
        "waiting": line.waiting,
        "fault": line.fault,
    }


def _incident(line: IncidentLine) -> dict[str, Any]:
    one = line.incident
    return {
        "id": one.pk,
        "condition": one.condition,
        "jobName": one.job.name if one.job else None,
        "host": one.subject or None,
        "runId": one.run,
        "since": iso(one.opened_at),
        "text": line.text,
    }


def delivery_dict(one: Delivery, words: str) -> dict[str, Any]:
    """Return a message as JSON shows it."""
    return {
        "id": one.pk,
        "channel": one.channel,
        "messageId": one.key,
        "subject": one.subject,
        "test": one.test,
        "createdAt": iso(one.created_at),
        "sent": one.sent,
        "finishedAt": iso(one.finished_at) if one.finished_at else None,
        "attempts": one.attempts,
        "httpStatus": one.http_status,
        "error": words,
    }
