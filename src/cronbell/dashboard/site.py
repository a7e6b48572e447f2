"""Names our admin site; apart from it, since apps load before anything that has models."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig as StockAdminConfig


class AdminConfig(StockAdminConfig):
    """Django's admin app with our site as the default one."""

    default_site = "cronbell.dashboard.data_site.CronbellAdminSite"
