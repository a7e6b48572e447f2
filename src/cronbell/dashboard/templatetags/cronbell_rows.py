"""What a page repeats many times, written in one go: as template nodes it took most of the time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from django import template
from django.template.context import RequestContext
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from cronbell.dashboard.charts import Bar
from cronbell.dashboard.markup import markup
from cronbell.dashboard.templatetags.cronbell import (
    address_of,
    badge,
    day_words,
    execution_time,
    icon,
    median,
    thousands,
)
from cronbell.runlog.log_rows import ListedRun
from cronbell.runlog.models import Job
from cronbell.runlog.shape import details_text

if TYPE_CHECKING:
    from cronbell.dashboard.pages.logs import JobChoice

register = template.Library()

# A job's name longer than this is cut by the stylesheet, and whole on hover.
NAME_SHOWN = 16
# Longer details are cut by the stylesheet; a click opens them.
SHORT_DETAILS = 60
LONGEST_DETAILS = 2_000

OPTION = '<option value="{0}"{1}>{0} ({2})</option>'
SELECTED = mark_safe(" selected")
ROW = (
    '<tr role="row"><td role="cell" class="c-id"><a id="run-{id}" href="{address}" '
    'aria-label="{label}">{id}</a></td><td role="cell" class="c-job"{title}>{name}</td>'
    '<td role="cell" class="c-time">{time}</td><td role="cell" class="c-status">{badge}</td>'
    '<td role="cell" class="c-details">{details}</td></tr>\n'
)


@register.simple_tag(takes_context=True)
def run_rows(context: RequestContext, runs: Iterable[ListedRun]) -> SafeString:
    """Write runs as rows of the log's table: number, job, time, status, details."""
    label = _("Run %(id)s")
    # The address of run 0 but for its number.
    address = address_of("cronbell:run", 0).removesuffix("0")
    rows = []
    for run in runs:
        name = run.job.name
        rows.append(
            markup(
                ROW,
                id=run.pk,
                address=f"{address}{run.pk}",
                label=label % {"id": run.pk},
                title=markup(' title="{}"', name) if len(name) > NAME_SHOWN else "",
                name=name,
                time=execution_time(context, run),
                badge=badge(run.status),
                details=_details(details_text(run)),
            )
        )
    return mark_safe("".join(rows))  # noqa: S308 - each row is escaped by markup


BUTTON = '<a class="button" id="{id}" href="{address}"{more} aria-label="{label}">{icon}{word}</a>'


@register.simple_tag(takes_context=True)
def run_button(context: RequestContext, job: Job) -> SafeString | str:
    """Write the button that runs a job now; of a watched job, the one that shows its ping URL.

    Nothing for those who may only look.
    """
    if not context["shell"].is_admin:
        return ""
    query = urlencode({"job_name": job.name}, quote_via=quote)
    if is_heartbeat(job):
        return markup(
            BUTTON,
            id=f"ping-url-{job.pk}",
            address=f"{address_of('cronbell:ping-url')}?{query}",
            more="",
            label=_("Ping URL of %(job)s") % {"job": job.name},
            icon="",
            word=_("Ping URL"),
        )
    address = f"{address_of('cronbell:run-now')}?{query}"
    return markup(
        BUTTON,
        id=f"run-now-{job.pk}",
        address=address,
        more=markup(' hx-get="{}" hx-target="#dialog-body" hx-swap="innerHTML"', address),
        label=_("Run %(job)s now") % {"job": job.name},
        icon=icon("play"),
        word=_("Run now"),
    )


DAY = (
    '<tr role="row"><td role="cell" data-label="{}">{}</td><td role="cell" data-label="{}">{}</td>'
    '<td role="cell" data-label="{}">{}</td><td role="cell" data-label="{}">{}</td>'
    '<td role="cell" data-label="{}">{}</td><td role="cell" data-label="{}">{}</td></tr>'
)


@register.simple_tag
def day_rows(bars: Sequence[Bar]) -> SafeString:
    """Write a job's figures as rows, a day each, the newest first."""
    labels = (_("Day (UTC)"), _("Succeeded"), _("Failed"), _("Not run"),
              _("Duration: half within"), _("Lateness: half within"))  # fmt: skip
    rows = []
    for bar in reversed(bars):
        one = bar.figures
        values = (day_words(bar.day), thousands(one.succeeded), thousands(one.failed),
                  thousands(one.not_run), median(one.duration), median(one.lateness))  # fmt: skip
        pairs = zip(labels, values, strict=True)
        rows.append(markup(DAY, *[text for pair in pairs for text in pair]))
    return SafeString("".join(rows))


def is_heartbeat(job: Job) -> bool:
    """Say whether a job is a heartbeat; one whose definition can't be read is none."""
    return isinstance(job.spec, dict) and bool(job.spec.get("heartbeat"))


@register.simple_tag
def job_options(choices: Iterable[JobChoice], chosen: str) -> SafeString:
    """Write the jobs that the log can be narrowed to, each with its number of runs."""
    options = (
        markup(OPTION, choice.name, SELECTED if choice.name == chosen else "", choice.count)
        for choice in choices
    )
    return SafeString("".join(options))


def _details(text: str) -> SafeString | str:
    if not text:
        return "-"
    if len(text) < SHORT_DETAILS:
        return markup('<span class="short">{}</span>', text)
    if len(text) > LONGEST_DETAILS:
        text = Truncator(text).chars(LONGEST_DETAILS)
    return markup('<details class="clip"><summary>{}</summary></details>', text)
