"""The database's own refusal to change or remove a row of the audit.

Made after every migration, not by one: SQLite drops a table's triggers when a migration makes the
table anew. It stops code and mistakes; whoever may change the database's schema can drop it.
"""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from cronbell.runlog.router import ALIAS

TABLE = "runlog_auditrow"
GUARD = {
    "sqlite": [
        """
        CREATE TRIGGER IF NOT EXISTS runlog_audit_unchanged BEFORE UPDATE ON runlog_auditrow
        BEGIN SELECT RAISE(ABORT, 'the audit is only ever added to'); END
        """,
        """
        CREATE TRIGGER IF NOT EXISTS runlog_audit_kept BEFORE DELETE ON runlog_auditrow
        BEGIN SELECT RAISE(ABORT, 'the audit is only ever added to'); END
        """,
    ],
    "postgresql": [
        """
        CREATE OR REPLACE FUNCTION runlog_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the audit is only ever added to'; END $$
        """,
        "DROP TRIGGER IF EXISTS runlog_audit_kept ON runlog_auditrow",
        """
        CREATE TRIGGER runlog_audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON runlog_auditrow
        FOR EACH STATEMENT EXECUTE FUNCTION runlog_audit_refuse()
        """,
    ],
}


def protect(*, using: str = DEFAULT_DB_ALIAS, **_signal: Any) -> None:
    """Put the guard up, or leave it as it is; a receiver of ``post_migrate``."""
    if using != ALIAS:
        return
    connection = connections[using]
    if TABLE not in connection.introspection.table_names():
        return
    with transaction.atomic(using=using), connection.cursor() as cursor:
        for statement in GUARD[connection.vendor]:
            cursor.execute(statement)
