"""A service as strangers meet it, byte by byte on its socket (C13, C32, C38, C40)."""

from __future__ import annotations

import contextlib
import re
import socket
import urllib.request
from collections.abc import Iterator

import pytest
from tests.flow.conftest import SECRET
from tests.support.waiting import wait_until

TOML = """
[jobs]
beats = { heartbeat = true, every = "1d" }
"""
LOCAL = b"Host: 127.0.0.1"
GUARDED = (b"/admin/", b"/admin/cron-logs", b"/admin/settings", b"/api/admin/cron-logs")
# Where a request's path or host is written in a way that some middle part reads differently.
DISGUISED = (
    b"//admin/cron-logs", b"/./admin/cron-logs", b"/x/../admin/cron-logs", b"/admin/./cron-logs",
    b"/%61dmin/cron-logs", b"/admin%2fcron-logs", b"/admin/%2e%2e/admin/cron-logs",
    b"/admin/cron-logs/", b"/ADMIN/cron-logs", b"/admin;/cron-logs", b"/admin/cron-logs;a=b",
    b"/static/../admin/cron-logs", b"/static/%2e%2e/admin/cron-logs", b"/healthz/../admin/",
    b"http://127.0.0.1/admin/cron-logs", b"http://evil.test/admin/cron-logs", b"\\admin\\cron-logs",
)  # fmt: skip
HOSTS = (
    b"Host: evil.test", b"Host: x/?", b"Host: 127.0.0.1/?", b"Host: 127.0.0.1/admin/?",
    b"Host: 127.0.0.1@evil.test", b"Host: 127.0.0.1:80:80", b"Host: 127.0.0.1#", b"Host:",
    b"Host: 127.0.0.1\r\nHost: evil.test", b"Host: evil.test\r\nHost: 127.0.0.1",
)  # fmt: skip
CLAIMS = (
    b"X-Forwarded-Host: evil.test", b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: https",
    b"Forwarded: for=127.0.0.1;host=evil.test", b"X-Original-URL: /static/", b"X-Rewrite-URL: /",
    b"X-HTTP-Method-Override: GET", b"X-Forwarded-User: admin", b"Remote-User: admin",
    b"REMOTE_USER: admin", b"X-Remote-User: admin", b"Authorization: Bearer " + SECRET.encode(),
    b"Authorization: Basic YWRtaW46YWRtaW4=", b"Cookie: sessionid=admin", b"HX-Request: true",
)  # fmt: skip
IDLE = 150
FORGED = "2026-01-01 00:00:00,000 INFO forged the log"


def exchange(
    port: int,
    *lines: bytes,
    method: bytes = b"GET",
    target: bytes = b"/",
    patience: float = 20,
) -> bytes:
    """Send one request as given; return all that comes back, empty where the server hung up."""
    head = b"\r\n".join([method + b" " + target + b" HTTP/1.1", *lines, b"Connection: close"])
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(head + b"\r\n\r\n")
        received = b""
        with contextlib.suppress(ConnectionError):
            while chunk := connection.recv(65_536):
                received += chunk
    return received


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def location(answer: bytes) -> str:
    found = re.search(rb"(?im)^location: *(\S+)", answer)
    return found[1].decode() if found else ""


@contextlib.contextmanager
def held(port: int, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """Hold connections on which a request has begun and never ends."""
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            for _ in range(count)
        ]
        for connection in connections:
            connection.sendall(sent)
        yield connections


@pytest.fixture
def port(up) -> Iterator[int]:
    service = up(files={"cronbell.toml": TOML})
    port = int(service.base.rpartition(":")[2])
    yield port
    output = service.process.output()
    # Whatever strangers send, a line of the log is an event of ours (C28, C40).
    assert not [line for line in output.splitlines() if line.startswith(FORGED)]
    assert "Traceback" not in output


def test_strangers_get_no_further_however_they_put_it(port):
    check_disguises(port)
    check_errors(port)
    check_slow_clients(port)


