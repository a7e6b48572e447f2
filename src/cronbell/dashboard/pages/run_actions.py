"""The buttons on a run's page: plain forms that cancel it or do it again."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from cronbell.dashboard.access import administrators_only
from cronbell.errors import CronbellError
from cronbell.runlog import again
from cronbell.runlog.cancelling import cancel

SEE_OTHER = 303


@administrators_only
@require_POST
def cancel_run(request: HttpRequest, run_id: int) -> HttpResponse:
    """Cancel a run and lead back to it."""
    try:
        cancel(run_id, actor=request.user.get_username())
    except CronbellError as error:
        return _refused(request, error)
    return _to(run_id)


@administrators_only
@require_POST
def rerun(request: HttpRequest, run_id: int) -> HttpResponse:
    """Do a run again and lead to the new one; the form's nonce makes a double click one run."""
    nonce = request.POST.get("nonce", "")
    try:
        new = again.rerun(run_id, nonce=nonce, actor=request.user.get_username())
    except CronbellError as error:
        return _refused(request, error)
    return _to(new.pk)


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
