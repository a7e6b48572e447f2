"""What PostgreSQL makes of the hot statements while its statistics lag behind a herd."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections, transaction
from tests.runlog.conftest import NOON, SECOND, row

from cronbell.clock import to_micros
from cronbell.engine.session import prepare_connection
from cronbell.runlog.models import Run
from cronbell.runlog.statements import batches, execute, fetch, rows_parameter, statement
from cronbell.runlog.store import FINISH_OWN, FinishRow

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
RUNS = 300
OWNER = "somebody"
MOST = 2**62  # no run has this number


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def finish(ids: list[int]) -> list[Any]:
    at = to_micros(NOON)
    rows = [FinishRow(number, 1, at, at, "success", "", "{}", 200, "", "", 0, 0) for number in ids]
    (batch,) = batches(connections["runlog"], rows, FINISH_OWN)
    return [*batch.parameters, OWNER]


BATCHES: dict[str, Callable[[list[int]], list[Any]]] = {
    "finish": finish,
    "renew": lambda ids: [rows_parameter([(each, 1) for each in ids]), OWNER, to_micros(NOON)],
    "release": lambda ids: [rows_parameter([(each, 1, 7, 1, None) for each in ids]), OWNER],
    "lost": lambda ids: [rows_parameter([(each, 1) for each in ids]), OWNER],
    "early_mine": lambda ids: [rows_parameter([(each,) for each in ids]), OWNER],
    "take_back": lambda ids: [rows_parameter([(each,) for each in ids])],
}


@pytest.mark.parametrize("name", BATCHES)
def test_a_herd_is_seen_to_row_by_row_though_the_statistics_know_of_none(jobs, name):
    """As UPDATE ... FROM, each running row was compared with the whole batch: 5 ms a run."""
    connection = connections["runlog"]
    if connection.vendor != "postgresql":
        assert connection.vendor == "sqlite"  # test_store looks at its plans
        return
    leased = {"lease_owner": OWNER, "lease_term": 1, "lease_expires_at": NOON}
    going = [
        row(jobs[0], number, "running", due=NOON + number * SECOND, **leased)
        for number in range(RUNS)
    ]
    going[0].save()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE runlog_run")
    Run.objects.bulk_create(going[1:])
    parameters = BATCHES[name](list(Run.objects.values_list("pk", flat=True)))
    prepare_connection("runlog", 15)
    with transaction.atomic(using="runlog"), connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement(name, 'postgresql')}", parameters
        )
        (found,) = cursor.fetchone()
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    looked_at = sum(
        each["Actual Loops"]
        * (each["Actual Rows"] + each.get("Rows Removed by Join Filter", 0)
           + each.get("Rows Removed by Filter", 0))
        for each in nodes(plan)
    )  # fmt: skip
    assert RUNS <= looked_at < 20 * RUNS, plan


def test_what_they_do_they_do_to_all(jobs):
    """The plans above would be cheap for a statement that finds nothing, too."""
    leased = {"lease_owner": OWNER, "lease_term": 1, "lease_expires_at": NOON}
    runs = [row(jobs[0], n, "running", due=NOON + n * SECOND, **leased) for n in range(5)]
    Run.objects.bulk_create(runs)
    ids = list(Run.objects.values_list("pk", flat=True))
    connection = connections["runlog"]
    with transaction.atomic(using="runlog"):
        assert fetch(connection, "lost", BATCHES["lost"](ids)) == []
        assert len(fetch(connection, "renew", BATCHES["renew"](ids))) == len(ids)
        assert len(fetch(connection, "early_mine", BATCHES["early_mine"](ids))) == len(ids)
        assert len(fetch(connection, "release", BATCHES["release"](ids[:2]))) == 2
        lost = {each for (each,) in fetch(connection, "lost", BATCHES["lost"]([*ids, MOST]))}
        assert lost == {*ids[:2], MOST}
        execute(connection, "take_back", BATCHES["take_back"](ids[1:]))
    assert Run.objects.get().pk == ids[0]


def test_no_index_is_kept_of_runs_that_nobody_asks():
    """Django adds one for LIKE to a text that is unique, and every run would be in it three times.

    At ten thousand ends on PostgreSQL it took a fifth of their time.
    """
    connection = connections["runlog"]
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, Run._meta.db_table)
    named = {one.name for one in (*Run._meta.indexes, *Run._meta.constraints)}
    generated = set(found) - named
    assert not [name for name in generated if found[name]["index"]], generated
