"""Cancel, rerun and backfill by the JSON API: for administrators, once, and by name."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from tests.dashboard.conftest import START

from cronbell.runlog.models import Backfill, Run

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
BACKFILLS = "/api/admin/backfills"
RANGE = {"jobName": "clean-data", "since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}


def post(client, url, body=None):
    return client.post(url, json.dumps(body or {}), content_type="application/json")


def test_a_rerun_refers_to_its_run_and_names_who_asked_once(admin, make_run):
    run = make_run(status="error")
    url = f"/api/admin/runs/{run.pk}/rerun"
    first, second = (post(admin, url, {"nonce": "click"}).json() for _ in range(2))
    assert (first["rerunOf"], first["kind"], first["actor"]) == (run.pk, "rerun", "administrator")
    assert first["id"] == second["id"]


def test_a_run_is_cancelled(admin, make_run):
    run = make_run(status="pending", finished_at=None, started_at=None)
    answer = post(admin, f"/api/admin/runs/{run.pk}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    again = post(admin, f"/api/admin/runs/{run.pk}/cancel")
    assert again.status_code == 400
    assert "is over" in again.json()["details"]["run_id"]


def test_a_backfill_is_made_listed_paused_resumed_and_cancelled(admin, jobs):
    del jobs
    made = post(admin, BACKFILLS, RANGE).json()
    assert (made["fires"], made["actor"], made["state"]) == (4, "administrator", "going on")
    for word, state in (("pause", "paused"), ("resume", "going on"), ("cancel", "cancelled")):
        assert post(admin, f"{BACKFILLS}/{made['id']}/{word}").json()["state"] == state
    assert [one["state"] for one in admin.get(BACKFILLS).json()["backfills"]] == ["cancelled"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"jobName": "nobody"}, "jobName"),
        ({"jobName": 7}, "jobName"),
        ({"since": None}, "since"),
        ({"since": "2027-01-01"}, "since"),
        ({"overlap": "cancel_running"}, "overlap"),
    ],
)
def test_a_bad_backfill_is_refused_by_its_field(admin, jobs, changes, field):
    del jobs
    answer = post(admin, BACKFILLS, RANGE | changes)
    assert answer.status_code == 400
    assert field in answer.json()["details"]
    assert not Backfill.objects.exists()


@pytest.mark.parametrize(
    "path", ["runs/1/rerun", "runs/1/cancel", "backfills", "backfills/1/pause"]
)
def test_only_administrators_with_a_token_may(admin, people, path):
    url = f"/api/admin/{path}"
    assert post(Client(), url).status_code == 401
    user = Client()
    user.force_login(people["user"])
    assert post(user, url).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["administrator"])
    assert post(strict, url).status_code == 403
    assert not Run.objects.exists()


def test_they_are_in_the_openapi_document(admin):
    paths = admin.get("/api/admin/openapi.json").json()["paths"]
    assert {"/api/admin/runs/{run_id}/rerun", "/api/admin/backfills"} <= set(paths)


def test_the_buttons_of_a_runs_page_cancel_it_and_do_it_again(admin, make_run):
    run = make_run(status="error")
    assert (
        f'href="/admin/runs/{run.pk}/rerun"' in admin.get(f"/admin/runs/{run.pk}").content.decode()
    )
    away = admin.post(f"/admin/runs/{run.pk}/rerun", {"nonce": "click"})
    new = Run.objects.get(origin=run)
    assert (away.status_code, away.headers["Location"]) == (303, f"/admin/runs/{new.pk}")
    assert (
        f'href="/admin/runs/{new.pk}/cancel"' in admin.get(f"/admin/runs/{new.pk}").content.decode()
    )
    admin.post(f"/admin/runs/{new.pk}/cancel")
    new.refresh_from_db()
    assert (new.status, new.reason_data) == ("cancelled", {"by": "administrator"})
    assert admin.post(f"/admin/runs/{new.pk}/cancel").status_code == 400
    assert admin.post(f"/admin/runs/{run.pk}/rerun").status_code == 400, "no nonce"
    asked = admin.get(f"/admin/runs/{run.pk}/rerun")
    assert asked.status_code == 200, "looking asks, and does nothing"
    assert Run.objects.count() == 2


def test_a_missed_rows_page_says_how_much_a_backfill_filled(admin, make_run, jobs):
    del jobs
    made = post(admin, BACKFILLS, RANGE).json()
    missed = make_run(
        status="missed", reason="outage", started_at=None, missed_first_at=START, missed_count=4
    )
    make_run(kind="backfill", backfill_id=made["id"], scheduled_at=missed.scheduled_at)
    page = admin.get(f"/admin/runs/{missed.pk}").content.decode()
    assert f"Backfill {made['id']} has filled 1 of 4 fires." in page
