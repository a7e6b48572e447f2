"""Every way a target can fail, on real sockets: its own outcome, in time, in little memory.

These tests are also what says which of the client's exceptions stands for which reason.
"""

from __future__ import annotations

import gzip
import resource
import socket
import threading
import zlib

import pytest

from cronbell.dispatch.transport import MAX_BODY
from cronbell.states import Reason, Status
from cronbell.testing import answers

OK_HEAD = b"HTTP/1.1 200 OK\r\n"
PATH = "/x"
# {"success": true, "message": "packed"} as the codings' own tools pack it
BROTLI = "1b2500f88dd315f7230c9ea216212bdb9b203a7dd94825a2f4062bb0928e0e6ee222be0c"
ZSTANDARD = (
    "28b52ffd04583101007b2273756363657373223a20747275652c20226d657373"
    "616765223a20227061636b6564227d393c033d"
)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (answers.reset("before"), Reason.RESET),
        (answers.reset("mid"), Reason.RESET),
        (answers.raw([]), Reason.RESET),
        (answers.raw([b"HTTP/1.1 200"]), Reason.RESET),
        (answers.raw([OK_HEAD + b"X-Half: "]), Reason.RESET),
        (answers.wrong_length(), Reason.RESET),
        (answers.raw([OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"]), Reason.RESET),
        (
            answers.raw(
                [OK_HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 9_999)[:-12]]
            ),
            Reason.RESET,
        ),
        (answers.not_http(), Reason.PROTOCOL),
        (answers.raw([b"<h1>HTTP/0.9</h1>\n"]), Reason.PROTOCOL),
        (answers.raw([b"HTTP/1.1 000 Zero\r\n\r\n"]), Reason.PROTOCOL),
        (
            answers.raw([OK_HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"]),
            Reason.PROTOCOL,
        ),
        (answers.raw([OK_HEAD + b"Content-Length: -5\r\n\r\nhello"]), Reason.PROTOCOL),
        (answers.raw([OK_HEAD + b"Content-Length: \xff\r\n\r\nhello"]), Reason.PROTOCOL),
        (answers.raw([OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"]), Reason.PROTOCOL),
        (answers.huge_header(), Reason.PROTOCOL),
        (answers.raw([OK_HEAD + b"X: y\r\n" * 10_000 + b"\r\n"]), Reason.PROTOCOL),
        (answers.answer(200, b"no gzip", headers=[("Content-Encoding", "gzip")]), Reason.PROTOCOL),
        (answers.answer(200, b"no zstd", headers=[("Content-Encoding", "zstd")]), Reason.PROTOCOL),
        (
            answers.raw([b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"]),
            Reason.PROTOCOL,
        ),
    ],
)
def test_a_broken_answer_is_a_network_error_with_its_reason(call, target, answer, reason):
    target.script(PATH, answer)

    outcome = call(target.url(PATH))

    assert (outcome.status, outcome.reason) == (Status.ERROR, reason)
    assert (outcome.http_status, outcome.retry_kind) == (0, "network")
    assert outcome.ask_again_after is None
    if reason is Reason.PROTOCOL:
        assert outcome.reason_data["error"]
        assert "127.0.0.1" not in outcome.reason_data["error"]
    assert len(target.requests) == 1, "a call is never repeated behind the engine's back"


@pytest.mark.parametrize(
    "answer",
    [
        answers.hang(),
        answers.drip(OK_HEAD + b"X: " + b"x" * 10_000, interval=0.02),
        answers.drip(OK_HEAD + b"Content-Length: 9999\r\n\r\n" + b"x" * 9_999, interval=0.002),
        answers.raw([OK_HEAD + b"Content-Length: 10\r\n\r\nhalf"], then="hang"),
        answers.raw([b"HTTP/1.1 100 Continue\r\n\r\n"], then="hang"),
    ],
    ids=["hang", "drip in the head", "drip in the body", "half a body", "only 100"],
)
def test_one_total_deadline_ends_hangs_and_drips(call, target, answer):
    target.script(PATH, answer)

    outcome = call(target.url(PATH), timeout=0.3)

    assert (outcome.status, outcome.reason) == (Status.TIMED_OUT, Reason.TIMEOUT)
    assert outcome.reason_data == {"seconds": 0.3}
    assert (outcome.http_status, outcome.retry_kind) == (0, "timeout")


def test_a_full_listening_queue_is_ended_by_the_same_deadline(call):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        with socket.create_connection(address), socket.socket() as waiting:
            waiting.settimeout(0)
            waiting.connect_ex(address)
            outcome = call(f"http://127.0.0.1:{address[1]}/", timeout=0.3)

    assert (outcome.status, outcome.reason) == (Status.TIMED_OUT, Reason.TIMEOUT)


def test_nobody_listens(call, free_port):
    outcome = call(f"http://127.0.0.1:{free_port}/x")

    assert (outcome.status, outcome.reason) == (Status.ERROR, Reason.CONNECT)
    assert outcome.reason_data == {"host": f"127.0.0.1:{free_port}"}
    assert (outcome.http_status, outcome.retry_kind) == (0, "network")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "under_score.invalid", "한국.invalid"])
def test_a_name_that_does_not_resolve(call, host):
    outcome = call(f"http://{host}/x", allowed=frozenset({host}))

    assert (outcome.status, outcome.reason) == (Status.ERROR, Reason.DNS)
    assert outcome.reason_data == {"host": host.encode("idna").decode()}
    assert (outcome.http_status, outcome.retry_kind) == (0, "network")


@pytest.mark.parametrize("status", [400, 404, 500])
@pytest.mark.parametrize("then", ["close", "reset", "hang"])
def test_an_error_status_counts_though_the_rest_of_a_long_body_never_comes(
    call, target, status, then
):
    head = b"HTTP/1.1 %d Oops\r\nContent-Length: 999999\r\n\r\n" % status
    target.script(PATH, answers.raw([head, b"x" * 200_000], then=then))

    outcome = call(target.url(PATH), timeout=0.5 if then == "hang" else 10)

    assert (outcome.status, outcome.reason) == (Status.ERROR, Reason.HTTP_STATUS)
    assert outcome.http_status == status


def test_a_2xx_whose_body_breaks_off_is_no_success_the_verdict_may_be_missing(call, target):
    head = OK_HEAD + b"Content-Length: 999999\r\n\r\n"
    target.script(PATH, answers.raw([head, b"x" * 200_000], then="close"))

    outcome = call(target.url(PATH))

    assert (outcome.status, outcome.reason) == (Status.ERROR, Reason.RESET)
    assert outcome.http_status == 0


@pytest.mark.parametrize(
    "answer",
    [
        answers.endless(),
        answers.huge(2 * 1024**3),
        answers.gzip_bomb(256 * 1024**2),
        answers.answer(200, zlib.compress(bytes(64 * 1024**2)),
                       headers=[("Content-Encoding", "deflate")]),
    ],
    ids=["endless", "two gigabytes", "gzip bomb", "deflate bomb"],
)  # fmt: skip
def test_a_body_beyond_the_limit_is_cut_in_flat_memory(call, target, answer):
    target.script(PATH, answer)
    call(target.url(PATH))  # what is allocated once is not what is measured
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for _ in range(3):
        outcome = call(target.url(PATH))
        assert (outcome.status, outcome.http_status) == (Status.SUCCESS, 200)
        assert 65_530 < len(outcome.body.encode()) <= 65_536

    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 32 * 1024, f"{grown} KiB more than before"


def test_many_gzip_members_end_in_an_error_not_in_memory(call, target):
    """Members after the first are not unpacked by the client in use; they are no way round it."""
    packed = gzip.compress(b"x" * MAX_BODY) * 200
    target.script(PATH, answers.answer(200, packed, headers=[("Content-Encoding", "gzip")]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    outcome = call(target.url(PATH))

    assert (outcome.status, outcome.reason) == (Status.ERROR, Reason.PROTOCOL)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


def test_sabotage_without_the_limit_memory_is_not_flat(call, target, monkeypatch):
    """The test above can fail: with its safeguard taken away, a bomb goes off."""
    monkeypatch.setattr("cronbell.dispatch.transport.MAX_BODY", 128 * 1024**2)
    target.script(PATH, answers.gzip_bomb(100 * 1024**2))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    call(target.url(PATH))

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > 32 * 1024


@pytest.mark.parametrize(("size", "reason"), [(MAX_BODY, None), (MAX_BODY + 1, "cut")])
def test_the_limit_is_exact(call, target, size, reason):
    content = b'{"success": true, "message": "all", "padding": "' + b"x" * (size - 50) + b'"}'
    assert len(content) == size
    target.script(PATH, answers.answer(200, content))

    outcome = call(target.url(PATH))

    assert (outcome.status, outcome.message) == (Status.SUCCESS, "all")
    assert outcome.reason == (Reason.BODY_TOO_LARGE if reason else None)
    assert outcome.reason_data == ({"limit": MAX_BODY} if reason else {})


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537])
def test_no_byte_is_lost_where_one_read_ends_and_the_next_begins(call, target, size):
    message = "y" * 900
    padding = "x" * (size - len(f'{{"padding":"","message":"{message}"}}'))
    content = f'{{"padding":"{padding}","message":"{message}"}}'.encode()
    assert len(content) == size
    target.script(PATH, answers.answer(200, content))

    assert call(target.url(PATH)).message == message


def test_a_verdict_in_the_part_that_was_read_counts_though_the_rest_was_cut(call, target):
    content = b'{"success": false, "error": "disk full", "dump": "' + b"x" * MAX_BODY + b'"}'
    target.script(PATH, answers.answer(200, content))

    outcome = call(target.url(PATH))

    assert (outcome.status, outcome.reason) == (Status.ERROR, Reason.BODY_ERROR)
    assert outcome.message == "disk full"


def test_a_large_page_that_is_no_json_hides_no_verdict(call, target):
    target.script(PATH, answers.answer(200, b"<html>" + b"x" * MAX_BODY))

    outcome = call(target.url(PATH))

    assert (outcome.status, outcome.reason) == (Status.SUCCESS, None)


def test_packed_answers_are_unpacked(call, target):
    body = b'{"success": true, "message": "packed"}'
    packed = [
        ("gzip", gzip.compress(body)),
        ("deflate", zlib.compress(body)),
        ("br", bytes.fromhex(BROTLI)),
        ("zstd", bytes.fromhex(ZSTANDARD)),
    ]
    for coding, content in packed:
        target.script(PATH, answers.answer(200, content, headers=[("Content-Encoding", coding)]))
        assert call(target.url(PATH)).message == "packed"


def test_a_thousand_interim_answers_do_not_hide_the_final_one(call, target):
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" * 500 + b"HTTP/1.1 103 Early Hints\r\n\r\n" * 500
    target.script(PATH, answers.raw([interim + OK_HEAD + b"Content-Length: 2\r\n\r\nok"]))

    assert call(target.url(PATH)).status is Status.SUCCESS


def test_an_answer_that_ends_with_the_connection_is_whole(call, target):
    target.script(PATH, answers.raw([OK_HEAD + b'\r\n{"message": "until the end"}']))

    assert call(target.url(PATH)).message == "until the end"


@pytest.mark.parametrize("status", [202, 204, 205, 299])
def test_every_2xx_is_a_success_with_or_without_a_body(call, target, status):
    target.script(PATH, answers.raw([b"HTTP/1.1 %d Fine\r\n\r\n" % status]))

    outcome = call(target.url(PATH))

    assert (outcome.status, outcome.http_status, outcome.body) == (Status.SUCCESS, status, "")


def test_bad_bytes_are_replaced_not_refused(call, target):
    target.script(PATH, answers.bad_utf8())

    outcome = call(target.url(PATH))

    assert outcome.status is Status.SUCCESS
    assert outcome.body == '{"success":true,"message":"��\ufffd\x1b[31m�"}'
    assert outcome.message == "���\x1b[31m�"


@pytest.mark.parametrize("location", ["/로그인".encode(), b"/\xff", b"http://[::1", b""])
def test_a_location_that_makes_no_sense_is_no_reason_to_fail_differently(call, target, location):
    head = b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location
    target.script(PATH, answers.raw([head]))

    outcome = call(target.url(PATH))

    assert (outcome.status, outcome.http_status) == (Status.ERROR, 302)
    assert outcome.reason in {Reason.REDIRECTED, Reason.HTTP_STATUS}


def test_a_plain_call_to_a_listener_that_speaks_tls_only_is_a_broken_connection(call):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def alert() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4_096)
                connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46")

        thread = threading.Thread(target=alert)
        thread.start()
        outcome = call(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join(5)

    assert outcome.reason in {Reason.PROTOCOL, Reason.RESET}
    assert outcome.http_status == 0
