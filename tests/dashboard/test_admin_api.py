"""The JSON API: shapes to the byte, and bad input refused by name."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.test import Client
from tests.dashboard.conftest import START, spec

from cronbell.clock import iso
from cronbell.dashboard import api as api_module
from cronbell.domain import Parameter
from cronbell.runlog import log_counts
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.log_pages import Log, log_page
from cronbell.runlog.models import Run

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
URL = "/api/admin/cron-logs"
RUN = "/api/admin/run-cron-job"


def post(client, body, **extra):
    return client.post(RUN, json.dumps(body), content_type="application/json", **extra)


def test_an_empty_log(admin):
    answer = admin.get(URL)
    assert answer.status_code == 200
    expected = b'{"logs": [], "pagination": {"total": 0, "page": 1, "limit": 50, "pages": 0}}'
    assert answer.content == expected
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


def test_a_row_to_the_byte(admin, make_run):
    run = make_run(details="12개 아이디어 랭킹 업데이트 완료", http_status=200)
    assert json.loads(admin.get(URL).content)["logs"] == [
        {
            "id": run.pk,
            "jobName": "update-rankings",
            "executionTime": "2026-11-22T00:01:00.250000Z",
            "status": "success",
            "details": "12개 아이디어 랭킹 업데이트 완료",
            "createdAt": "2026-11-22T00:01:00.005000Z",
            "kind": "schedule",
            "scheduledAt": "2026-11-22T00:01:00Z",
            "startedAt": "2026-11-22T00:01:00.250000Z",
            "finishedAt": "2026-11-22T00:01:03Z",
            "reason": "",
            "httpStatus": 200,
            "attempts": run.attempt,
            "itemsTotal": 0,
            "itemsFailed": 0,
            "tokens": None,
            "cost": None,
            "dryRun": False,
            "parameters": {},
            "actor": "",
            "rerunOf": None,
            "backfill": None,
        }
    ]


def test_where_nothing_started_the_execution_time_is_the_due_time(admin, make_run):
    make_run(status="skipped", started_at=None, reason="overlap")
    row = admin.get(URL).json()["logs"][0]
    assert row["executionTime"] == row["scheduledAt"] == "2026-11-22T00:01:00Z"
    assert row["startedAt"] is None
    assert row["details"] == "not run: the job's previous run was still going on"


def test_pages_are_newest_first_and_counted(admin, make_run):
    ids = [make_run().pk for _ in range(7)][::-1]
    first = admin.get(URL, {"limit": 3}).json()
    last = admin.get(URL, {"limit": 3, "page": 3}).json()
    assert [row["id"] for row in first["logs"]] == ids[:3]
    assert [row["id"] for row in last["logs"]] == ids[6:]
    assert last["pagination"] == {"total": 7, "page": 3, "limit": 3, "pages": 3}
    beyond = admin.get(URL, {"page": 1_000_000, "limit": 200})
    assert beyond.status_code == 200
    assert beyond.json()["logs"] == []


def test_beyond_what_is_counted_pages_are_answered_too(admin, make_run, monkeypatch):
    monkeypatch.setattr(log_counts, "UNCOUNTED_MOST", 0)
    monkeypatch.setattr(Log.__init__, "__kwdefaults__", Log.__init__.__kwdefaults__ | {"cap": 4})
    monkeypatch.setattr(log_page, "__kwdefaults__", log_page.__kwdefaults__ | {"cap": 4})
    ids = [make_run().pk for _ in range(6)][::-1]
    last = admin.get(URL, {"limit": 2, "page": 2}).json()
    assert last["pagination"] == {"total": 4, "page": 2, "limit": 2, "pages": 2}
    beyond = admin.get(URL, {"limit": 2, "page": 3}).json()
    assert [row["id"] for row in beyond["logs"]] == ids[4:]
    further = admin.get(URL, {"limit": 2, "cursor": last["logs"][-1]["id"]}).json()
    assert [row["id"] for row in further["logs"]] == ids[4:]


def test_a_cursor_walks_the_whole_list_once(admin, make_run):
    ids = [make_run().pk for _ in range(8)][::-1]
    seen, cursor = [], ""
    while rows := admin.get(URL, {"limit": 3, "cursor": cursor}).json()["logs"]:
        seen += [row["id"] for row in rows]
        cursor = rows[-1]["id"]
    assert seen == ids


def test_filters(admin, make_run):
    make_run()
    wanted = make_run("clean-data", "error", details="disk full")
    make_run("clean-data")
    for query in (
        {"status": "error"},
        {"job_name": "clean-data", "status": "error"},
        {"text": "DISK"},
        {"text": f"#{wanted.pk}"},
        {
            "since": iso(wanted.started_at),
            "until": iso(wanted.started_at + timedelta(microseconds=1)),
        },
    ):
        rows = admin.get(URL, query).json()
        assert [row["id"] for row in rows["logs"]] == [wanted.pk], query
        assert rows["pagination"]["total"] == 1


@pytest.mark.parametrize(
    "name",
    [
        "no-such-job",
        "\x00",
        "x" * 5000,
        "'; DROP TABLE runlog_run; --",
        "%",
        "한국어",
        "update-rankings ",
    ],
)
def test_an_unknown_job_gives_an_empty_list(admin, make_run, name):
    """C27."""
    make_run()
    answer = admin.get(URL, {"job_name": name})
    assert answer.status_code == 200
    assert answer.json()["logs"] == []
    assert Run.objects.count() == 1


@pytest.mark.parametrize("text", ["%", "_", "\\", "'", "100%"])
def test_search_takes_signs_literally(admin, make_run, text):
    """C27."""
    make_run(details="nothing of the kind")
    wanted = make_run(details=f"a {text} b")
    assert [r["id"] for r in admin.get(URL, {"text": text}).json()["logs"]] == [wanted.pk]


BAD_NUMBERS = [
    "abc",
    "-1",
    "0",
    "",
    " ",
    "1.5",
    "1.0",
    "1e3",
    "1e400",
    "NaN",
    "Infinity",
    "+1",
    "１",
    "1_000",
    "0x10",
    "9" * 30,
    "null",
    "[]",
    "true",
    "1;DROP TABLE runlog_run",
    "\x00",
    str(2**63),
]


@pytest.mark.parametrize("value", BAD_NUMBERS)
@pytest.mark.parametrize("name", ["page", "limit"])
def test_a_bad_page_or_limit_is_refused_by_name(admin, name, value):
    """C26."""
    answer = admin.get(URL, {name: value})
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "details"}
    assert list(answer.json()["details"]) == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "201"),
        ("limit", "1000000000"),
        ("page", "1000001"),
        ("status", "done"),
        ("status", "SUCCESS"),
        ("status", "'"),
        ("since", "yesterday"),
        ("since", "2026-13-01"),
        ("since", "0000-01-01"),
        ("until", "9999-12-31T23:59:59-23:59"),
        ("until", "1e400"),
        ("since", "0001-01-01"),
        ("cursor", "abc"),
        ("cursor", "-1"),
        ("cursor", "0"),
        ("cursor", str(2**63)),
        ("text", "x" * 201),
        ("text", "a\x00b"),
    ],
)
def test_other_bad_parameters_are_refused_by_name(admin, name, value):
    """C26."""
    answer = admin.get(URL, {name: value})
    assert answer.status_code == 400, answer.content
    assert list(answer.json()["details"]) == [name]


def test_all_bad_parameters_are_named_at_once(admin):
    answer = admin.get(URL, {"page": "x", "limit": "y", "status": "z"})
    assert set(answer.json()["details"]) == {"page", "limit", "status"}


@pytest.mark.parametrize(
    "value",
    ["2026-11-22", "2026-11-22T00:00:00", "2026-11-22T09:00:00+09:00", "2026-11-21T23:59:59Z"],
)
def test_dates_are_utc_where_they_say_no_offset(admin, make_run, value):
    make_run()
    assert admin.get(URL, {"since": value}).json()["pagination"]["total"] == 1
    assert admin.get(URL, {"until": value}).json()["pagination"]["total"] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"{}",
        b'{"jobName": ""}',
        b'{"jobName": 5}',
        b'{"jobName": null}',
        b'{"jobName": ["a"]}',
        b"\xff\xfe",
        b"jobName=update-rankings",
        b"[" * 5000,
    ],
)
def test_run_now_without_a_job_name_is_refused(admin, jobs, body):
    answer = admin.post(RUN, body, content_type="application/json")
    assert answer.status_code == 400
    assert "error" in answer.json()
    assert Run.objects.count() == 0


@pytest.mark.parametrize("more", ["url", "headers", "method", "body", "timeout", "path"])
def test_run_now_takes_nothing_but_the_job(admin, jobs, more):
    """C43: what is called, and how, is the configuration's to say."""
    answer = post(admin, {"jobName": "update-rankings", more: "http://evil.test/"})
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert Run.objects.count() == 0


