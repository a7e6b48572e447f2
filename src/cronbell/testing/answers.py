"""What a ``ScriptedTarget`` can be told to answer: an endpoint's words, and every way to fail.

An answer is any callable that takes an ``Exchange``; it writes what it likes to the connection.
It returns True where the connection may carry another request. All waiting goes through
``Exchange.pause``, which ends at once when the target closes.
"""

from __future__ import annotations

import gzip
import io
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Protocol

from cronbell.testing.wire import head

Headers = Sequence[tuple[str, str]]
MEBIBYTE = 1024 * 1024


class Exchange(Protocol):
    """One request and the connection it came on."""

    def send(self, data: bytes) -> None:
        """Write bytes to the client at once."""
        ...

    def pause(self, seconds: float | None) -> bool:
        """Wait; None is until the target closes. Return False when the target has closed."""
        ...

    def hold(self, gate: threading.Event) -> bool:
        """Wait for ``gate``. Return False when the target closed first."""
        ...

    def wait_for_hangup(self) -> bool:
        """Wait until the client drops the connection. Return False when the target closed first."""
        ...

    def reset(self) -> None:
        """Break the connection off with a TCP reset."""
        ...


class Answer(Protocol):
    """Answers one request; returns whether the connection stays open."""

    def __call__(self, exchange: Exchange, /) -> bool:
        """Write the answer."""
        ...


def answer(
    status: int = 200,
    body: bytes | str = b"",
    *,
    headers: Headers = (),
    delay: float = 0.0,
) -> Answer:
    """Answer properly, with ``Content-Length``, after ``delay`` seconds."""
    content = body.encode() if isinstance(body, str) else body
    data = head(status, [("Content-Length", str(len(content))), *headers]) + content

    def write(exchange: Exchange) -> bool:
        if delay and not exchange.pause(delay):
            return False
        exchange.send(data)
        return True

    return write


def json_answer(
    value: Any, status: int = 200, *, headers: Headers = (), delay: float = 0.0
) -> Answer:
    """Answer ``value`` as JSON."""
    content = json.dumps(value, ensure_ascii=False).encode()
    typed = [("Content-Type", "application/json"), *headers]
    return answer(status, content, headers=typed, delay=delay)


def ok(**fields: Any) -> Answer:
    """Answer 200 ``{"success": true, …}`` as the endpoint library does."""
    return json_answer({"success": True, **fields})


def redirect(location: str, status: int = 302) -> Answer:
    """Send the caller elsewhere."""
    return answer(status, headers=[("Location", location)])


def retry_after(value: str, status: int = 503) -> Answer:
    """Ask the caller to come back: 503, 429 or 409 with ``Retry-After: value``."""
    body = {"error": "come back later"}
    return json_answer(body, status, headers=[("Retry-After", value)])


def held(gate: threading.Event, then: Answer | None = None) -> Answer:
    """Answer ``then`` (``ok()`` unless given) once the test sets ``gate``."""
    following = then or ok()

    def write(exchange: Exchange) -> bool:
        return exchange.hold(gate) and following(exchange)

    return write


def until_hangup(noticed: threading.Event) -> Answer:
    """Answer nothing; set ``noticed`` when the client drops the connection."""

    def write(exchange: Exchange) -> bool:
        if exchange.wait_for_hangup():
            noticed.set()
        return False

    return write


def hang() -> Answer:
    """Accept the request and never answer."""
    return raw((), then="hang")


def drip(data: bytes, *, interval: float = 1.0) -> Answer:
    """Send ``data`` (status line and all) one byte at a time, ``interval`` seconds apart.

    Each byte comes soon enough for a limit on single reads; only a total deadline ends it.
    """

    def write(exchange: Exchange) -> bool:
        for position in range(len(data)):
            exchange.send(data[position : position + 1])
            if not exchange.pause(interval):
                break
        return False

    return write


def endless(chunk: bytes = b"x" * 65_536, *, headers: Headers = ()) -> Answer:
    """Send a chunked body that has no end, as fast as it is read."""

    def chunks() -> Iterable[bytes]:
        yield head(200, [("Transfer-Encoding", "chunked"), *headers])
        framed = b"%x\r\n%s\r\n" % (len(chunk), chunk)
        while True:
            yield framed

    return _stream(chunks)


def huge(size: int, *, fill: bytes = b"x" * 65_536) -> Answer:
    """Send a body of ``size`` bytes with a true ``Content-Length``, as fast as it is read."""

    def chunks() -> Iterable[bytes]:
        yield head(200, [("Content-Length", str(size))])
        left = size
        while left > 0:
            yield fill[:left]
            left -= len(fill)

    return _stream(chunks)


def reset(when: Literal["before", "mid", "after"] = "before") -> Answer:
    """Break the connection with a TCP reset.

    Args:
        when: ``before`` a byte of the answer, ``mid`` body, or right ``after`` a whole answer.
    """
    whole = head(200, [("Content-Length", "16")]) + b'{"success":true}'
    sent = {"before": b"", "mid": whole[:-8], "after": whole}[when]
    return raw((sent,) if sent else (), then="reset")


def wrong_length(body: bytes = b'{"success":true}', *, promised: int = 64) -> Answer:
    """Promise ``promised`` bytes, send ``body`` and close."""
    return raw((head(200, [("Content-Length", str(promised))]) + body,))


def bad_utf8() -> Answer:
    """Answer 200 with JSON's looks and bytes that are no UTF-8, a NUL and an escape sequence."""
    return answer(200, b'{"success":true,"message":"\xff\xfe\x00\x1b[31m\xc3"}')


def gzip_bomb(size: int = 512 * MEBIBYTE) -> Answer:
    """Answer 200 with about ``size / 1000`` bytes that unpack to ``size``."""
    return answer(200, _zeros(size), headers=[("Content-Encoding", "gzip")])


def not_http() -> Answer:
    """Answer with what is no HTTP at all."""
    return raw((b"220 mail.example.com ESMTP ready\r\n",))


def huge_header(size: int = MEBIBYTE) -> Answer:
    """Answer 200 with one header line of ``size`` bytes."""
    return raw((head(200, [("Content-Length", "0"), ("X-Long", "a" * size)]),))


def raw(parts: Iterable[bytes], *, then: Literal["close", "hang", "reset"] = "close") -> Answer:
    """Send exactly ``parts``, then close, hang or reset."""
    sent = tuple(parts)

    def write(exchange: Exchange) -> bool:
        for part in sent:
            exchange.send(part)
        if then == "hang":
            exchange.pause(None)
        elif then == "reset":
            exchange.reset()
        return False

    return write


def _stream(chunks: Callable[[], Iterable[bytes]]) -> Answer:
    def write(exchange: Exchange) -> bool:
        for chunk in chunks():
            exchange.send(chunk)
        return False

    return write


def _zeros(size: int) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed:
        block = bytes(MEBIBYTE)
        for _ in range(size // MEBIBYTE):
            packed.write(block)
        packed.write(bytes(size % MEBIBYTE))
    return buffer.getvalue()
