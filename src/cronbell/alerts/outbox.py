"""Incidents ─► messages that are rows, kept until sent; each step to be called in a transaction.

A message is written down whole and committed before anybody sends it. Who sends it holds a lease;
who settles it names owner and term, so that one who was taken for dead can't overwrite what
another did. A channel has one unfinished message at a time: what happens meanwhile waits and goes
into the next, so that a channel that was away is not flooded when it is back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import Count, F, Max, Q

from cronbell.alerts.messages import Message, compose, trial
from cronbell.clock import from_micros, to_micros
from cronbell.config.alerts import RECOVERED, Alerts, Channel
from cronbell.runlog.alert_tables import Delivery, Incident, Notice
from cronbell.schedule.blackout import Blackouts

MICROS = 1_000_000
ROUTED = 500
GATHERED = 2_000
CLAIMED = 10
MOST_ATTEMPTS = 16
FIRST_WAIT, LONGEST_WAIT = 10.0, 3_600.0
# Longer than any attempt may take (``send.SECONDS``): a message is not sent beside itself.
LEASE_SECONDS = 90.0
KEPT = timedelta(days=90)
PRUNED = 100
GONE = 410


class NoticeKind(StrEnum):
    """What a notice tells."""

    OPENED = "opened"
    REMINDER = "reminder"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an attempt to send a message.

    Attributes:
        sent: whether it arrived, as far as the other side says.
        http_status: the answer's; 0 for a network error, None where HTTP had no part.
        reason: why it was not sent; empty where it was.
        data: what the reason's text names.
        wait: seconds the other side asked for; None where it did not.
    """

    sent: bool
    http_status: int | None = None
    reason: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    wait: float | None = None


def route(alerts: Alerts, now: datetime) -> bool:
    """Give channels their notices of what opened and what recovered; say whether more may be."""
    opened = _untold(Q(opening_told=False))
    closed = _untold(Q(opening_told=True, recovered_at__isnull=False, recovery_told=False))
    notices = [
        Notice(incident=one, channel=channel.name, kind=NoticeKind.OPENED.value, at=now)
        for one in opened
        for channel in alerts.channels_for(one.condition, one.job.name if one.job else None)
    ]
    told = Notice.objects.filter(incident__in=closed, kind=NoticeKind.OPENED.value)
    notices += [
        Notice(incident_id=incident, channel=channel, kind=NoticeKind.RECOVERED.value, at=now)
        for incident, channel in told.values_list("incident_id", "channel")
        if channel in alerts.channels and RECOVERED in alerts.channels[channel].on
    ]
    Notice.objects.bulk_create(notices, ignore_conflicts=True)
    Incident.objects.filter(pk__in=[one.pk for one in opened]).update(opening_told=True)
    Incident.objects.filter(pk__in=[one.pk for one in closed]).update(recovery_told=True)
    return ROUTED in {len(opened), len(closed)}


def _untold(which: Q) -> Sequence[Incident]:
    # The condition of the index, which holds nothing else.
    some = Q(opening_told=False) | Q(recovered_at__isnull=False, recovery_told=False)
    return list(Incident.objects.filter(some, which).select_related("job").order_by("id")[:ROUTED])


def remind(alerts: Alerts, now: datetime) -> bool:
    """Have channels told again of what lasts; what belongs to a removed job lasts no more."""
    going = Incident.objects.filter(recovered_at__isnull=True)
    going.filter(job__removed_at__isnull=False).update(recovered_at=now, recovery_told=True)
    for channel in alerts.channels.values():
        if channel.remind is None:
            continue
        before = to_micros(now) - int(channel.remind * MICROS)
        lasting = Notice.objects.filter(
            channel=channel.name,
            incident__recovered_at__isnull=True,
            incident__condition__in=channel.on,
            incident__job__paused_at__isnull=True,
        )
        due = (
            lasting.order_by()
            .values("incident_id")
            .annotate(last=Max("at"), times=Count("id"), waiting=Count("id", filter=Q(done=False)))
            .filter(last__lte=before, waiting=0)
        )
        Notice.objects.bulk_create(
            [
                Notice(
                    incident_id=one["incident_id"],
                    channel=channel.name,
                    kind=NoticeKind.REMINDER.value,
                    number=one["times"],
                    at=now,
                )
                for one in due[:ROUTED]
            ],
            ignore_conflicts=True,
        )
    return False


def gather(alerts: Alerts, now: datetime, language: str) -> bool:
    """Write down a message for each channel that has something to be told and may be told now."""
    for channel in alerts.channels.values():
        if not quiet(channel, now):
            _gather(alerts, channel, now, language)
    return False


