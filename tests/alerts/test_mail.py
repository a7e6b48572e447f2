"""Mail on the wire: two servers, one that does what it is told and one that is a real one.

``aiosmtpd`` speaks TLS and asks for a login as servers of the world do; what servers of the world
should not do (hang, drip, answer out of turn) is the other's.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from tests.alerts.conftest import alerts_with, attempt
from tests.support import source

from cronbell.alerts import mail, outbox
from cronbell.config.alerts import Channel, ChannelType
from cronbell.runlog.alert_tables import Delivery

CERTIFICATES = source.ROOT / "tests" / "dispatch" / "certificates"
USER, PASSWORD = "cronbell", "a-password-for-mail"
VARIABLE = "TEST_MAIL_PASSWORD"


def a_message() -> Delivery:
    return Delivery(key="01-key", channel="post", subject="One failed", text="one failed\n")


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


def test_mail_goes_to_everybody_with_nothing_of_a_text_in_a_header(mail_server, clock):
    server = mail_server()
    alerts = alerts_with(post_to(server))
    one = a_message()
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
    assert any("one failed" in line for line in told)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"RCPT": "550 no such user"}, "SMTPRecipientsRefused"),
        ({"MAIL": "451 later"}, "SMTPSenderRefused"),
    ],
)
def test_what_a_mail_server_refuses_is_a_value(mail_server, clock, told, said):
    server = mail_server(**told)
    result = attempt(alerts_with(post_to(server)), clock, a_message())
    assert (result.sent, result.reason) == (False, "mail")
    assert said in result.data["error"]


class Inbox:
    """What a real server took, and what it was told on the way."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], str]] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.in_clear: list[bytes] = []

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802 - its name
        del session
        assert secured(server), "mail in clear"
        text = envelope.content.decode()
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, text))
        return "250 taken"

    def judge(self, server, session, envelope, mechanism, given) -> AuthResult:
        del session, envelope, mechanism
        assert isinstance(given, LoginPassword)
        if not secured(server):
            self.in_clear.append(given.password)
        self.logins.append((given.login, given.password))
        fine = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=fine, handled=False)


def secured(server) -> bool:
    """Say whether the connection itself is encrypted: aiosmtpd's session knows STARTTLS only."""
    return server.transport.get_extra_info("ssl_object") is not None


class AtOnce(Controller):
    """TLS from the first byte; the first connection that starts it up is made without a check."""

    def _trigger_server(self) -> None:
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((self.hostname, self.port), 5) as plain:
            client.wrap_socket(plain).close()


def tls_of(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem")
    return context


@pytest.fixture
def real(free_port: int) -> Iterator[object]:
    """Return ``real(tls, certificate)``: starts a server that asks for a login."""
    started: list[Controller] = []

    def start(tls: str, certificate: str = "good") -> tuple[Inbox, int]:
        inbox = Inbox()
        context = tls_of(certificate)
        kind, options = {
            "tls": (AtOnce, {"ssl_context": context, "auth_require_tls": False}),
            "starttls": (
                Controller,
                {"tls_context": context, "require_starttls": True, "auth_required": True},
            ),
            # A server that has no TLS and would take a password in clear.
            "none": (Controller, {"auth_require_tls": False}),
        }[tls]
        server = kind(
            inbox, hostname="127.0.0.1", port=free_port, authenticator=inbox.judge,
            **options,
        )  # fmt: skip
        server.start()
        started.append(server)
        return inbox, free_port

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def trusted(monkeypatch) -> None:
    """Have this system trust the authority of the tests, as an administrator would."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "authority.pem"))


@pytest.fixture(autouse=True)
def _password(monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, PASSWORD)


def with_login(port: int, tls: str, host: str = "127.0.0.1", **changes) -> Channel:
    values = {
        "name": "post", "type": ChannelType.EMAIL, "smtp": f"{host}:{port}", "tls": tls,
        "username": USER, "password": f"env:{VARIABLE}", "sender": "cronbell@a.example",
        "to": ("x@b.example",),
    }  # fmt: skip
    return Channel(**(values | changes))


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_server_with_tls_and_login_takes_the_message(real, trusted, clock, tls):
    inbox, port = real(tls)
    alerts = alerts_with(with_login(port, tls))
    assert attempt(alerts, clock, a_message()) == outbox.Result(sent=True)
    ((sender, to, text),) = inbox.mails
    assert (sender, to) == ("cronbell@a.example", ["x@b.example"])
    assert "one failed" in text
    assert inbox.logins == [(USER.encode(), PASSWORD.encode())]
    assert PASSWORD not in text


@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("certificate", "said"),
    [("expired", "expired"), ("elsewhere", "IP address mismatch"), ("good", "")],
)
def test_a_wrong_certificate_gets_neither_password_nor_message(
    real, clock, monkeypatch, tls, certificate, said
):
    """Expired, another host's, and one of an authority that nobody trusts."""
    if said:
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "authority.pem"))
    inbox, port = real(tls, certificate)
    result = attempt(alerts_with(with_login(port, tls)), clock, a_message())
    assert (result.sent, result.reason) == (False, "mail")
    assert "CERTIFICATE_VERIFY_FAILED" in result.data["error"]
    assert said in result.data["error"]
    assert (inbox.logins, inbox.mails) == ([], [])


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_sabotage_without_the_check_any_certificate_gets_the_password(
    real, clock, monkeypatch, tls
):
    def careless() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    monkeypatch.setattr(mail.ssl, "create_default_context", careless)
    inbox, port = real(tls, "elsewhere")
    assert attempt(alerts_with(with_login(port, tls)), clock, a_message()).sent
    assert inbox.logins


