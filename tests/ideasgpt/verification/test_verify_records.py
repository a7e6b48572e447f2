"""The way in, the job, the API between them, and the people who decide in the end."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test import Client
from tests.ideasgpt.verification.conftest import TOKEN
from tests.ideasgpt.verification.hostile import CLAIM, TRUE

from cronbell.clock import SYSTEM_CLOCK
from cronbell.drain import ledger
from cronbell.drain.claim import claim, finish, idempotency_key
from cronbell.drain.models import Stage
from cronbell.drain.registry import drains
from cronbell.drain.settings import BatchSize
from cronbell.endpoint import JobContext
from cronbell.endpoint.answer import worked
from cronbell.errors import ConfigError, SecretError
from ideasgpt.verification import service, standing
from ideasgpt.verification.jobs import verify_records as job
from ideasgpt.verification.models import Record, Standing, Verdict
from ideasgpt.verification.storage import folder
from ideasgpt.verification.verifier import Decision

# Those with a server of their own are transactional by it.
pytestmark = [
    pytest.mark.django_db(databases=["default", "runlog"]),
    pytest.mark.usefixtures("read_here"),
]
CONFIG = Path(__file__).parents[3] / "vercel.json"
APPROVED = Decision(status=Standing.APPROVED)


def post(record_id, *, token=TOKEN, **headers):
    headers = {"Authorization": f"Bearer {token}", **headers}
    body = json.dumps({"recordId": record_id})
    return Client().post("/api/admin/records", body, "application/json", headers=headers)


def upload(client, contents, fields=None):
    files = [SimpleUploadedFile(name, data) for name, data in contents]
    told = json.dumps(CLAIM) if fields is None else fields
    return client.post("/api/records", {"fields": told, "files": files})


@pytest.fixture
def signed_in():
    client = Client()
    client.force_login(User.objects.create_user("kim"))
    return client


@pytest.fixture
def boss():
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.fixture
def run(live_server, monkeypatch):
    """Run the job against the real service; give the answer an endpoint would make of it."""
    monkeypatch.setenv("VERIFY_URL", live_server.url)

    def start(**kwargs):
        context = JobContext("verify-records", **kwargs)
        result = job.verify_records(context)
        return json.loads(worked(result, context.items, SYSTEM_CLOCK.now()).answer.body)

    return start


def test_a_record_is_created_with_its_files(signed_in):
    answer = upload(signed_in, [("../../증명.txt", TRUE.encode())])
    assert answer.status_code == 201, answer.content
    record = Record.objects.get(pk=answer.json()["id"])
    assert (record.owner.username, record.verification_status) == ("kim", "pending")
    assert answer.json()["attachments"][0]["name"] == "증명.txt"


@pytest.mark.parametrize(
    ("contents", "fields", "status"),
    [
        ([("a.txt", b"MZ\x90\x00")], None, 400),
        ([("a.txt", b"good"), ("b.txt", b"\x7fELF\x00")], None, 400),
        ([("a.txt", b"x" * (10 * 1024 * 1024 + 1))], None, 400),
        ([("a.txt", b"x")] * 6, None, 400),
        ([("a.txt", b"x" * 9_000_000)] * 3, None, 413),
        ([], None, 400),
        ([("a.txt", b"x")], "[]", 400),
        ([("a.txt", b"x")], "{", 400),
        ([("a.txt", b"x")], '{"a": 1}', 400),
        ([("a.txt", b"x")], '{"a": "\\u0000"}', 400),
    ],
)
def test_what_is_refused_leaves_neither_row_nor_file(signed_in, contents, fields, status):
    answer = upload(signed_in, contents, fields)
    assert answer.status_code == status, answer.content
    assert "error" in answer.json()
    assert not Record.objects.exists()
    assert list(folder().iterdir()) == []


def test_nobody_else_gets_in(signed_in, make):
    record = make()
    assert upload(Client(), [("a.txt", b"x")]).status_code == 401
    checking = Client(enforce_csrf_checks=True)
    checking.force_login(User.objects.get(username="kim"))
    assert upload(checking, [("a.txt", b"x")]).status_code == 403
    for token in ("", "wrong", TOKEN + "x", TOKEN[:-1], TOKEN.upper()):
        assert post(record.pk, token=token).status_code == 401
    assert signed_in.get("/api/admin/reviews").status_code == 403
    assert Client().get("/api/admin/reviews").status_code == 401
    assert not Verdict.objects.exists()


def test_pages_and_api_find_the_drain_of_the_job():
    assert drains()["verify-records"][1].name == "verify-records"


def test_the_job_sends_what_waits_and_only_that(run, make, obeying):
    good, doubtful = make(), make(b"nothing of the kind")
    bare = Record.objects.create(owner=good.owner, fields=CLAIM)
    looked = run(dry_run=True)
    assert looked["wouldProcess"] == [str(good.pk), str(doubtful.pk)]
    assert obeying.asked == []
    body = run()
    assert (body["success"], body["processed"]) == (True, 2)
    named = {"recordId", "ok", "status", "body", "attempts", "seconds"}
    assert set(body["results"][0]) == named, "an answered item has no error"
    told = {one["recordId"]: one["body"]["status"] for one in body["results"]}
    assert told == {str(good.pk): "approved", str(doubtful.pk): "needs_review"}
    assert body["tokens"] == 150
    assert run()["processed"] == 0
    bare.refresh_from_db()
    assert bare.verification_status == "pending"


def test_a_verification_that_died_is_taken_up_again_and_has_one_effect(run, make, obeying):
    record, now = make(), SYSTEM_CLOCK.now()
    dead = standing.take_on(record, now - timedelta(hours=1))
    busy = make()
    alive = standing.take_on(busy, now)
    assert dead
    assert alive
    assert post(busy.pk).status_code == 409
    body = run()
    assert [one["recordId"] for one in body["results"]] == [str(record.pk)]
    assert standing.settle(record, dead, APPROVED, now=now, sample_percent=0) is None
    assert Verdict.objects.get().record_id == record.pk


def test_two_drains_at_once_ask_for_each_record_once(run, make, obeying, monkeypatch):
    halved = replace(job.drain, batch=BatchSize(2))
    monkeypatch.setattr(job, "drain", halved)  # so that neither takes all
    wanted = [make().pk for _ in range(4)]
    together = threading.Barrier(2)

    def one():
        together.wait(10)
        try:
            return run()["results"]  # missing where there was nothing to do
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as threads:
        halves = [threads.submit(one) for _ in range(2)]
        results = [result for half in halves for result in half.result()]
    assert sorted(int(result["recordId"]) for result in results) == wanted
    assert all(result["ok"] for result in results)
    assert len(obeying.asked) == 4
    assert sorted(Verdict.objects.values_list("record_id", flat=True)) == wanted


def test_what_was_decided_while_the_job_died_leaves_the_drain_without_being_sent_again(make):
    record, now = make(), SYSTEM_CLOCK.now()
    hold = claim(standing.waiting(), limit=1, owner="job", now=now, due=now, lease=180)
    assert post(record.pk).status_code == 200
    assert standing.close_decided(now) == 0  # a job may be about to settle it
    undecided = make()
    assert standing.close_decided(now + timedelta(seconds=181)) == 1
    record.refresh_from_db()
    undecided.refresh_from_db()
    assert (record.drain_state, record.drain_owner) == (Stage.DONE, "")
    assert undecided.drain_state == Stage.PENDING
    assert not finish(hold[0], now=now)


def test_the_same_key_gives_the_same_verdict_and_an_old_one_nothing(make, obeying):
    record = make()
    key = idempotency_key(record)
    first, second = (post(record.pk, **{"Idempotency-Key": key}) for _ in range(2))
    assert first.json() == second.json()
    assert len(obeying.asked) == 1
    standing.changed(Record.objects.get(pk=record.pk), actor="kim", now=SYSTEM_CLOCK.now())
    assert post(record.pk, **{"Idempotency-Key": "cbd1-unknown"}).status_code == 409
    assert post(record.pk).json()["version"] == 2
    assert len(obeying.asked) == 2
    assert post(10**9).status_code == 404


def test_a_change_in_between_settles_nothing(make):
    record, now = make(), SYSTEM_CLOCK.now()
    holder = standing.take_on(record, now)
    standing.changed(Record.objects.get(pk=record.pk), actor="kim", now=now)
    assert standing.settle(record, holder, APPROVED, now=now, sample_percent=0) is None
    assert not Verdict.objects.exists()
    assert Record.objects.get(pk=record.pk).verification_status == "pending"


def test_a_model_that_is_away_costs_the_record_nothing(run, make, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_PRICE", "senseless")
    record = make()
    assert post(record.pk).headers["Retry-After"] == "300"
    body = run()
    assert (body["status"], body["results"][0]["status"]) == ("partial", 503)
    record.refresh_from_db()
    assert (record.verification_status, record.submitted_at, record.drain_failures) == (
        "pending",
        None,
        0,
    )


@pytest.fixture
def set_aside(run, make):
    """Make a record that the verifier fails at three times; its document comes back afterwards."""

    def fail():
        record = make()
        files = {file: file.read_bytes() for file in folder().iterdir()}
        for file in files:
            file.unlink()
        for _ in range(3):
            due = SYSTEM_CLOCK.now() - timedelta(seconds=1)
            Record.objects.filter(pk=record.pk).update(drain_available_at=due)
            assert run()["results"][0]["status"] == 500
        for file, contents in files.items():
            file.write_bytes(contents)
        record.refresh_from_db()
        assert (record.verification_status, record.awaits_review) == ("failed", True)
        assert record.drain_state == Stage.DEAD
        return record

    return fail


def by_api(client, record):
    body = json.dumps({"recordIds": [str(record.pk)]})
    answer = client.post("/api/admin/drains/verify-records/retry", body, "application/json")
    return answer.json() == {"retried": 1}


def by_api_all(client, _record):
    body = json.dumps({"allDead": True})
    answer = client.post("/api/admin/drains/verify-records/retry", body, "application/json")
    return answer.json() == {"retried": 1}


def by_page(client, record):
    answer = client.post("/admin/records/verify-records/retry", {"record": record.pk})
    return answer.status_code == 303


def by_stock_admin(client, record):
    chosen = {"action": "again", "_selected_action": [record.pk]}
    answer = client.post("/admin/data/verification/record/", chosen)
    return answer.status_code == 302


@pytest.mark.parametrize("ask", [by_api, by_api_all, by_page, by_stock_admin])
def test_a_record_set_aside_is_verified_once_a_person_asks(set_aside, run, boss, ask):
    record = set_aside()
    assert run()["processed"] == 0
    assert ask(boss, record)
    record.refresh_from_db()
    assert (record.verification_status, record.awaits_review) == ("pending", False)
    assert (record.drain_state, record.drain_failures) == (Stage.PENDING, 0)
    last = record.audit.order_by("-id")[0]
    assert (last.actor, last.from_status, last.to_status) == ("boss", "failed", "pending")
    assert run()["results"][0]["ok"]
    record.refresh_from_db()
    assert (record.verification_status, record.drain_state) == ("needs_review", Stage.DONE)
    assert record.verdicts.count() == 1
    assert not ask(boss, record) or ask is by_stock_admin  # which says 0, and redirects
    assert record.audit.count() == 3


def test_sabotage_put_back_by_the_drain_alone_a_record_never_comes_again(set_aside, run, boss):
    record = set_aside()
    alone = replace(job.drain, again=None)
    ids, now = [str(record.pk)], SYSTEM_CLOCK.now()
    assert ledger.try_again(alone, ids, actor="boss", now=now) == 1
    assert run()["processed"] == 0


def test_what_a_person_decided_is_not_tried_again(set_aside, run, boss):
    record = set_aside()
    seen = {"decision": "rejected", "version": 1, "status": "failed", "note": "by hand"}
    url = f"/api/admin/reviews/{record.pk}"
    assert boss.post(url, json.dumps(seen), "application/json").status_code == 200
    assert not by_api(boss, record)
    record.refresh_from_db()
    assert (record.verification_status, record.drain_state) == ("rejected", Stage.DONE)
    # Nor where the decision comes in between: the page still had it as failed.
    Record.objects.filter(pk=record.pk).update(drain_state=Stage.DEAD)
    assert not by_api(boss, record)
    record.refresh_from_db()
    assert (record.verification_status, record.drain_state) == ("rejected", Stage.DEAD)
    assert run()["processed"] == 0


def test_people_review_with_a_note_and_see_what_they_decide_on(make, boss):
    record = make()
    assert post(record.pk).json()["status"] == "needs_review"
    queue = boss.get("/api/admin/reviews").json()
    assert [one["id"] for one in queue["reviews"]] == [record.pk]
    assert queue["reviews"][0]["verdict"]["reasons"] == ["no_model"]

    def decide(**changes):
        seen = {"decision": "approved", "version": 1, "status": "needs_review", "note": "seen it"}
        body = json.dumps({**seen, **changes})
        return boss.post(f"/api/admin/reviews/{record.pk}", body, "application/json").status_code

    wrong = ({"note": " "}, {"version": 2}, {"status": "approved"}, {"decision": "pending"})
    assert [decide(**one) for one in wrong] == [409] * 4
    assert [decide(), decide()] == [200, 409]
    last = record.audit.order_by("-id")[0]
    assert (last.actor, last.from_status, last.to_status, last.note) == (
        "boss",
        "needs_review",
        "approved",
        "seen it",
    )
    assert boss.get("/api/admin/reviews?limit=0").status_code == 400


def test_a_sample_of_approvals_goes_to_a_person(make, obeying, monkeypatch):
    monkeypatch.setenv("VERIFY_SAMPLE_PERCENT", "100")
    record = make()
    assert post(record.pk).json()["status"] == "approved"
    record.refresh_from_db()
    assert record.awaits_review


def test_the_admin_shows_decides_and_hands_out_files(make, boss):
    record = make(b"<script>alert(1)</script>", name="<b>.html")
    post(record.pk)
    page = boss.get(f"/admin/data/verification/record/{record.pk}/change/")
    assert page.status_code == 200
    assert b"<b>.html" not in page.content
    file = record.attachments.get()
    answer = boss.get(f"/admin/data/verification/record/file/{file.pk}")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert b"".join(answer.streaming_content) == b"<script>alert(1)</script>"
    chosen = {"action": "reject", "_selected_action": [record.pk], "note": "no"}
    boss.post("/admin/data/verification/record/", chosen)
    record.refresh_from_db()
    assert record.verification_status == "rejected"
    assert Client().get(f"/admin/data/verification/record/file/{file.pk}").status_code == 302


def test_the_admin_makes_records_and_a_change_is_a_new_version(boss, make):
    owner = make().owner
    document = SimpleUploadedFile("a.txt", TRUE.encode())
    form = {"owner": owner.pk, "fields": json.dumps(CLAIM), "document": document}
    for inline in ("attachments", "verdicts", "audit"):
        form |= {f"{inline}-TOTAL_FORMS": 0, f"{inline}-INITIAL_FORMS": 0}
    assert boss.post("/admin/data/verification/record/add/", form).status_code == 302
    record = Record.objects.latest("pk")
    form |= {"fields": '{"package": "other"}', "document": ""}
    for inline in ("attachments", "verdicts", "audit"):
        form[f"{inline}-TOTAL_FORMS"] = form[f"{inline}-INITIAL_FORMS"] = 0
    address = f"/admin/data/verification/record/{record.pk}/change/"
    assert boss.post(address, form).status_code == 302
    record.refresh_from_db()
    assert (record.drain_version, record.fields) == (2, {"package": "other"})


def test_senseless_settings_are_refused(monkeypatch, settings, tmp_path):
    monkeypatch.setenv("VERIFY_SAMPLE_PERCENT", "many")
    with pytest.raises(ConfigError, match="VERIFY_SAMPLE_PERCENT"):
        service.sample_percent()
    monkeypatch.delenv("VERIFY_URL", raising=False)
    monkeypatch.delenv("CRONBELL_OWN_URL", raising=False)
    with pytest.raises(ConfigError, match="VERIFY_URL"):
        service.address()
    monkeypatch.setenv("SERVICE_TOKEN", "short")
    with pytest.raises(SecretError, match="SERVICE_TOKEN"):
        service.service_token()
    monkeypatch.delenv("SERVICE_TOKEN")
    made = service.service_token()
    path = tmp_path / "service-token"
    assert (path.read_text().strip(), path.stat().st_mode & 0o777) == (made, 0o600)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVICE_TOKEN", "short"),
        ("VERIFY_BATCH_SIZE", "0"),
        ("VERIFY_SAMPLE_PERCENT", "all"),
        ("VERIFY_URL", "ftp://here"),
        ("IDEASGPT_LLM", "ofline"),
        ("IDEASGPT_SAMPLE", "some"),
        ("OPENAI_BASE_URL", "localhost:11434"),
        ("OPENAI_PRICE", "cheap"),
    ],
)
def test_a_senseless_setting_stops_the_start_with_a_word_on_what_to_do(
    prepared, process, name, value
):
    env = {"SERVICE_TOKEN": TOKEN, "PYTHONPATH": ":".join(sys.path), name: value, **prepared}
    start = "from ideasgpt.main import run; run()"
    started = process(sys.executable, "-c", start, "up", "--config", CONFIG, env=env)
    assert started.wait(60) == 1, started.output()
    assert started.output().startswith(f"cronbell: {name}")
    assert "Traceback" not in started.output()
