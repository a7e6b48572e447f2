"""The verification of documents as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VerificationConfig(AppConfig):
    """Label ``verification``."""

    name = "ideasgpt.verification"
    label = "verification"
    verbose_name = _("Verification")

    def ready(self) -> None:
        """Have the dashboard lead to the reviews."""
        from cronbell.dashboard.additions import Addition, add_page  # noqa: PLC0415 - has models
        from ideasgpt.verification.standing import waiting_for_a_person  # noqa: PLC0415

        add_page(
            Addition(
                nav="reviews",
                word=_("Reviews"),
                url_name="reviews",
                about=_(
                    "Documents that a person decides on: in doubt, failed, or drawn to be seen."
                ),
                waiting=waiting_for_a_person,
            )
        )
