"""The seam to the HTTP client: a ``Request`` goes in, a ``Response`` or a ``Failure`` comes out.

The only file that knows pyreqwest. Failures are values, not exceptions, because the engine's
work is to record them; which exception stands for which failure was found out with real faults
(``tests/dispatch/test_transport_faults.py``) and is kept true by them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from http import HTTPStatus
from typing import Protocol

import msgspec
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    BuilderError,
    ClientClosedError,
    ConnectError,
    DetailedPyreqwestError,
    NetworkError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.response import Response as ClientResponse

from cronbell.dispatch.request import Request
from cronbell.states import Reason

MAX_BODY = 1_048_576  # bytes after decompression
FIRST_READ = 65_536  # bytes
MAX_LIMITS = 1_000  # kept; timeouts are few, but what is left of a deadline differs every time
MAX_TIMEOUT = 7 * 86_400.0  # seconds; a longer one is a mistake, and overflows further down

# An idle connection is used again for this long only. A job that runs every few seconds would
# else meet the very moment at which the server closes its idle connections (Node and Apache: 5 s,
# gunicorn: 2 s) and its call would be lost to a reset; within a burst connections are still shared.
IDLE_SECONDS = 1.0

# Words of hyper's and rustls's error chains; they tell apart what shares an exception type.
_CONNECTING = "client error (Connect)"
_DNS = "dns error"
_TCP = "tcp connect error"
_CUT_SHORT = frozenset({"end of file before message length reached", "unexpected end of file"})


class Response(msgspec.Struct, frozen=True, gc=False):
    """What came back over HTTP.

    Attributes:
        status: the HTTP status.
        body: decompressed, at most ``MAX_BODY`` bytes.
        complete: whether ``body`` is the whole of it.
        location: the ``Location`` header of a 3xx; empty otherwise.
        retry_after: the ``Retry-After`` header of a 409, 429 or 503; empty otherwise.
        failure: what ended the body early, where the connection did not last.
    """

    status: int
    body: bytes
    complete: bool = True
    location: str = ""
    retry_after: str = ""
    failure: Failure | None = None


class Failure(msgspec.Struct, frozen=True, gc=False):
    """Why nothing came back.

    Attributes:
        reason: TIMEOUT, DNS, CONNECT, TLS, RESET, PROTOCOL or BAD_REQUEST.
        error: the client's own words; never with the URL or a header in them.
    """

    reason: Reason
    error: str = ""


class Transport(Protocol):
    """Sends one request and never raises for what the network or the other side does."""

    async def send(self, request: Request, *, timeout: float) -> Response | Failure:  # noqa: ASYNC109
        """Send and read the answer, all within ``timeout`` seconds.

        The limit covers the name's resolution, connecting, TLS, headers and body together: a
        server that sends a byte a second does not get round it. Cancelling frees the task at
        once; the connection is dropped when ``timeout`` has passed, at the latest.
        """
        ...

    async def close(self) -> None:
        """Close; a call in flight ends as a ``Failure`` or by its timeout."""
        ...


class PyreqwestTransport:
    """``Transport`` on pyreqwest (docs/decisions/0004-outgoing-calls.md).

    One client on a runtime thread of its own, HTTP/1.1; no proxy (whatever ``HTTP_PROXY`` says),
    no ``.netrc``, no cookies, no referrer, no redirects. gzip, brotli, zstd and deflate are
    unpacked, and the limit on the body counts what comes out.

    Args:
        trusted: PEM certificates of authorities to trust beside the system's.
        idle_seconds: how long an idle connection may be used again.
    """

    def __init__(
        self, *, trusted: Iterable[bytes] = (), idle_seconds: float = IDLE_SECONDS
    ) -> None:
        builder = (
            ClientBuilder()
            .runtime_multithreaded(enable=False)
            .no_proxy()
            .follow_redirects(enable=False)
            .referer(enable=False)
            .default_cookie_store(enable=False)
            .http1_only()
            .pool_idle_timeout(timedelta(seconds=idle_seconds))
        )
        for certificate in trusted:
            builder = builder.add_root_certificate_pem(certificate)
        self._client: Client = builder.build()
        self._limits: dict[float, timedelta] = {}
        self._closed = False

    async def send(self, request: Request, *, timeout: float) -> Response | Failure:  # noqa: ASYNC109
        """Send and read the answer; see ``Transport``."""
        if self._closed:  # on a busy machine the client still sends for a moment after its close
            return Failure(Reason.RESET, "the transport is closed")
        response: ClientResponse | None = None
        try:
            builder = (
                self._client.request(request.method, request.url)
                .headers(request.headers)
                .timeout(self._limits.get(timeout) or self._limit(timeout))
            )
            if request.body:
                builder = builder.body_bytes(request.body)
            built = builder.build_streamed()
            async with built as response:
                reader = response.body_reader
                # A body of unknown length is given a buffer of the size asked for: most need less.
                first = await reader.read(FIRST_READ)
                body = b"" if first is None else first.to_bytes()
                if len(body) == FIRST_READ:
                    # A byte beyond the limit tells a body that just fits from one that was cut.
                    rest = await reader.read(MAX_BODY + 1 - FIRST_READ)
                    body += b"" if rest is None else rest.to_bytes()
                status = response.status
                if status == HTTPStatus.OK and len(body) <= MAX_BODY:
                    return Response(status, body)
                return _told(response, body)
        except Exception as error:  # noqa: BLE001 - every failure becomes a value here
            failure = failure_of(error)
        return failure if response is None else _told(response, b"", failure)

    async def close(self) -> None:
        """Close; calls in flight end as ``RESET``, and so do later ones, without being sent."""
        self._closed = True
        await self._client.close()

    def _limit(self, timeout: float) -> timedelta:
        if len(self._limits) >= MAX_LIMITS:
            self._limits.clear()
        limit = timedelta(seconds=min(timeout, MAX_TIMEOUT))
        self._limits[timeout] = limit
        return limit


def failure_of(error: Exception) -> Failure:
    """Say what an exception of the client stands for.

    Anything unheard of counts as ``PROTOCOL``, named by its type: a run must get its outcome
    even from a fault of the client's own.
    """
    if not isinstance(error, PyreqwestError):
        # What the client refuses before it sends (a URL, a header) is a plain ValueError.
        reason = Reason.BAD_REQUEST if isinstance(error, ValueError) else Reason.PROTOCOL
        return Failure(reason, f"{type(error).__name__}: {error}")
    chain = _chain(error)
    return Failure(_reason(error, chain), chain[-1] if chain else error.message)


def _reason(error: PyreqwestError, chain: list[str]) -> Reason:
    if isinstance(error, RequestTimeoutError):
        return Reason.TIMEOUT
    if isinstance(error, BuilderError):
        return Reason.BAD_REQUEST
    if isinstance(error, ConnectError) and _CONNECTING in chain:
        if _DNS in chain:
            return Reason.DNS
        return Reason.CONNECT if _TCP in chain else Reason.TLS
    if isinstance(error, NetworkError | ClientClosedError) or _CUT_SHORT.intersection(chain):
        return Reason.RESET
    return Reason.PROTOCOL


def _chain(error: PyreqwestError) -> list[str]:
    """Return the messages from the outermost to the innermost, without those that name the URL."""
    if not isinstance(error, DetailedPyreqwestError):
        return []
    causes = error.details.get("causes") or []
    return [cause["message"] for cause in causes if " for url (" not in cause["message"]]


def _told(response: ClientResponse, body: bytes, failure: Failure | None = None) -> Response:
    """Return an answer with what else its status makes worth knowing."""
    status = response.status
    return Response(
        status,
        body[:MAX_BODY],
        complete=failure is None and len(body) <= MAX_BODY,
        location=_header(response, "location") if status // 100 == 3 else "",  # noqa: PLR2004
        retry_after=_header(response, "retry-after") if status in {409, 429, 503} else "",
        failure=failure,
    )


def _header(response: ClientResponse, name: str) -> str:
    try:
        return response.get_header(name) or ""
    except ValueError:
        # Bytes that are no text. No header of ours is worth failing a run for.
        return ""
