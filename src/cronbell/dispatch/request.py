"""A job and an attempt become a request (SPEC section 3).

What is the same for every attempt of a job is checked and put together once (``Prepared``);
what differs from attempt to attempt is added on the hot path, which does nothing else.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

import msgspec

from cronbell.addresses import shown_address
from cronbell.clock import iso
from cronbell.domain import JobSpec
from cronbell.errors import CronbellError

USER_AGENT = "vercel-cron/1.0"  # Vercel's own, which existing endpoints look for
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_PORT = 65_535
MAX_URL = 8_192  # characters; servers commonly refuse longer request lines

# What each header of a call means; docs/reference/headers.md is written from here.
MEANINGS = {
    "User-Agent": "What Vercel sends; some endpoints look for it.",
    "x-vercel-cron-schedule": "The expression, as Vercel sends it. Without a key an endpoint "
    "written with the library takes it for that schedule's latest fire.",
    "Authorization": "`CRON_SECRET`; missing only where none is set.",
    "Content-Length": "With a method that has a body: there is none.",
    "Idempotency-Key": "The run's key, the same for every attempt. The library works once for it.",
    "X-Cronbell-Run-Id": "The same; that it is there says that a runner calls.",
    "X-Cronbell-Scheduled-At": "When the run was due.",
    "X-Cronbell-Attempt": "1 for the first attempt. After a failure a higher one runs again.",
    "X-Cronbell-Dry-Run": "`true`: say what would be done, do nothing. Without a dry run: 400.",
    "traceparent": "Which trace it is part of (W3C Trace Context), with `CRONBELL_TRACES`.",
}

# Everything up to the path, the path with its query, and the fragment, which is never sent.
_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]{1,5}))?")
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_-]+)*\.?")
# A name whose last label is a number is an address to some (127.1, 0x7f000001, 127.0.0.1.).
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# What nearly every URL is; one that matches needs no rewriting, only a look at its host.
_PLAIN_URL = re.compile(r"(https?)://([a-z0-9._:-]+)(?:/[A-Za-z0-9\-._~:/?@!$&'()*+,;=%]*)")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9\-._~:/?@!$&'()*+,;=%]*")
_PATH_SAFE = "-._~:/?@!$&'()*+,;=%[]"

# Runs that are due together share their instant, and most jobs share a host.
_stamp = functools.lru_cache(maxsize=256)(iso)


class BadRequestError(CronbellError):
    """The request cannot be built: its URL, method or a header's value is not sendable."""

    code = "bad-request"


class AttemptCall(msgspec.Struct, frozen=True, gc=False):
    """One try at a run, as far as the request depends on it; name the fields when making one.

    Attributes:
        key: the run's idempotency key, the same for every attempt.
        scheduled_at: when the run was due, aware.
        attempt: 1 for the first.
        dry_run: the endpoint is asked to touch nothing.
        parameters: what a person chose for a run, added to the query; see ``in_order``.
        traceparent: which trace the call is part of; None where nothing is traced.
    """

    key: str
    scheduled_at: datetime
    attempt: int
    dry_run: bool = False
    parameters: tuple[tuple[str, str], ...] = ()
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request goes, in the one spelling by which hosts are compared.

    Attributes:
        scheme: ``http`` or ``https``.
        host: lower case, ASCII (IDNA), an IPv6 address without brackets.
        port: never left open.
        authority: ``host`` or ``host:port``, as in a URL; the scheme's own port is left out.
    """

    scheme: str
    host: str
    port: int
    authority: str

    def is_among(self, allowed: frozenset[tuple[str, int | None]]) -> bool:
        """Say whether the host, on this port or on any, was allowed."""
        return (self.host, None) in allowed or (self.host, self.port) in allowed


class Request(msgspec.Struct, frozen=True, gc=False):
    """What is sent; the client adds ``Host``, ``Accept`` and ``Accept-Encoding``.

    Attributes:
        method: upper case.
        url: absolute, pure ASCII, percent-encoded, without a fragment.
        headers: name and value, in the order sent. Not in the ``repr``: the secret is among them.
        origin: the host the URL names.
        body: what is sent after the headers; a cron call has none, a message to a person has.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    origin: Origin
    body: bytes = b""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.url}>"


