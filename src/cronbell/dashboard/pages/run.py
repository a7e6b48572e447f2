"""``/admin/runs/<id>``: what happened in one run, in order, and why it ended as it did."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from ninja import Schema
from pydantic import BeforeValidator

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.access import viewers_too
from cronbell.dashboard.pages.live import NO_CHANGE, live_part, page_window, wants_part
from cronbell.dashboard.parameters import BadParameterError, Page, SearchText, read_query
from cronbell.dashboard.request_preview import preview
from cronbell.dashboard.words import reason_text
from cronbell.dispatch.request import Request
from cronbell.errors import CronbellError
from cronbell.runlog import backfilling, listings, queries
from cronbell.runlog.models import Run
from cronbell.runlog.reasons import explain
from cronbell.states import Kind, Reason, Status, is_final

ITEMS_PER_PAGE = 25
LINES_SHOWN = 500
PERCENT = 100


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a run.

    Attributes:
        word: what happened.
        at: when; None where that is not known.
        note: more about it; may be empty.
        tone: the colour of its mark.
    """

    word: str
    at: datetime | None
    note: str = ""
    tone: str = "quiet"


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt of a run.

    Attributes:
        number: which, from 1; the same number again where one was asked to wait.
        sent_at: when it was sent; None where that was not recorded.
        ended_at: when it ended; None while it goes on.
        http_status: what it was answered with; 0 for no answer, None where that is not known.
        reason: why it did not end the run; why the run has its status, for the last one.
        tone: the colour of its mark.
    """

    number: int
    sent_at: datetime | None
    ended_at: datetime | None
    http_status: int | None
    reason: str
    tone: str

    @property
    def took(self) -> timedelta | None:
        """How long it took; None while it goes on, or where its start is not known."""
        if self.ended_at is None or self.sent_at is None:
            return None
        return self.ended_at - self.sent_at


class Result(StrEnum):
    """What the items may be narrowed to."""

    FAILED = "failed"
    OK = "ok"


class ItemParameters(Schema):
    """What may stand in the query string of a run's page: which of its items are shown."""

    page: Page = 1
    result: Annotated[
        Result | None, BeforeValidator(lambda value: None if value == "" else value)
    ] = None
    text: SearchText = ""


@require_safe
@viewers_too
def run_page(request: HttpRequest, run_id: int) -> HttpResponse:
    """Show one run; while it goes on the page keeps itself current."""
    run = _run(run_id)
    faults: dict[str, str] = {}
    try:
        wanted = read_query(ItemParameters, request.GET.dict())
    except BadParameterError as error:
        wanted, faults = ItemParameters(), error.problems
    before, after = listings.neighbours(run)
    context = {
        "run": run,
        "nav": "logs",
        "page_title": _("Run %(id)s") % {"id": run.pk},
        "active": not is_final(Status(run.status)),
        "now": SYSTEM_CLOCK.now(),
        "events": timeline(run),
        "tries": tries(run),
        "parameters": sorted((run.parameters or {}).items()),
        "request_preview": _request(run),
        "answer": pretty(run.body),
        "log_lines": queries.run_log_lines(run, LINES_SHOWN),
        "lines_shown": LINES_SHOWN,
        "percent": _percent(run),
        "fillings": backfilling.filled(run),
        "before": before,
        "after": after,
        "faults": faults,
    } | _items(run, wanted)
    if wants_part(request, "run"):
        return live_part(request, "cronbell/parts/run.html", context)
    if wants_part(request, "items"):
        return live_part(request, "cronbell/parts/items.html", context)
    return render(request, "cronbell/run.html", context, status=400 if faults else 200)


def _items(run: Run, wanted: ItemParameters) -> dict[str, Any]:
    ok = None if wanted.result is None else wanted.result is Result.OK
    found = listings.items_page(
        run, ok=ok, text=wanted.text.strip(), page=wanted.page, limit=ITEMS_PER_PAGE
    )
    return {
        "wanted": wanted,
        "items": found,
        "pages": found.pages,
        "page": found.page,
        "window": page_window(found.page, found.pages),
    }


@require_safe
@viewers_too
def run_notice(request: HttpRequest, run_id: int) -> HttpResponse:
    """Tell what became of a run that was asked for; nothing while that has not changed."""
    run = _run(run_id)
    active = not is_final(Status(run.status))
    if active and request.GET.get("seen") == "active":
        return HttpResponse(status=NO_CHANGE)
    response = render(request, "cronbell/parts/notice.html", {"run": run, "active": active})
    response.headers["HX-Trigger"] = "cronbell-refresh"
    return response


