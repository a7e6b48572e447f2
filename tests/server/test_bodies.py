"""Bodies that come slowly, or never, hold their share of a server's threads and no more (C32)."""

from __future__ import annotations

import io
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest

from cronbell.server.bodies import SMALL, BoundedReaders

THREADS, READERS = 4, 2
PATIENCE = 20  # seconds, for what must happen


class Endless:
    """A body of which nothing comes until it is let go; says when somebody waits for it."""

    def __init__(self, content: bytes) -> None:
        self.inner = io.BytesIO(content)
        self.waited_for, self.let_go = threading.Event(), threading.Event()

    def read(self, size: int = -1, /) -> bytes:
        return self._wait(self.inner.read, size)

    def readline(self, size: int = -1, /) -> bytes:
        return self._wait(self.inner.readline, size)

    def _wait(self, how, size: int) -> bytes:
        self.waited_for.set()
        assert self.let_go.wait(PATIENCE)
        return how(size)


def echo(environ, start_response):
    """Answer with the length of the body, read as a form's is."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    stream = environ["wsgi.input"]
    found = len(stream.read(length)) if length else 0
    start_response("200 OK", [])
    return [str(found).encode()]


def ask(application, stream=None, length: int = 0) -> tuple[int, bytes, dict[str, str]]:
    told: list = []
    environ = {"wsgi.input": stream or io.BytesIO(), "CONTENT_LENGTH": str(length or "")}
    body = b"".join(application(environ, lambda *given: told.append(given)))
    ((line, headers),) = told
    return int(line.split()[0]), body, dict(headers)


@pytest.fixture
def threads():
    with ThreadPoolExecutor(THREADS) as pool:
        yield pool


def hold(pool, application, length: int, count: int) -> tuple[list[Endless], list[Future]]:
    """Have clients begin bodies that do not end; return once each is waited for or answered."""
    bodies = [Endless(b"x" * length) for _ in range(count)]
    answers = [pool.submit(ask, application, body, length) for body in bodies]
    for body, answer in zip(bodies, answers, strict=True):
        while not body.waited_for.wait(0.01) and not answer.done():
            pass
    return bodies, answers


@pytest.mark.parametrize("length", [1, SMALL, SMALL + 1, 10 * SMALL])
def test_slow_bodies_hold_their_share_of_the_threads_and_no_more(threads, length):
    application = BoundedReaders(echo, READERS)
    bodies, answers = hold(threads, application, length, THREADS)
    turned_away = [answer.result() for answer in answers if answer.done()]
    assert [status for status, _body, _headers in turned_away] == [503] * (THREADS - READERS)
    assert {headers["Retry-After"] for _status, _body, headers in turned_away} == {"5"}
    assert {headers["X-Content-Type-Options"] for *_rest, headers in turned_away} == {"nosniff"}
    assert threads.submit(ask, application).result(PATIENCE)[0] == 200, "a page is served"
    for body in bodies:
        body.let_go.set()
    whole = [answer.result(PATIENCE)[:2] for answer in answers]
    assert whole.count((200, str(length).encode())) == READERS
    assert ask(application, io.BytesIO(b"xy"), 2)[:2] == (200, b"2"), "places are free again"


def test_sabotage_without_the_bound_they_hold_them_all(threads):
    bodies, answers = hold(threads, echo, SMALL, THREADS)
    page = threads.submit(ask, echo)
    assert not wait([page], timeout=0.2).done
    for body in bodies:
        body.let_go.set()
    assert page.result(PATIENCE)[0] == 200
    assert [answer.result(PATIENCE)[0] for answer in answers] == [200] * THREADS


@pytest.mark.parametrize("length", [10, SMALL + 10])
def test_a_place_is_left_as_soon_as_the_body_is_there(threads, length):
    """A request that works for minutes after it was read keeps nobody from being read."""
    reached, go_on = threading.Event(), threading.Event()

    def long_work(environ, start_response):
        environ["wsgi.input"].read(length)
        reached.set()
        assert go_on.wait(PATIENCE)
        start_response("200 OK", [])
        return [b""]

    application = BoundedReaders(long_work, 1)
    first = threads.submit(ask, application, io.BytesIO(b"x" * length), length)
    assert reached.wait(PATIENCE)
    reached.clear()
    second = threads.submit(ask, application, io.BytesIO(b"x" * length), length)
    assert reached.wait(PATIENCE), "the second one was let in"
    go_on.set()
    assert {first.result(PATIENCE)[0], second.result(PATIENCE)[0]} == {200}


@pytest.mark.parametrize("length", [10, SMALL + 10])
def test_a_request_that_fails_or_does_not_read_leaves_its_place(length):
    def careless(_environ, start_response):
        start_response("401 Unauthorized", [])
        return [b""]

    def broken(_environ, _start_response):
        raise ZeroDivisionError

    for application in (BoundedReaders(careless, 1), BoundedReaders(broken, 1)):
        for _ in range(3):
            body = io.BytesIO(b"x" * length)
            if application.application is broken:
                with pytest.raises(ZeroDivisionError):
                    ask(application, body, length)
            else:
                assert ask(application, body, length)[0] == 401


def test_a_long_body_is_read_in_every_way_there_is():
    lines = [b"a" * 40_000 + b"\n", b"b" * 40_000 + b"\n"]
    content = b"".join(lines)

    def in_lines(environ, start_response):
        start_response("200 OK", [])
        stream = environ["wsgi.input"]
        how = environ["HTTP_HOW"]
        return {
            "iterated": lambda: list(stream),
            "listed": stream.readlines,
            "by line": lambda: [stream.readline(), stream.readline(), stream.readline()],
            "by piece": lambda: [stream.read(7), stream.read(), stream.read(1)],
        }[how]()

    application = BoundedReaders(in_lines, 1)
    for how in ("iterated", "listed", "by line", "by piece"):
        environ = {
            "wsgi.input": io.BytesIO(content), "CONTENT_LENGTH": str(len(content)), "HTTP_HOW": how,
        }  # fmt: skip
        assert b"".join(application(environ, lambda *_given: None)) == content


@pytest.mark.parametrize("length", ["", "0", "-5", "x", None])
def test_without_a_length_there_is_no_body_to_wait_for(length):
    application = BoundedReaders(lambda _environ, _start: [b"served"], 1)
    environ = {"wsgi.input": Endless(b"")} | ({} if length is None else {"CONTENT_LENGTH": length})
    assert application(environ, lambda *_given: None) == [b"served"]
    assert not environ["wsgi.input"].waited_for.is_set()
