"""``/ping/<token>`` over HTTP: who is let in, what is said, and that nothing is lost."""

from __future__ import annotations

import subprocess
from datetime import timedelta

import pytest
from django.db import connections
from django.test import Client
from tests.support import machine

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard import pings
from cronbell.dashboard.pings import Limiter, read_word
from cronbell.domain import Dialect, JobSpec
from cronbell.errors import SecretError
from cronbell.runlog.heartbeats import Ping, Signal, take
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Job, Run
from cronbell.runlog.ping_tokens import VARIABLE, NoHeartbeatError, rotate, token_of
from cronbell.runlog.queries import job_lines
from cronbell.testing import FakeClock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])

YEARLY = "0 0 1 1 *"


@pytest.fixture(autouse=True)
def _secret(monkeypatch):
    monkeypatch.setenv(VARIABLE, "a-ping-secret-of-the-tests")


@pytest.fixture
def job() -> Job:
    called = JobSpec(name="called", path="/api/cron/called", schedule=YEARLY)
    watched = JobSpec(
        name="backup", path="", schedule=YEARLY, dialect=Dialect.STANDARD, heartbeat=True
    )
    return sync_jobs([called, watched], SYSTEM_CLOCK.now())["backup"]


@pytest.fixture
def outsider() -> Client:
    return Client(enforce_csrf_checks=True)


@pytest.mark.parametrize("method", ["get", "head", "post"])
@pytest.mark.parametrize(
    ("ending", "status"),
    [("", "success"), ("/start", "running"), ("/fail", "error"), ("/0", "success"),
     ("/255", "error")],
)  # fmt: skip
def test_a_ping_is_taken_without_a_session(job, outsider, method, ending, status):
    answer = getattr(outsider, method)(f"/ping/{token_of(job)}{ending}")
    assert answer.status_code == 200
    assert answer.content == (b"" if method == "head" else b"OK\n")
    assert answer.headers["Cache-Control"] == "no-store"
    assert Run.objects.get().status == status


def test_what_comes_along_is_kept_up_to_64_kb_whatever_it_is(job, outsider):
    body = "가".encode() + b"\x00\xff\n" + b"x" * 70_000
    outsider.post(
        f"/ping/{token_of(job)}/fail", body, content_type="application/x-www-form-urlencoded"
    )
    run = Run.objects.get()
    assert run.details == "가\ufffd\ufffd"
    assert run.body.startswith("가\ufffd\ufffd\nxxx")
    assert len(run.body.encode()) <= 64 * 1024 + 8


def test_every_wrong_token_is_the_same_404(job, outsider):
    right = token_of(job)
    number, digest = right.split("-")
    called = Job.objects.get(name="called")
    wrong = [
        "x", f"{number}-{'0' * 32}", f"{int(number) + 7}-{digest}", f"{number}-{digest.upper()}",
        digest, f"{right}0", f"0{right}é", f"{'9' * 18}-{digest}", token_of(called), f"-{digest}",
    ]  # fmt: skip
    answers = [outsider.get(f"/ping/{token}{end}") for token in wrong for end in ("", "/zap")]
    assert {(one.status_code, one.content) for one in answers} == {(404, b"no such ping URL\n")}
    assert not Run.objects.exists()


def test_a_right_token_with_a_wrong_word_is_told_how_and_other_methods_are_refused(job, outsider):
    for word in ("stop", "256", "-1", "007x"):
        answer = outsider.get(f"/ping/{token_of(job)}/{word}")
        assert (answer.status_code, b"EXIT-STATUS" in answer.content) == (400, True)
    answer = outsider.put(f"/ping/{token_of(job)}")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert not Run.objects.exists()
    assert read_word("7") == (Signal.FAIL, 7)


def test_a_rotated_or_removed_url_is_gone_and_the_new_one_works(job, outsider):
    old = token_of(job)
    new = token_of(rotate("backup"))
    assert outsider.get(f"/ping/{old}").status_code == 404
    assert outsider.get(f"/ping/{new}").status_code == 200
    with pytest.raises(NoHeartbeatError, match="does not ping"):
        rotate("called")
    sync_jobs([], SYSTEM_CLOCK.now())
    assert outsider.get(f"/ping/{new}").status_code == 404


