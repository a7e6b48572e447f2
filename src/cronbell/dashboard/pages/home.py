"""``/admin/``: what is failing, what is late or missed, what is stuck, what runs next."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.access import viewers_too
from cronbell.dashboard.pages.live import live_part, wants_part
from cronbell.runlog.overview import LATE_STARTS_FOR, MISSED_FOR, overview


@require_safe
@viewers_too
def home(request: HttpRequest) -> HttpResponse:
    """Answer the four questions; the answers keep themselves current."""
    now = SYSTEM_CLOCK.now()
    context: dict[str, Any] = {
        "nav": "home",
        "page_title": _("Home"),
        "now": now,
        "overview": overview(now),
        "late_for": LATE_STARTS_FOR,
        "missed_for": MISSED_FOR,
    }
    if wants_part(request, "overview"):
        return live_part(request, "cronbell/parts/overview.html", context)
    return render(request, "cronbell/home.html", context)
