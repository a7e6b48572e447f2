"""Squares and bars as SVG, each drawing in one go: as template nodes they took half of a page."""

from __future__ import annotations

from collections.abc import Iterator

from django import template
from django.template.context import RequestContext
from django.urls import reverse
from django.utils.safestring import SafeString

from cronbell.dashboard.charts import Bar, Squares, Trend
from cronbell.dashboard.markup import markup
from cronbell.dashboard.templatetags.cronbell import badge_tone, bar_words, square_words

register = template.Library()

SQUARE = '<a href="{}{}"{}><title>{}</title><path class="{}" d="M{} 0{}"/></a>'
CROSSED = "m-1-1h16v16h-16zm5.5 5.5 5 5m0-5-5 5"
PLAIN = "h14v14h-14z"
MARKED = "m7 3.5v4.5m0 2.4v.2"
GOING = "m4.5 7h5"
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
    address = reverse("cronbell:run", args=[0]).removesuffix("0")
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
        words = square_words(context, mark, zone)
        drawn.append(markup(SQUARE, address, mark.id, skipped, words, tone, one.x, shape))
    return SafeString("".join(drawn))


@register.simple_tag
def trend_bars(trend: Trend, what: str) -> SafeString:
    """Draw a bar for each day of a trend, with its numbers in words on hover."""
    return SafeString("".join(_bars(trend, what)))


def _bars(trend: Trend, what: str) -> Iterator[str]:
    for bar in trend.bars:
        low, high = _part("low", bar, bar.low_y, bar.low), _part("high", bar, bar.high_y, bar.high)
        yield markup(BAR, bar_words(bar, what), bar.x, trend.height, low, high)


def _part(name: str, bar: Bar, top: float, height: float) -> SafeString | str:
    return markup(PART, name, bar.x, round(top, 1), height) if height else ""
