"""What a page repeats many times, written in one go: as template nodes it took most of the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from django import template
from django.template.context import RequestContext
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from cronbell.dashboard.charts import Bar
from cronbell.dashboard.markup import markup
from cronbell.dashboard.preferences import viewer_zone
from cronbell.dashboard.templatetags.cronbell import (
    address_of,
    badge_in,
    day_words,
    icon,
    instant_in,
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


@register.simple_tag(takes_context=True)
def run_rows(context: RequestContext, runs: Iterable[ListedRun]) -> SafeString:
    """Write runs as rows of the log's table: number, job, time, status, details."""
    label, language = escape(_("Run %(id)s")), get_language()
    zone = viewer_zone(context["request"])
    # The address of run 0 but for its number.
    address = escape(address_of("cronbell:run", 0).removesuffix("0"))
    rows = []
    # Escaped here one by one: a page has fifty rows, and ``markup`` looks at each value's kind.
    for run in runs:
        pk, name = run.pk, escape(run.job.name)
        title = f' title="{name}"' if len(run.job.name) > NAME_SHOWN else ""
        rows.append(
            f'<tr role="row"><td role="cell" class="c-id"><a id="run-{pk:d}" href="{address}{pk:d}"'
            f' aria-label="{label % {"id": pk}}">{pk:d}</a></td>'
            f'<td role="cell" class="c-job"{title}>{name}</td><td role="cell" class="c-time">'
            f"{instant_in(zone, run.started_at or run.scheduled_at, run.job.timezone)}</td>"
            f'<td role="cell" class="c-status">{badge_in(language, run.status)}</td>'
            f'<td role="cell" class="c-details">{_details(details_text(run))}</td></tr>\n'
        )
    return SafeString("".join(rows))


BUTTON = '<a class="button" id="{}" href="{}"{} aria-label="{}">{}{}</a>'
FETCHED = ' hx-get="{}" hx-target="#dialog-body" hx-swap="innerHTML"'


@register.simple_tag(takes_context=True)
def run_button(context: RequestContext, job: Job) -> SafeString | str:
    """Write the button that runs a job now; of a watched job, the one that shows its ping URL.

    Nothing for those who may only look.
    """
    return run_buttons(context)(job)


def run_buttons(context: RequestContext) -> Callable[[Job], SafeString | str]:
    """Return what writes the button of each job; words and addresses are looked up once."""
    if not context["shell"].is_admin:
        return lambda _job: ""
    ping_label, ping_word = _("Ping URL of %(job)s"), _("Ping URL")
    run_label, run_word, play = _("Run %(job)s now"), _("Run now"), icon("play")
    ping_url, run_now = address_of("cronbell:ping-url"), address_of("cronbell:run-now")

    def button(job: Job) -> SafeString:
        query = f"job_name={quote(job.name, safe='')}"
        if is_heartbeat(job):
            label = ping_label % {"job": job.name}
            address = f"{ping_url}?{query}"
            return markup(BUTTON, f"ping-url-{job.pk}", address, "", label, "", ping_word)
        label, address = run_label % {"job": job.name}, f"{run_now}?{query}"
        fetched = markup(FETCHED, address)
        return markup(BUTTON, f"run-now-{job.pk}", address, fetched, label, play, run_word)

    return button


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
    options = []
    for choice in choices:
        name, selected = escape(choice.name), " selected" if choice.name == chosen else ""
        count = escape(choice.count)
        options.append(f'<option value="{name}"{selected}>{name} ({count})</option>')
    return SafeString("".join(options))


def _details(text: str) -> SafeString | str:
    if not text:
        return "-"
    if len(text) < SHORT_DETAILS:
        return SafeString(f'<span class="short">{escape(text)}</span>')
    if len(text) > LONGEST_DETAILS:
        text = Truncator(text).chars(LONGEST_DETAILS)
    return markup('<details class="clip"><summary>{}</summary></details>', text)
