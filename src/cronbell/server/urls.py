"""Cronbell's own addresses: the dashboard, its API, and the cron endpoints of the application."""

from __future__ import annotations

from django.urls import include, path
from django.views.generic import RedirectView

from cronbell.dashboard.api import api
from cronbell.dashboard.metrics import metrics_urls
from cronbell.dashboard.pings import ping_urls
from cronbell.dashboard.urls import dashboard_urls
from cronbell.endpoint.django import cron_urls

urlpatterns = [
    path("", include(cron_urls())),
    path("", include(ping_urls)),
    path("", include(metrics_urls)),
    path("api/admin/", api.urls),
    path("", include(dashboard_urls)),
    path("", RedirectView.as_view(url="/admin/"), name="root"),
]
