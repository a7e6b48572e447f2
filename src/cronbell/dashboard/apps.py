"""The dashboard as a Django app."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class DashboardConfig(AppConfig):
    """Label ``dashboard``: failed sign-ins, and a row written to see whether one can be."""

    name = "cronbell.dashboard"
    label = "dashboard"
    verbose_name = _("Dashboard")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have the groups made whenever the tables are."""
        post_migrate.connect(make_groups, sender=self)


def make_groups(*, using: str, **_kwargs: Any) -> None:
    """Create the groups ``ADMIN`` and ``VIEWER`` in the application's database."""
    from django.contrib.auth.models import Group  # noqa: PLC0415 - apps load before models
    from django.db import router  # noqa: PLC0415

    from cronbell.dashboard.access import ADMIN_GROUP, VIEWER_GROUP  # noqa: PLC0415

    if router.allow_migrate_model(using, Group):
        for name in (ADMIN_GROUP, VIEWER_GROUP):
            Group.objects.using(using).get_or_create(name=name)
