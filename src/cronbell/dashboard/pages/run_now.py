"""``/admin/run-now``: the exact request first, then one run, however often it is clicked."""

from __future__ import annotations

import re
import secrets

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.access import administrators_only
from cronbell.dashboard.pages.live import SEE_OTHER
from cronbell.dashboard.request_preview import preview
from cronbell.dashboard.words import not_run_here
from cronbell.domain import LONGEST_PARAMETER, Parameter, request_key
from cronbell.errors import CronbellError
from cronbell.runlog import queries
from cronbell.runlog.jobs import spec_of
from cronbell.runlog.models import Job
from cronbell.runlog.parameters import ParameterError, checked
from cronbell.runlog.requests import request_run
from cronbell.runlog.windows import run_now_word
from cronbell.states import Kind

FIELD = "p."  # before the name of a parameter in the form
_NONCE = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)


@require_http_methods(["GET", "HEAD", "POST"])
@administrators_only
def run_now(request: HttpRequest) -> HttpResponse:
    """Show what would be sent (GET), or have it sent (POST)."""
    given = request.POST if request.method == "POST" else request.GET
    job = queries.configured_job(given.get("job_name", ""))
    if job is None:
        raise Http404
    if job.spec.get("heartbeat"):
        return _confirm(request, job, secrets.token_urlsafe(16), not_run_here(job.name))
    if request.method == "POST":
        return _run(request, job)
    return _confirm(request, job, secrets.token_urlsafe(16))


def _confirm(request: HttpRequest, job: Job, nonce: str, error: str = "") -> HttpResponse:
    """Show the form as it was filled in, and the request that this makes.

    A value that will not do is spoken of beside its field, what else is wrong above the form.
    """
    given, dry_run = _chosen(request)
    filled_in = bool(given) or request.method == "POST"
    wrong: dict[str, str] = {}
    request_preview, dry_run_offered = None, False
    fields: tuple[Parameter, ...] = ()
    try:
        spec = spec_of(job)
        fields = spec.parameters
        dry_run_offered = spec.dry_run
        request_preview = preview(
            job,
            key=request_key(Kind.RUN_NOW, job.name, nonce),
            scheduled_at=SYSTEM_CLOCK.now(),
            attempt=1,
            dry_run=dry_run and dry_run_offered,
            # Before anything is filled in nothing is missing.
            parameters=checked(spec, given) if filled_in and not error else None,
        )
    except ParameterError as fault:
        wrong[fault.parameter] = f"{fault.message}: {fault.hint}"
        if fault.parameter not in {each.name for each in fields}:
            error = wrong[fault.parameter]
    except CronbellError as fault:
        error = error or str(fault)
    in_dialog = request.headers.get("HX-Request") == "true"
    context = {
        "in_dialog": in_dialog,
        "job": job,
        "nonce": nonce,
        "error": error,
        "nav": "logs",
        "page_title": _("Run %(job)s now") % {"job": job.name},
        "dry_run_offered": dry_run_offered,
        "dry_run": dry_run,
        "filled_in": filled_in,
        "fields": [(each, given.get(each.name, ""), wrong.get(each.name, "")) for each in fields],
        "longest": LONGEST_PARAMETER,
        # A request that cannot be built is not offered; another value may make it one that can.
        "offered": request_preview is not None or (bool(fields) and bool(error or wrong)),
        "window_word": run_now_word(job, SYSTEM_CLOCK.now()),
        "request_preview": request_preview,
    }
    template = "cronbell/parts/run_now.html" if in_dialog else "cronbell/run_now.html"
    response = render(request, template, context, status=400 if error or wrong else 200)
    if in_dialog and request.method == "POST":
        # The form in place of the form; its target is where the result of a run is shown.
        response.headers["HX-Retarget"] = "#run-now"
        response.headers["HX-Reswap"] = "outerHTML"
    return response


def _chosen(request: HttpRequest) -> tuple[dict[str, str], bool]:
    """Return the parameters that were filled in, and whether it is to be a dry run."""
    sent = request.POST if request.method == "POST" else request.GET
    fields = [name for name in sent if name.startswith(FIELD)]
    return {name.removeprefix(FIELD): sent[name] for name in fields}, sent.get("dry_run") == "on"


def _run(request: HttpRequest, job: Job) -> HttpResponse:
    nonce = request.POST.get("nonce", "")
    if not _NONCE.fullmatch(nonce):
        return _confirm(
            request,
            job,
            secrets.token_urlsafe(16),
            _("The form was incomplete. Check and confirm."),
        )
    if "look" in request.POST:
        return _confirm(request, job, nonce)
    parameters, dry_run = _chosen(request)
    try:
        run_id = request_run(
            job.name,
            nonce=nonce,
            actor=request.user.get_username(),
            dry_run=dry_run,
            parameters=parameters,
        )
    except ParameterError:
        # The form judges what is in it again, and says which field it is.
        return _confirm(request, job, secrets.token_urlsafe(16))
    except CronbellError as error:
        return _confirm(request, job, secrets.token_urlsafe(16), str(error))
    if request.headers.get("HX-Request") != "true":
        away = HttpResponseRedirect(reverse("cronbell:run", args=[run_id]))
        away.status_code = SEE_OTHER
        return away
    run = queries.run_detail(run_id)
    response = render(request, "cronbell/parts/notice.html", {"run": run, "active": True})
    response.headers["HX-Trigger"] = "cronbell-close, cronbell-refresh"
    return response
