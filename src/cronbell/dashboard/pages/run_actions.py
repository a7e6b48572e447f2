"""The buttons on a run's page: cancel it, or do it again; asked first what that means."""

from __future__ import annotations

import secrets

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from cronbell.dashboard.access import administrators_only
from cronbell.dashboard.request_preview import preview
from cronbell.dispatch.request import Request
from cronbell.errors import CronbellError
from cronbell.runlog import again, queries
from cronbell.runlog.cancelling import cancel
from cronbell.runlog.models import Run

SEE_OTHER = 303


@administrators_only
@require_http_methods(["GET", "HEAD", "POST"])
def cancel_run(request: HttpRequest, run_id: int) -> HttpResponse:
    """Say what cancelling means (GET), or cancel a run and lead back to it (POST)."""
    if request.method != "POST":
        return _confirm(request, run_id, "cancel")
    try:
        cancel(run_id, actor=request.user.get_username())
    except CronbellError as error:
        return _refused(request, error)
    return _to(run_id)


@administrators_only
@require_http_methods(["GET", "HEAD", "POST"])
def rerun(request: HttpRequest, run_id: int) -> HttpResponse:
    """Show what would be sent (GET), or do a run again and lead to the new one (POST).

    The form's nonce makes a double click one run.
    """
    if request.method != "POST":
        return _confirm(request, run_id, "rerun")
    nonce = request.POST.get("nonce", "")
    try:
        new = again.rerun(run_id, nonce=nonce, actor=request.user.get_username())
    except CronbellError as error:
        return _refused(request, error)
    return _to(new.pk)


def _confirm(request: HttpRequest, run_id: int, what: str) -> HttpResponse:
    run = queries.run_detail(run_id)
    if run is None:
        raise Http404
    titles = {"cancel": _("Cancel run %(id)s"), "rerun": _("Run %(id)s again")}
    nonce = secrets.token_urlsafe(16)
    in_dialog = request.headers.get("HX-Request") == "true"
    context = {
        "in_dialog": in_dialog,
        "nav": "logs",
        "page_title": titles[what] % {"id": run_id},
        "what": what,
        "run": run,
        "nonce": nonce,
        "request_preview": _request(run, nonce) if what == "rerun" else None,
    }
    template = "cronbell/parts/confirm_run.html" if in_dialog else "cronbell/confirm_run.html"
    return render(request, template, context)


def _request(run: Run, nonce: str) -> Request | None:
    if run.job.spec.get("heartbeat"):
        return None
    key = again.rerun_key(run, nonce)
    at = run.scheduled_at
    try:
        return preview(
            run.job,
            key=key,
            scheduled_at=at,
            attempt=1,
            dry_run=run.dry_run,
            parameters=run.parameters,
        )
    except (CronbellError, KeyError, TypeError, ValueError):
        # A definition written by another version; what happens is said in words.
        return None


def _to(run_id: int) -> HttpResponse:
    away = HttpResponseRedirect(reverse("cronbell:run", args=[run_id]))
    away.status_code = SEE_OTHER
    return away


def _refused(request: HttpRequest, error: CronbellError) -> HttpResponse:
    context = {
        "page_title": _("Not done"),
        "nav": "logs",
        "message": f"{error.message}. {error.hint}",
    }
    return render(request, "cronbell/refused.html", context, status=400)