def test_without_tls_at_the_server_the_password_is_not_said(real, trusted, clock):
    """A server, or whoever sits before it, that takes STARTTLS out of what it offers."""
    inbox, port = real("none")
    result = attempt(alerts_with(with_login(port, "starttls")), clock, a_message())
    assert (result.sent, result.reason) == (False, "mail")
    assert "STARTTLS" in result.data["error"]
    assert (inbox.logins, inbox.in_clear, inbox.mails) == ([], [], [])


def test_sabotage_such_a_server_would_have_taken_it(real, clock):
    inbox, port = real("none")
    attempt(alerts_with(with_login(port, "none")), clock, a_message())
    assert inbox.in_clear == [PASSWORD.encode()]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_wrong_password_is_refused_and_repeated_nowhere(real, trusted, clock, monkeypatch, tls):
    monkeypatch.setenv(VARIABLE, "another-password-1")
    inbox, port = real(tls)
    result = attempt(alerts_with(with_login(port, tls)), clock, a_message())
    assert (result.sent, result.reason) == (False, "mail")
    assert result.data["error"] == "the server refused the user name or the password (535)"
    assert {password for _user, password in inbox.logins} == {b"another-password-1"}
    assert inbox.mails == []


# The head of a long TLS record of the handshake, whose rest comes byte by byte.
RECORD = b"\x16\x03\x03\x3f\xff\x02"


class Dripping(socketserver.ThreadingTCPServer):
    """Says a byte now and then and never comes to an end.

    ``before`` is what it says until then: at once, then after each thing it is told.
    """

    allow_reuse_address = daemon_threads = True

    def __init__(self, before: list[bytes]) -> None:
        self.before = before
        self.done = threading.Event()
        super().__init__(("127.0.0.1", 0), Drip)


class Drip(socketserver.BaseRequestHandler):
    server: Dripping

    def handle(self) -> None:
        try:
            first, *others = self.server.before
            self.request.sendall(first)
            for answer in others:
                self.request.recv(4096)
                self.request.sendall(answer)
            while not self.server.done.wait(0.05):
                self.request.sendall(b"2")
        except OSError:
            pass  # hung up, as it should be


