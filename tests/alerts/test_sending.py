"""Messages on the wire: what is sent, where it may go, and what each refusal is called."""

from __future__ import annotations

import json

import pytest
from tests.alerts.conftest import (
    NOON,
    SECRET,
    VARIABLE,
    alerts_with,
    attempt,
    webhook,
)
from tests.alerts.test_signing import verified

from cronbell.alerts import outbox
from cronbell.clock import to_micros
from cronbell.config.alerts import Channel, ChannelType
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


@pytest.fixture(autouse=True)
def _secret(monkeypatch):
    monkeypatch.setenv(VARIABLE, SECRET)


def test_a_webhook_is_signed_and_carries_no_secret_of_the_jobs(message, target, clock):
    alerts = alerts_with(webhook(target, on=("failed",)), link="https://cron.example")
    one = message(alerts)
    target.script("/hook", answers.answer(204))
    assert attempt(alerts, clock, one) == outbox.Result(sent=True, http_status=204)
    (request,) = target.requests
    headers = [(name, request.header(name)) for name in
               ("webhook-id", "webhook-timestamp", "webhook-signature")]  # fmt: skip
    assert request.method == "POST"
    assert request.header("content-type") == "application/json; charset=utf-8"
    assert verified(headers, request.body, SECRET, to_micros(NOON) // 1_000_000)
    assert request.header("authorization") is None
    sent = json.loads(request.body)
    assert (sent["type"], sent["timestamp"]) == ("cronbell.alert", "2026-11-22T12:00:00Z")
    (alert,) = sent["data"]["alerts"]
    assert alert["url"].startswith("https://cron.example/admin/runs/")
    assert (alert["jobName"], alert["condition"], alert["state"]) == ("one", "failed", "open")
    assert "\n" not in alert["text"]


def test_sent_again_it_has_the_same_id_and_bytes_and_a_new_time(message, target, clock):
    alerts = alerts_with(webhook(target, on=("failed",)))
    one = message(alerts)
    target.script(
        "/hook", answers.answer(503, headers=[("Retry-After", "77")]), answers.answer(200)
    )
    assert attempt(alerts, clock, one).wait == 77
    clock.advance(77)
    assert attempt(alerts, clock, one).sent
    first, second = target.requests
    assert first.header("webhook-id") == second.header("webhook-id")
    assert first.body == second.body
    assert int(second.header("webhook-timestamp")) == int(first.header("webhook-timestamp")) + 77


def test_slack_gets_its_text_with_markup_as_text(message, target, clock, monkeypatch):
    monkeypatch.setenv("SLACK", target.url("/services/T/B/X"))
    chat = Channel(name="chat", type=ChannelType.SLACK, url="env:SLACK", digest=0.0)
    alerts = alerts_with(chat)
    one = message(alerts)
    target.script("/services/T/B/X", answers.answer(200, b"ok"))
    assert attempt(alerts, clock, one).sent
    text = json.loads(target.requests[0].body)["text"]
    assert "&lt;b&gt;no &amp; disk&lt;/b&gt;" in text
    assert "<" not in text


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (answers.answer(500), 500, "http_status"),
        (answers.answer(404), 404, "http_status"),
        (answers.redirect("http://127.0.0.1:9/"), 302, "redirected"),
        (answers.reset(), 0, "reset"),
    ],
)  # fmt: skip
def test_each_refusal_is_a_value_and_no_redirect_is_followed(
    message, target, clock, answer, status, reason
):
    alerts = alerts_with(webhook(target, on=("failed",)))
    one = message(alerts)
    target.script("/hook", answer)
    result = attempt(alerts, clock, one)
    assert (result.sent, result.http_status, result.reason) == (False, status, reason)
    assert len(target.requests) == 1


def test_a_host_that_jobs_may_not_call_gets_no_message_either(message, target, clock):
    alerts = alerts_with(webhook(target, on=("failed",)), hosts=frozenset({"example.com"}))
    result = attempt(alerts, clock, message(alerts))
    assert (result.sent, result.reason) == (False, "host_not_allowed")
    assert target.requests == []


@pytest.mark.parametrize(
    ("value", "said"), [("", "is not set"), ("whsec_short", "base64|bytes"), ("plain", "begin")]
)
def test_without_its_secret_nothing_is_sent_and_the_variable_is_named(
    message, target, clock, monkeypatch, value, said
):
    monkeypatch.setenv(VARIABLE, value)
    alerts = alerts_with(webhook(target, on=("failed",)))
    result = attempt(alerts, clock, message(alerts))
    assert (result.sent, result.reason) == (False, "no_secret")
    assert VARIABLE in result.data["error"]
    assert target.requests == []
    assert value == "" or value not in result.data["error"].replace("whsec_ ", "")


def test_a_secret_in_a_file_must_be_its_owner_s_alone(message, target, clock, tmp_path):
    kept = tmp_path / "secret"
    kept.write_text(SECRET + "\n")
    kept.chmod(0o644)
    alerts = alerts_with(webhook(target, secret=(f"file:{kept}",), on=("failed",)))
    one = message(alerts)
    assert "read by others" in attempt(alerts, clock, one).data["error"]
    kept.chmod(0o600)
    target.script("/hook", answers.answer(200))
    assert attempt(alerts, clock, one).sent


def test_a_channel_that_is_gone_sends_nothing_more(message, target, clock):
    alerts = alerts_with(webhook(target, on=("failed",)))
    one = message(alerts)
    assert attempt(alerts_with(), clock, one).reason == "channel_removed"
    assert target.requests == []