def pretty(body: str) -> str:
    """Return an answer as people read it: JSON with line breaks, anything else as it came.

    It is left as it came, too, where the same values would not come back: a name given twice, a
    figure that is no number, a text that is none.
    """
    try:
        parsed = json.loads(body, object_pairs_hook=_named_once)
        text = json.dumps(parsed, indent=2, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        return body
    return text


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name given twice")
    return found


def timeline(run: Run) -> list[Event]:
    """Return what happened, in order: due, recorded, each attempt sent and ended, the end."""
    events = []
    if run.kind == Kind.SCHEDULE:
        if run.missed_first_at is not None and run.missed_count > 1:
            events.append(Event(_("First fire missed"), run.missed_first_at))
        events.append(Event(_("Due"), run.scheduled_at))
    watched = bool(run.job.spec.get("heartbeat"))
    called = _("Pinged beside its schedule") if watched else _("Called")
    words = {Kind.RUN_NOW: _("Asked for"), Kind.CALL: called}
    events.append(Event(words.get(Kind(run.kind), _("Queued")), run.queued_at, run.actor))
    for attempt in run.attempts.all():
        number = _("attempt %(n)s") % {"n": attempt.number}
        events.append(Event(_("Sent"), attempt.started_at, number, "info"))
        why = explain(attempt.reason, attempt.reason_data)
        tone = "quiet" if attempt.reason in _PATIENT else "bad"
        events.append(Event(_ended(attempt.http_status), attempt.finished_at, why, tone))
    events += _last_sent(run)
    if run.finished_at is not None:
        word = _ended(run.http_status) if run.started_at else _("Recorded as not run")
        tone = _TONES.get(run.status, "quiet")
        events.append(Event(word, run.finished_at, reason_text(run), tone))
    return events


def tries(run: Run) -> list[Try]:
    """Return a run's attempts in order; the one that ended it, or goes on, is the run itself."""
    if run.started_at is None or run.by_endpoint or run.job.spec.get("heartbeat"):
        return []
    before = [
        Try(
            number=one.number,
            sent_at=one.started_at,
            ended_at=one.finished_at,
            http_status=one.http_status,
            reason=explain(one.reason, one.reason_data),
            tone="quiet" if one.reason in _PATIENT else "bad",
        )
        for one in run.attempts.all()
    ]
    if run.status == Status.PENDING:  # the next one waits for its moment
        return before
    last = Try(
        number=max(run.attempt, 1),
        sent_at=run.sent_at if before else run.started_at,  # a run's start is its first attempt's
        ended_at=run.finished_at,
        http_status=run.http_status,
        reason=reason_text(run),
        tone=_TONES.get(run.status, "quiet"),
    )
    return [*before, last]


def _last_sent(run: Run) -> list[Event]:
    if run.started_at is None:
        return []
    if run.by_endpoint:
        return [Event(_("Started"), run.started_at, "", "info")]
    if run.attempts.all():
        # A run's start is that of its first attempt.
        number = _("attempt %(n)s") % {"n": run.attempt}
        over = is_final(Status(run.status))
        return [Event(_("Sent"), run.sent_at, number, "info")] if over else []
    return [Event(_("Sent"), run.started_at, "", "info")]


_PATIENT = frozenset({Reason.STILL_WORKING.value, Reason.ASKED_TO_WAIT.value})
_TONES = {
    Status.SUCCESS.value: "good",
    Status.PARTIAL.value: "warn",
    Status.MISSED.value: "warn",
    Status.ERROR.value: "bad",
    Status.TIMED_OUT.value: "bad",
}


def _ended(http_status: int | None) -> str:
    if http_status is None:
        return _("Ended")
    if http_status == 0:
        return _("No answer")
    return _("Answered %(status)s") % {"status": http_status}


def _run(run_id: int) -> Run:
    run = queries.run_detail(run_id)
    if run is None:
        raise Http404
    return run


def _request(run: Run) -> Request | None:
    if run.by_endpoint or run.job.spec.get("heartbeat"):
        return None
    try:
        return preview(
            run.job,
            key=run.key,
            scheduled_at=run.scheduled_at,
            attempt=max(run.attempt, 1),
            dry_run=run.dry_run,
            parameters=run.parameters,
        )
    except (CronbellError, KeyError, TypeError, ValueError):
        # A definition written by another version; the rest of the page still stands.
        return None


def _percent(run: Run) -> int | None:
    if run.progress_done is None or not run.progress_total:
        return None
    return min(PERCENT, PERCENT * run.progress_done // run.progress_total)
