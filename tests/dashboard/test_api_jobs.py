"""Pause and resume by the JSON API: for administrators, by name, and once is enough."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from tests.dashboard.conftest import spec

from cronbell.clock import SYSTEM_CLOCK
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Job

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
PAUSE, RESUME = "/api/admin/jobs/clean-data/pause", "/api/admin/jobs/clean-data/resume"
WHY = {"reason": " the target is being moved "}


def post(client, url, body=None):
    return client.post(url, json.dumps(body or {}), content_type="application/json")


def test_a_job_is_paused_said_to_be_and_resumed(admin, jobs):
    del jobs
    assert admin.get(PAUSE).json() == {
        "jobName": "clean-data", "paused": False, "since": None, "reason": "", "by": "",
    }  # fmt: skip
    made = post(admin, PAUSE, WHY)
    state = made.json()
    assert (made.status_code, state["paused"], state["by"]) == (200, True, "administrator")
    assert state["reason"] == "the target is being moved"
    assert admin.get(PAUSE).json() == state
    job = Job.objects.get(name="clean-data")
    assert (job.paused_by, job.pause_reason) == ("administrator", "the target is being moved")
    again = post(admin, PAUSE, {"reason": "still"}).json()
    assert (again["since"], again["reason"]) == (state["since"], "still")
    for _ in range(2):
        answer = post(admin, RESUME)
        assert (answer.status_code, answer.json()["paused"]) == (200, False)
    assert Job.objects.get(name="clean-data").paused_at is None


@pytest.mark.parametrize("reason", ["", "  ", 7, None, "x" * 501, "a\0b"])
def test_a_pause_without_a_usable_reason_is_refused(admin, jobs, reason):
    del jobs
    answer = post(admin, PAUSE, {"reason": reason})
    assert answer.status_code == 400
    assert set(answer.json()["details"]) == {"reason"}
    assert Job.objects.get(name="clean-data").paused_at is None


@pytest.mark.parametrize("body", ["", "[]", "{", '"x"'])
def test_a_body_that_is_none_pauses_nothing(admin, jobs, body):
    del jobs
    answer = admin.post(PAUSE, body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert Job.objects.get(name="clean-data").paused_at is None


@pytest.mark.parametrize("word", ["pause", "resume"])
@pytest.mark.parametrize("name", ["nobody", "x" * 700, "a%00b"])
def test_a_job_that_is_not_there_is_404(admin, jobs, word, name):
    del jobs
    answer = post(admin, f"/api/admin/jobs/{name}/{word}", WHY)
    assert (answer.status_code, answer.json()["error"]) == (404, "There is no such job.")


def test_a_name_in_any_script_is_understood(admin):
    sync_jobs([spec("정리")], SYSTEM_CLOCK.now())
    assert post(admin, "/api/admin/jobs/정리/pause", WHY).json()["jobName"] == "정리"


@pytest.mark.parametrize("url", [PAUSE, RESUME])
def test_only_administrators_with_a_token_may(admin, people, jobs, url):
    del jobs
    post(admin, PAUSE, WHY)
    before = Job.objects.get(name="clean-data").paused_at
    assert post(Client(), url, WHY).status_code == 401
    user = Client()
    user.force_login(people["user"])
    assert post(user, url, WHY).status_code == 403
    assert user.get(PAUSE).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["administrator"])
    assert post(strict, url, {"reason": "another"}).status_code == 403
    job = Job.objects.get(name="clean-data")
    assert (job.paused_at, job.pause_reason) == (before, WHY["reason"].strip())


@pytest.mark.parametrize(
    ("url", "methods", "allowed"),
    [
        (PAUSE, ("put", "patch", "delete", "head", "options"), "GET, POST"),
        (RESUME, ("get", "put", "patch", "delete", "head", "options"), "POST"),
    ],
)
def test_other_methods_are_405_and_say_what_is_allowed(admin, jobs, url, methods, allowed):
    del jobs
    for method in methods:
        answer = getattr(admin, method)(url)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
        assert getattr(Client(), method)(url).status_code == 401


def test_they_are_in_the_openapi_document(admin):
    paths = admin.get("/api/admin/openapi.json").json()["paths"]
    assert set(paths["/api/admin/jobs/{job_name}/pause"]) == {"get", "post"}
    assert set(paths["/api/admin/jobs/{job_name}/resume"]) == {"post"}
