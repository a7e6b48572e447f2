"""Keeps the run log in its own database, so that a long job never makes a fire wait."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

ALIAS = "runlog"
APP = "runlog"


class RunLogRouter:
    """Sends the run log's models to the alias ``runlog`` and nothing else there."""

    def db_for_read(self, model: type[Model], **_hints: Any) -> str | None:
        """Read runs from the run log's database."""
        return ALIAS if model._meta.app_label == APP else None

    def db_for_write(self, model: type[Model], **_hints: Any) -> str | None:
        """Write runs to the run log's database."""
        return ALIAS if model._meta.app_label == APP else None

    def allow_relation(self, first: Model, second: Model, **_hints: Any) -> bool | None:
        """Refuse relations across the two databases: no statement may join them."""
        apps = {first._meta.app_label, second._meta.app_label}
        return False if APP in apps and apps != {APP} else None

    def allow_migrate(self, db: str, app_label: str, **_hints: Any) -> bool:
        """Create each app's tables only in its own database."""
        return (app_label == APP) == (db == ALIAS)
