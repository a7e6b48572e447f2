"""``/admin/jobs/<id>/backfill``: what filling a range would do, then doing it; and how it goes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from cronbell.clock import SYSTEM_CLOCK, from_micros
from cronbell.dashboard.access import administrators_only, viewers_too
from cronbell.dashboard.pages.live import SEE_OTHER, live_part, wants_part
from cronbell.dashboard.parameters import MAX_ID
from cronbell.dashboard.preferences import named_zone
from cronbell.dashboard.request_preview import preview
from cronbell.dispatch.request import Request
from cronbell.domain import Overlap
from cronbell.errors import CronbellError
from cronbell.runlog import backfilling, listings
from cronbell.runlog.models import Backfill, Job
from cronbell.states import FINAL

MICROS = 1_000_000
SHOWN = 20
LONGEST = 64
OVERLAPS = {
    Overlap.QUEUE_ALL: gettext_lazy("one after the other (queue_all)"),
    Overlap.ALLOW: gettext_lazy("beside each other (allow)"),
    Overlap.SKIP: gettext_lazy("leave out what meets a run going on (skip)"),
}
STATES = {
    "going on": ("info", "play", gettext_lazy("going on")),
    "paused": ("quiet", "pause", gettext_lazy("paused")),
    "recorded": ("good", "check", gettext_lazy("all recorded")),
    "cancelled": ("quiet", "stop", gettext_lazy("cancelled")),
}
CHANGES = {"pause": backfilling.pause, "resume": backfilling.resume}


@dataclass(frozen=True, slots=True)
class Line:
    """A backfill as the list shows it.

    Attributes:
        row: its row.
        state: ``going on``, ``paused``, ``recorded`` or ``cancelled``.
        look: the state's colour, shape and word.
        over: how many of its runs have ended.
        runs: how many there are by status.
    """

    row: Backfill
    state: str
    look: tuple[str, str, Any]
    over: int
    runs: dict[str, int]


@require_http_methods(["GET", "HEAD", "POST"])
@viewers_too
def backfill_page(request: HttpRequest, job_id: int) -> HttpResponse:
    """Ask for a range, show what it would do (GET), have it filled (POST); list the job's."""
    job = _job(job_id)
    if wants_part(request, "backfills"):
        return live_part(request, "cronbell/parts/backfills.html", _listed(job))
    given = request.POST if request.method == "POST" else request.GET
    form = {name: given.get(name, "").strip() for name in ("since", "until", "overlap")}
    form["missed_only"] = given.get("missed_only", "")
    problem, found, wanted = "", None, None
    # Half a question is no mistake: the page is opened with no range at all.
    if form["since"]:
        try:
            wanted = _range(job, form)
            found = backfilling.preview(wanted, SYSTEM_CLOCK)
            if request.method == "POST":
                nonce = request.POST.get("nonce", "")
                actor = request.user.get_username()
                backfilling.start(wanted, nonce=nonce, actor=actor)
                return _back(job)
        except CronbellError as error:
            problem = f"{error.message}. {error.hint}" if error.hint else error.message
    in_dialog = wants_part(request, "dialog-body")
    nonce = secrets.token_urlsafe(16)
    context = _listed(job) | {
        "in_dialog": in_dialog,
        "nav": "jobs",
        "page_title": _("Backfill %(job)s") % {"job": job.name},
        "form": form | _typed(job, wanted, form),
        "overlaps": [(overlap.value, words) for overlap, words in OVERLAPS.items()],
        "problem": problem,
        "found": found,
        "wanted": wanted,
        "overlap_word": OVERLAPS.get(wanted.overlap, "") if wanted else "",
        "first": _instant(found.first) if found else None,
        "last": _instant(found.last) if found else None,
        "nonce": nonce,
        "request_preview": _request(job, found, nonce),
    }
    refused = problem or (request.method == "POST" and not form["since"])
    template = "cronbell/parts/backfill_preview.html" if in_dialog else "cronbell/backfill.html"
    return render(request, template, context, status=400 if refused else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@administrators_only
def change_backfill(request: HttpRequest, backfill_id: int, word: str) -> HttpResponse:
    """Say what pausing, resuming or cancelling a backfill means (GET), or do it (POST)."""
    if request.method != "POST":
        return _confirm_change(request, backfill_id, word)
    try:
        if word in CHANGES:
            changed = CHANGES[word](backfill_id)
        elif word == "cancel":
            changed = backfilling.cancel(backfill_id, actor=request.user.get_username())
        else:
            raise Http404
    except CronbellError as error:
        context = {
            "page_title": _("Not done"),
            "nav": "jobs",
            "message": f"{error.message}. {error.hint}",
        }
        return render(request, "cronbell/refused.html", context, status=400)
    return _back(changed.job)


def _confirm_change(request: HttpRequest, backfill_id: int, word: str) -> HttpResponse:
    titles = {
        "pause": _("Pause backfill %(id)s"),
        "resume": _("Resume backfill %(id)s"),
        "cancel": _("Cancel backfill %(id)s"),
    }
    backfill = Backfill.objects.select_related("job").filter(pk=min(backfill_id, MAX_ID)).first()
    if backfill is None or word not in titles:
        raise Http404
    line = _line(backfill)
    in_dialog = wants_part(request, "dialog-body")
    context = {
        "in_dialog": in_dialog,
        "nav": "jobs",
        "page_title": titles[word] % {"id": backfill.pk},
        "word": word,
        "line": line,
        "left": max(0, backfill.fires - sum(line.runs.values())),
    }
    part = "cronbell/parts/confirm_backfill.html"
    return render(request, part if in_dialog else "cronbell/confirm_backfill.html", context)


def _request(job: Job, found: backfilling.Preview | None, nonce: str) -> Request | None:
    """Return what is sent for the first fire; None where nothing is."""
    if found is None or found.first is None or job.spec.get("heartbeat"):
        return None
    key = backfilling.fire_key(job.name, found.first, nonce)
    at = from_micros(found.first * MICROS)
    try:
        return preview(job, key=key, scheduled_at=at, attempt=1, dry_run=False)
    except (CronbellError, KeyError, TypeError, ValueError):
        # A definition written by another version; the run itself will say what is wrong.
        return None


def _listed(job: Job) -> dict[str, Any]:
    rows = Backfill.objects.filter(job=job).select_related("job").order_by("-id")[:SHOWN]
    return {"job": job, "backfills": [_line(row) for row in rows]}


def _line(row: Backfill) -> Line:
    state = backfilling.state_of(row)
    runs = backfilling.progress(row)
    over = sum(number for status, number in runs.items() if status in FINAL)
    return Line(row, state, STATES[state], over, runs)


def _range(job: Job, form: dict[str, str]) -> backfilling.Range:
    zone = named_zone(job.timezone) or UTC
    until = _read(form["until"], zone) if form["until"] else SYSTEM_CLOCK.now()
    try:
        overlap = Overlap(form["overlap"] or Overlap.QUEUE_ALL)
    except ValueError:
        words = _("overlap: choose one of those the form offers")
        raise backfilling.BackfillError(words) from None
    return backfilling.Range(
        job_name=job.name,
        since=_read(form["since"], zone),
        until=until,
        overlap=overlap,
        missed_only=form["missed_only"] == "on",
    )


def _typed(job: Job, wanted: backfilling.Range | None, form: dict[str, str]) -> dict[str, str]:
    """Return the range as the form's fields have it: as the job's clock shows it."""
    if wanted is None:
        return {}
    zone = named_zone(job.timezone) or UTC
    shown = {"since": wanted.since} | ({"until": wanted.until} if form["until"] else {})
    return {name: f"{at.astimezone(zone):%Y-%m-%dT%H:%M}" for name, at in shown.items()}


def _read(text: str, zone: tzinfo) -> datetime:
    """Read a moment of a form: in the job's zone where it has no offset."""
    try:
        if len(text) > LONGEST:
            raise ValueError("too long")  # noqa: TRY301 - one way out for all that is wrong
        moment = datetime.fromisoformat(text)
        if not 1970 <= moment.year <= 9998:  # noqa: PLR2004 - stays a datetime in every zone
            raise ValueError("out of range")  # noqa: TRY301 - see above
    except ValueError:
        words = _("must be a date or time such as 2026-11-22T09:00:00Z")
        raise backfilling.BackfillError(f"{text[:LONGEST]}: {words}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _instant(second: int | None) -> datetime | None:
    return None if second is None else from_micros(second * MICROS)


def _job(job_id: int) -> Job:
    job = listings.job_by_id(job_id)
    if job is None or job.removed_at is not None:
        raise Http404
    return job


def _back(job: Job) -> HttpResponse:
    away = HttpResponseRedirect(f"{reverse('cronbell:backfill', args=[job.pk])}#backfills")
    away.status_code = SEE_OTHER
    return away
