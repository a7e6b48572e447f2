"""``/admin/ping-url``: the address at which one heartbeat pings, and a new one if it leaked."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from cronbell.dashboard.access import administrators_only
from cronbell.errors import UnknownJobError
from cronbell.runlog.ping_tokens import NoHeartbeatError, heartbeat_named, rotate, token_of

SEE_OTHER = 303


@require_http_methods(["GET", "HEAD", "POST"])
@administrators_only
def ping_url(request: HttpRequest) -> HttpResponse:
    """Show the URL (GET), or replace it and show the new one (POST)."""
    given = request.POST if request.method == "POST" else request.GET
    try:
        job = heartbeat_named(given.get("job_name", ""))
        if request.method == "POST":
            rotate(job.name)
            query = urlencode({"job_name": job.name})
            away = HttpResponseRedirect(f"{reverse('cronbell:ping-url')}?{query}")
            away.status_code = SEE_OTHER
            return away
    except (UnknownJobError, NoHeartbeatError):
        raise Http404 from None
    context = {
        "job": job,
        "nav": "logs",
        "page_title": _("Ping URL of %(job)s") % {"job": job.name},
        "url": request.build_absolute_uri(f"/ping/{token_of(job)}"),
    }
    response = render(request, "cronbell/ping_url.html", context)
    # The address of this page names no secret, what it shows is one.
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
