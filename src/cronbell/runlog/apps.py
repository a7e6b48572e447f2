"""The run log as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

from cronbell.runlog.router import ALIAS


class RunLogConfig(AppConfig):
    """Label ``runlog``: the router and the migrations go by it."""

    name = "cronbell.runlog"
    label = "runlog"
    verbose_name = _("Run log")

    def ready(self) -> None:
        """Have the audit's guard put up whenever the tables are made."""
        from cronbell.runlog.audit_guard import protect  # noqa: PLC0415 - needs the app

        post_migrate.connect(protect, sender=self)
        connection_created.connect(_for_pages)


def _for_pages(connection: BaseDatabaseWrapper, **_signal: object) -> None:
    """Keep PostgreSQL from spending more on a statement than it takes.

    It compiles what it takes for long, and it cannot know how short a batch or a span of ids is:
    measured with ten million runs, 28 ms for a statement of 1 ms. Starting processes that help with
    one takes as long. What is prepared (``prepared``) has a plan that does not depend on its
    values; left to choose, PostgreSQL planned half of it anew each time.
    """
    if connection.vendor == "postgresql" and connection.alias == ALIAS:
        with connection.cursor() as cursor:
            cursor.execute(
                "SET jit = off;"
                "SET max_parallel_workers_per_gather = 0;"
                "SET plan_cache_mode = force_generic_plan;"
            )
