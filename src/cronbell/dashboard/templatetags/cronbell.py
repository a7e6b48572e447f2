"""Template tags for instants, lengths of time, statuses and links that keep the filter."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from html import escape
from typing import Any
from urllib.parse import urlencode

from django import template
from django.conf import settings
from django.http import HttpRequest
from django.template.context import RequestContext
from django.templatetags.static import static
from django.urls import get_script_prefix, reverse
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext as _

from cronbell.addresses import shown_address
from cronbell.clock import SYSTEM_CLOCK, iso
from cronbell.dashboard.markup import markup
from cronbell.dashboard.preferences import named_zone, viewer_zone
from cronbell.dashboard.words import failure_text, reason_text, schedule_sentence
from cronbell.domain import cost_text
from cronbell.runlog.log_rows import ListedRun
from cronbell.runlog.models import KIND_CHOICES, STATUS_CHOICES, Item, Run
from cronbell.runlog.shape import details_text
from cronbell.runlog.statistics import Spread
from cronbell.states import Status

register = template.Library()
register.filter("details_text", details_text)
register.filter("reason_text", reason_text)
register.filter("shown_address", shown_address)
register.filter("failure_text", failure_text)
register.filter("schedule_sentence", schedule_sentence)

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
# Django's own Korean has no short ones.
WEEKDAYS = (
    pgettext_lazy("day of the week", "Mon"),
    pgettext_lazy("day of the week", "Tue"),
    pgettext_lazy("day of the week", "Wed"),
    pgettext_lazy("day of the week", "Thu"),
    pgettext_lazy("day of the week", "Fri"),
    pgettext_lazy("day of the week", "Sat"),
    pgettext_lazy("day of the week", "Sun"),
)
MINUTE, HOUR, DAY = 60, 3600, 86400
_TO_SECONDS, _TO_MILLIS = len("2026-11-22 09:00:00"), len("2026-11-22 09:00:00.000")
TENTHS_BELOW = 10
_QUERY = "_cronbell_query"
_SIGNED_OFFSET = re.compile(r"[+-]\d+")


def address_of(name: str, *values: int) -> str:
    """Return the address of a page; it is looked up once."""
    return _address_of(name, values, get_script_prefix(), settings.ROOT_URLCONF)


@lru_cache(maxsize=64)
def _address_of(
    name: str,
    values: tuple[int, ...],
    prefix: str,  # noqa: ARG001 - part of the key
    urls: str,
) -> str:
    return reverse(name, urls, args=values)


@register.simple_tag
def address(name: str, number: int | None = None) -> str:
    """Return the address of a page, or of one of its kind by number, as ``url`` would.

    Django looks an address up anew each time, which takes longer than all else in a line.
    """
    if number is None:
        return address_of(name)
    first = address_of(name, 0)
    if not first.endswith("/0"):
        return reverse(name, args=[number])
    return f"{first[:-1]}{number:d}"


@register.simple_tag
def badge_tone(status: str) -> str:
    """Return the colour name of a status; grey for one this version does not know."""
    return BADGES.get(status, ("quiet", "question"))[0]


@register.simple_tag
def badge_icon(status: str) -> str:
    """Return the icon's name of a status."""
    return BADGES.get(status, ("quiet", "question"))[1]


@register.simple_tag
def icon(name: str) -> SafeString:
    """Draw an icon; what it stands for is said in words beside it."""
    return _icon(name)


@cache
def _icon(name: str) -> SafeString:
    # An include in its place took longer than all else in a row of the log.
    return markup(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>',
        static("cronbell/icons.svg"),
        name,
    )


@register.simple_tag
def badge(status: str) -> SafeString:
    """Show a status: its colour, its shape and its word in the viewer's language."""
    return badge_in(get_language(), status)


@lru_cache(maxsize=64)
def badge_in(language: str | None, status: str) -> SafeString:  # noqa: ARG001 - part of the key
    """Write a status as ``badge`` does, for who already knows the language that is active."""
    tone, shape = BADGES.get(status, ("quiet", "question"))
    return markup('<span class="badge {}">{}{}</span>', tone, _icon(shape), status_word(status))


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
    return instant_in(viewer_zone(context["request"]), value, job_zone, exact=exact)


