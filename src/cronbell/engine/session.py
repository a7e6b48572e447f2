"""How the writer's connection is set up, and what it does for its store when nobody waits."""

from __future__ import annotations

from django.db import connections

MILLIS = 1000
# SQLite moves its journal into the database in the commit that makes it this long, in pages; by
# default (1,000) six times while a herd of ten thousand is recorded. This is 32 MB: the commits
# leave it to ``put_journal_away``, unless they are never left alone.
LONGEST_JOURNAL = 8_000


def prepare_connection(using: str, lease_seconds: float) -> None:
    """Keep the store at what the writer needs now, and a stopped process from holding up others.

    SQLite's journal is put away when there is time, instead of in the midst of a herd.

    PostgreSQL cannot know how few rows a JSON parameter holds, and with statistics that lag behind
    a growing table it picks plans that take seconds; every statement of the writer has its index.

    A runner that is stopped in mid-transaction would keep its locks, the planners' lock among them,
    for as long as its connection stands: after its lease the server ends it, and the runner, should
    it come back, finds that nothing of the transaction happened and does it again.

    Args:
        using: Django's alias of the run log's database.
        lease_seconds: how long a dead runner's runs stay its own.
    """
    connection = connections[using]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"PRAGMA wal_autocheckpoint = {LONGEST_JOURNAL}")
            return
        cursor.execute(
            "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
        )
        patience = str(int(lease_seconds * MILLIS))
        cursor.execute(
            "SELECT set_config('idle_in_transaction_session_timeout', %s, false)", [patience]
        )


def put_journal_away(using: str) -> None:
    """Move what is in SQLite's journal into the database, as far as no reader needs it there.

    Waits for nobody: what is in use is left for the next time. Not within a transaction.

    Args:
        using: Django's alias of the run log's database.
    """
    connection = connections[using]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
