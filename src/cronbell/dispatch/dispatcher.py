"""The walk from a job and an attempt to an outcome: check the host, send, judge."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

import msgspec

from cronbell.clock import SYSTEM_CLOCK, Clock, to_micros
from cronbell.dispatch.egress import Reach, is_address
from cronbell.dispatch.outcome import outcome_of, refused
from cronbell.dispatch.request import (
    AttemptCall,
    BadRequestError,
    Prepared,
    Request,
    authorization,
    canonical_url,
    parse_allowed,
    prepare,
)
from cronbell.dispatch.transport import Failure, Response, Sending, Transport
from cronbell.domain import JobSpec, Outcome
from cronbell.states import Reason, Status

log = logging.getLogger("cronbell.dispatch")

# Jobs whose prepared request is kept: about 10 MB. When more are called, all are prepared anew,
# which costs a few microseconds each.
MAX_PREPARED = 16_384
# Requests put together before their time: 3 KB each.
MAX_MADE = 10_000
# One that was not sent (its fire was skipped, another runner took it) is dropped after this.
UNSENT = 60_000_000  # microseconds

# What stands in a kept answer in place of the secret.
MASK = "[CRON_SECRET]"
# Spellings that are masked: of the secret in use and of the one before it.
MOST_MASKED = 4

# Bytes of an answer that is compared with the next one.
SHORT_BODY = 1_024
# Looked up once: a member of an enumeration costs a tenth of a microsecond to find.
SUCCESS = Status.SUCCESS

# What becomes of a call for which no time is left; nothing was sent.
TOO_LATE = Outcome(
    status=Status.TIMED_OUT,
    reason=Reason.TIMEOUT,
    reason_data={"seconds": 0.0},
    retry_kind="timeout",
)
NOTHING_USUAL: tuple[None, Outcome] = (None, TOO_LATE)


class _Ready(NamedTuple):
    """What of a call is the same each time; the rest is the attempt's."""

    prepared: Prepared
    reach: Reach
    authority: str


class _Made(msgspec.Struct, frozen=True, gc=False):
    """A request that waits to be sent, and what it was made of."""

    spec: JobSpec
    scheduled_at: int
    timeout: float
    authority: str
    send: Sending


class Found(msgspec.Struct, frozen=True, gc=False):
    """A server, and the addresses at which it may be connected to.

    Attributes:
        host: its name, which its certificate must bear.
        port: of it.
        addresses: at least one, in the order in which they are to be tried.
    """

    host: str
    port: int
    addresses: tuple[str, ...]


