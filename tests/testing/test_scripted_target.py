"""The target that tests call: it must do exactly as told, and stop when told."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import struct
import threading

import pytest

from cronbell.testing import ScriptedTarget, answers


@pytest.fixture
def target():
    with ScriptedTarget() as running:
        yield running


def exchange(target: ScriptedTarget, request: bytes) -> bytes:
    """Send bytes, return everything that comes back until the connection ends."""
    with socket.create_connection((target.host, target.port), timeout=5) as connection:
        connection.sendall(request)
        received = b""
        while part := connection.recv(65_536):
            received += part
        return received


def get(target: ScriptedTarget, path: str, **headers: str):
    connection = http.client.HTTPConnection(target.host, target.port, timeout=5)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_it_records_requests_as_they_came(target):
    target.script("/job", answers.ok())
    request = (
        b"POST /job?a=1 HTTP/1.1\r\nHost: x\r\nX-Twice: 1\r\nx-twice: 2\r\n"
        b"Content-Length: 3\r\n\r\nabc"
    )
    with socket.create_connection((target.host, target.port), timeout=5) as connection:
        connection.sendall(request)
        target.wait_for(1)

    (received,) = target.requests
    assert (received.method, received.path, received.body) == ("POST", "/job?a=1", b"abc")
    assert received.header_all("X-TWICE") == ["1", "2"]
    assert received.header("X-Twice") == "1"
    assert received.header("X-Other") is None
    assert received.raw + b"abc" == request
    assert (received.number, received.connection) == (1, 1)
    assert target.requests_to("/job") == target.requests_to("/job?a=1") == [received]
    assert target.requests_to("/job?a=2") == []


def test_a_sequence_is_answered_in_order_and_its_last_answer_goes_on(target):
    target.script("/job", answers.answer(500), answers.answer(502), answers.ok())

    assert [get(target, "/job")[0] for _ in range(5)] == [500, 502, 200, 200, 200]


def test_a_path_without_a_script_does_not_pass_for_a_success(target):
    assert get(target, "/mistyped")[0] == 404


def test_a_default_answers_every_other_path():
    with ScriptedTarget(default=answers.ok(message="done")) as target:
        status, headers, body = get(target, "/anything")

    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == {"success": True, "message": "done"}


def test_a_script_for_a_query_goes_before_the_one_for_its_path(target):
    target.script("/job", answers.answer(201))
    target.script("/job?all", answers.answer(202))

    assert [get(target, path)[0] for path in ("/job", "/job?all", "/job?some")] == [201, 202, 201]


def test_an_empty_script_is_refused(target):
    with pytest.raises(ValueError, match="no answer"):
        target.script("/job")


def test_one_connection_carries_several_requests(target):
    target.script("/job", answers.ok())
    connection = http.client.HTTPConnection(target.host, target.port, timeout=5)
    for _ in range(2):
        connection.request("GET", "/job")
        connection.getresponse().read()
    connection.close()

    assert [request.connection for request in target.requests] == [1, 1]


def test_a_held_answer_comes_when_the_test_lets_it(target):
    gate, got = threading.Event(), []
    target.script("/job", answers.held(gate, answers.answer(204)))
    thread = threading.Thread(target=lambda: got.append(get(target, "/job")[0]))
    thread.start()
    target.wait_for(1, path="/job")
    assert got == []

    gate.set()
    thread.join(5)

    assert got == [204]


def test_a_client_that_hangs_up_is_noticed(target):
    noticed = threading.Event()
    target.script("/job", answers.until_hangup(noticed))
    with socket.create_connection((target.host, target.port), timeout=5) as connection:
        connection.sendall(b"GET /job HTTP/1.1\r\n\r\n")
        target.wait_for(1)
        assert not noticed.is_set()

    assert noticed.wait(5)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (answers.redirect("/login"), (302, "Location", "/login")),
        (answers.retry_after("30"), (503, "Retry-After", "30")),
        (answers.retry_after("soon", 429), (429, "Retry-After", "soon")),
    ],
)
def test_answers_with_a_header(target, answer, expected):
    target.script("/job", answer)

    status, headers, _ = get(target, "/job")

    assert (status, headers[expected[1]]) == (expected[0], expected[2])


@pytest.mark.parametrize(
    ("answer", "beginning", "end"),
    [
        (answers.not_http(), b"220 mail", b"ready\r\n"),
        (answers.wrong_length(b"short", promised=9), b"HTTP/1.1 200 OK\r\n", b": 9\r\n\r\nshort"),
        (answers.huge_header(70_000), b"HTTP/1.1 200 OK\r\n", b"aaaa\r\n\r\n"),
        (answers.raw([b"a", b"b"]), b"ab", b"ab"),
        (answers.drip(b"HTTP/1.1 200 OK\r\n\r\n", interval=0), b"HTTP/1.1 200 OK", b"\r\n\r\n"),
        (answers.huge(200_000), b"HTTP/1.1 200 OK\r\nContent-Length: 200000", b"xxxx"),
    ],
)
def test_faults_on_the_wire(target, answer, beginning, end):
    target.script("/job", answer)

    received = exchange(target, b"GET /job HTTP/1.1\r\n\r\n")

    assert received.startswith(beginning)
    assert received.endswith(end)


def test_a_huge_body_has_exactly_the_length_it_promises(target):
    target.script("/job", answers.huge(200_001))

    assert len(get(target, "/job")[2]) == 200_001


@pytest.mark.parametrize(("when", "sent"), [("before", 0), ("mid", 8), ("after", 16)])
def test_a_reset_is_a_reset(target, when, sent):
    target.script("/job", answers.reset(when))
    with socket.create_connection((target.host, target.port), timeout=5) as connection:
        connection.sendall(b"GET /job HTTP/1.1\r\n\r\n")
        received, broken = b"", False
        try:
            while part := connection.recv(65_536):
                received += part
        except ConnectionResetError:
            broken = True

    assert broken
    # A reset may overtake what was sent before it; more than that must not come.
    assert len(received.partition(b"\r\n\r\n")[2]) in {0, sent}


def test_an_endless_body_goes_on_until_the_reader_has_had_enough(target):
    target.script("/job", answers.endless(b"y" * 1_000))
    with socket.create_connection((target.host, target.port), timeout=5) as connection:
        connection.sendall(b"GET /job HTTP/1.1\r\n\r\n")
        received = 0
        while received < 2_000_000:
            received += len(connection.recv(65_536))

    assert received >= 2_000_000


def test_a_gzip_bomb_is_small_on_the_wire_and_large_unpacked(target):
    target.script("/job", answers.gzip_bomb(10_000_001))

    _, headers, body = get(target, "/job")

    assert headers["Content-Encoding"] == "gzip"
    assert len(body) < 20_000
    assert len(gzip.decompress(body)) == 10_000_001


def test_bad_utf8_is_bad(target):
    target.script("/job", answers.bad_utf8())

    with pytest.raises(UnicodeDecodeError):
        get(target, "/job")[2].decode()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"",
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 60_000,
    ],
)
def test_a_request_it_cannot_read_ends_the_connection(target, request_bytes):
    with socket.create_connection((target.host, target.port), timeout=5) as connection:
        try:
            connection.sendall(request_bytes)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
        except ConnectionError:
            pass

    assert target.requests == []


@pytest.mark.parametrize(
    "answer",
    [answers.hang(), answers.answer(delay=3_600), answers.drip(b"x" * 100, interval=3_600)],
)
def test_closing_ends_what_still_waits(answer):
    target = ScriptedTarget(default=answer)
    with socket.create_connection((target.host, target.port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        target.wait_for(1)
        target.close()
        target.close()

    assert not [thread for thread in threading.enumerate() if thread.name == "target"]


def test_closing_ends_idle_connections_and_frees_the_port():
    target = ScriptedTarget()
    with socket.create_connection((target.host, target.port), timeout=5) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        target.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((target.host, target.port), timeout=5)


def test_waiting_for_requests_that_do_not_come_is_an_error(target):
    with pytest.raises(TimeoutError, match="0 of 1 requests"):
        target.wait_for(1, timeout=0.01)


def test_it_listens_on_ipv6_too():
    with ScriptedTarget(host="::1", default=answers.ok()) as target:
        assert target.base_url == f"http://[::1]:{target.port}"
        assert get(target, "/")[0] == 200
