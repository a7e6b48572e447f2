"""The run log as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RunLogConfig(AppConfig):
    """Label ``runlog``: the router and the migrations go by it."""

    name = "cronbell.runlog"
    label = "runlog"
    verbose_name = _("Run log")
