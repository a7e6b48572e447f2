"""The application as Django knows it; a child process under sabotage is changed here."""

from __future__ import annotations

from django.apps import AppConfig

from tests.faults import hooks


class Application(AppConfig):
    """Label ``faults``."""

    name = "tests.faults.application"
    label = "faults"

    def ready(self) -> None:
        """Put into force what the experiment asked for through the environment."""
        hooks.apply()