class Prepared(Request, frozen=True, gc=False):
    """The part of a request that all attempts of a job share."""

    def request(self, call: AttemptCall) -> Request:
        """Add what belongs to one attempt.

        Raises:
            BadRequestError: the key cannot be sent in a header, or the URL becomes too long.
        """
        key = call.key
        if not (key and key.isascii() and key.isprintable()):
            raise BadRequestError(
                f"the run's key {key!r} cannot be sent in a header",
                hint="a key is printable ASCII and not empty",
            )
        headers = (
            *self.headers,
            ("Idempotency-Key", key),
            ("X-Cronbell-Run-Id", key),
            ("X-Cronbell-Scheduled-At", _stamp(call.scheduled_at)),
            ("X-Cronbell-Attempt", str(call.attempt)),
        )
        if call.dry_run:
            headers = (*headers, ("X-Cronbell-Dry-Run", "true"))
        if call.traceparent is not None:
            headers = (*headers, ("traceparent", call.traceparent))
        url = _with_query(self.url, call.parameters) if call.parameters else self.url
        return Request(self.method, url, headers, self.origin)


def build_request(spec: JobSpec, call: AttemptCall, *, secret: str | None) -> Request:
    """Return exactly what an attempt sends.

    It does not ask whether the host may have the secret; ``Dispatcher`` does, before it calls.
    To show a request, pass a mask as ``secret``.

    Args:
        spec: the job.
        call: the attempt.
        secret: ``CRON_SECRET``; None or empty where none is configured: then no
            ``Authorization`` is sent, as Vercel does.

    Raises:
        BadRequestError: the job's URL, method, schedule or the secret is not sendable.
    """
    return prepare(spec, authorization(secret)).request(call)


def authorization(secret: str | None) -> tuple[tuple[str, str], ...]:
    """Return the header that carries the secret; nothing where there is no secret.

    Raises:
        BadRequestError: the secret is not sendable.
    """
    if not secret:
        return ()
    return (("Authorization", f"Bearer {_sendable(secret, 'the secret')}"),)


def prepare(spec: JobSpec, credentials: tuple[tuple[str, str], ...]) -> Prepared:
    """Check and assemble what all attempts of a job share; see ``build_request``.

    Args:
        spec: the job.
        credentials: what ``authorization`` gave.

    Raises:
        BadRequestError: the job's URL, method or schedule is not sendable.
    """
    method = spec.method if spec.method in METHODS else spec.method.upper()
    if method not in METHODS:
        raise BadRequestError(
            f"{spec.name}: the method {spec.method!r} cannot be used for a cron call",
            hint=f"use one of {', '.join(sorted(METHODS))}",
        )
    if not spec.url:
        raise BadRequestError(
            f"{spec.name}: no target is known for {spec.path}",
            hint="give the application's address with --target or target in cronbell.toml",
        )
    url, origin = canonical_url(spec.url)
    headers = (*_schedule_headers(spec.schedule), *credentials)
    if method in WITH_BODY:
        # Some servers answer 411 to a POST that does not say that it has no body.
        headers = (*headers, ("Content-Length", "0"))
    return Prepared(method, url, headers, origin)


@functools.lru_cache(maxsize=1_024)
def _schedule_headers(schedule: str) -> tuple[tuple[str, str], ...]:
    agent = ("User-Agent", USER_AGENT)
    if not schedule:
        return (agent,)
    return (agent, ("x-vercel-cron-schedule", _sendable(schedule, "the schedule")))


def canonical_url(url: str) -> tuple[str, Origin]:
    """Return a URL in the only spelling that is sent, and where it goes.

    It is strict where URL parsers are known to differ (blanks, backslashes, credentials, control
    characters, odd host names), so that the host which is checked is the host which is called.

    Raises:
        BadRequestError: it is not an http(s) URL with a host, or it carries credentials.
    """
    plain = _PLAIN_URL.fullmatch(url) if len(url) <= MAX_URL else None
    if plain is not None:
        origin = _origin(plain[1], plain[2])
        if origin.authority == plain[2]:
            return url, origin
    return _rewritten_url(url)


