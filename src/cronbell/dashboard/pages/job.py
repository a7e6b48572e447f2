"""``/admin/jobs/<id>``: one job: when it fires, how it went, by which rules; pause and resume."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard import charts
from cronbell.dashboard.access import administrators_only, viewers_too
from cronbell.dashboard.pages.live import SEE_OTHER, live_part, wants_part
from cronbell.dashboard.policies import policies_of
from cronbell.errors import CronbellError
from cronbell.runlog import listings, queries, statistics
from cronbell.runlog.jobs import spec_of
from cronbell.runlog.log_rows import newest_runs
from cronbell.runlog.models import Job
from cronbell.runlog.pausing import LONGEST_REASON, pause, resume

FIRES_SHOWN = 10
SQUARES = 30
RUNS_SHOWN = 10


@require_safe
@viewers_too
def job_page(request: HttpRequest, job_id: int) -> HttpResponse:
    """Show one job, or the part of the page that a live update asks for."""
    job = _job(job_id)
    context = _facts(job) | _history(job)
    if wants_part(request, "job"):
        return live_part(request, "cronbell/parts/job.html", context)
    return render(request, "cronbell/job.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@administrators_only
def pause_job(request: HttpRequest, job_id: int) -> HttpResponse:
    """Ask why a job is to be paused (GET), or pause it (POST)."""
    job = _configured(job_id)
    if request.method != "POST":
        return _confirm(request, job, "pause")
    reason = request.POST.get("reason", "").strip()
    if not 0 < len(reason) <= LONGEST_REASON or not queries.storable(reason):
        words = _("Say why, in at most %(most)s characters: whoever finds the job paused will ask.")
        return _confirm(request, job, "pause", words % {"most": LONGEST_REASON})
    try:
        pause(job.name, reason=reason, actor=request.user.get_username())
    except CronbellError as error:
        return _confirm(request, job, "pause", str(error))
    return _back(request, job)


@require_http_methods(["GET", "HEAD", "POST"])
@administrators_only
def resume_job(request: HttpRequest, job_id: int) -> HttpResponse:
    """Say what resuming means (GET), or resume a job (POST); resumed already, it stays so."""
    job = _configured(job_id)
    if request.method != "POST":
        return _confirm(request, job, "resume")
    if job.paused_at is not None:
        try:
            resume(job.name)
        except CronbellError as error:
            # Somebody else was faster: what was asked for is the case.
            if _configured(job_id).paused_at is not None:
                return _confirm(request, job, "resume", str(error))
    return _back(request, job)


def _confirm(request: HttpRequest, job: Job, what: str, error: str = "") -> HttpResponse:
    titles = {"pause": _("Pause %(job)s"), "resume": _("Resume %(job)s")}
    in_dialog = request.headers.get("HX-Request") == "true"
    fire, _fault = queries.next_fire(job, SYSTEM_CLOCK.now())
    context = {
        "in_dialog": in_dialog,
        "job": job,
        "what": what,
        "error": error,
        "reason": request.POST.get("reason", job.pause_reason),
        "longest": LONGEST_REASON,
        "next_fire": fire,
        "nav": "jobs",
        "page_title": titles[what] % {"job": job.name},
    }
    template = "cronbell/parts/pausing.html" if in_dialog else "cronbell/pausing.html"
    return render(request, template, context, status=400 if error else 200)


def _back(request: HttpRequest, job: Job) -> HttpResponse:
    if request.headers.get("HX-Request") == "true":
        job.refresh_from_db()
        answer = render(request, "cronbell/parts/paused_notice.html", {"job": job})
        # The form's own place is the dialog, for when it has to be filled in again.
        answer.headers["HX-Retarget"] = "#notices"
        answer.headers["HX-Trigger"] = "cronbell-close, cronbell-refresh"
        return answer
    away = HttpResponseRedirect(reverse("cronbell:job", args=[job.pk]))
    away.status_code = SEE_OTHER
    return away


def _facts(job: Job) -> dict[str, Any]:
    now = SYSTEM_CLOCK.now()
    facts: dict[str, Any] = {
        "nav": "jobs",
        "page_title": job.name,
        "job": job,
        "now": now,
        "fires": None,
        "policies": [],
        "fault": "",
    }
    try:
        facts["policies"] = policies_of(spec_of(job))
        if job.schedule and job.removed_at is None:
            facts["fires"] = listings.fires(job, now, FIRES_SHOWN, get_language() or "en")
    except (CronbellError, KeyError, TypeError, ValueError) as error:
        # A definition written by another version; the rest of the page still stands.
        facts["fault"] = str(error) or type(error).__name__
    return facts


def _history(job: Job) -> dict[str, Any]:
    now = SYSTEM_CLOCK.now()
    figures = statistics.job_figures(job.pk, now)
    standing = statistics.standing_of(job)
    return {
        "history": charts.squares(statistics.last_marks(job.pk, SQUARES), SQUARES),
        "places": SQUARES,
        "figures": figures,
        "standing": standing,
        "streak": statistics.streak(standing) if standing.failing else None,
        "outcomes": charts.outcomes(figures.days, statistics.WINDOW_DAYS),
        "durations": charts.durations(figures.days, statistics.WINDOW_DAYS),
        "latenesses": charts.latenesses(figures.days, statistics.WINDOW_DAYS),
        "window_runs": statistics.WINDOW_RUNS,
        "window_days": statistics.WINDOW_DAYS,
        "runs": newest_runs(job.pk, RUNS_SHOWN),
    }


def _job(job_id: int) -> Job:
    job = listings.job_by_id(job_id)
    if job is None:
        raise Http404
    return job


def _configured(job_id: int) -> Job:
    job = _job(job_id)
    if job.removed_at is not None:
        raise Http404
    return job
