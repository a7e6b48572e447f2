"""``/admin/jobs``: every job in a line: when it fires, how it went, what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe
from ninja import Schema
from pydantic import BeforeValidator

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard import charts
from cronbell.dashboard.access import viewers_too
from cronbell.dashboard.pages.live import live_part, page_window, wants_part
from cronbell.dashboard.parameters import BadParameterError, Page, SearchText, read_query
from cronbell.runlog import listings, queries, statistics
from cronbell.runlog.models import Job
from cronbell.runlog.queries import Tally
from cronbell.runlog.statistics import Standing

JOBS_PER_PAGE = 12  # with their squares a page stays below 60 KB
SQUARES = 20


class State(StrEnum):
    """What the list may be narrowed to."""

    FAILING = "failing"
    PAUSED = "paused"
    DISABLED = "disabled"
    REMOVED = "removed"


STATES = {
    State.FAILING: (gettext_lazy("failing"), "bad", "cross"),
    State.PAUSED: (gettext_lazy("paused"), "quiet", "pause"),
    State.DISABLED: (gettext_lazy("disabled"), "quiet", "stop"),
    State.REMOVED: (gettext_lazy("removed"), "quiet", "gap"),
}
ChosenState = Annotated[State | None, BeforeValidator(lambda value: None if value == "" else value)]


class JobsParameters(Schema):
    """What may stand in the query string of the list of jobs."""

    page: Page = 1
    state: ChosenState = None
    text: SearchText = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A job as the list shows it.

    Attributes:
        job: its row.
        failing: whether its last run that was carried out failed.
        next_fire: when it fires next; None where it does not.
        fault: why that can't be told; empty where it can.
        history: its last runs as squares.
    """

    job: Job
    failing: bool
    next_fire: datetime | None
    fault: str
    history: charts.Squares


@require_safe
@viewers_too
def jobs_page(request: HttpRequest) -> HttpResponse:
    """Show the jobs, or the part of the page that a live update asks for."""
    faults: dict[str, str] = {}
    try:
        wanted = read_query(JobsParameters, request.GET.dict())
    except BadParameterError as error:
        wanted, faults = JobsParameters(), error.problems
    context: dict[str, Any] = _jobs(wanted) | {
        "nav": "jobs",
        "page_title": _("Jobs"),
        "wanted": wanted,
        "faults": faults,
    }
    if wants_part(request, "job-list"):
        return live_part(request, "cronbell/parts/job_list.html", context)
    return render(request, "cronbell/jobs.html", context, status=400 if faults else 200)


def _jobs(wanted: JobsParameters) -> dict[str, Any]:
    now = SYSTEM_CLOCK.now()
    text = wanted.text.strip()
    known, more = statistics.standings(text=text)
    chosen = {
        State.FAILING: [one for one in known if one.failing],
        State.PAUSED: [one for one in known if one.job.paused_at is not None],
        State.DISABLED: [one for one in known if not one.job.enabled],
    }
    counts = {state: Tally(len(some), capped=more) for state, some in chosen.items()}
    removed, removed_count = listings.removed_jobs(
        text, limit=JOBS_PER_PAGE, skip=(wanted.page - 1) * JOBS_PER_PAGE
    )
    counts[State.REMOVED] = removed_count
    first = (wanted.page - 1) * JOBS_PER_PAGE
    if wanted.state is State.REMOVED:
        shown = [statistics.standing_of(job) for job in removed]
        total = removed_count
    else:
        matching = known if wanted.state is None else chosen[wanted.state]
        shown = matching[first : first + JOBS_PER_PAGE]
        total = Tally(len(matching), capped=more)
    pages = -(-total.number // JOBS_PER_PAGE)
    return {
        "now": now,
        "lines": _lines(shown, now),
        "total": total,
        "all_count": Tally(len(known), capped=more),
        "states": [(state.value, *STATES[state], counts[state]) for state in State
                   if counts[state].number or state is wanted.state],
        "page": wanted.page,
        "pages": pages,
        "window": page_window(wanted.page, pages),
        "places": SQUARES,
    }  # fmt: skip


def _lines(shown: Sequence[Standing], now: datetime) -> list[Line]:
    lines = []
    for standing in shown:
        job = standing.job
        fire, fault = queries.next_fire(job, now)
        marks = statistics.last_marks(job.pk, SQUARES)
        lines.append(Line(job, standing.failing, fire, fault, charts.squares(marks, SQUARES)))
    return lines