def quiet(channel: Channel, now: datetime) -> bool:
    """Say whether a channel is to be left alone at an instant."""
    windows = Blackouts(channel.quiet, channel.timezone) if channel.quiet else None
    return windows is not None and windows.covering(to_micros(now) // MICROS) is not None


def _gather(alerts: Alerts, channel: Channel, now: datetime, language: str) -> None:
    mine = Delivery.objects.filter(channel=channel.name, test=False)
    waiting = list(
        Notice.objects.filter(channel=channel.name, done=False)
        .select_related("incident__job")
        .order_by("id")[:GATHERED]
    )
    since = now - timedelta(seconds=channel.digest)
    if not waiting or min(notice.at for notice in waiting) > since:
        return
    if mine.filter(created_at__gt=since).exists():
        return
    one = _written(channel, compose(waiting, channel, alerts.link, now, language), now)
    one.notices = len(waiting)
    # Refused where another has one unfinished, or writes one at this moment.
    Delivery.objects.bulk_create([one], ignore_conflicts=True)
    made = Delivery.objects.filter(key=one.key).first()
    if made is None:
        return
    notices = Notice.objects.filter(pk__in=[notice.pk for notice in waiting], done=False)
    notices.update(done=True, delivery=made)


def _written(channel: Channel, message: Message, now: datetime) -> Delivery:
    return Delivery(
        channel=channel.name,
        key=message.key,
        subject=message.subject,
        text=message.text,
        body=message.body,
        created_at=now,
        available_at=now,
    )


def write_test(alerts: Alerts, channel: Channel, now: datetime, language: str) -> Delivery:
    """Write down a message that only says that the channel works; ``claim_one`` goes with it."""
    one = _written(channel, trial(channel, alerts.link, now, language), now)
    one.test = True
    one.save(force_insert=True)
    return one


def claim_one(one: Delivery, owner: str, lease_now: int) -> bool:
    """Take a message under a lease; say whether it was still to be had."""
    expires = from_micros(lease_now + int(LEASE_SECONDS * MICROS))
    changed = Delivery.objects.filter(
        pk=one.pk, lease_term=one.lease_term, finished_at__isnull=True
    ).update(
        lease_owner=owner,
        lease_term=F("lease_term") + 1,
        lease_expires_at=expires,
        attempts=F("attempts") + 1,
    )
    if changed:
        one.lease_owner, one.lease_expires_at = owner, expires
        one.lease_term += 1
        one.attempts += 1
    return changed == 1


def claim(owner: str, now: datetime, lease_now: int) -> list[Delivery]:
    """Take messages that are due, under a lease.

    Args:
        owner: whose.
        now: what time it is.
        lease_now: microseconds on the clock that judges leases.
    """
    free = Q(lease_expires_at__isnull=True) | Q(lease_expires_at__lt=lease_now)
    due = Delivery.objects.filter(free, finished_at__isnull=True, available_at__lte=now)
    found = list(due.select_for_update(skip_locked=True).order_by("available_at", "id")[:CLAIMED])
    return [one for one in found if claim_one(one, owner, lease_now)]


def settle(one: Delivery, result: Result, now: datetime) -> bool:
    """Record what became of an attempt; say whether the message was still the caller's."""
    over = result.sent or one.test or one.attempts >= MOST_ATTEMPTS or result.http_status == GONE
    wait = min(FIRST_WAIT * 2 ** (one.attempts - 1), LONGEST_WAIT)
    if result.wait is not None:
        wait = min(max(wait, result.wait), LONGEST_WAIT)
    mine = Delivery.objects.filter(
        pk=one.pk,
        lease_owner=one.lease_owner,
        lease_term=one.lease_term,
        finished_at__isnull=True,
    )
    changed = mine.update(
        lease_expires_at=None,
        available_at=now if over else now + timedelta(seconds=wait),
        finished_at=now if over else None,
        sent=result.sent,
        http_status=result.http_status,
        reason=result.reason,
        reason_data=result.data,
    )
    return changed == 1


def prune(now: datetime) -> bool:
    """Remove some of what is long over; say whether there may be more."""
    before = now - KEPT
    old = Incident.objects.filter(recovered_at__lt=before, recovery_told=True)
    ids = list(old.order_by("recovered_at").values_list("pk", flat=True)[:PRUNED])
    Incident.objects.filter(pk__in=ids).delete()
    sent = Delivery.objects.filter(finished_at__lt=before).order_by("finished_at")
    messages = list(sent.values_list("pk", flat=True)[:PRUNED])
    Delivery.objects.filter(pk__in=messages).delete()
    return PRUNED in {len(ids), len(messages)}
