"""How write transactions wait for each other on SQLite."""

from __future__ import annotations

import sqlite3
import threading

import pytest
from django.db import OperationalError, connections, transaction

from cronbell.clock import SYSTEM_CLOCK

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


@pytest.fixture
def connection():
    found = connections["runlog"]
    if found.vendor != "sqlite":
        pytest.skip("about SQLite alone; PostgreSQL queues its writers itself")
    return found


def locked_by_another(connection, held: threading.Event, free: threading.Event):
    def hold():
        other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        held.set()
        free.wait(10)
        other.execute("COMMIT")
        other.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(5)
    return thread


def test_a_transaction_is_immediate_so_that_no_upgrade_can_fail_half_way(connection):
    with transaction.atomic(using="runlog"):
        other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


def test_it_waits_for_the_lock_and_then_writes(connection):
    held, free = threading.Event(), threading.Event()
    thread = locked_by_another(connection, held, free)
    threading.Timer(0.3, free.set).start()
    with transaction.atomic(using="runlog"), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    thread.join()


def test_it_gives_up_after_its_patience_with_a_plain_error(connection, monkeypatch):
    held, free = threading.Event(), threading.Event()
    thread = locked_by_another(connection, held, free)
    connection.ensure_connection()  # which sets the patience that the settings ask for
    monkeypatch.setattr(connection, "begin_wait", 0.05)
    begun = SYSTEM_CLOCK.monotonic()
    try:
        with pytest.raises(OperationalError, match="locked"), transaction.atomic(using="runlog"):
            pass
        assert SYSTEM_CLOCK.monotonic() - begun < 5
    finally:
        free.set()
        thread.join()
    with transaction.atomic(using="runlog"):
        pass
