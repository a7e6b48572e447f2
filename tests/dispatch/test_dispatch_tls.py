"""Certificates are checked, always, and a failed check says what is wrong."""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from pathlib import Path

import pytest

from cronbell.states import Reason, Status
from cronbell.testing import ScriptedTarget, answers

CERTIFICATES = Path(__file__).parent / "certificates"
AUTHORITY = (CERTIFICATES / "authority.pem").read_bytes()


def server(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem")
    return context


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_good_certificate_of_a_trusted_authority_is_accepted(call, host):
    with ScriptedTarget(default=answers.ok(), tls=server("good")) as target:
        outcome = call(f"https://{host}:{target.port}/x", trusted=(AUTHORITY,))

    assert outcome.status is Status.SUCCESS
    assert target.requests[0].header("Authorization") is not None


@pytest.mark.parametrize(
    ("name", "trusted", "words"),
    [
        ("good", (), "UnknownIssuer"),
        ("expired", (AUTHORITY,), "expired"),
        ("elsewhere", (AUTHORITY,), "elsewhere.example"),
    ],
    ids=["untrusted", "expired", "another host's"],
)
def test_a_bad_certificate_is_refused_and_nothing_is_sent(call, name, trusted, words):
    with ScriptedTarget(default=answers.ok(), tls=server(name)) as target:
        outcome = call(target.url("/x"), trusted=trusted)

        assert target.requests == []

    assert (outcome.status, outcome.reason) == (Status.ERROR, Reason.TLS)
    assert outcome.reason_data["host"] == f"127.0.0.1:{target.port}"
    assert words in outcome.reason_data["error"]
    assert (outcome.http_status, outcome.retry_kind) == (0, "network")


def test_an_outdated_protocol_is_refused(call):
    old = server("good")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with ScriptedTarget(default=answers.ok(), tls=old) as target:
        outcome = call(target.url("/x"), trusted=(AUTHORITY,))

        assert target.requests == []

    assert outcome.reason is Reason.TLS


def test_https_to_a_server_that_speaks_plain_http_is_a_tls_error(call):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4_096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        outcome = call(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join(5)

    assert outcome.reason is Reason.TLS


def test_a_stalled_handshake_is_ended_by_the_total_deadline(call):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        outcome = call(f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.3)

    assert (outcome.status, outcome.reason) == (Status.TIMED_OUT, Reason.TIMEOUT)
