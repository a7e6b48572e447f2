"""``/admin/records``: drains and their backlogs, dead letters, one record over all its runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_http_methods, require_safe
from ninja import Schema

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.access import administrators_only, viewers_too
from cronbell.dashboard.pages.live import SEE_OTHER, live_part, wants_part
from cronbell.dashboard.parameters import BadParameterError, RowId, read_query
from cronbell.dashboard.request_preview import MASK
from cronbell.dashboard.retrying import retry_records
from cronbell.domain import cost_text
from cronbell.drain import ledger
from cronbell.drain.claim import idempotency_key
from cronbell.drain.drain import Drain
from cronbell.drain.ledger import CursorError
from cronbell.drain.models import DrainState, Stage
from cronbell.drain.registry import drains
from cronbell.drain.target import Call, HttpTarget
from cronbell.endpoint.registry import Job as Endpoint
from cronbell.errors import CronbellError
from cronbell.runlog import listings, queries, records
from cronbell.runlog.models import Job
from cronbell.runlog.queries import COUNT_CAP, Tally

PER_PAGE = 25
JOB_CHOICES = 100
LONGEST_CURSOR = 1_000
STAGES = {
    Stage.PENDING.value: ("info", "clock", pgettext_lazy("record", "pending")),
    Stage.DONE.value: ("good", "check", pgettext_lazy("record", "done")),
    Stage.DEAD.value: ("bad", "cross", pgettext_lazy("record", "set aside")),
}
NO_CURSOR = gettext_lazy("take it from the page before")


@dataclass(frozen=True, slots=True)
class Backlog:
    """A drain as the pages show it; no number is counted further than the cap.

    Attributes:
        name: the job's name.
        job: its row; None where the run log has none.
        pending: records that wait.
        oldest: since when the oldest of them does.
        in_progress: records being handled.
        dead: records set aside.
        inflow: records that joined within the last hour.
        outflow: records that were done or set aside within it.
        to_empty: how long until nothing waits if it goes on like this; None: never, or not known.
        paused_until: until when its target asked to be left alone.
        used: what it used today.
        cost: the money of that, as text.
    """

    name: str
    job: Job | None
    pending: Tally
    oldest: datetime | None
    in_progress: Tally
    dead: Tally
    inflow: Tally
    outflow: Tally
    to_empty: timedelta | None
    paused_until: datetime | None
    used: dict[str, int]
    cost: str | None

    @property
    def known(self) -> bool:
        """Whether inflow and outflow are known, and so where it goes."""
        return not (self.inflow.capped or self.outflow.capped)


class HistoryParameters(Schema):
    """What may stand in the query string of a record's history."""

    cursor: RowId = None


@require_safe
@viewers_too
def records_page(request: HttpRequest) -> HttpResponse:
    """Show every drain of this application with its backlog."""
    now = SYSTEM_CLOCK.now()
    found = drains()
    rows = {job.name: job for job in Job.objects.filter(name__in=found)}
    names, _more = queries.job_names(JOB_CHOICES)
    context: dict[str, Any] = {
        "nav": "records",
        "page_title": _("Records"),
        "now": now,
        "backlogs": [
            _backlog(name, drain, rows.get(name), now) for name, (_job, drain) in found.items()
        ],
        "job_choices": list(dict.fromkeys([*found, *(name for _pk, name in names)])),
    }
    if wants_part(request, "backlogs"):
        return live_part(request, "cronbell/parts/backlogs.html", context)
    return render(request, "cronbell/records.html", context)


@require_safe
@viewers_too
def drain_page(request: HttpRequest, job: str) -> HttpResponse:
    """Show one drain: its backlog, and what was set aside."""
    _endpoint, drain = _drain(job)
    now = SYSTEM_CLOCK.now()
    cursor, faults = request.GET.get("cursor", ""), {}
    try:
        if len(cursor) > LONGEST_CURSOR:
            raise CursorError("too long")  # noqa: TRY301 - one way out for all that is wrong
        page = ledger.set_aside(drain, limit=PER_PAGE, cursor=cursor)
    except CursorError:
        page, faults = ledger.set_aside(drain, limit=PER_PAGE), {"cursor": str(NO_CURSOR)}
    context: dict[str, Any] = {
        "nav": "records",
        "page_title": job,
        "now": now,
        "one": _backlog(job, drain, queries.configured_job(job), now),
        "dead": page.records,
        "cursor": page.cursor,
        "first": not cursor,
        "faults": faults,
    }
    if wants_part(request, "drain"):
        return live_part(request, "cronbell/parts/drain.html", context)
    return render(request, "cronbell/drain.html", context, status=400 if faults else 200)