def test_the_token_depends_on_the_secret_and_a_short_secret_is_refused(job, monkeypatch):
    before = token_of(job)
    monkeypatch.setenv(VARIABLE, "another-ping-secret-of-16")
    assert token_of(job) != before
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(SecretError, match=VARIABLE):
        token_of(job)


def test_a_client_in_a_loop_is_told_to_wait(job, outsider, monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr(pings, "limiter", Limiter(3, clock))
    codes = [outsider.get(f"/ping/{token_of(job)}").status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    assert 1 <= int(outsider.get(f"/ping/{token_of(job)}").headers["Retry-After"]) <= 60
    clock.advance(61)
    assert outsider.get(f"/ping/{token_of(job)}").status_code == 200


def test_a_store_that_does_not_take_it_is_503_and_asked_again(job, outsider):
    token = token_of(job)
    with connections["runlog"].cursor() as cursor:
        cursor.execute("ALTER TABLE runlog_run RENAME TO elsewhere")
        try:
            answer = outsider.get(f"/ping/{token}")
        finally:
            cursor.execute("ALTER TABLE elsewhere RENAME TO runlog_run")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert outsider.get(f"/ping/{token}").status_code == 200


def test_the_line_of_the_manual_works_with_curl(job, live_server):
    machine.require("curl")
    url = f"{live_server.url}/ping/{token_of(job)}"
    line = ["curl", "-fsS", "-m", "10", "--retry", "5"]
    done = subprocess.run([*line, "--data-binary", "done", url], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"OK\n")
    gone = subprocess.run([*line, f"{url}0"], capture_output=True, check=False)
    assert gone.returncode == 22
    assert Run.objects.get().body == "done"


def test_pages_and_api_show_a_heartbeat_and_do_not_run_it(job, admin):
    page = admin.get("/admin/cron-logs").content.decode()
    assert f"run-now-{job.pk}" not in page
    assert f"ping-url-{job.pk}" in page
    answer = admin.post(
        "/api/admin/run-cron-job", {"jobName": "backup"}, content_type="application/json"
    )
    assert answer.status_code == 400
    assert "heartbeat" in answer.json()["error"]
    for shown in (admin.get, admin.post):
        refused = shown("/admin/run-now", {"job_name": "backup", "nonce": "n" * 16})
        assert refused.status_code == 400
        assert "waits for its pings" in refused.content.decode()
    assert not Run.objects.exists()


def test_the_page_shows_the_url_and_replaces_it(job, admin, outsider):
    page = admin.get("/admin/ping-url", {"job_name": "backup"}).content.decode()
    assert f"http://testserver/ping/{token_of(job)}</pre>" in page
    assert admin.post("/admin/ping-url", {"job_name": "backup"}).status_code == 303
    assert outsider.get(f"/ping/{token_of(job)}").status_code == 404
    assert admin.get("/admin/ping-url", {"job_name": "called"}).status_code == 404
    assert admin.get("/admin/ping-url", {"job_name": "nobody"}).status_code == 404


def test_a_heartbeat_that_is_due_is_waited_for_until_it_pings():
    watched = JobSpec(
        name="due", path="", schedule="* * * * *", dialect=Dialect.STANDARD, heartbeat=True
    )
    since = SYSTEM_CLOCK.now() - timedelta(minutes=10)
    due = sync_jobs([watched], since)["due"]

    at = SYSTEM_CLOCK.now().replace(second=30)
    assert job_lines(at, limit=9)[0][0].waiting_since == at.replace(second=0, microsecond=0)
    assert take(due.pk, Ping(Signal.SUCCESS), FakeClock(at)) is not None
    assert job_lines(at, limit=9)[0][0].waiting_since is None


def test_a_run_of_a_heartbeat_has_a_page(job, admin, outsider):
    outsider.get(f"/ping/{token_of(job)}/9")
    page = admin.get(f"/admin/runs/{Run.objects.get().pk}").content.decode()
    assert "exit status 9" in page
    assert "Pinged beside its schedule" in page