def test_run_now_says_in_korean_what_is_missing_where_the_service_is_korean(admin, jobs, settings):
    settings.LANGUAGE_CODE = "ko"
    assert post(admin, {}).json() == {"error": "작업 이름이 제공되지 않았습니다."}
    assert post(admin, {"jobName": "x"}).json() == {"error": "지원되지 않는 작업입니다."}


def test_the_language_is_the_services_whatever_the_caller_asks_for(admin, jobs):
    answer = post(admin, {}, headers={"Accept-Language": "ko"})
    assert answer.json() == {"error": "No job name was given."}


@pytest.mark.parametrize("name", ["nope", "\ud800", "x\x00", "x" * 100_000, "../update-rankings"])
def test_run_now_of_an_unknown_job_is_refused(admin, jobs, name):
    answer = post(admin, {"jobName": name})
    assert answer.status_code == 400
    assert answer.json() == {"error": "This job is not supported."}
    assert Run.objects.count() == 0


def finished(make_run, **columns):
    run = make_run(**columns)
    return api_module.run_answer("update-rankings", run)


def test_a_good_run_is_answered_with_the_endpoints_answer(make_run):
    body = '{"success": true, "message": "3 ideas", "timestamp": "2026-11-22T00:00:00Z"}'
    assert finished(make_run, body=body, details="3 ideas") == (
        200,
        {
            "success": True,
            "message": "update-rankings has been run.",
            "details": json.loads(body),
        },
    )


