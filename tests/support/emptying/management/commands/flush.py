"""``flush`` as the tests use it: after every test that commits, and so hundreds of times.

Django's own makes all permissions and content types anew each time, at ten times the cost of
emptying the tables. Both follow from the code and no test changes them, so here they stay. What
else is made with the tables, as the administrators' group is, is made again as Django would.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.commands import flush
from django.db import connections, router, transaction
from django.db.models.signals import post_migrate

from cronbell.dashboard.apps import DashboardConfig
from cronbell.runlog.audit_guard import protect
from cronbell.runlog.models import AuditRow

UNGUARD = {
    "sqlite": ["DROP TRIGGER runlog_audit_unchanged", "DROP TRIGGER runlog_audit_kept"],
    "postgresql": ["DROP TRIGGER runlog_audit_kept ON runlog_auditrow"],
}
KEPT = {Permission, ContentType}


class Command(flush.Command):
    """Empty one database, but for what ``KEPT`` names."""

    def handle(self, **options: Any) -> None:
        """Delete all rows and send the one app that makes rows of its own its signal."""
        using = options["database"]
        with transaction.atomic(using=using):
            for model in apps.get_models(include_auto_created=True):
                if model not in KEPT and model._meta.managed and _is_there(using, model):
                    if model is AuditRow:
                        _empty_audit(using)
                        continue
                    # The fast path below every queryset: one DELETE, no row is read.
                    model._base_manager.using(using)._raw_delete(using)
        config = apps.get_app_config(DashboardConfig.label)
        post_migrate.send(
            sender=config, app_config=config, verbosity=0, interactive=False, using=using
        )


def _empty_audit(using: str) -> None:
    """Take the guard down and put it up again: only where there is something, it costs."""
    rows = AuditRow.objects.using(using)
    if not rows.exists():
        return
    with connections[using].cursor() as cursor:
        for statement in UNGUARD[connections[using].vendor]:
            cursor.execute(statement)
    rows._raw_delete(using)
    protect(using=using)


def _is_there(using: str, model: Any) -> bool:
    return not model._meta.proxy and router.allow_migrate_model(using, model)
