"""Run now: the exact request first, and one run however often it is clicked."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client
from tests.dashboard.conftest import START, spec

from cronbell.dispatch.request import AttemptCall, build_request
from cronbell.domain import Blackout, Parameter, request_key
from cronbell.runlog.jobs import spec_of, sync_jobs
from cronbell.runlog.models import AuditRow, Job, Run
from cronbell.states import Kind

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
URL = "/admin/run-now"
SECRET = "a-secret-that-must-never-be-shown"


@pytest.fixture(autouse=True)
def _secret(monkeypatch):
    monkeypatch.setenv("CRON_SECRET", SECRET)


def form_of(answer) -> dict[str, str]:
    page = answer.content.decode().split('id="dialog-title"')[1]
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in fields}


def test_the_confirmation_shows_exactly_what_will_be_sent_and_no_secret(admin, jobs):
    answer = admin.get(URL, {"job_name": "update-rankings"})
    page = html.unescape(answer.content.decode())
    nonce = form_of(answer)["nonce"]
    key = request_key(Kind.RUN_NOW, "update-rankings", nonce)
    sent = build_request(
        spec_of(jobs["update-rankings"]),
        AttemptCall(key=key, scheduled_at=jobs["digest"].created_at, attempt=1),
        secret=SECRET,
    )
    shown = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", page))
    assert list(shown) == [name for name, _ in sent.headers]
    assert shown["Idempotency-Key"] == shown["X-Cronbell-Run-Id"] == key
    assert shown["Authorization"] == "Bearer ********"
    assert f"<b>{sent.method}</b> <span>{sent.url}</span>" in page
    assert SECRET not in page


def test_the_run_is_the_one_that_was_shown(admin, jobs):
    shown = admin.get(URL, {"job_name": "update-rankings"})
    answer = admin.post(URL, form_of(shown))
    run = Run.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/admin/runs/{run.pk}")
    assert run.key == request_key(Kind.RUN_NOW, "update-rankings", form_of(shown)["nonce"])
    assert (run.kind, run.actor, run.dry_run) == ("run_now", "administrator", False)


def test_a_double_click_makes_one_run(admin, jobs):
    form = form_of(admin.get(URL, {"job_name": "update-rankings"}))
    first, second = admin.post(URL, form), admin.post(URL, form)
    assert first.headers["Location"] == second.headers["Location"]
    assert Run.objects.count() == 1


def test_without_the_clicks_id_a_double_click_would_make_two_rows(admin, jobs):
    """Sabotage: with a new nonce each time, the second click leaves a row of its own."""
    for _ in range(2):
        admin.post(URL, form_of(admin.get(URL, {"job_name": "update-rankings"})))
    assert Run.objects.count() == 2


@pytest.mark.parametrize("nonce", ["", "short", "x" * 65, "has spaces in it", "<script>", "é" * 10])
def test_a_form_without_a_sound_nonce_is_shown_again(admin, jobs, nonce):
    answer = admin.post(URL, {"job_name": "update-rankings", "nonce": nonce})
    assert answer.status_code == 400
    assert Run.objects.count() == 0


def test_a_get_changes_nothing(admin, jobs):
    form = form_of(admin.get(URL, {"job_name": "update-rankings"}))
    admin.get(URL, form)
    assert Run.objects.count() == 0


@pytest.mark.parametrize("name", ["", "nope", "\x00", "x" * 5000])
def test_an_unknown_job_is_not_found(admin, jobs, name):
    assert admin.get(URL, {"job_name": name}).status_code == 404
    assert admin.post(URL, {"job_name": name, "nonce": "x" * 20}).status_code == 404


def test_a_form_from_elsewhere_is_refused(people, jobs):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["administrator"])
    answer = client.post(URL, {"job_name": "update-rankings", "nonce": "x" * 20})
    assert answer.status_code == 403
    assert Run.objects.count() == 0


def test_a_dry_run_is_offered_only_where_the_endpoint_honours_it(admin, jobs):
    offered = admin.get(URL, {"job_name": "clean-data"})
    assert b'name="dry_run"' in offered.content
    admin.post(URL, form_of(offered) | {"dry_run": "on"})
    assert Run.objects.get().dry_run
    plain = admin.get(URL, {"job_name": "update-rankings"})
    assert b'name="dry_run"' not in plain.content
    refused = admin.post(URL, form_of(plain) | {"dry_run": "on"})
    assert refused.status_code == 400
    assert Run.objects.count() == 1


def test_a_request_that_cannot_be_built_is_explained_and_not_offered(admin, jobs):
    job = jobs["digest"]
    Job.objects.filter(pk=job.pk).update(spec=job.spec | {"url": ""})
    answer = admin.get(URL, {"job_name": "digest"})
    assert answer.status_code == 400
    assert b"no target is known" in answer.content
    assert b'class="button primary"' not in answer.content


def test_in_the_dialog_the_answer_is_a_notice_that_follows_the_run(admin, jobs):
    htmx = {"HX-Request": "true"}
    form = form_of(admin.get(URL, {"job_name": "update-rankings"}, headers=htmx))
    answer = admin.post(URL, form, headers=htmx)
    run = Run.objects.get()
    assert "cronbell-close" in answer.headers["HX-Trigger"]
    notice = f"/admin/runs/{run.pk}/notice"
    assert f'hx-get="{notice}?seen=active"' in answer.content.decode()
    assert admin.get(notice, {"seen": "active"}).status_code == 204
    Run.objects.update(status="success", started_at=run.queued_at, finished_at=run.queued_at)
    done = admin.get(notice, {"seen": "active"})
    assert "update-rankings has been run." in done.content.decode()
    assert "hx-get" not in done.content.decode()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("success", "update-rankings 작업이 실행되었습니다."),
        ("partial", "update-rankings 작업이 실행되었습니다."),
        ("error", "작업 실행 중 오류가 발생했습니다: 작업에서 오류가 발생했습니다: boom"),
        ("unknown", "작업 실행 중 오류가 발생했습니다: 작업에서 오류가 발생했습니다: boom"),
    ],
)
def test_the_notices_words_in_korean(admin, make_run, settings, status, words):
    settings.LANGUAGE_CODE = "ko"
    reason = (
        {} if status == "success" else {"reason": "exception", "reason_data": {"error": "boom"}}
    )
    run = make_run(status=status, **reason)
    page = admin.get(f"/admin/runs/{run.pk}/notice").content.decode()
    assert words in html.unescape(page)


def test_a_failure_nobody_explained_is_an_unknown_error(admin, make_run, settings):
    settings.LANGUAGE_CODE = "ko"
    run = make_run(status="error")
    assert "알 수 없는 오류" in admin.get(f"/admin/runs/{run.pk}/notice").content.decode()


@pytest.mark.parametrize(
    ("start", "end", "open_now"), [("00:00", "24:00", True), (None, "", False)]
)
def test_an_open_blackout_window_is_said_before_a_run_by_hand(admin, start, end, open_now):
    windows = (Blackout(start=start, end=end, reason="backups"),) if start else ()
    sync_jobs([spec("update-rankings", blackout=windows)], START)
    page = html.unescape(admin.get(URL, {"job_name": "update-rankings"}).content.decode())
    said = "The blackout window 00:00 – 24:00 (UTC) is open: fires due now are skipped"
    assert (said in page) is open_now
    assert ("(backups)" in page) is open_now


@pytest.fixture
def choosy():
    parameters = (
        Parameter(name="category", label="Only <this> category"),
        Parameter(name="depth", choices=("1", "2"), required=True),
    )
    sync_jobs([spec("choosy", parameters=parameters, dry_run=True)], START)


def test_parameters_are_fields_and_the_request_shows_what_was_chosen(admin, choosy):
    page = admin.get(URL, {"job_name": "choosy"})
    text = page.content.decode()
    assert page.status_code == 200
    assert "Only &lt;this&gt; category" in text
    assert re.search(r'<select id="p-depth" name="p.depth" required>', text)
    chosen = form_of(page) | {"p.category": "a&b", "p.depth": "2", "dry_run": "on"}
    looked = admin.post(URL, chosen | {"look": "1"})
    shown = html.unescape(looked.content.decode())
    assert "<span>http://127.0.0.1:9/api/cron/choosy?category=a%26b&depth=2</span>" in shown
    assert "<dt>X-Cronbell-Dry-Run</dt>" in shown
    assert "<option selected>2</option>" in shown
    assert form_of(looked)["nonce"] == chosen["nonce"]
    assert Run.objects.count() == 0
    sent = admin.post(URL, chosen)
    run = Run.objects.get()
    assert (sent.status_code, run.parameters) == (303, {"category": "a&b", "depth": "2"})
    assert run.key in shown
    page = html.unescape(admin.get(f"/admin/runs/{run.pk}").content.decode())
    assert "/api/cron/choosy?category=a%26b&depth=2</span>" in page
    assert "<dt>Parameter category</dt><dd>a&b</dd>" in page
    (event,) = AuditRow.objects.filter(action="run_now")
    assert event.details["parameters"] == run.parameters


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "is missing"),
        ({"p.depth": "3"}, "cannot be"),
        ({"p.depth": "1", "p.other": "x"}, "has no parameter"),
        ({"p.depth": "1", "p.category": "x" * 501}, "cannot be sent"),
        ({"p.depth": "1", "p.category": "a\x00"}, "cannot be sent"),
    ],
)
def test_what_cannot_be_chosen_is_explained_in_the_form_with_what_was_typed(
    admin, choosy, fields, words
):
    form = form_of(admin.get(URL, {"job_name": "choosy"}))
    answer = admin.post(URL, form | fields, headers={"HX-Request": "true"})
    assert answer.status_code == 400
    assert answer.headers["HX-Retarget"] == "#run-now"
    assert words in html.unescape(answer.content.decode())
    assert b'class="button primary"' in answer.content
    assert Run.objects.count() == 0