def _rewritten_url(url: str) -> tuple[str, Origin]:
    shown = shown_address(url[: MAX_URL + 1])
    shown = shown if len(url) <= MAX_URL else f"{shown[:100]}…"
    if len(url) > MAX_URL:
        raise BadRequestError(f"the URL {shown!r} is too long", hint=f"at most {MAX_URL}")
    if _CONTROL.search(url):
        raise BadRequestError(f"the URL {shown!r} has a control character in it")
    parts = _URL.match(url)
    if parts is None:
        raise BadRequestError(f"{shown!r} is not an http or https URL")
    scheme, authority, path = parts[1].lower(), parts[2], parts[3]
    if "@" in authority:
        # Not shown: what stands before the @ may be a password.
        raise BadRequestError(
            "the URL carries credentials", hint="remove the part before @; use CRON_SECRET"
        )
    origin = _origin(scheme, authority)
    target = _encoded(path, shown)
    if not target.startswith("/"):
        target = f"/{target}"
    return f"{scheme}://{origin.authority}{target}", origin


def parse_allowed(host: str) -> tuple[str, int | None]:
    """Read one allowed host: ``example.com`` (every port) or ``example.com:8443`` (that one).

    Raises:
        BadRequestError: it is not a host name or address.
    """
    if host.count(":") > 1 and not host.startswith("["):
        return _host(f"[{host}]", host), None
    parts = _AUTHORITY.fullmatch(host)
    if parts is None:
        raise BadRequestError(f"{host!r} is not a host", hint="write example.com or host:port")
    return _host(parts[1], host), _port(parts[2], host) if parts[2] else None


@functools.lru_cache(maxsize=1_024)
def _origin(scheme: str, authority: str) -> Origin:
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise BadRequestError(f"{authority!r} does not name a host")
    host = _host(parts[1], authority)
    port = _port(parts[2], authority) if parts[2] else DEFAULT_PORTS[scheme]
    shown = f"[{host}]" if ":" in host else host
    if port != DEFAULT_PORTS[scheme]:
        shown = f"{shown}:{port}"
    return Origin(scheme, host, port, shown)


def _host(text: str, shown: str) -> str:
    if text.startswith("[") and "%" not in text:  # a zone means something on one machine only
        try:
            return ipaddress.IPv6Address(text[1:-1]).compressed
        except ValueError as error:
            raise BadRequestError(f"{shown!r} does not name an IPv6 address") from error
    name = text
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise BadRequestError(f"{shown!r} is not a valid host name") from error
    name = name.lower()
    if not _NAME.fullmatch(name):
        raise BadRequestError(f"{shown!r} does not name a host")
    if _ENDS_IN_NUMBER.fullmatch(name):
        _refuse_odd_address(name, shown)
    return name


def _refuse_odd_address(name: str, shown: str) -> None:
    try:
        ipaddress.IPv4Address(name)
    except ValueError as error:
        raise BadRequestError(
            f"{shown!r} is an address to some and a name to others",
            hint="write an address as four decimal numbers: 127.0.0.1",
        ) from error


def _port(digits: str, shown: str) -> int:
    port = int(digits)
    if not 0 < port <= MAX_PORT:
        raise BadRequestError(f"{shown!r}: {port} is not a port", hint=f"1 to {MAX_PORT}")
    return port


def in_order(parameters: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return parameters as they are sent: the same order each time, however they were stored."""
    return tuple(sorted(parameters.items()))


def _with_query(url: str, parameters: tuple[tuple[str, str], ...]) -> str:
    separator = "&" if "?" in url else "?"
    longer = f"{url}{separator}{urlencode(parameters, quote_via=quote)}"
    if len(longer) > MAX_URL:
        raise BadRequestError(
            f"the URL with its parameters has {len(longer)} characters", hint=f"at most {MAX_URL}"
        )
    return longer


def _encoded(path: str, shown: str) -> str:
    if _PLAIN_PATH.fullmatch(path):
        return path
    try:
        return quote(path, safe=_PATH_SAFE)
    except UnicodeEncodeError as error:
        raise BadRequestError(f"the path of {shown!r} is not valid text") from error


def _sendable(value: str, what: str) -> str:
    if not (value.isascii() and value.isprintable()):
        # The value is not shown: it may be the secret.
        raise BadRequestError(
            f"{what} cannot be sent in a header", hint="only printable ASCII characters can"
        )
    return value