@pytest.mark.parametrize(
    ("tls", "before"),
    [
        ("none", [b""]),  # in its greeting
        ("none", [b"220 here\r\n"]),  # in its answer to EHLO
        ("tls", [b"", RECORD]),
        ("starttls", [b"220 here\r\n", b"250-here\r\n250 STARTTLS\r\n", b"220 go\r\n", RECORD]),
    ],
    ids=["greeting", "ehlo", "tls", "starttls"],
)
def test_a_server_that_never_ends_is_left_in_time(clock, monkeypatch, tls, before):
    """Each byte comes well within a step's limit; the limit on the whole is what ends it."""
    monkeypatch.setattr(mail, "SECONDS", 0.5)
    with Dripping(before) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        try:
            channel = with_login(server.server_address[1], tls, username="", password="")
            result = attempt(alerts_with(channel), clock, a_message())
        finally:
            server.done.set()
            server.shutdown()
    assert (result.sent, result.reason) == (False, "mail")
    assert result.data["error"] == "the conversation took longer than 0.5 seconds"


@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
def test_a_server_that_never_says_a_word_is_left_in_time(clock, monkeypatch, tls):
    monkeypatch.setattr(mail, "STEP_SECONDS", 0.2)
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as silent:
        result = attempt(alerts_with(post_to(silent, tls=tls)), clock, a_message())
    assert result.reason == "mail"
    assert "timed out" in result.data["error"] or "Timeout" in result.data["error"]


def leading(*addresses: str):
    """Return a resolver to which every name has these addresses, and what it was asked."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        del port
        asked.append(host)
        return list(addresses)

    return resolve, asked


def by_name(port: int, name: str = "localhost", **changes) -> object:
    return alerts_with(
        with_login(port, "starttls", name, **changes), hosts=frozenset({f"{name}:{port}"})
    )


def test_a_name_is_looked_up_once_and_its_address_called(real, trusted, clock, monkeypatch):
    """The certificate is for the name, and no second lookup could lead elsewhere."""
    inbox, port = real("starttls")
    resolve, asked = leading("127.0.0.1")
    monkeypatch.setattr(
        mail.socket, "getaddrinfo", only_addresses(mail.socket.getaddrinfo), raising=True
    )
    result = attempt(by_name(port), clock, a_message(), resolver=resolve)
    assert result == outbox.Result(sent=True)
    assert asked == ["localhost"]
    assert len(inbox.mails) == 1


def only_addresses(system):
    def asked(host, *given, **options):
        assert host in {"127.0.0.1", None}, f"{host} was looked up a second time"
        return system(host, *given, **options)

    return asked


@pytest.mark.parametrize(
    ("address", "why"),
    [("169.254.169.254", "link-local"), ("fd00:ec2::254", "metadata"), ("0.0.0.1", "unspecified"),
     ("64:ff9b::a9fe:a9fe", "link-local"), ("224.0.0.1", "multicast")],
)  # fmt: skip
def test_a_name_that_leads_where_no_mail_server_is_gets_no_message(
    clock, monkeypatch, address, why
):
    monkeypatch.setattr(mail.socket, "create_connection", lambda *_: pytest.fail("it connected"))
    resolve, asked = leading(address)
    result = attempt(by_name(25, "mail.example"), clock, a_message(), resolver=resolve)
    assert (result.sent, result.reason) == (False, "address_not_allowed")
    assert why in str(result.data)
    assert asked == ["mail.example"]


def test_of_several_addresses_the_good_one_is_called(real, trusted, clock):
    inbox, port = real("starttls")
    resolve, _asked = leading("169.254.169.254", "127.0.0.2", "127.0.0.1")
    result = attempt(by_name(port), clock, a_message(), resolver=resolve)
    assert result == outbox.Result(sent=True), "nobody listens at the second one"
    assert len(inbox.mails) == 1


def test_a_mail_server_that_nobody_allowed_is_not_called(real, trusted, clock):
    inbox, port = real("starttls")
    alerts = alerts_with(with_login(port, "starttls"), hosts=frozenset({"example.com"}))
    result = attempt(alerts, clock, a_message())
    assert (result.sent, result.reason) == (False, "host_not_allowed")
    assert inbox.logins == []


def test_a_name_without_an_address_is_said(clock):
    async def nobody(_host: str, _port: int) -> list[str]:
        raise OSError("Name or service not known")

    result = attempt(by_name(25, "mail.example"), clock, a_message(), resolver=nobody)
    assert (result.sent, result.reason) == (False, "dns")
