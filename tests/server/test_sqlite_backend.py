"""How write transactions wait for each other on SQLite."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import nullcontext

import pytest
from django.db import OperationalError, connections, transaction

from cronbell.clock import SYSTEM_CLOCK
from cronbell.runlog.counters import RunLogProbe
from cronbell.server.sqlite import base

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


@pytest.mark.parametrize("transactional", [True, False])
def test_whatever_writes_asks_for_the_lock_every_millisecond(
    connection, monkeypatch, transactional
):
    """Left to SQLite, tries are up to 100 ms apart and miss the rests between another's turns."""
    held, free = threading.Event(), threading.Event()
    thread = locked_by_another(connection, held, free)
    asked = []

    def sleep(_clock, seconds):
        asked.append(seconds)
        if len(asked) == 30:
            free.set()
            thread.join()

    monkeypatch.setattr(type(SYSTEM_CLOCK), "sleep", sleep)
    try:
        with transaction.atomic(using="runlog") if transactional else nullcontext():
            RunLogProbe.objects.update(at=SYSTEM_CLOCK.now())
    finally:
        free.set()
        thread.join()
    assert asked == [base.RETRY_SECONDS] * 30


def test_a_write_without_a_transaction_gives_up_after_its_patience(connection, monkeypatch):
    held, free = threading.Event(), threading.Event()
    thread = locked_by_another(connection, held, free)
    connection.ensure_connection()
    monkeypatch.setattr(connection, "begin_wait", 0.05)
    begun = SYSTEM_CLOCK.monotonic()
    try:
        with pytest.raises(OperationalError, match="locked"):
            RunLogProbe.objects.update(at=SYSTEM_CLOCK.now())
        assert SYSTEM_CLOCK.monotonic() - begun < 5
    finally:
        free.set()
        thread.join()


def test_an_error_that_is_not_about_the_lock_is_told_at_once(connection):
    with pytest.raises(OperationalError, match="no such table"), connection.cursor() as cursor:
        cursor.execute("DELETE FROM nowhere")


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