@require_safe
@viewers_too
def record_page(request: HttpRequest) -> HttpResponse:
    """Show where one record stands, and what every run did with it, newest first."""
    job = request.GET.get("job", "")
    endpoint, drain = drains().get(job, (None, None))
    jobs = records.jobs_of(job, endpoint.path if endpoint else "")
    configured = queries.configured_job(job)
    if drain is None and not jobs:
        raise Http404
    record_id = request.GET.get("record", "").strip()
    faults: dict[str, str] = {}
    try:
        wanted = read_query(HistoryParameters, request.GET.dict())
    except BadParameterError as error:
        wanted, faults = HistoryParameters(), error.problems
    usable = 0 < len(record_id) <= listings.LONGEST_RECORD_ID and queries.storable(record_id)
    record = ledger.record_of(drain, record_id) if drain and usable else None
    history = records.History([], None)
    if usable:
        history = records.record_history(jobs, record_id, limit=PER_PAGE, before=wanted.cursor)
    context: dict[str, Any] = {
        "nav": "records",
        "page_title": _("Record %(id)s") % {"id": record_id[:80]} if usable else _("Record"),
        "now": SYSTEM_CLOCK.now(),
        "job_name": job,
        "job_zone": configured.timezone if configured else "",
        "is_drain": drain is not None,
        "record_id": record_id,
        "record": record,
        "stage": STAGES.get(record.drain_state) if record else None,
        "held": bool(record and record.drain_owner and record.drain_state == Stage.PENDING.value),
        "may_retry": record is not None and _failed(record),
        "key": idempotency_key(record) if record else "",
        "history": history,
        "newest": wanted.cursor is None,
        "faults": faults,
    }
    known = record is not None or bool(history.items) or wanted.cursor is not None
    status = 400 if faults else 200 if known else 404
    return render(request, "cronbell/record.html", context | {"known": known}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@administrators_only
def retry_page(request: HttpRequest, job: str) -> HttpResponse:
    """Show what trying again will send (GET), or have it tried again (POST)."""
    _endpoint, drain = _drain(job)
    given = request.POST if request.method == "POST" else request.GET
    record_id = given.get("record", "")
    if given.get("all") != "on" and not record_id:
        raise Http404
    if request.method != "POST":
        return _confirm(request, job, drain, record_id)
    number = retry_records(
        job, drain, [record_id] if record_id else None, actor=request.user.get_username()
    )
    if not number:
        words = _("Nothing failed is left to try again: somebody was faster, or it is at work.")
        return _confirm(request, job, drain, record_id, words)
    if request.headers.get("HX-Request") == "true":
        answer = render(request, "cronbell/parts/retried.html", {"number": number, "job_name": job})
        answer.headers["HX-Retarget"] = "#notices"
        answer.headers["HX-Trigger"] = "cronbell-close, cronbell-refresh"
        return answer
    away = HttpResponseRedirect(_history_of(job, record_id) if record_id else _page_of(job))
    away.status_code = SEE_OTHER
    return away


def _confirm(
    request: HttpRequest, job: str, drain: Drain, record_id: str, error: str = ""
) -> HttpResponse:
    if record_id:
        record = ledger.record_of(drain, record_id)
        if record is None:
            raise Http404
        count = Tally(1)
    else:
        first = ledger.set_aside(drain, limit=1).records
        record = first[0] if first else None
        count = _tally(ledger.standing(drain, now=SYSTEM_CLOCK.now(), most=COUNT_CAP).backlog.dead)
    if not error and (record is None or not _failed(record)):
        error = _("Nothing failed is left to try again: somebody was faster, or it is at work.")
    in_dialog = request.headers.get("HX-Request") == "true"
    context = {
        "in_dialog": in_dialog,
        "nav": "records",
        "page_title": _("Try again"),
        "job_name": job,
        "record_id": record_id,
        "record": record,
        "count": count,
        "error": error,
        "call": None if record is None else _call(drain, record),
        "key": "" if record is None else idempotency_key(record),
        "back": _history_of(job, record_id) if record_id else _page_of(job),
    }
    template = "cronbell/parts/retry.html" if in_dialog else "cronbell/retry.html"
    return render(request, template, context, status=400 if error else 200)


def _call(drain: Drain, record: DrainState) -> dict[str, Any] | None:
    """Return what will be sent, by the code that sends it; None where it is a function's doing."""
    if not isinstance(drain.call, HttpTarget):
        return None
    try:
        call: Call = drain.call.call_for(record, idempotency_key(record), mask=MASK)
    except (CronbellError, AttributeError, KeyError, TypeError, ValueError):
        # The application's own function makes the body; the rest of the page still stands.
        return None
    return {"url": call.url, "headers": call.headers, "body": call.content.decode()}


def _failed(record: DrainState) -> bool:
    """Say whether ``ledger.try_again`` would take a record up."""
    if record.drain_state == Stage.DEAD.value:
        return True
    free = not record.drain_owner or (
        record.drain_lease_expires_at is not None
        and record.drain_lease_expires_at <= SYSTEM_CLOCK.now()
    )
    return record.drain_state == Stage.PENDING.value and free and bool(record.drain_error)


def _drain(name: str) -> tuple[Endpoint, Drain]:
    found = drains().get(name)
    if found is None:
        raise Http404
    return found


def _backlog(name: str, drain: Drain, job: Job | None, now: datetime) -> Backlog:
    standing = ledger.standing(drain, now=now, most=COUNT_CAP)
    backlog = standing.backlog
    return Backlog(
        name=name,
        job=job,
        pending=_tally(backlog.pending),
        oldest=backlog.oldest,
        in_progress=_tally(backlog.in_progress),
        dead=_tally(backlog.dead),
        inflow=_tally(backlog.inflow),
        outflow=_tally(backlog.outflow),
        to_empty=backlog.time_to_empty,
        paused_until=standing.paused_until,
        used=standing.used,
        cost=cost_text(standing.used["money"] or None),
    )


def _tally(number: int) -> Tally:
    return Tally(min(number, COUNT_CAP), capped=number > COUNT_CAP)


def _page_of(job: str) -> str:
    return reverse("cronbell:drain", args=[job])


def _history_of(job: str, record_id: str) -> str:
    # Names and ids are in the query: neither has to be fit for a path.
    return f"{reverse('cronbell:record')}?{urlencode({'job': job, 'record': record_id})}"
