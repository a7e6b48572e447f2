"""What PostgreSQL makes of the hot statements while its statistics lag behind a herd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections, transaction
from tests.runlog.conftest import NOON, SECOND, row

from cronbell.clock import to_micros
from cronbell.engine.session import prepare_connection
from cronbell.runlog.models import Run
from cronbell.runlog.statements import batches, statement
from cronbell.runlog.store import FINISH_OWN, FinishRow

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
RUNS = 300


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def test_a_herd_is_ended_row_by_row_though_the_statistics_know_of_none(jobs):
    """As UPDATE ... FROM, each running row was compared with the whole batch: 5 ms a run."""
    connection = connections["runlog"]
    if connection.vendor != "postgresql":
        assert connection.vendor == "sqlite"  # test_store looks at its plans
        return
    leased = {"lease_owner": "somebody", "lease_term": 1, "lease_expires_at": NOON}
    going = [
        row(jobs[0], number, "running", due=NOON + number * SECOND, **leased)
        for number in range(RUNS)
    ]
    going[0].save()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE runlog_run")
    Run.objects.bulk_create(going[1:])
    at = to_micros(NOON)
    rows = [
        FinishRow(number, 1, at, at, "success", "", "{}", 200, "", "", 0, 0)
        for number in Run.objects.values_list("pk", flat=True)
    ]
    prepare_connection("runlog", 15)
    (batch,) = batches(connection, rows, FINISH_OWN)
    with transaction.atomic(using="runlog"), connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement('finish', 'postgresql')}",
            [*batch.parameters, "somebody"],
        )
        (found,) = cursor.fetchone()
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    assert Run.objects.filter(status="success").count() == RUNS
    looked_at = sum(
        each["Actual Loops"]
        * (each["Actual Rows"] + each.get("Rows Removed by Join Filter", 0)
           + each.get("Rows Removed by Filter", 0))
        for each in nodes(plan)
    )  # fmt: skip
    assert looked_at < 20 * RUNS, plan