def instant_in(
    viewer: tzinfo | None, value: datetime, job_zone: str, *, exact: bool = False
) -> SafeString:
    """Write an instant as ``instant`` does, for who already knows the viewer's zone."""
    own = named_zone(job_zone) or UTC if job_zone else UTC
    shown = viewer or own
    # A page has hundreds: each is brought into its zones once, and digits are not escaped.
    there, at, ears = value.astimezone(own), iso(value), ""
    own_text, own_name = there.isoformat(" ", "milliseconds"), escape(_name_of(there))
    text, name = own_text, own_name
    if shown is not own:
        here = value.astimezone(shown)
        text, name = here.isoformat(" ", "milliseconds"), escape(_name_of(here))
        if there.utcoffset() != here.utcoffset():
            ears = f'<span class="hidden"> ({own_text[:_TO_SECONDS]} {own_name})</span>'
    also = "" if own is UTC else f" · {at}"
    return SafeString(
        f'<time datetime="{at}" title="{own_text[:_TO_MILLIS]} {own_name}{also}">'
        f'{text[: _TO_MILLIS if exact else _TO_SECONDS]} <span class="zone">{name}</span>'
        f"{ears}</time>"
    )


def _hover(value: datetime, own: tzinfo) -> str:
    """Write the instant in the job's zone, and in UTC where that is another."""
    local = f"{_local(value, own, exact=True)} {zone_name(value, own)}"
    return local if own is UTC else f"{local} · {iso(value)}"


def _for_ears(value: datetime, own: tzinfo, shown: tzinfo) -> SafeString | str:
    """Write the instant in the job's zone for who can't hover, where that is another time."""
    if own is shown or value.astimezone(own).utcoffset() == value.astimezone(shown).utcoffset():
        return ""
    local = f"{_local(value, own, exact=False)} {zone_name(value, own)}"
    return markup('<span class="hidden"> ({})</span>', local)


@register.simple_tag(takes_context=True)
def moment(
    context: RequestContext, value: datetime | None, job_zone: str = "", *, own: bool = False
) -> SafeString | str:
    """Write an instant as people say it, ``Mon 23 Nov 09:00``, in the viewer's zone.

    Args:
        context: the template's, with ``request``.
        value: aware; None is written as a dash.
        job_zone: IANA name of the job's zone; empty for UTC.
        own: in the job's zone instead of the viewer's.
    """
    if value is None:
        return "–"
    jobs = named_zone(job_zone) or UTC if job_zone else UTC
    shown = jobs if own else viewer_zone(context["request"]) or jobs
    local = value.astimezone(shown)
    this_year = SYSTEM_CLOCK.now().astimezone(shown).year
    # Translators: a date format of Django's; @ is where the day of the week goes.
    form = _("@ j M H:i") if local.year == this_year else _("@ j M Y H:i")
    words = date_format(local, form).replace("@", str(WEEKDAYS[local.weekday()]))
    if local.second:
        words += f":{local.second:02d}"
    return markup(
        '<time datetime="{}" title="{}">{} <span class="zone">{}</span>{}</time>',
        iso(value),
        _hover(value, jobs),
        words,
        zone_name(value, shown),
        "" if own else _for_ears(value, jobs, shown),
    )


@register.simple_tag(takes_context=True)
def viewer_zone_name(context: RequestContext, job_zone: str = "") -> str:
    """Return the name of the zone times are shown in: the browser's, else the job's."""
    zone = viewer_zone(context["request"])
    return str(zone) if zone is not None else job_zone or "UTC"


def _local(value: datetime, zone: tzinfo, *, exact: bool) -> str:
    # Written by isoformat: strftime takes five times as long, for each of a page's instants thrice.
    text = value.astimezone(zone).isoformat(" ", "milliseconds")
    return text[:_TO_MILLIS] if exact else text[:_TO_SECONDS]


def zone_name(value: datetime, zone: tzinfo) -> str:
    """Return ``KST``, ``CEST``, ``UTC`` or, where a zone has no letters, ``UTC+5:30``."""
    return _name_of(value.astimezone(zone))


def _name_of(local: datetime) -> str:
    name = local.tzname() or "UTC"
    if name[:1] not in "+-" or not _SIGNED_OFFSET.fullmatch(name):
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
        return sign + _pair(_("%(a)s min %(b)s s"), _("%(n)s min"), seconds, MINUTE, 1)
    if seconds < DAY:
        return sign + _pair(_("%(a)s h %(b)s min"), _("%(n)s h"), seconds, HOUR, MINUTE)
    return sign + _pair(_("%(a)s d %(b)s h"), _("%(n)s d"), seconds, DAY, HOUR)


def _pair(words: str, whole_words: str, seconds: float, big: int, small: int) -> str:
    whole, rest = divmod(int(seconds), big)
    if not rest // small:
        return whole_words % {"n": f"{whole:,}"}
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


