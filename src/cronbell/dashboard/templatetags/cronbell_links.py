"""Links of a list, written in one go: what narrows it by status, and its pages."""

from __future__ import annotations

from collections.abc import Iterable

from django import template
from django.template.context import RequestContext
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from cronbell.dashboard.markup import markup
from cronbell.dashboard.templatetags.cronbell import badge_icon, badge_tone, icon, link, status_word
from cronbell.runlog.queries import Tally

register = template.Library()

ALL = '<a id="chip-all" href="{}"{}>{} <span class="count">{}</span></a>\n    '
CHIP = '\n    <a id="chip-{}" class="{}" href="{}"{}>{}{} <span class="count">{}</span></a>\n    '
CHOSEN = SafeString(' aria-current="true"')
NUMBER = '<a id="page-{}" href="{}"{}>{}</a>'
CURRENT = SafeString(' aria-current="page"')
PREVIOUS = '<a id="page-previous" rel="prev" href="{}">{}</a>'
NEXT = '<a id="page-next" rel="next" href="{}">{}</a>'
OFF = '<span class="off">{}</span>'


@register.simple_tag(takes_context=True)
def status_chips(
    context: RequestContext, total: Tally, statuses: Iterable[tuple[str, Tally]], chosen: str | None
) -> SafeString:
    """Write the statuses that the log can be narrowed to, each with its number of runs.

    Args:
        context: the template's, with ``request``.
        total: how many runs there are of any status.
        statuses: each with its number of runs.
        chosen: the status that is shown; empty or None for any.
    """
    whole = link(context, status="", page="")
    written = [markup(ALL, whole, "" if chosen else CHOSEN, _("All"), total)]
    written += [
        markup(
            CHIP,
            status,
            badge_tone(status),
            link(context, status=status, page=""),
            CHOSEN if status == chosen else "",
            icon(badge_icon(status)),
            status_word(status),
            tally,
        )
        for status, tally in statuses
    ]
    return SafeString("".join(written))


@register.simple_tag(takes_context=True)
def page_numbers(context: RequestContext, numbers: Iterable[int], page: int) -> SafeString:
    """Write links to pages by their numbers."""
    return SafeString(
        "".join(
            [
                markup(
                    NUMBER,
                    number,
                    link(context, page=number),
                    CURRENT if number == page else "",
                    number,
                )
                for number in numbers
            ]
        )
    )


@register.simple_tag(takes_context=True)
def page_previous(context: RequestContext, page: int) -> SafeString:
    """Write the link to the page before, or only its word where there is none."""
    if page > 1:
        return markup(PREVIOUS, link(context, page=page - 1), _("Previous"))
    return markup(OFF, _("Previous"))


@register.simple_tag(takes_context=True)
def page_next(context: RequestContext, page: int, pages: int) -> SafeString:
    """Write the link to the next page, or only its word where there is none."""
    word = pgettext("page", "Next")
    if page < pages:
        return markup(NEXT, link(context, page=page + 1), word)
    return markup(OFF, word)
