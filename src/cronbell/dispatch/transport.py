"""The seam to the HTTP client: a ``Request`` goes in, a ``Response`` or a ``Failure`` comes out.

The only file that knows pyreqwest. Failures are values, not exceptions, because the engine's
work is to record them; which exception stands for which failure was found out with real faults
(``tests/dispatch/test_transport_faults.py``) and is kept true by them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
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
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response as ClientResponse

from cronbell.clock import SYSTEM_CLOCK, Clock
from cronbell.dispatch.egress import Lookups, Reach, Resolver, is_address, refusal, system_resolver
from cronbell.dispatch.request import Request
from cronbell.states import Reason

MAX_BODY = 1_048_576  # bytes after decompression
FIRST_READ = 65_536  # bytes
OK = 200  # the member of HTTPStatus takes a tenth of a microsecond to compare with
MAX_LIMITS = 1_000  # kept; timeouts are few, but what is left of a deadline differs every time
MAX_TIMEOUT = 7 * 86_400.0  # seconds; a longer one is a mistake, and overflows further down

# An idle connection is used again for this long only. A job that runs every few seconds would
# else meet the very moment at which the server closes its idle connections (Node and Apache: 5 s,
# gunicorn: 2 s) and its call would be lost to a reset; within a burst connections are still shared.
IDLE_SECONDS = 1.0

# Clients that are bound to one address of one name; each has its own connections. Making one takes
# 7 ms of CPU, most of it for the system's certificates, so they are kept.
MAX_PINNED = 256
MAX_TRIES = 3  # addresses of a name that nobody listens at, before the call counts as failed

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
        reason: TIMEOUT, DNS, CONNECT, TLS, RESET, PROTOCOL, BAD_REQUEST or ADDRESS_NOT_ALLOWED.
        error: the client's own words; never with the URL or a header in them. With
            ADDRESS_NOT_ALLOWED the address and, in brackets, what is wrong with it.
    """

    reason: Reason
    error: str = ""


CLOSED = Failure(Reason.RESET, "the transport is closed")

# Sends a request that is put together already; to be called once.
Sending = Callable[[], Awaitable[Response | Failure]]


