"""``/admin/alerts``: who is told of what, what is wrong now, what was sent; and a test message."""

from __future__ import annotations

import logging

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from cronbell.alerts.listing import DeliveryLine, standing
from cronbell.alerts.standin import StandIn
from cronbell.alerts.words import why_not
from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.access import viewers_too
from cronbell.dashboard.preferences import viewer_zone
from cronbell.runlog.alert_tables import Delivery
from cronbell.runlog.jobs import live_alerts
from cronbell.runlog.listings import LARGEST_ID

log = logging.getLogger(__name__)
SEE_OTHER = 303


@require_http_methods(["GET", "HEAD", "POST"])
@viewers_too
def alerts_page(request: HttpRequest) -> HttpResponse:
    """Show how alerts stand (GET), or send a test message to a channel (POST)."""
    alerts, now = live_alerts(), SYSTEM_CLOCK.now()
    if request.method == "POST":
        channel = alerts.channels.get(request.POST.get("channel", ""))
        if channel is None:
            raise Http404
        log.info("%s tests the channel %s", request.user.get_username(), channel.name)
        one = StandIn(SYSTEM_CLOCK).test(alerts, channel)
        away = HttpResponseRedirect(f"{reverse('cronbell:alerts')}?tested={one.pk}")
        away.status_code = SEE_OTHER
        return away
    context = {
        "nav": "settings",
        "page_title": _("Alerts"),
        "now": now,
        "alerts": standing(alerts, now, timezone=str(viewer_zone(request) or "UTC")),
        "tested": _tested(request.GET.get("tested", "")),
    }
    return render(request, "cronbell/alerts.html", context)


def _tested(number: str) -> DeliveryLine | None:
    """Return a test message that was just sent; None for any other number."""
    if not (number.isascii() and number.isdecimal()) or int(number[:20]) > LARGEST_ID:
        return None
    one = Delivery.objects.filter(pk=int(number), test=True).first()
    return None if one is None else DeliveryLine(one, why_not(one))
