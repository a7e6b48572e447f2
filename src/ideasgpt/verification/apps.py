"""The verification of documents as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VerificationConfig(AppConfig):
    """Label ``verification``."""

    name = "ideasgpt.verification"
    label = "verification"
    verbose_name = _("Verification")
