"""Request bodies are waited for by some of the threads only: the rest serves who sends none.

The server hands a request over when its head is there, and whoever reads the body waits in a
thread for it; it knows no limit for how long. Clients that send a byte a minute would hold every
thread. With this they hold half of them: pages, health, the reading API and cron calls, which have
no body, go on being served, and a request that would have to wait is told so.
"""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

log = logging.getLogger("cronbell.web")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

# Read before the application is called, so that a job at work for minutes holds no reader's place.
SMALL = 65_536  # bytes
WAIT_SECONDS = 5


class Stream(Protocol):
    """What an application reads a body from (PEP 3333)."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most so many bytes."""
        ...

    def readline(self, size: int = -1, /) -> bytes:
        """Return a line, or so much of it."""
        ...


class BoundedReaders:
    """A WSGI application in front of another.

    Args:
        application: the other.
        readers: how many of the server's threads may wait for bodies.
    """

    def __init__(self, application: Application, readers: int) -> None:
        self.application = application
        self._free = threading.BoundedSemaphore(readers)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Pass a request on, or answer 503 where every reader waits."""
        length = _length(environ)
        if not length:
            return self.application(environ, start_response)
        if not self._free.acquire(blocking=False):
            return _busy(start_response)
        place = _Place(self._free)
        try:
            if length <= SMALL:
                environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
                place.leave()
            else:
                environ["wsgi.input"] = _Body(environ["wsgi.input"], length, place)
            return self.application(environ, start_response)
        finally:
            place.leave()


class _Place:
    """One reader's place, which can be left once."""

    def __init__(self, free: threading.BoundedSemaphore) -> None:
        self._free: threading.BoundedSemaphore | None = free

    def leave(self) -> None:
        free, self._free = self._free, None
        if free is not None:
            free.release()


class _Body:
    """A long body; whoever has read all of it leaves its place."""

    def __init__(self, stream: Stream, length: int, place: _Place) -> None:
        self._stream = stream
        self._left = length
        self._place = place

    def read(self, size: int = -1, /) -> bytes:
        return self._counted(self._stream.read(size))

    def readline(self, size: int = -1, /) -> bytes:
        return self._counted(self._stream.readline(size))

    def readlines(self, hint: int = -1, /) -> list[bytes]:
        del hint  # may be left unheeded (PEP 3333)
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left <= 0 or not data:
            self._place.leave()
        return data


def _length(environ: Environ) -> int:
    """Return how long the body is that an application would read: without a length, none."""
    try:
        return max(0, int(environ.get("CONTENT_LENGTH") or 0))
    except ValueError:
        return 0


def _busy(start_response: StartResponse) -> list[bytes]:
    log.warning("a request with a body was turned away: too many others are still on their way")
    body = json.dumps({"error": "Too many requests are still being sent. Try again."}).encode()
    start_response(
        "503 Service Unavailable",
        [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Retry-After", str(WAIT_SECONDS)),
            ("Cache-Control", "no-store"),
            *_headers(),
        ],
    )
    return [body]


def _headers() -> list[tuple[str, str]]:
    from cronbell.server.middleware import HEADERS  # noqa: PLC0415 - needs loaded settings

    return list(HEADERS.items())
