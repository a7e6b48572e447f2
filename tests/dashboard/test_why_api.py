"""``GET /api/admin/why``: the answer, its shape, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.dashboard.conftest import START

from cronbell.dashboard.why_shape import WhyAnswer

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
URL = "/api/admin/why"


def ask(client, **query):
    return client.get(URL, query)


def test_what_became_of_a_fire(admin, make_run):
    run = make_run(scheduled_at=START, started_at=START + timedelta(milliseconds=250))
    answer = ask(admin, job="update-rankings", at="2026-11-22T00:00:00Z")
    assert answer.status_code == 200
    body = answer.json()
    (moment,) = body["moments"]
    assert (body["job"], body["timezone"], moment["verdict"]) == ("update-rankings", "UTC", "ran")
    assert (moment["from"], moment["until"]) == ("2026-11-22T00:00:00Z", "2026-11-22T00:01:00Z")
    assert moment["findings"][0]["run"]["id"] == run.pk
    assert moment["findings"][0]["data"] == {"lateSeconds": 0.25}
    assert moment["definition"]["schedule"] == "0 0 * * *"
    assert moment["nextFire"] == "2026-11-23T00:00:00Z"
    assert WhyAnswer.model_validate(body)


def test_two_answers_where_the_clock_shows_the_time_twice(admin, jobs):
    query = {"job": "digest", "at": "2027-11-07T01:30", "timezone": "America/New_York"}
    locals_ = [moment["local"] for moment in ask(admin, **query).json()["moments"]]
    assert locals_ == ["2027-11-07 01:30-04:00", "2027-11-07 01:30-05:00"]


def test_it_speaks_the_services_language(admin, jobs, settings):
    settings.LANGUAGE_CODE = "ko"
    (moment,) = ask(admin, job="digest", at="2026-11-21T09:30").json()["moments"]
    assert moment["verdict"] == "not_defined"
    assert "설정에 이 작업이 아직 없었습니다" in moment["sentences"][0]


@pytest.mark.parametrize("name", ["nope", "x\x00", "x" * 10_000, "../digest", ""])
def test_an_unknown_job_is_404_and_led_to_the_one_that_is_meant(admin, jobs, name):
    answer = ask(admin, job=name, at="09:00")
    assert answer.status_code == 404
    assert answer.json()["error"] == "There is no such job."
    near = ask(admin, job="digst", at="09:00").json()
    assert "did you mean `digest`?" in near["details"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"job": "digest"}, "at"),
        ({"at": "09:00"}, "job"),
        ({"job": "digest", "at": "soon"}, "at"),
        ({"job": "digest", "at": ""}, "at"),
        ({"job": "digest", "at": "2026-11-22"}, "at"),
        ({"job": "digest", "at": "9" * 65}, "at"),
        ({"job": "digest", "at": "10000-01-01T00:00Z"}, "at"),
        ({"job": "digest", "at": "2027-03-14T02:30", "timezone": "America/New_York"}, "at"),
        ({"job": "digest", "at": "09:00", "timezone": "Asia/Soul"}, "timezone"),
        ({"job": "digest", "at": "09:00", "timezone": "x" * 65}, "timezone"),
    ],
)
def test_what_is_wrong_is_named(admin, jobs, query, parameter):
    answer = ask(admin, **query)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"{parameter}: must be ")


def test_other_methods_are_refused(admin, jobs):
    answer = admin.post(URL, {"job": "digest"}, content_type="application/json")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
