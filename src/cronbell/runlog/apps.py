"""The run log as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class RunLogConfig(AppConfig):
    """Label ``runlog``: the router and the migrations go by it."""

    name = "cronbell.runlog"
    label = "runlog"
    verbose_name = _("Run log")

    def ready(self) -> None:
        """Have the audit's guard put up whenever the tables are made."""
        from cronbell.runlog.audit_guard import protect  # noqa: PLC0415 - needs the app

        post_migrate.connect(protect, sender=self)
