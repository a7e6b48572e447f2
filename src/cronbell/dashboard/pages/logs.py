"""``/admin/cron-logs``: the jobs, and below them what ran, what did not, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from cronbell.dashboard.access import viewers_too
from cronbell.dashboard.context import shell_of
from cronbell.dashboard.pages.live import NO_CHANGE, live_part, page_window, wants_part
from cronbell.dashboard.parameters import BadParameterError, LogParameters, read_parameters
from cronbell.runlog import log_ahead, prepared, queries
from cronbell.runlog.log_pages import Log
from cronbell.runlog.log_tallies import sum_of
from cronbell.runlog.router import ALIAS

JOBS_SHOWN = 10  # with fifty failures below them a page stays below 60 KB
JOB_CHOICES = 100


@dataclass(frozen=True, slots=True)
class JobChoice:
    """One line of the job filter.

    Attributes:
        name: the job's name.
        count: its runs, as text.
    """

    name: str
    count: str


@require_safe
@viewers_too
def cron_logs(request: HttpRequest) -> HttpResponse:
    """Show the page, or the part of it that a live update asks for."""
    faults: dict[str, str] = {}
    try:
        wanted = read_parameters(request.GET.dict())
    except BadParameterError as error:
        wanted, faults = read_parameters({}), error.problems
    with prepared.page(connections[ALIAS]):
        return _answer(request, wanted, faults)


def _answer(request: HttpRequest, wanted: LogParameters, faults: dict[str, str]) -> HttpResponse:
    part, now = wants_part(request, "log"), shell_of(request).now
    log = Log(wanted.wanted())
    questions = log_ahead.log(log.wanted) + log_ahead.jobs(log.wanted, JOBS_SHOWN)
    log_ahead.ask(questions if part else questions + log_ahead.frame(now, JOB_CHOICES))
    names, more_jobs = ([], False) if part else queries.job_names(JOB_CHOICES)
    log.ask_ahead(wanted.page, wanted.limit, wanted.cursor, [pk for pk, _ in names])
    context = _log(log, wanted) | _jobs(wanted, now) | {"faults": faults}
    if part:
        return _fragment(request, context)
    context |= {"job_choices": _choices(log, wanted, names), "too_many_jobs": more_jobs}
    context |= {"page_title": _("CRON job log"), "nav": "logs"}
    return render(request, "cronbell/logs.html", context, status=400 if faults else 200)


def _fragment(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Give the log and the jobs anew; a choice made by boosted link or form becomes the address."""
    response = live_part(request, "cronbell/parts/live.html", context)
    chosen = request.headers.get("HX-Boosted") or request.headers.get("HX-Trigger") == "filters"
    if chosen and response.status_code != NO_CHANGE:
        query = request.GET.copy()
        for name in [name for name, value in query.items() if not value]:
            del query[name]
        response.headers["HX-Push-Url"] = f"{request.path}?{query.urlencode()}".rstrip("?")
    return response


def _log(log: Log, wanted: LogParameters) -> dict[str, Any]:
    page = log.listed(wanted.page, wanted.limit, wanted.cursor)
    # A limit as large as this page's end would be counted again: the last row leads further.
    more = wanted.cursor is not None or (page.total.capped and page.page >= page.pages)
    return {
        "wanted": wanted,
        "page": page,
        "window": page_window(page.page, page.pages),
        "statuses": [
            (status.value, tally)
            for status, tally in log.statuses.items()
            if tally.number or status == wanted.status
        ],
        "all_count": sum_of(log.statuses.values(), queries.COUNT_CAP),
        "older": page.runs[-1].pk if more and len(page.runs) == page.limit else None,
        "search_window": log.search_window,
        "filtered": bool(wanted.job_name or wanted.status or wanted.text)
        or wanted.since is not None
        or wanted.until is not None,
    }


def _jobs(wanted: LogParameters, now: datetime) -> dict[str, Any]:
    lines, total = queries.job_lines(now, limit=JOBS_SHOWN)
    if total > JOBS_SHOWN and wanted.job_name:
        lines, total = queries.job_lines(now, limit=JOBS_SHOWN, name_contains=wanted.job_name)
    return {"job_lines": lines, "jobs_total": total, "now": now}


def _choices(log: Log, wanted: LogParameters, names: Sequence[tuple[int, str]]) -> list[JobChoice]:
    counts, capped = log.jobs([pk for pk, _ in names])
    mark = "+" if capped else ""
    choices = [JobChoice(name, f"{counts.get(pk, 0):,}{mark}") for pk, name in names]
    if wanted.job_name and wanted.job_name not in {choice.name for choice in choices}:
        choices.append(JobChoice(wanted.job_name, "0"))
    return choices
