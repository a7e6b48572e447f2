"""How the writer's connection to PostgreSQL is set up; SQLite needs nothing of it."""

from __future__ import annotations

from django.db import connections

MILLIS = 1000


def prepare_connection(using: str, lease_seconds: float) -> None:
    """Keep the planner on its indexes, and a stopped process from holding up the others.

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
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
        )
        patience = str(int(lease_seconds * MILLIS))
        cursor.execute(
            "SELECT set_config('idle_in_transaction_session_timeout', %s, false)", [patience]
        )
