"""The app that stores receipts and finds the project's jobs."""

from __future__ import annotations

import importlib
import pkgutil

from django.apps import AppConfig, apps
from django.core.checks import register
from django.utils.module_loading import module_has_submodule
from django.utils.translation import gettext_lazy as _

JOBS = "jobs"


class ReceiptsConfig(AppConfig):
    """Label ``receipts``."""

    name = "cronbell.endpoint.receipts"
    label = "receipts"
    verbose_name = _("Receipts")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import every ``jobs`` module or package of the installed apps.

        An error in one of them stops the start: a job that silently is not there is a job that
        silently does not run.
        """
        from cronbell.endpoint.receipts.checks import check_transaction_mode  # noqa: PLC0415

        register(check_transaction_mode, "database")
        for config in apps.get_app_configs():
            if config.module is not None and module_has_submodule(config.module, JOBS):
                import_jobs(f"{config.name}.{JOBS}")


def import_jobs(name: str) -> None:
    """Import a ``jobs`` module and, if it is a package, every module in it."""
    module = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
        importlib.import_module(found.name)
