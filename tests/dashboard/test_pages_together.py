"""A page of the log asks PostgreSQL in few trips, and shows what it shows by asking one by one."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from tests.dashboard.conftest import START
from tests.runlog.conftest import roll

from cronbell.clock import iso
from cronbell.runlog import log_ahead, log_counts
from cronbell.runlog.rollups import Roller
from cronbell.runlog.router import ALIAS

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
URL = "/admin/cron-logs"
SINCE, UNTIL = iso(START + timedelta(minutes=20)), iso(START + timedelta(minutes=90))
RANGE = {"since": SINCE, "until": UNTIL}
JOB = {"job_name": "update-rankings"}
# How many trips each takes to the run log; one by one it were 4 for a search, 8 to 12 for others.
TRIPS = [
    ({}, 3),
    ({"status": "error"}, 3),
    (JOB, 3),
    ({**JOB, "status": "error"}, 3),
    (RANGE, 3),
    ({**RANGE, "status": "error"}, 3),
    ({**RANGE, **JOB}, 3),
    ({**RANGE, "page": "2", "limit": "10"}, 3),
    ({**RANGE, **JOB, "status": "error"}, 3),
    ({"text": "ok"}, 2),
]


def shown(answer) -> str:
    page = answer.content.decode()
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"|"X-CSRFToken": "[^"]*"', "", page)


@pytest.fixture
def log(make_run, monkeypatch):
    """Return many runs, all counted but for the newest."""
    monkeypatch.setattr(log_counts, "BLOCK", 8)
    for number in range(120):
        status = "error" if number % 5 == 0 else "success"
        job = "update-rankings" if number % 3 else "clean-data"
        make_run(job, status)
    roll(Roller())


@pytest.mark.parametrize(("query", "trips"), TRIPS)
def test_a_page_takes_few_trips_and_shows_the_same(admin, log, query, trips, monkeypatch):
    connection = connections[ALIAS]
    if connection.vendor != "postgresql":
        pytest.skip("SQLite is asked without a trip")
    admin.get(URL, query)
    with CaptureQueriesContext(connection) as asked:
        page = admin.get(URL, query)
    assert len(asked) == trips, [query["sql"][:150] for query in asked.captured_queries]
    monkeypatch.setattr(log_ahead, "ask", lambda _: None)
    with CaptureQueriesContext(connection) as one_by_one:
        assert shown(admin.get(URL, query)) == shown(page)
    assert len(one_by_one) > len(asked)
