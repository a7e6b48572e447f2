"""The ideas as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IdeasConfig(AppConfig):
    """Label ``ideas``: the jobs' statements name its tables by it."""

    name = "ideasgpt.ideas"
    label = "ideas"
    verbose_name = _("Ideas")

    def ready(self) -> None:
        """Have a first start load the sample."""
        from cronbell.server.hooks import on_prepared  # noqa: PLC0415 - apps load before models
        from ideasgpt.sample import load_sample_if_empty  # noqa: PLC0415

        @on_prepared
        def load_sample() -> None:
            load_sample_if_empty()
