"""A connection that PostgreSQL closed is replaced unseen; one that lives is not asked whether."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.db.backends.postgresql import base as django_base
from django.test import Client
from tests.support.waiting import wait_until

from cronbell.runlog.router import ALIAS
from cronbell.server.postgresql import base

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


@pytest.fixture
def connection(monkeypatch):
    """Return a connection of the server's kind, whose questions after life are counted."""
    found = connections[ALIAS]
    if found.vendor != "postgresql":
        pytest.skip("SQLite has no server")
    assert isinstance(found, base.DatabaseWrapper)
    asked = []
    usable = django_base.DatabaseWrapper.is_usable
    monkeypatch.setattr(
        django_base.DatabaseWrapper, "is_usable", lambda self: asked.append(True) or usable(self)
    )
    found.asked = asked
    number(found)
    return found


def number(connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def next_request() -> None:
    """Do what Django does when a request begins; its test client leaves it out."""
    for connection in connections.all():
        connection.close_if_unusable_or_obsolete()


def end(pid: int) -> None:
    """Have the server end a connection, as when it is restarted."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

        def gone() -> bool:
            cursor.execute("SELECT COUNT(*) FROM pg_stat_activity WHERE pid = %s", [pid])
            return cursor.fetchone()[0] == 0

        wait_until(gone, what="the end of a connection")


def test_a_connection_that_was_just_used_is_not_asked(connection):
    before = number(connection)
    next_request()
    assert number(connection) == before
    assert connection.asked == []


def test_one_that_was_idle_for_long_is_asked(connection, monkeypatch):
    monkeypatch.setattr(base, "IDLE_SECONDS", -1)
    next_request()
    number(connection)
    number(connection)
    assert connection.asked == [True]


def test_one_that_had_an_error_is_asked(connection):
    before = number(connection)
    with pytest.raises(Exception, match="nothing"), connection.cursor() as cursor:
        cursor.execute("SELECT nothing")
    next_request()
    assert connection.asked == [True]
    assert number(connection) == before


def test_one_that_the_server_closed_is_replaced(connection):
    before = number(connection)
    end(before)
    next_request()
    assert number(connection) != before
    assert connection.asked == [True]


def test_a_page_after_the_server_closed_a_connection_is_no_error(connection):
    client = Client()
    client.force_login(User.objects.create_superuser("administrator"))
    assert client.get("/admin/cron-logs").status_code == 200
    end(number(connection))
    next_request()
    assert client.get("/admin/cron-logs").status_code == 200


def test_without_the_look_the_page_would_be_an_error(connection, monkeypatch):
    """Sabotage: nothing is looked at and nothing asked."""
    end(number(connection))
    next_request()
    monkeypatch.setattr(base.DatabaseWrapper, "_surely_lives", lambda _: True)
    with pytest.raises(Exception, match=r"terminat|closed"):
        number(connection)
    connection.close()
