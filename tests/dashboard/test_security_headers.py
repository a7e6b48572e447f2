"""Headers on every answer, whatever it is."""

from __future__ import annotations

import pytest
from django.test import Client

from cronbell.server.middleware import HEADERS

pytestmark = [
    pytest.mark.django_db(databases=["default", "runlog"]),
    pytest.mark.any_store,
]

ADDRESSES = [
    "/admin/",
    "/admin/login",
    "/admin/cron-logs",
    "/admin/cron-logs?page=x",
    "/admin/jobs",
    "/admin/jobs?page=x",
    "/admin/jobs/999999",
    "/admin/settings",
    "/admin/runs/1",
    "/admin/runs/999",
    "/admin/run-now?job_name=x",
    "/admin/theme",
    "/admin/data/",
    "/admin/data/runlog/run/",
    "/api/admin/cron-logs",
    "/api/admin/cron-logs?limit=x",
    "/api/admin/nothing",
    "/api/admin/openapi.json",
    "/nothing-here",
    "/static/cronbell/cronbell.css",
    "/static/nothing.css",
    "/admin/nothing",
    "/api/nothing",
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("signed_in", [True, False])
def test_every_answer_carries_them(admin, make_run, address, signed_in):
    """C37."""
    make_run(id=1)
    answer = (admin if signed_in else Client()).get(address)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'self'; ")
    answer.close()
    private = address.startswith(("/admin", "/api")) or answer.status_code >= 400
    assert (answer.headers.get("Cache-Control") == "no-store") == private


def test_an_error_shows_no_trace_and_carries_them_too(people, monkeypatch):
    """C38."""

    def broken(*_args, **_kwargs):
        raise RuntimeError("the inner workings")

    monkeypatch.setattr("cronbell.runlog.log_pages.Log._page_ids", broken)
    client = Client(raise_request_exception=False)
    client.force_login(people["administrator"])
    for address in ("/admin/cron-logs", "/api/admin/cron-logs"):
        answer = client.get(address)
        assert answer.status_code == 500
        assert b"inner workings" not in answer.content
        assert b"Traceback" not in answer.content
        assert answer.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json() == {"error": "The error has been written to the server's log."}


def test_without_the_middleware_they_are_missing(admin, settings, jobs):
    """Sabotage: it is this middleware that puts the policy there."""
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "security_headers" not in name]
    client = Client()
    client.cookies = admin.cookies
    assert "Content-Security-Policy" not in client.get("/admin/cron-logs").headers