class Dispatcher:
    """Calls endpoints.

    Args:
        transport: the HTTP client.
        secret: ``CRON_SECRET``; None or empty: no ``Authorization`` is sent.
        allowed_hosts: the hosts that may be called and get the secret, as ``host`` (every port)
            or ``host:port``. A job that names another gets the outcome ``HOST_NOT_ALLOWED`` and
            nothing is sent.
        target: the application's own address; empty where there is none. Its host is called
            wherever it leads, and so is an address that is spelled out. Any other name is looked
            up, judged and pinned (``egress.Reach.ALLOWED``).
        clock: tells what a ``Retry-After`` date is counted from.

    Raises:
        BadRequestError: an allowed host or the target is not one, or the secret cannot be sent in
            a header.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        secret: str | None,
        allowed_hosts: frozenset[str],
        target: str = "",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._transport = transport
        self._credentials = authorization(secret)
        self._secrets = _spellings(secret)
        self._allowed = frozenset(parse_allowed(host) for host in allowed_hosts)
        self._direct = direct_hosts(self._allowed, target)
        self._clock = clock
        self._prepared: dict[tuple[str, str, str], _Ready | Outcome] = {}
        self._made: dict[str, _Made] = {}
        # The last ordinary answer, and what it came to.
        self._usual: tuple[Response | None, Outcome] = NOTHING_USUAL

    async def call(self, spec: JobSpec, call: AttemptCall, *, timeout: float) -> Outcome:  # noqa: ASYNC109
        """Make one attempt and say what became of it.

        Args:
            spec: the job.
            call: the attempt.
            timeout: seconds for everything from resolving the name to the answer's last byte.

        Returns:
            The outcome, whatever happens; only ``asyncio.CancelledError`` passes. The endpoint
            may go on working after that, and its connection lasts until ``timeout`` at most.
        """
        ready = self._ready(spec)
        if isinstance(ready, Outcome):
            return ready
        if not timeout > 0:  # also what is no number
            return TOO_LATE
        prepared, reach, authority = ready
        try:
            request = prepared.request(call)
        except BadRequestError as error:
            return refused(Reason.BAD_REQUEST, error=str(error))
        send = partial(self._transport.send, request, timeout=timeout, reach=reach)
        return await self._judged(send, spec, authority, timeout)

    async def _judged(
        self,
        send: Sending,
        spec: JobSpec,
        authority: str,
        timeout: float,  # noqa: ASYNC109
    ) -> Outcome:
        try:
            received = await send()
            if isinstance(received, Response):
                if received == self._usual[0]:
                    return self._usual[1]
                return self._outcome(received, authority, timeout)
            return outcome_of(received, authority, timeout, self._clock.now)
        except Exception as error:
            # A fault of ours or of the transport's: the run still gets its outcome, and whatever
            # was sent was sent.
            log.exception("%s: the call failed unexpectedly", spec.name)
            failure = Failure(Reason.PROTOCOL, f"unexpected {type(error).__name__}")
            return outcome_of(failure, authority, timeout, self._clock.now)

    def _outcome(self, received: Response, authority: str, timeout: float) -> Outcome:
        masked = self._without_secret(received) if self._secrets else received
        outcome = outcome_of(masked, authority, timeout, self._clock.now)
        # Of an ordinary success nothing but the answer matters, and most of a herd answer alike.
        if masked is received and outcome.status is SUCCESS and len(received.body) <= SHORT_BODY:
            self._usual = received, outcome
        return outcome

    def _without_secret(self, response: Response) -> Response:
        """Mask the secret in an answer that repeats it: answers are kept, and shown on pages.

        An endpoint that prints its request when it fails is common; as JSON it may escape signs.
        """
        body, location = response.body, response.location
        for secret in self._secrets:
            if secret in body:
                body = body.replace(secret, MASK.encode())
            if location:
                location = location.replace(secret.decode(), MASK)
        if body is response.body and location == response.location:
            return response
        return msgspec.structs.replace(response, body=body, location=location)

    def use_secret(self, secret: str | None) -> None:
        """Send another secret from the next call on.

        Raises:
            BadRequestError: it cannot be sent in a header.
        """
        self._credentials = authorization(secret)
        # The one before stays masked: calls that go on carry it, and their answers may repeat it.
        self._secrets = tuple(dict.fromkeys((*_spellings(secret), *self._secrets)))[:MOST_MASKED]
        self._prepared.clear()
        self._made.clear()
        self._usual = NOTHING_USUAL  # it may hold the new one

    def make(self, spec: JobSpec, call: AttemptCall, *, timeout: float) -> bool:
        """Put the request of a call together that will be made soon, while there is time.

        ``send_made`` sends it. One that is not sent is dropped with the next configuration, with
        the next secret, or when those of a minute later are made.

        Args:
            spec: the job.
            call: the attempt, a first one.
            timeout: as for ``call``; counts from when it is sent.

        Returns:
            Whether it was made; not where nothing can be sent, or as many wait already as may.
        """
        scheduled_at = to_micros(call.scheduled_at)
        while self._made:
            oldest = next(iter(self._made))
            if self._made[oldest].scheduled_at + UNSENT > scheduled_at:
                break
            del self._made[oldest]
        ready = self._ready(spec)
        if isinstance(ready, Outcome) or len(self._made) >= MAX_MADE:
            return False
        try:
            request = ready.prepared.request(call)
        except BadRequestError:  # told when it is called
            return False
        send = self._transport.ahead(request, timeout=timeout, reach=ready.reach)
        if send is not None:
            self._made[call.key] = _Made(spec, scheduled_at, timeout, ready.authority, send)
        return send is not None

    def send_made(
        self, spec: JobSpec, key: str, scheduled_at: int, left: float
    ) -> Awaitable[Outcome] | None:
        """Send what was put together for a plain first attempt; the outcome is as ``call``'s.

        Args:
            spec: the job; a request made for another definition of it is not sent.
            key: the run's.
            scheduled_at: likewise, microseconds.
            left: seconds until the run's deadline.

        Returns:
            None where there is no such request; it is for ``call`` then.
        """
        made = self._made.pop(key, None)
        if (
            made is None
            or made.spec is not spec
            or made.scheduled_at != scheduled_at
            or made.timeout > left
        ):
            return None
        return self._judged(made.send, spec, made.authority, made.timeout)

    async def deliver(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> Outcome:
        """Post a message that is no cron call, under the same rules; the secret is not with it.

        Args:
            url: where to.
            headers: of it; what the client adds is left out.
            body: of it.
            timeout: as for ``call``.
        """
        try:
            url, origin = canonical_url(url)
        except BadRequestError as error:
            return refused(Reason.BAD_REQUEST, error=str(error))
        if not origin.is_among(self._allowed):
            return refused(Reason.HOST_NOT_ALLOWED, host=origin.authority)
        request = Request("POST", url, tuple(headers), origin, body)
        reach = Reach.DIRECT if origin.host in self._direct else Reach.ALLOWED
        received = await self._transport.send(request, timeout=timeout, reach=reach)
        return outcome_of(received, origin.authority, timeout, self._clock.now)

    async def find(self, server: str, *, timeout: float) -> Found | Outcome:  # noqa: ASYNC109
        """Return where a server that is not called by HTTP may be connected to, or why not.

        The same rules as for calls: its host must be allowed, and of its addresses only those are
        returned that a call might go to. Connect to one of them; a second lookup could give
        another answer.

        Args:
            server: ``host:port``.
            timeout: seconds for the lookup.
        """
        try:
            host, port = parse_allowed(server)
        except BadRequestError as error:
            return refused(Reason.BAD_REQUEST, error=str(error))
        if port is None or not {(host, None), (host, port)} & self._allowed:
            return refused(Reason.HOST_NOT_ALLOWED, host=server)
        reach = Reach.DIRECT if host in self._direct else Reach.ALLOWED
        found = await self._transport.addresses(host, port, timeout=timeout, reach=reach)
        if isinstance(found, Failure):
            return outcome_of(found, server, timeout, self._clock.now)
        return Found(host, port, tuple(found))

    def warm(self, specs: Iterable[JobSpec]) -> None:
        """Check and assemble what jobs' requests share, so that a herd finds it ready."""
        self._made.clear()
        for spec in islice(specs, MAX_PREPARED):
            self._prepare(spec)

    def _ready(self, spec: JobSpec) -> _Ready | Outcome:
        return self._prepared.get((spec.url, spec.method, spec.schedule)) or self._prepare(spec)

    def _prepare(self, spec: JobSpec) -> _Ready | Outcome:
        ready: _Ready | Outcome
        try:
            prepared = prepare(spec, self._credentials)
        except BadRequestError as error:
            ready = refused(Reason.BAD_REQUEST, error=str(error))
        else:
            origin = prepared.origin
            reach = Reach.DIRECT if origin.host in self._direct else Reach.ALLOWED
            ready = _Ready(prepared, reach, origin.authority)
            if not origin.is_among(self._allowed):
                ready = refused(Reason.HOST_NOT_ALLOWED, host=origin.authority)
        if len(self._prepared) >= MAX_PREPARED:
            self._prepared.clear()
        self._prepared[spec.url, spec.method, spec.schedule] = ready
        return ready


def direct_hosts(allowed: Iterable[tuple[str, int | None]], target: str) -> frozenset[str]:
    """Return the allowed hosts that are called wherever they are (``Reach.DIRECT``).

    Args:
        allowed: as ``parse_allowed`` gives them.
        target: the application's own address; empty where there is none.
    """
    home = canonical_url(target)[1].host if target else ""
    return frozenset({host for host, _ in allowed if host == home or is_address(host)})


def _spellings(secret: str | None) -> tuple[bytes, ...]:
    """Return how a secret may stand in an answer: as it is, and as JSON writes it."""
    if not secret:
        return ()
    return tuple(dict.fromkeys((secret.encode(), json.dumps(secret)[1:-1].encode())))