def check_disguises(port: int) -> None:
    """C13: the guard is the page's own, so no way of writing host, path or method gets past it."""
    for target in GUARDED:
        plain = exchange(port, LOCAL, target=target)
        assert status(plain) in {302, 401}, target
        for claim in CLAIMS:
            answer = exchange(port, LOCAL, claim, target=target)
            assert status(answer) in {302, 401}, (target, claim)
            assert location(answer).startswith("/admin/login?") or not location(answer)
        for method in (b"HEAD", b"OPTIONS", b"POST", b"PUT", b"DELETE", b"PATCH"):
            answer = exchange(port, LOCAL, b"Content-Length: 0", method=method, target=target)
            assert status(answer) in {302, 401, 403, 405}, (target, method)
        for host in HOSTS:
            answer = exchange(port, host, target=target)
            assert status(answer) in {0, 400, 302, 401}, (target, host)
            assert b"evil" not in answer.lower(), "no host of theirs in our answer"
    for target in DISGUISED:
        answer = exchange(port, LOCAL, target=target)
        assert status(answer) in {0, 302, 400, 401, 404}, target
        assert "evil" not in location(answer)


def check_errors(port: int) -> None:
    """C38, C40: what is odd is answered shortly, without a trace, and forges no log line."""
    crlf = b"%0d%0a" + FORGED.replace(" ", "%20").encode()
    for answer in (
        exchange(port, LOCAL, target=b"/nowhere" + crlf),
        exchange(port, LOCAL, target=b"/ping/" + b"x" * 20 + crlf),
        exchange(port, LOCAL, target=b"/api/admin/cron-logs?page=" + crlf),
        exchange(port, LOCAL, b"X-Request-Id: " + b"a" * 2_000_000),
        exchange(port, LOCAL, b"X-Request-Id: a\rb\n" + FORGED.encode()),
        exchange(port, LOCAL, b"User-Agent: \xff\x00" + FORGED.encode()),
        exchange(port, b"Host: evil\x0b" + FORGED.encode()),
        exchange(port, LOCAL, target=b"/" + b"a" * 100_000),
        exchange(port, LOCAL, method=b"G\xffT"),
        exchange(port, LOCAL, b"Content-Length: -1", method=b"POST", target=b"/admin/login"),
        exchange(
            port,
            LOCAL,
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
            method=b"POST",
            target=b"/admin/login",
        ),
    ):
        assert status(answer) in {0, 302, 400, 401, 403, 404, 411, 414, 431, 501}
        assert not re.search(rb"Traceback|Django/|Python/|granian|/site-packages/", answer)
    for target in (b"/docs", b"/debug", b"/openapi.json", b"/metrics", b"/.env", b"/.git/config"):
        assert status(exchange(port, LOCAL, target=target)) in {302, 401, 403, 404}, target


def check_slow_clients(port: int) -> None:
    """C32: neither half-sent heads, nor missing bodies, nor idle sockets stop the pages."""
    began = b"POST /admin/login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    with (
        held(port, IDLE, b""),
        held(port, IDLE, began),
        # Twice as many as there are threads. Those too long to be waited for are refused and leave
        # their places: coming first, they would have kept the others from theirs.
        held(port, 48, began + b"Content-Length: 1000\r\n\r\nusername="),
        held(port, 48, began + b"Content-Length: 1000000000\r\n\r\nusername="),
    ):
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/login", timeout=20) as page:
                assert page.status == 200
        turned_away = b""

        def refused() -> bool:
            nonlocal turned_away
            # Until all of those above are being waited for, this one may be waited for itself.
            with contextlib.suppress(TimeoutError):
                turned_away = exchange(
                    port, LOCAL, b"Content-Length: 3", method=b"POST", target=b"/admin/login",
                    patience=2,
                )  # fmt: skip
            return status(turned_away) == 503

        wait_until(refused, 20, what="a form to be turned away")
        assert re.search(rb"(?im)^retry-after: 5\r$", turned_away)
        assert re.search(rb"(?im)^x-content-type-options: nosniff\r$", turned_away)
    wait_until(
        lambda: status(exchange(port, LOCAL, target=b"/admin/login")) == 200,
        20,
        what="the pages, after the slow ones left",
    )
    wait_until(
        lambda: status(sign_in(port)) == 403,
        20,
        what="forms (this one without a token), after the slow ones left",
    )


def sign_in(port: int) -> bytes:
    head = (LOCAL, b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: 0")
    return exchange(port, *head, method=b"POST", target=b"/admin/login")