@register.simple_tag
def ago(value: datetime, now: datetime) -> str:
    """Write roughly how long ago something was; it changes at most once a minute."""
    seconds = (now - value).total_seconds()
    if seconds < MINUTE:
        return _("less than a minute ago")
    if seconds < HOUR:
        return _("%(time)s ago") % {"time": _("%(n)s min") % {"n": int(seconds) // MINUTE}}
    return _("%(time)s ago") % {"time": timespan(seconds)}


@register.simple_tag(takes_context=True)
def since(
    context: RequestContext, value: datetime, now: datetime, job_zone: str = ""
) -> SafeString:
    """Write how long ago something began; when that was on hover and for who can't hover."""
    own = named_zone(job_zone) or UTC if job_zone else UTC
    shown = viewer_zone(context["request"]) or own
    return markup(
        '<time datetime="{}" title="{}">{}<span class="hidden"> ({} {})</span></time>',
        iso(value),
        _hover(value, own),
        age(value, now),
        _local(value, shown, exact=False),
        zone_name(value, shown),
    )


@register.filter
def day_words(day: date) -> str:
    """Write a day as people say it: ``Sun 22 Nov``."""
    return _day_words(day, get_language())


# A job's page writes each of its days four times.
@lru_cache(maxsize=256)
def _day_words(day: date, language: str | None) -> str:  # noqa: ARG001 - part of the key
    # Translators: a date format of Django's; @ is where the day of the week goes.
    return date_format(day, _("@ j M")).replace("@", str(WEEKDAYS[day.weekday()]))


@register.simple_tag
def countdown(value: datetime, now: datetime) -> SafeString:
    """Write how long until ``value``; the static script counts the last hour down by seconds."""
    words = soon(value, now)
    return markup(
        '<span class="countdown" role="timer" aria-label="{}" data-until="{}">{}</span>',
        words,
        iso(value),
        words,
    )


@register.filter
def roughly(value: timedelta) -> str:
    """Write a length of time to the minute where it is that long: it need not be told every s."""
    seconds = value.total_seconds()
    if MINUTE <= seconds < HOUR:
        return _("%(n)s min") % {"n": int(seconds) // MINUTE}
    return timespan(value)


@register.filter
def age(value: datetime, now: datetime) -> str:
    """Write roughly how long it is from ``value`` to now; it changes at most once a minute."""
    return roughly(now - value) if now - value >= timedelta(minutes=1) else _("under a minute")


@lru_cache(maxsize=64)
def word_in(language: str | None, status: str) -> str:  # noqa: ARG001 - part of the key
    """Return a status as ``status_word`` does, for who already knows the language."""
    return status_word(status)


@register.filter
def median(spread: Spread | None) -> str:
    """Write what half of the runs stay within."""
    return timespan(None if spread is None else spread.median)


@register.filter
def percent(share: float | None) -> str:
    """Write a share as ``99.5%``; rounded down, so that 100% means all."""
    if share is None:
        return "–"
    tenths = int(share * 1000)
    return f"{tenths // 10}%" if tenths % 10 == 0 else f"{tenths / 10:.1f}%"


@register.filter
def item_took(item: Item) -> str:
    """Write how long an item took, and what it used, as far as it said."""
    used = [] if item.microseconds is None else [timespan(item.microseconds / 1_000_000)]
    if item.tokens is not None:
        used.append(_("%(tokens)s tokens") % {"tokens": thousands(item.tokens)})
    cost = cost_text(item.micromoney)
    return " · ".join([*used, *([cost] if cost else [])]) or "–"


@register.filter
def iso_text(value: datetime) -> str:
    """Write an instant as addresses carry it."""
    return iso(value)


@register.filter
def json_text(value: object) -> str:
    """Write a stored JSON value as JSON."""
    return json.dumps(value, ensure_ascii=False)


@register.filter
def thousands(number: int) -> str:
    """Write a whole number with its thousands apart."""
    return f"{number:,}"


@register.simple_tag(takes_context=True)
def execution_time(context: RequestContext, run: Run | ListedRun) -> SafeString:
    """Write when a run began, or was due where nothing began."""
    at = run.started_at or run.scheduled_at
    return instant_in(viewer_zone(context["request"]), at, run.job.timezone)


@register.filter
def duration(run: Run | ListedRun) -> timedelta | None:
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
    parts = _query_parts(context["request"]) | {
        name: urlencode({name: value}) if value != "" else "" for name, value in changes.items()
    }
    if "cursor" not in changes:
        parts.pop("cursor", None)
    return "?" + "&".join([part for part in parts.values() if part])


def _query_parts(request: HttpRequest) -> dict[str, str]:
    """Return the query's parameters as addresses carry them; a page has some twenty links."""
    known: dict[str, str] | None = getattr(request, _QUERY, None)
    if known is None:
        known = {
            name: urlencode({name: values}, doseq=True) if values and values[-1] else ""
            for name, values in request.GET.lists()
        }
        setattr(request, _QUERY, known)
    return known
