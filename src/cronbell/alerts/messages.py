"""Notices ─► one message: a subject, a text, and the JSON that a webhook gets.

Written once, when it is put in the outbox, so that every attempt sends the same bytes.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cronbell.clock import iso, to_micros
from cronbell.config.alerts import Channel, Condition
from cronbell.runlog.alert_tables import Incident, Notice
from cronbell.runlog.reasons import explain
from cronbell.schedule.moments import local_text

MICROS = 1_000_000
MINUTE, HOUR, DAY = 60, 3_600, 86_400
# So many are spelled out; the others are counted.
LISTED = 20
LONGEST_LINE = 300
LONGEST_SUBJECT = 200
_INSTANTS = frozenset({"due", "seen"})


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent.

    Attributes:
        key: its name, the same at every attempt.
        subject: one line.
        text: what people read.
        body: JSON, what a webhook gets.
    """

    key: str
    subject: str
    text: str
    body: str


def compose(
    notices: Sequence[Notice], channel: Channel, link: str, now: datetime, language: str
) -> Message:
    """Make one message of all there is to tell a channel.

    Args:
        notices: at least one; an incident may have several.
        channel: where it goes.
        link: the address of the pages; empty for no links.
        now: when it is written.
        language: where the channel names none.
    """
    with translation.override(channel.language or language):
        incidents = list({notice.incident_id: notice.incident for notice in notices}.values())
        again = {notice.incident_id for notice in notices} - {
            notice.incident_id for notice in notices if notice.kind != "reminder"
        }
        wrong = [one for one in incidents if one.recovered_at is None]
        right = [one for one in incidents if one.recovered_at is not None]
        listed = [*wrong, *right][:LISTED]
        lines = [_line(one, channel, now, lasting=one.pk in again) for one in listed]
        links = [_link(one, link) for one in listed]
        text = [_summary(wrong, right, again), ""]
        for line, address in zip(lines, links, strict=True):
            text.append(f"- {line}")
            text += [f"  {address}"] if address else []
        rest = len(incidents) - len(listed)
        if rest:
            text.append(ngettext("and %(n)d more", "and %(n)d more", rest) % {"n": rest})
        if link:
            text += ["", f"{link}/admin/alerts"]
        data = {
            "open": len(wrong),
            "recovered": len(right),
            "alerts": [
                _plain(one, line, address)
                for one, line, address in zip(listed, lines, links, strict=True)
            ],
            "more": rest,
        }
        return _message("cronbell.alert", _subject(incidents, wrong, right), text, data, now)


def trial(channel: Channel, link: str, now: datetime, language: str) -> Message:
    """Make a message that only says that a channel works."""
    with translation.override(channel.language or language):
        text = [_("This is a test: messages to the channel %(name)s arrive.") % {
            "name": channel.name}]  # fmt: skip
        text += ["", f"{link}/admin/alerts"] if link else []
        subject = _("Cronbell: test of %(name)s") % {"name": channel.name}
        return _message("cronbell.test", subject, text, {"channel": channel.name}, now)


def _message(
    type_: str, subject: str, text: Sequence[str], data: Mapping[str, Any], now: datetime
) -> Message:
    whole = "\n".join(text)
    payload = {"type": type_, "timestamp": iso(now), "data": {"text": whole, **data}}
    return Message(
        key=f"msg_{secrets.token_hex(16)}",
        subject=one_line(subject)[:LONGEST_SUBJECT],
        text=whole,
        body=json.dumps(payload, ensure_ascii=False),
    )


def _subject(
    incidents: Sequence[Incident], wrong: Sequence[Incident], right: Sequence[Incident]
) -> str:
    if len(incidents) == 1:
        one = incidents[0]
        words = {"what": _whose(one), "state": title(one.condition)}
        if one.recovered_at is not None:
            return _("Cronbell: %(what)s recovered (%(state)s)") % words
        return _("Cronbell: %(what)s: %(state)s") % words
    if not right:
        return _("Cronbell: %(n)d alerts") % {"n": len(wrong)}
    if not wrong:
        return _("Cronbell: %(n)d recovered") % {"n": len(right)}
    return _("Cronbell: %(n)d alerts, %(m)d recovered") % {"n": len(wrong), "m": len(right)}


def _summary(wrong: Sequence[Incident], right: Sequence[Incident], again: set[int]) -> str:
    fresh = len([one for one in wrong if one.pk not in again])
    lasting = len(wrong) - fresh
    parts = []
    if fresh:
        parts.append(ngettext("%(n)d new alert", "%(n)d new alerts", fresh) % {"n": fresh})
    if lasting:
        words = ngettext("%(n)d alert lasts", "%(n)d alerts last", lasting)
        parts.append(words % {"n": lasting})
    if right:
        parts.append(ngettext("%(n)d recovered", "%(n)d recovered", len(right)) % {
            "n": len(right)})  # fmt: skip
    return ", ".join(parts)


def _whose(one: Incident) -> str:
    if one.job is not None:
        return one.job.name
    return one.subject or _("runner")