def test_a_failed_run_is_500_with_the_reason_and_the_answer(make_run):
    status, answer = finished(
        make_run,
        status="error",
        reason="http_status",
        reason_data={"status": 401},
        body='{"error": "Unauthorized"}',
    )
    assert status == 500
    assert answer["error"].startswith("the endpoint answered 401: ")
    assert answer["details"] == {"error": "Unauthorized"}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("partial", 200),
        ("timed_out", 500),
        ("unknown", 500),
        ("cancelled", 500),
        ("missed", 500),
        ("skipped", 409),
        ("running", 202),
        ("pending", 202),
    ],
)
def test_every_end_has_its_code(make_run, status, code):
    answered, answer = finished(make_run, status=status)
    assert answered == code
    assert ("error" in answer) == (code >= 400)


def test_a_run_that_goes_on_gives_its_id(make_run):
    run = make_run(status="running")
    _, answer = api_module.run_answer("update-rankings", run)
    assert (answer["runId"], answer["status"]) == (run.pk, "running")


@pytest.mark.parametrize("body", ["NaN", '{"a": Infinity}', "<b>x</b>", "[" * 100_000, '"\\ud800"'])
def test_an_answer_that_is_no_json_stays_text_and_ours_stays_json(make_run, body):
    _, answer = finished(make_run, body=body)
    text = json.dumps(answer)
    assert "NaN," not in text
    json.loads(text, parse_constant=pytest.fail)


@pytest.mark.django_db(databases=["default", "runlog"], transaction=True)
def test_run_now_waits_for_the_run_and_tells_its_end(admin, jobs, runner):
    def runner_at_work():
        while not Run.objects.filter(status="pending").update(
            status="success",
            started_at=START,
            finished_at=START,
            body='{"success": true}',
        ):
            pass
        connections.close_all()

    worker = threading.Thread(target=runner_at_work)
    worker.start()
    answer = post(admin, {"jobName": "update-rankings"})
    worker.join(10)
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "message": "update-rankings has been run.",
        "details": {"success": True},
    }
    assert Run.objects.get().actor == "administrator"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"parameters": {"colour": "red"}}, "no parameter 'colour'"),
        ({"parameters": {"depth": "3"}}, "cannot be '3'"),
        ({"dryRun": True}, "does not declare a dry run"),
    ],
)
def test_what_a_job_does_not_declare_is_refused_with_a_remedy(admin, more, words):
    sync_jobs([spec("choosy", parameters=(Parameter(name="depth", choices=("1", "2")),))], START)
    answer = post(admin, {"jobName": "choosy"} | more)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert answer.json()["details"]
    assert Run.objects.count() == 0


def test_a_session_without_csrf_token_is_refused(people, jobs):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["administrator"])
    answer = post(client, {"jobName": "update-rankings"})
    assert answer.status_code == 403
    assert "X-CSRFToken" in answer.json()["error"]
    assert Run.objects.count() == 0
    client.get("/admin/cron-logs")
    token = client.cookies["csrftoken"].value
    answer = post(client, {}, headers={"X-CSRFToken": token})
    assert answer.status_code == 400  # past the check: it is the job name that is missing


def test_the_openapi_document_names_what_is_there(admin):
    document = admin.get("/api/admin/openapi.json").json()
    assert set(document["paths"]) == {
        "/api/admin/cron-logs",
        "/api/admin/run-cron-job",
        "/api/admin/why",
        "/api/admin/runs/{run_id}/cancel",
        "/api/admin/runs/{run_id}/rerun",
        "/api/admin/backfills",
        "/api/admin/backfills/{backfill_id}/{word}",
        "/api/admin/jobs/{job_name}/pause",
        "/api/admin/jobs/{job_name}/resume",
        "/api/admin/audit",
        "/api/admin/alerts",
        "/api/admin/alerts/{channel}/test",
        "/api/admin/drains",
        "/api/admin/drains/{job}",
        "/api/admin/drains/{job}/dead-letters",
        "/api/admin/drains/{job}/retry",
        "/api/admin/records/{job}/{record_id}",
    }
    logs = document["paths"]["/api/admin/cron-logs"]["get"]
    assert {one["name"] for one in logs["parameters"]} == {
        "page",
        "limit",
        "job_name",
        "status",
        "since",
        "until",
        "cursor",
        "text",
    }
    assert {"200", "400", "401", "403"} == set(logs["responses"])


def test_wrong_methods_are_405_with_json(admin):
    answer = admin.delete(URL)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
    assert admin.get(RUN).json() == {"error": "Use POST here."}
