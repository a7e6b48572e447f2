"""Squares and bars as SVG, each drawing in one go: as template nodes they took half of a page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from django import template
from django.template.context import RequestContext
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from cronbell.dashboard.charts import Bar, Squares, Trend
from cronbell.dashboard.markup import markup
from cronbell.dashboard.preferences import named_zone, viewer_zone
from cronbell.dashboard.templatetags.cronbell import (
    address_of,
    badge_tone,
    day_words,
    timespan,
    word_in,
    zone_name,
)
from cronbell.runlog.statistics import Mark

register = template.Library()

SQUARE = '<a href="{}{}"{}><title>{}</title><path class="{}" d="M{} 0{}"/></a>'
CROSSED = "m-1-1h16v16h-16zm5.5 5.5 5 5m0-5-5 5"
PLAIN = "h14v14h-14z"
MARKED = "m7 3.5v4.5m0 2.4v.2"
GOING = "m4.5 7h5"
_TO_SECONDS = len("2026-11-22 09:00:00")
BAR = '<g><title>{}</title><rect class="hit" x="{}" y="0" width="10" height="{}"></rect>{}{}</g>'
PART = '<rect class="{}" x="{}" y="{}" width="10" height="{}" rx="1"></rect>'


@register.simple_tag(takes_context=True)
def run_squares(
    context: RequestContext, history: Squares, zone: str, *, compact: bool = False
) -> SafeString:
    """Draw a job's last runs; each leads to its page, by keyboard too unless there are many rows.

    Args:
        context: the template's, with ``request``.
        history: the runs.
        zone: IANA name of the job's zone.
        compact: one of many such rows.
    """
    # The address of run 0 but for its number.
    address = address_of("cronbell:run", 0).removesuffix("0")
    own = named_zone(zone) or UTC
    shown, language = viewer_zone(context["request"]) or own, get_language()
    skipped = SafeString(' tabindex="-1"') if compact else ""
    drawn = []
    for one in history.squares:
        mark = one.mark
        tone = badge_tone(mark.status)
        shape = CROSSED if tone == "bad" else PLAIN
        if tone == "warn":
            shape += MARKED
        elif mark.finished_at is None:
            shape += GOING
        words = _mark_words(mark, own, shown, language)
        drawn.append(markup(SQUARE, address, mark.id, skipped, words, tone, one.x, shape))
    return SafeString("".join(drawn))


@register.simple_tag
def trend_bars(trend: Trend, what: str) -> SafeString:
    """Draw a bar for each day of a trend, with its numbers in words on hover."""
    return SafeString("".join(_bars(trend, what)))


def _bars(trend: Trend, what: str) -> Iterator[str]:
    for bar in trend.bars:
        low, high = _part("low", bar, bar.low_y, bar.low), _part("high", bar, bar.high_y, bar.high)
        yield markup(BAR, _bar_words(bar, what), bar.x, trend.height, low, high)


def _part(name: str, bar: Bar, top: float, height: float) -> SafeString | str:
    return markup(PART, name, bar.x, round(top, 1), height) if height else ""


def _mark_words(mark: Mark, own: tzinfo, shown: tzinfo, language: str | None) -> str:
    """Say what a square of a run's history stands for."""
    at = mark.started_at or mark.scheduled_at
    here = at.astimezone(shown)
    words = f"{mark.id}: {word_in(language, mark.status)}, {_seconds(here)} {zone_name(at, shown)}"
    if shown is own:
        return words
    there = at.astimezone(own)
    if there.utcoffset() == here.utcoffset():
        return words
    return f"{words} ({_seconds(there)} {zone_name(at, own)})"


def _seconds(local: datetime) -> str:
    return local.isoformat(" ", "milliseconds")[:_TO_SECONDS]


def _bar_words(bar: Bar, what: str) -> str:
    """Say what a day's bar of a trend stands for."""
    day, figures = day_words(bar.day), bar.figures
    if what == "outcomes":
        words = {"day": day, "succeeded": figures.succeeded, "failed": figures.failed}
        return _("%(day)s: %(succeeded)s succeeded, %(failed)s failed") % words
    spread = figures.duration if what == "durations" else figures.lateness
    if spread is None:
        return _("%(day)s: no run") % {"day": day}
    words = {"day": day, "median": timespan(spread.median), "most": timespan(spread.most)}
    return _("%(day)s: half within %(median)s, 95 in 100 within %(most)s") % words