def title(condition: str) -> str:
    """Return what a condition is called."""
    return {
        Condition.FAILED.value: _("failed"),
        Condition.LATE.value: _("late"),
        Condition.MISSED.value: _("missed"),
        Condition.TOO_LONG.value: _("running too long"),
        Condition.BACKLOG.value: _("backlog growing"),
        Condition.RUNNER_DOWN.value: _("runner down"),
        "recovered": _("recovered"),
    }.get(condition, condition)


def _line(one: Incident, channel: Channel, now: datetime, *, lasting: bool) -> str:
    words = f"{_whose(one)}: {explain_incident(one, channel.timezone)}"
    since = _local(one.opened_at, channel)
    if one.recovered_at is not None:
        words += "; " + _("right again since %(time)s") % {
            "time": _local(one.recovered_at, channel)
        }
    elif lasting:
        words += "; " + _("since %(time)s, for %(long)s") % {
            "time": since,
            "long": length((now - one.opened_at).total_seconds()),
        }
    else:
        words += "; " + _("since %(time)s") % {"time": since}
    return one_line(words)[:LONGEST_LINE]


def explain_incident(one: Incident, timezone: str = "UTC") -> str:
    """Say in a sentence, in the language in force, what is or was wrong.

    Args:
        one: the incident.
        timezone: of the times in it.
    """
    data: dict[str, Any] = dict(one.data) if isinstance(one.data, dict) else {}
    for key in _INSTANTS & data.keys():
        with contextlib.suppress(ValueError, TypeError):
            instant = datetime.fromisoformat(data[key])
            data[key] = local_text(to_micros(instant) // MICROS, timezone)
    writer = _WRITERS.get(one.condition)
    return writer(data) if writer else one.condition


def _failed(data: Mapping[str, Any]) -> str:
    count = int(data.get("count") or 1)
    words = ngettext("the last run failed", "the last %(n)d runs failed", count) % {"n": count}
    reason = explain(str(data.get("reason") or ""), data.get("reason_data"))
    details = str(data.get("details") or "")
    return ": ".join(part for part in (words, reason, details) if part)


def _late(data: Mapping[str, Any]) -> str:
    return _("due %(due)s, and %(long)s late") % {
        "due": data.get("due", "?"),
        "long": length(float(data.get("seconds") or 0)),
    }


def _missed(data: Mapping[str, Any]) -> str:
    count = int(data.get("count") or 1)
    words = ngettext(
        "the fire due %(due)s was missed", "%(n)d fires were missed, the last due %(due)s", count
    )
    return words % {"n": count, "due": data.get("due", "?")}


def _too_long(data: Mapping[str, Any]) -> str:
    return _("still running after %(long)s; %(limit)s is the limit") % {
        "long": length(float(data.get("seconds") or 0)),
        "limit": length(float(data.get("limit") or 0)),
    }


def _backlog(data: Mapping[str, Any]) -> str:
    return _(
        "%(n)s are pending, after %(before)s %(runs)s runs ago: more come than are handled"
    ) % {
        "n": data.get("count", "?"),
        "before": data.get("before", "?"),
        "runs": int(data.get("runs") or 1) - 1,
    }


def _runner_down(data: Mapping[str, Any]) -> str:
    words = {"seen": data.get("seen", "?"), "host": data.get("host", "?")}
    if data.get("all"):
        return _("no runner is alive; the last one, on %(host)s, was seen at %(seen)s") % words
    return _("the runner on %(host)s has not been seen since %(seen)s") % words


_WRITERS = {
    Condition.FAILED.value: _failed,
    Condition.LATE.value: _late,
    Condition.MISSED.value: _missed,
    Condition.TOO_LONG.value: _too_long,
    Condition.BACKLOG.value: _backlog,
    Condition.RUNNER_DOWN.value: _runner_down,
}


def _link(one: Incident, link: str) -> str:
    if not link:
        return ""
    if one.run is not None:
        return f"{link}/admin/runs/{one.run}"
    return f"{link}/admin/jobs/{one.job_id}" if one.job_id is not None else f"{link}/admin/settings"


def _plain(one: Incident, line: str, address: str) -> dict[str, Any]:
    return {
        "id": one.pk,
        "state": "open" if one.recovered_at is None else "recovered",
        "condition": one.condition,
        "jobName": None if one.job is None else one.job.name,
        "host": one.subject or None,
        "runId": one.run,
        "since": iso(one.opened_at),
        "recoveredAt": None if one.recovered_at is None else iso(one.recovered_at),
        "text": line,
        "url": address or None,
    }


def length(seconds: float) -> str:
    """Write a length of time in words, in one unit, or two where the first is small."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return ngettext("%(n)d second", "%(n)d seconds", whole) % {"n": whole}
    if whole < HOUR:
        n = whole // MINUTE
        return ngettext("%(n)d minute", "%(n)d minutes", n) % {"n": n}
    if whole < 2 * DAY:
        n = whole // HOUR
        return ngettext("%(n)d hour", "%(n)d hours", n) % {"n": n}
    n = whole // DAY
    return ngettext("%(n)d day", "%(n)d days", n) % {"n": n}


def _local(instant: datetime, channel: Channel) -> str:
    return local_text(to_micros(instant) // MICROS // MINUTE * MINUTE, channel.timezone)


def one_line(text: str) -> str:
    """Return text in which nothing ends a line or moves a cursor."""
    return "".join(each if each.isprintable() else " " for each in text)
