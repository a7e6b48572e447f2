"""A runner stopped in mid-transaction does not hold the others up for ever (PostgreSQL)."""

from __future__ import annotations

import threading

import pytest
from django.db import DatabaseError, connection, connections, transaction
from tests.support.waiting import wait_until

from cronbell.engine.session import prepare_connection
from cronbell.engine.writer import store_is_away
from cronbell.runlog.statements import PLAN_LOCK, lock_planning

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "runlog"]),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="in an SQLite file a lock is its holder's alone"
    ),
]


def hold(lease_seconds, held: threading.Event, let_go: threading.Event, faults: list) -> None:
    """Be a runner that stops right after it took the planners' lock."""
    try:
        if lease_seconds is not None:
            prepare_connection("runlog", lease_seconds)
        with transaction.atomic(using="runlog"):
            lock_planning(connections["runlog"])
            held.set()
            let_go.wait(20)
            lock_planning(connections["runlog"])
    except DatabaseError as error:
        faults.append(error)
    finally:
        connections.close_all()


def free() -> bool:
    with transaction.atomic(using="runlog"), connections["runlog"].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [PLAN_LOCK])
        return bool(cursor.fetchone()[0])


@pytest.mark.parametrize("lease_seconds", [0.3, None])
def test_the_lock_of_a_stopped_runner_is_free_after_its_lease_and_else_it_stays(lease_seconds):
    held, let_go, faults = threading.Event(), threading.Event(), []
    thread = threading.Thread(target=hold, args=(lease_seconds, held, let_go, faults))
    thread.start()
    try:
        assert held.wait(10)
        assert not free()
        if lease_seconds is None:
            # Sabotage: without the limit nothing but the holder itself ends it.
            assert not let_go.wait(1)
            assert not free()
        else:
            wait_until(free, 10, what="the lock")
    finally:
        let_go.set()
        thread.join()
    # When it goes on it meets an error that the writer takes for the store's and tries again after.
    assert [store_is_away(fault) for fault in faults] == ([] if lease_seconds is None else [True])
