"""The jobs above the log, written in one go: as template nodes they took a third of the page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django import template
from django.template.context import RequestContext
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from cronbell.dashboard.markup import markup
from cronbell.dashboard.templatetags.cronbell import address_of, badge_in, icon, instant, soon
from cronbell.dashboard.templatetags.cronbell_rows import is_heartbeat, run_buttons
from cronbell.runlog.queries import JobLine

register = template.Library()

LINE = (
    '<li class="job"><div class="job-name"><a href="{0}{1}" id="job-{1}">{2}</a>'
    '<code class="schedule" title="{3} · {4}">{5}</code></div>\n'
    '<div class="job-next"><span class="label">{6}</span>{7}</div>\n'
    '<div class="job-last"><span class="label">{8}</span>{9}</div>'
    '<div class="job-run">{10}</div></li>\n'
)


@register.simple_tag(takes_context=True)
def job_lines(context: RequestContext, lines: Sequence[JobLine], now: datetime) -> SafeString:
    """Write jobs as lines: name, schedule, what comes next, the last run, the button to run it."""
    title, usual, of_ping, last_label = _("Schedule"), _("Next"), _("Ping due"), _("Last run")
    button, language = run_buttons(context), get_language()
    # The addresses of job 0 and run 0 but for their numbers.
    job_address = address_of("cronbell:job", 0).removesuffix("0")
    run_address = address_of("cronbell:run", 0).removesuffix("0")
    written = []
    for line in lines:
        job = line.job
        written.append(
            markup(
                LINE,
                job_address,
                job.pk,
                job.name,
                title,
                job.timezone,
                job.schedule or "–",
                of_ping if is_heartbeat(job) else usual,
                _next(context, line, now),
                last_label,
                _last(line, run_address, language),
                button(job),
            )
        )
    return SafeString("".join(written))


def _next(context: RequestContext, line: JobLine, now: datetime) -> SafeString:
    job = line.job
    if line.fault:
        return markup('<span class="fault">{}{}</span>', icon("cross"), line.fault)
    if job.paused_at:
        return markup(
            '<span class="muted">{} {} · {} ({})</span>', _("paused since"),
            instant(context, job.paused_at, job.timezone), job.pause_reason, job.paused_by,
        )  # fmt: skip
    if line.waiting_since:
        return markup(
            '<span class="fault">{} {}</span>', _("waiting for its ping since"),
            instant(context, line.waiting_since, job.timezone),
        )  # fmt: skip
    if line.next_fire:
        return markup(
            '{} <span class="muted soon">{}</span>',
            instant(context, line.next_fire, job.timezone), soon(line.next_fire, now),
        )  # fmt: skip
    words = _("no schedule") if job.enabled else _("disabled")
    return markup('<span class="muted">{}</span>', words)


def _last(line: JobLine, address: str, language: str | None) -> SafeString:
    run = line.last_run
    if run is None:
        return markup('<span class="muted">{}</span>', _("never"))
    return markup(
        '<a class="plain" href="{}{}" id="last-{}">{}</a>',
        address, run.pk, line.job.pk, badge_in(language, run.status),
    )  # fmt: skip
