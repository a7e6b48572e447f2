"""Messages on the wire: what is sent, where it may go, and what each refusal is called."""

from __future__ import annotations

import asyncio
import json
import socketserver
import threading

import pytest
from tests.alerts.conftest import (
    NOON,
    SECRET,
    VARIABLE,
    alerts_with,
    run_of,
    webhook,
)
from tests.alerts.test_signing import verified

from cronbell.alerts import mail, outbox
from cronbell.alerts.send import send
from cronbell.clock import to_micros
from cronbell.config.alerts import Channel, ChannelType
from cronbell.dispatch import Dispatcher, PyreqwestTransport
from cronbell.runlog.alert_tables import Delivery
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


@pytest.fixture(autouse=True)
def _secret(monkeypatch):
    monkeypatch.setenv(VARIABLE, SECRET)


def attempt(alerts, clock, one: Delivery) -> outbox.Result:
    """Send as a runner does; it has the secret of the jobs, which no message may carry."""

    async def go() -> outbox.Result:
        transport = PyreqwestTransport()
        dispatcher = Dispatcher(
            transport, secret="sixteen-characters-or-more", allowed_hosts=alerts.hosts, clock=clock
        )
        try:
            return await send(dispatcher, alerts, one, clock)
        finally:
            await transport.close()

    return asyncio.run(go())


@pytest.fixture
def message(jobs, watched):
    """Return a message about a job that failed with markup in its words."""

    def make(alerts) -> Delivery:
        job = jobs("one")["one"]
        run_of(job, "error", details="<b>no & disk</b>\r\nBcc: x@y.example")
        (one,) = watched(alerts).look()
        return one

    return make


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


class MailServer(socketserver.ThreadingTCPServer):
    """As much of an SMTP server as one message takes; keeps what it was told."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, answers_: dict[str, str]) -> None:
        self.answers = answers_
        self.lines: list[str] = []
        super().__init__(("127.0.0.1", 0), Conversation)


class Conversation(socketserver.StreamRequestHandler):
    """One client."""

    server: MailServer

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def handle(self) -> None:
        self.say("220 here")
        while line := self.rfile.readline().decode(errors="replace").rstrip("\r\n"):
            self.server.lines.append(line)
            if self._told(line):
                return
            if line.upper() == "DATA":
                self._mail()

    def _told(self, line: str) -> bool:
        word = line.partition(" ")[0].upper()
        known = {"DATA": "354 go on", "QUIT": "221 bye", **self.server.answers}
        self.say(known.get(word, "250 ok"))
        return word == "QUIT"

    def _mail(self) -> None:
        while (line := self.rfile.readline().decode().rstrip("\r\n")) != ".":
            self.server.lines.append(line)
        self.say("250 taken")


@pytest.fixture
def mail_server():
    servers = []

    def start(**told: str) -> MailServer:
        server = MailServer(told)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def post_to(server: MailServer, **changes) -> Channel:
    values = {
        "name": "post", "type": ChannelType.EMAIL, "smtp": f"127.0.0.1:{server.server_address[1]}",
        "tls": "none", "sender": "cronbell@a.example", "to": ("x@b.example", "y@c.example"),
        "digest": 0.0, "on": ("failed",),
    }  # fmt: skip
    return Channel(**(values | changes))


def test_mail_goes_to_everybody_with_nothing_of_a_text_in_a_header(message, mail_server, clock):
    server = mail_server()
    alerts = alerts_with(post_to(server))
    one = message(alerts)
    one.subject = "Cronbell\r\nBcc: z@d.example"
    assert attempt(alerts, clock, one) == outbox.Result(sent=True)
    told = server.lines
    assert [line for line in told if line.lower().startswith("rcpt")] == [
        "rcpt TO:<x@b.example>", "rcpt TO:<y@c.example>",
    ]  # fmt: skip
    head = told[told.index("data") + 1 :][: told[told.index("data") + 1 :].index("")]
    assert f"Message-ID: <{one.key}@a.example>" in head
    assert "Subject: Cronbell  Bcc: z@d.example" in head
    assert not [line for line in head if line.startswith("Bcc")]
    assert "Date: Sun, 22 Nov 2026 12:00:00 +0000" in head
    assert any("no & disk" in line for line in told)


@pytest.mark.parametrize(
    ("told", "changes", "said"),
    [
        ({"RCPT": "550 no such user"}, {}, "SMTPRecipientsRefused"),
        ({"MAIL": "451 later"}, {}, "SMTPSenderRefused"),
        ({}, {"tls": "starttls"}, "SMTPNotSupported"),
        ({}, {"tls": "tls"}, "SSL"),
    ],
)
def test_what_a_mail_server_refuses_is_a_value(message, mail_server, clock, told, changes, said):
    server = mail_server(**told)
    alerts = alerts_with(post_to(server, **changes))
    result = attempt(alerts, clock, message(alerts))
    assert (result.sent, result.reason) == (False, "mail")
    assert said in result.data["error"]


def test_a_mail_server_that_never_answers_is_left_in_time(message, clock, monkeypatch):
    monkeypatch.setattr(mail, "STEP_SECONDS", 0.2)
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as silent:
        alerts = alerts_with(post_to(silent))
        assert attempt(alerts, clock, message(alerts)).reason == "mail"