class Transport(Protocol):
    """Sends one request and never raises for what the network or the other side does."""

    def send(
        self, request: Request, *, timeout: float, reach: Reach
    ) -> Awaitable[Response | Failure]:
        """Send and read the answer, all within ``timeout`` seconds, no further than ``reach``.

        The limit covers the name's resolution, connecting, TLS, headers and body together: a
        server that sends a byte a second does not get round it. Cancelling frees the task at
        once; the connection is dropped when ``timeout`` has passed, at the latest.
        """
        ...

    def ahead(self, request: Request, *, timeout: float, reach: Reach) -> Sending | None:
        """Put a request together that is to be sent later: half of what a call costs.

        ``timeout`` counts from when it is sent. None where that cannot be done before its time,
        or not at all; ``send`` then says why.
        """
        ...

    async def addresses(
        self,
        host: str,
        port: int,
        *,
        timeout: float,  # noqa: ASYNC109
        reach: Reach,
    ) -> list[str] | Failure:
        """Look a host up and return what of it may be called, at least one address.

        For what is not HTTP: whoever connects must connect to one of these, and look up nothing.
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
        resolver: finds the addresses of names that are not ``Reach.DIRECT``.
        clock: counts down what is left of a call's time.
    """

    def __init__(
        self,
        *,
        trusted: Iterable[bytes] = (),
        idle_seconds: float = IDLE_SECONDS,
        resolver: Resolver = system_resolver,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._trusted = tuple(trusted)
        self._idle_seconds = idle_seconds
        self._lookups = Lookups(resolver, clock)
        self._clock = clock
        self._client: Client = self._builder().build()
        self._pinned: dict[tuple[str, int, str], Client] = {}
        self._limits: dict[float, timedelta] = {}
        self._closed = False

    def _builder(self) -> ClientBuilder:
        builder = (
            ClientBuilder()
            .runtime_multithreaded(enable=False)
            .no_proxy()
            .follow_redirects(enable=False)
            .referer(enable=False)
            .default_cookie_store(enable=False)
            .http1_only()
            .pool_idle_timeout(timedelta(seconds=self._idle_seconds))
        )
        for certificate in self._trusted:
            builder = builder.add_root_certificate_pem(certificate)
        return builder

    def send(
        self, request: Request, *, timeout: float, reach: Reach
    ) -> Awaitable[Response | Failure]:
        """Send and read the answer; see ``Transport``."""
        if reach is Reach.DIRECT:
            return self._send(self._client, request, timeout)
        return self._send_judged(request, min(timeout, MAX_TIMEOUT), reach)

    def ahead(self, request: Request, *, timeout: float, reach: Reach) -> Sending | None:
        """Put a request together that is to be sent later; see ``Transport``."""
        if reach is not Reach.DIRECT:  # which address it goes to is judged when it goes
            return None
        try:
            return partial(self._exchange, self._built(self._client, request, timeout))
        except Exception:  # noqa: BLE001 - told when it is sent
            return None

    async def _send_judged(
        self,
        request: Request,
        timeout: float,  # noqa: ASYNC109
        reach: Reach,
    ) -> Response | Failure:
        """Look the name up once, judge what came, and call exactly that.

        Were the client left to look the name up again, a resolver that gives another answer the
        second time (DNS rebinding) would lead it past the judgement.
        """
        if self._closed:
            return CLOSED
        host, port = request.origin.host, request.origin.port
        until = self._clock.monotonic() + timeout
        good = await self.addresses(host, port, timeout=timeout, reach=reach)
        if isinstance(good, Failure):
            return good
        # One that was called before goes first: its connections may still stand.
        good.sort(key=lambda address: (host, port, address) not in self._pinned)
        received: Response | Failure = Failure(Reason.TIMEOUT)
        for address in good[:MAX_TRIES]:
            left = until - self._clock.monotonic()
            if left <= 0:
                return Failure(Reason.TIMEOUT)
            received = await self._send(self._client_for(host, port, address), request, left)
            # Only where no connection came about has surely nothing been sent.
            if not (isinstance(received, Failure) and received.reason is Reason.CONNECT):
                break
        return received

    async def addresses(
        self,
        host: str,
        port: int,
        *,
        timeout: float,  # noqa: ASYNC109
        reach: Reach,
    ) -> list[str] | Failure:
        """Look a host up and judge what came; see ``Transport``."""
        try:
            async with asyncio.timeout(timeout):
                found = [host] if is_address(host) else await self._lookups.addresses(host, port)
        except TimeoutError:
            return Failure(Reason.TIMEOUT)
        except (OSError, UnicodeError) as error:
            return Failure(Reason.DNS, str(error))
        refused = {address: refusal(address, reach, port) for address in found}
        good = [address for address, why in refused.items() if not why]
        if not good:
            told = ", ".join(f"{address} ({why})" for address, why in refused.items())
            return Failure(Reason.ADDRESS_NOT_ALLOWED, told)
        return good

    def _client_for(self, host: str, port: int, address: str) -> Client:
        """Return a client to which the name has this one address; TLS still asks for the name."""
        key = (host, port, address)
        client = self._pinned.pop(key, None)
        if client is None:
            if len(self._pinned) >= MAX_PINNED:
                # The one not used for longest; calls that are out on it keep it until they end.
                del self._pinned[next(iter(self._pinned))]
            client = self._builder().resolve(host, address, port).build()
        self._pinned[key] = client
        return client

    def _send(
        self, client: Client, request: Request, timeout: float
    ) -> Awaitable[Response | Failure]:
        try:
            built = self._built(client, request, timeout)
        except Exception as error:  # noqa: BLE001 - every failure becomes a value here
            return _at_once(CLOSED if self._closed else failure_of(error))
        return self._exchange(built)

    def _built(self, client: Client, request: Request, timeout: float) -> StreamRequest:
        builder = (
            client.request(request.method, request.url)
            .headers(request.headers)
            .timeout(self._limits.get(timeout) or self._limit(timeout))
        )
        if request.body:
            builder = builder.body_bytes(request.body)
        return builder.build_streamed()

    async def _exchange(self, built: StreamRequest) -> Response | Failure:
        if self._closed:  # on a busy machine the client still sends for a moment after its close
            return CLOSED
        response: ClientResponse | None = None
        try:
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
                if status == OK and len(body) <= MAX_BODY:
                    return Response(status, body)
                return _told(response, body)
        except Exception as error:  # noqa: BLE001 - every failure becomes a value here
            failure = failure_of(error)
        return failure if response is None else _told(response, b"", failure)

    async def close(self) -> None:
        """Close; calls in flight end as ``RESET``, and so do later ones, without being sent."""
        self._closed = True
        for client in (self._client, *self._pinned.values()):
            await client.close()
        self._pinned.clear()

    def _limit(self, timeout: float) -> timedelta:
        if len(self._limits) >= MAX_LIMITS:
            self._limits.clear()
        limit = timedelta(seconds=min(timeout, MAX_TIMEOUT))
        self._limits[timeout] = limit
        return limit


async def _at_once(failure: Failure) -> Failure:
    return failure


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
