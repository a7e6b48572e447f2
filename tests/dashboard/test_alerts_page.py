"""The page and the API of alerts: what they show, what they keep to themselves, the test button."""

from __future__ import annotations

import json

import pytest
from django.utils import translation

from cronbell.alerts.incidents import open_incident
from cronbell.clock import SYSTEM_CLOCK
from cronbell.config.alerts import Alerts, Channel, ChannelType, Condition
from cronbell.runlog.alert_tables import Delivery
from cronbell.runlog.models import Configuration
from cronbell.testing import ScriptedTarget, answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
PATH_THAT_IS_SECRET = "/services/T0-canary"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def target():
    with ScriptedTarget() as running:
        running.script(PATH_THAT_IS_SECRET, answers.answer(204))
        yield running


@pytest.fixture
def channel(jobs, target, monkeypatch):
    monkeypatch.setenv("OPS_SECRET", SECRET)
    ops = Channel(
        name="ops", type=ChannelType.WEBHOOK, url=target.url(PATH_THAT_IS_SECRET),
        secret=("env:OPS_SECRET",),
    )  # fmt: skip
    chat = Channel(name="chat", type=ChannelType.SLACK, url="env:CHAT_THAT_IS_NOT_SET")
    alerts = Alerts(channels={"ops": ops, "chat": chat}, hosts=frozenset({"127.0.0.1"}))
    Configuration.objects.update(alerts=alerts.plain())
    return ops


@pytest.fixture
def broken(jobs):
    facts = {"count": 3, "reason": "http_status", "reason_data": {"status": 500}}
    job = jobs["digest"].pk
    open_incident(Condition.FAILED, SYSTEM_CLOCK.now(), job=job, run=7, data=facts)


def test_without_a_channel_pages_say_that_nobody_is_told(admin, jobs):
    for page in ("/admin/alerts", "/admin/settings"):
        text = admin.get(page).content.decode()
        assert "nobody is told when a job fails" in text


@pytest.mark.usefixtures("channel", "broken")
def test_the_page_shows_what_is_wrong_and_no_secret(admin):
    text = admin.get("/admin/alerts").content.decode()
    assert "the last 3 runs failed" in text
    assert "/admin/runs/7" in text
    assert "CHAT_THAT_IS_NOT_SET is not set" in text
    assert "127.0.0.1" in text
    for page in ("/admin/alerts", "/admin/settings", "/api/admin/alerts"):
        answer = admin.get(page).content.decode()
        assert "canary" not in answer
        assert SECRET not in answer


@pytest.mark.usefixtures("channel")
def test_times_in_its_sentences_are_the_viewers(admin, jobs):
    data = {"seconds": 420, "due": "2026-11-22T08:55:00Z"}
    open_incident(Condition.LATE, SYSTEM_CLOCK.now(), job=jobs["digest"].pk, data=data)
    assert "2026-11-22 08:55+00:00" in admin.get("/admin/alerts").content.decode()
    admin.cookies["cronbell_tz"] = "Asia/Seoul"
    assert "2026-11-22 17:55+09:00" in admin.get("/admin/alerts").content.decode()


@pytest.mark.usefixtures("channel", "broken")
def test_the_page_speaks_korean(admin):
    with translation.override("ko"):
        text = admin.get("/admin/alerts", headers={"Accept-Language": "ko"}).content.decode()
    assert "최근 실행 3번이 연달아 실패했습니다" in text


@pytest.mark.usefixtures("channel")
@pytest.mark.parametrize(
    ("status", "said"), [(204, "was sent"), (500, "was not sent"), (302, "was not sent")]
)
def test_the_test_button_says_what_became_of_the_message(admin, target, status, said):
    target.script(PATH_THAT_IS_SECRET, answers.answer(status))
    answer = admin.post("/admin/alerts", {"channel": "ops"}, follow=True)
    assert answer.redirect_chain[0][1] == 303
    assert f"The test message to ops {said}" in answer.content.decode()
    assert len(target.requests) == 1
    assert json.loads(target.requests[0].body)["type"] == "cronbell.test"


@pytest.mark.usefixtures("channel")
def test_a_channel_that_is_not_there_and_numbers_that_are_none(admin):
    assert admin.post("/admin/alerts", {"channel": "nobody"}).status_code == 404
    for number in ("x", "-1", "9" * 40, "１", "99"):
        answer = admin.get("/admin/alerts", {"tested": number})
        assert answer.status_code == 200
        assert 'role="status"' not in answer.content.decode()


@pytest.mark.usefixtures("channel", "broken")
def test_the_api_lists_and_tests(admin, target):
    found = admin.get("/api/admin/alerts").json()
    assert [one["name"] for one in found["channels"]] == ["ops", "chat"]
    assert found["channels"][1]["fault"].startswith("CHAT_THAT_IS_NOT_SET is not set")
    (incident,) = found["incidents"]
    assert (incident["condition"], incident["jobName"], incident["runId"]) == (
        "failed",
        "digest",
        7,
    )
    answer = admin.post("/api/admin/alerts/ops/test")
    assert (answer.status_code, answer.json()["sent"]) == (200, True)
    assert target.requests[0].header("webhook-id") == answer.json()["messageId"]
    refused = admin.post("/api/admin/alerts/chat/test").json()
    assert refused["sent"] is False
    assert "CHAT_THAT_IS_NOT_SET" in refused["error"]
    assert [one["channel"] for one in admin.get("/api/admin/alerts").json()["deliveries"]] == [
        "chat",
        "ops",
    ]
    assert Delivery.objects.filter(finished_at__isnull=True).count() == 0


@pytest.mark.usefixtures("channel")
def test_the_api_refuses_what_is_not_there(admin, client):
    assert admin.post("/api/admin/alerts/nobody/test").status_code == 404
    assert admin.get("/api/admin/alerts/ops/test").status_code == 405
    assert admin.delete("/api/admin/alerts").status_code == 405
    assert client.post("/api/admin/alerts/ops/test").status_code == 401
    assert Delivery.objects.count() == 0
