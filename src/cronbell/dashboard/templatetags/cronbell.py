"""Template tags for instants, lengths of time, statuses and links that keep the filter."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from django import template
from django.template.context import RequestContext
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from cronbell.clock import iso
from cronbell.dashboard.preferences import named_zone, viewer_zone
from cronbell.dashboard.words import failure_text, reason_text
from cronbell.runlog.models import KIND_CHOICES, STATUS_CHOICES, Run
from cronbell.runlog.shape import details_text
from cronbell.states import Status

register = template.Library()
register.filter("details_text", details_text)
register.filter("reason_text", reason_text)
register.filter("failure_text", failure_text)

# Colour is never alone: each status has a shape and its word.
BADGES = {
    Status.PENDING.value: ("quiet", "clock"),
    Status.RUNNING.value: ("info", "play"),
    Status.SUCCESS.value: ("good", "check"),
    Status.PARTIAL.value: ("warn", "half"),
    Status.ERROR.value: ("bad", "cross"),
    Status.TIMED_OUT.value: ("bad", "hourglass"),
    Status.CANCELLED.value: ("quiet", "stop"),
    Status.SKIPPED.value: ("quiet", "skip"),
    Status.MISSED.value: ("warn", "gap"),
    Status.UNKNOWN.value: ("quiet", "question"),
}
WORDS = dict(STATUS_CHOICES)
KIND_WORDS = dict(KIND_CHOICES)
MINUTE, HOUR, DAY = 60, 3600, 86400
TENTHS_BELOW = 10
_SIGNED_OFFSET = re.compile(r"[+-]\d+")


@register.simple_tag
def badge_tone(status: str) -> str:
    """Return the colour name of a status; grey for one this version does not know."""
    return BADGES.get(status, ("quiet", "question"))[0]


@register.simple_tag
def badge_icon(status: str) -> str:
    """Return the icon's name of a status."""
    return BADGES.get(status, ("quiet", "question"))[1]


@register.filter
def status_word(status: str) -> str:
    """Return a status in the viewer's language."""
    return str(WORDS.get(status, status))


@register.filter
def kind_word(kind: str) -> str:
    """Return what made a run, in the viewer's language."""
    return str(KIND_WORDS.get(kind, kind))


@register.simple_tag(takes_context=True)
def instant(
    context: RequestContext, value: datetime | None, job_zone: str = "", *, exact: bool = False
) -> SafeString | str:
    """Write an instant in the viewer's zone, the same instant in the job's zone on hover.

    Before the browser has said its zone, the job's is used, so that nothing moves later.

    Args:
        context: the template's, with ``request``.
        value: aware; None is written as a dash.
        job_zone: IANA name of the job's zone; empty for UTC.
        exact: with milliseconds.
    """
    if value is None:
        return "–"
    own = named_zone(job_zone) or UTC if job_zone else UTC
    shown = viewer_zone(context["request"]) or own
    return format_html(
        '<time datetime="{}" title="{}">{} <span class="zone">{}</span></time>',
        iso(value),
        f"{_local(value, own, exact=True)} {zone_name(value, own)} · {iso(value)}",
        _local(value, shown, exact=exact),
        zone_name(value, shown),
    )


def _local(value: datetime, zone: tzinfo, *, exact: bool) -> str:
    local = value.astimezone(zone)
    text = date_format(local, "Y-m-d H:i:s")
    return f"{text}.{local.microsecond // 1000:03d}" if exact else text


def zone_name(value: datetime, zone: tzinfo) -> str:
    """Return ``KST``, ``CEST``, ``UTC`` or, where a zone has no letters, ``UTC+5:30``."""
    local = value.astimezone(zone)
    name = local.tzname() or "UTC"
    if not _SIGNED_OFFSET.fullmatch(name):
        return name
    offset = local.utcoffset() or timedelta()
    minutes = int(offset.total_seconds()) // MINUTE
    hours, rest = divmod(abs(minutes), MINUTE)
    sign = "-" if minutes < 0 else "+"
    return f"UTC{sign}{hours}:{rest:02d}" if rest else f"UTC{sign}{hours}"


@register.filter
def timespan(value: timedelta | float | None) -> str:
    """Write a length of time shortly: ``420 ms``, ``3.2 s``, ``4 min 10 s``, ``2 h 5 min``."""
    if value is None:
        return "–"
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if seconds < 1:
        return sign + _("%(n)s ms") % {"n": int(seconds * 1000)}
    if seconds < MINUTE:
        figure = f"{seconds:.1f}" if seconds < TENTHS_BELOW else f"{int(seconds)}"
        return sign + _("%(n)s s") % {"n": figure}
    if seconds < HOUR:
        return sign + _pair(_("%(a)s min %(b)s s"), seconds, MINUTE, 1)
    if seconds < DAY:
        return sign + _pair(_("%(a)s h %(b)s min"), seconds, HOUR, MINUTE)
    return sign + _pair(_("%(a)s d %(b)s h"), seconds, DAY, HOUR)


def _pair(words: str, seconds: float, big: int, small: int) -> str:
    whole, rest = divmod(int(seconds), big)
    return words % {"a": f"{whole:,}", "b": rest // small}


@register.simple_tag
def soon(value: datetime, now: datetime) -> str:
    """Write roughly how long from now until ``value``; it changes at most once a minute."""
    seconds = (value - now).total_seconds()
    if seconds < MINUTE:
        return _("in less than a minute")
    if seconds < HOUR:
        return _("in %(time)s") % {"time": _("%(n)s min") % {"n": int(seconds) // MINUTE}}
    return _("in %(time)s") % {"time": timespan(seconds)}


@register.simple_tag(takes_context=True)
def execution_time(context: RequestContext, run: Run) -> SafeString | str:
    """Write when a run began, or was due where nothing began."""
    return instant(context, run.started_at or run.scheduled_at, run.job.timezone)


@register.filter
def duration(run: Run) -> timedelta | None:
    """Return how long a run took; None where it did not start or end."""
    if run.started_at is None or run.finished_at is None:
        return None
    return run.finished_at - run.started_at


@register.filter
def lateness(run: Run) -> timedelta | None:
    """Return started − due; None where nothing started."""
    if run.started_at is None:
        return None
    return run.started_at - run.scheduled_at


@register.simple_tag(takes_context=True)
def link(context: RequestContext, **changes: Any) -> str:
    """Return this page's query string with some parameters changed; empty ones are left out."""
    query = context["request"].GET.copy()
    for name, value in changes.items():
        query[name] = str(value)
    if "cursor" not in changes:
        query.pop("cursor", None)
    for name in [name for name, value in query.items() if value in ("", None)]:
        del query[name]
    return f"?{query.urlencode()}"
