"""The app that keeps what drains must remember between runs."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DrainConfig(AppConfig):
    """Label ``drain``."""

    name = "cronbell.drain"
    label = "drain"
    verbose_name = _("Drains")
    default_auto_field = "django.db.models.BigAutoField"
