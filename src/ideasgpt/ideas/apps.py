"""The ideas as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class IdeasConfig(AppConfig):
    """Label ``ideas``: the jobs' statements name its tables by it."""

    name = "ideasgpt.ideas"
    label = "ideas"
    verbose_name = _("Ideas")

    def ready(self) -> None:
        """Have the sums kept that the ranking needs, and a first start load the sample."""
        from cronbell.server.hooks import on_prepared  # noqa: PLC0415 - apps load before models
        from ideasgpt.ideas.gained import keep_gained  # noqa: PLC0415
        from ideasgpt.sample import load_sample_if_empty  # noqa: PLC0415

        post_migrate.connect(keep_gained, sender=self)

        @on_prepared
        def load_sample() -> None:
            load_sample_if_empty()
