"""Record ─► HTTP ─► ``Reply``, and whose fault a failure is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from functools import cached_property
from http import HTTPStatus
from typing import Any, TypeAlias

import msgspec
from django.db import InterfaceError, OperationalError
from pyreqwest.client import SyncClient, SyncClientBuilder

from cronbell.clock import SYSTEM_CLOCK, Clock
from cronbell.dispatch.outcome import retry_after
from cronbell.dispatch.transport import IDLE_SECONDS, MAX_BODY, failure_of
from cronbell.drain.budget import Usage
from cronbell.drain.claim import Hold
from cronbell.endpoint.answer import tidy

MAX_ERROR = 500  # characters of a failure's text

# What the way to the target answers, or the target for reasons that are not the record's. 409 is
# somebody else at work on it; 500 is the target's verdict on this record, and counts.
ELSEWHERE = frozenset({0, 408, 409, 425, 429, 502, 503, 504})
# Whoever is not let in, or is sent away, would be so for every record: no use in going on.
SHUT_OUT = frozenset({401, 403, 407})


class Verdict(Enum):
    """What a reply means for its record."""

    DONE = auto()
    OWN = auto()  # the record's own failure: three of them set it aside
    ELSEWHERE = auto()  # network, overload, gateway: not held against the record
    SHUT_OUT = auto()  # the same, and the run stops


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of handling one record.

    Attributes:
        status: HTTP status; 0 for a network error; None where no HTTP was spoken.
        body: what came back, as JSON's values; None where it was not JSON.
        error: what went wrong where there is no answer; empty otherwise.
        retry_after: seconds after which the target wants to be called again; None where unsaid.
        usage: what it took; ``seconds`` is measured by the drain.
        elsewhere: a failure without status that is not the record's own.
    """

    status: int | None = None
    body: Any = None
    error: str = ""
    retry_after: float | None = None
    usage: Usage = field(default_factory=Usage)
    elsewhere: bool = False

    @property
    def verdict(self) -> Verdict:
        """Say whose fault it is, if it is one."""
        if self.status is None:
            if not self.error:
                return Verdict.DONE
            return Verdict.ELSEWHERE if self.elsewhere else Verdict.OWN
        if 200 <= self.status < 300:  # noqa: PLR2004
            said_no = isinstance(self.body, Mapping) and self.body.get("success") is False
            return Verdict.OWN if said_no or self.error else Verdict.DONE
        if self.status in SHUT_OUT or 300 <= self.status < 400:  # noqa: PLR2004
            return Verdict.SHUT_OUT
        return Verdict.ELSEWHERE if self.status in ELSEWHERE else Verdict.OWN

    @property
    def too_fast(self) -> bool:
        """Whether the target wants fewer calls, not only this one later."""
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            return True
        return self.status == HTTPStatus.SERVICE_UNAVAILABLE and self.retry_after is not None

    @property
    def trouble(self) -> str:
        """What is kept with the record: the error, or the status."""
        return self.error or (f"HTTP {self.status}" if self.status is not None else "")


@dataclass(frozen=True, slots=True)
class Call:
    """One request for one record; always a ``POST``.

    Attributes:
        url: absolute.
        headers: with the token, unless it is masked.
        content: the body, JSON.
    """

    url: str
    headers: dict[str, str] = field(repr=False)
    content: bytes


Caller: TypeAlias = Callable[[Hold, float], Reply]


def reply_to(error: BaseException) -> Reply:
    """Make a reply of what a caller raised.

    A connection or a database that fails would fail any record; all else is this one's.
    """
    connection = isinstance(error, OSError)
    return Reply(
        status=0 if connection else None,
        error=tidy(f"{type(error).__name__}: {error}"[:MAX_ERROR]),
        elsewhere=isinstance(error, OperationalError | InterfaceError),
    )


def body_of(record: Any) -> dict[str, Any]:
    """Return the body that is sent unless another is chosen: ``{"recordId": …}``."""
    return {"recordId": record.pk}


class HttpTarget:
    """Calls a URL with ``POST``, JSON, and the record's idempotency key. Threads may share it.

    No redirect is followed, no proxy taken from the environment; at most 1 MB of the answer is
    read. The time limit covers everything from the name's resolution to the last byte.

    Args:
        url: absolute.
        token: sent as ``Authorization: Bearer``; empty for none.
        body: record ─► what is sent as JSON.
        usage: answer's body ─► what handling the record took, where the answer says so.
        clock: what dates in ``Retry-After`` are counted from.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        body: Callable[[Any], Any] = body_of,
        usage: Callable[[Any], Usage] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._url = url
        self._token = token
        self._body = body
        self._usage = usage
        self._clock = clock

    def __call__(self, hold: Hold, seconds: float) -> Reply:
        """Send one record and read the answer, within ``seconds``; failures are replies too."""
        call = self.call_for(hold.record, hold.key)
        try:
            request = (
                self._client.post(call.url)
                .headers(call.headers)
                .body_bytes(call.content)
                .timeout(timedelta(seconds=max(seconds, 0.001)))
                .build_streamed()
            )
            with request as response:
                read = response.body_reader.read(MAX_BODY + 1)
                body = b"" if read is None else read.to_bytes()
                status = response.status
                asked = response.get_header("retry-after") or ""
        except Exception as error:  # noqa: BLE001 - every failure becomes a value here
            failure = failure_of(error)
            words = f"{failure.reason}: {failure.error}" if failure.error else str(failure.reason)
            return Reply(status=0, error=tidy(words[:MAX_ERROR]))
        parsed = _json(body) if len(body) <= MAX_BODY else None
        return Reply(
            status=status,
            body=parsed,
            retry_after=retry_after(asked, self._clock.now()) if asked else None,
            usage=self._usage(parsed) if self._usage else Usage(),
        )

    def call_for(self, record: Any, key: str, *, mask: str = "") -> Call:
        """Return what is sent for a record.

        Args:
            record: the application's row.
            key: its idempotency key.
            mask: stands in the token's place, for people to read; empty for the token itself.
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if self._token:
            headers["Authorization"] = f"Bearer {mask or self._token}"
        return Call(self._url, headers, msgspec.json.encode(self._body(record)))

    @cached_property
    def _client(self) -> SyncClient:
        # At the first call and not at import: a server may fork its workers in between.
        return (
            SyncClientBuilder()
            .no_proxy()
            .follow_redirects(enable=False)
            .referer(enable=False)
            .default_cookie_store(enable=False)
            .http1_only()
            .pool_idle_timeout(timedelta(seconds=IDLE_SECONDS))
            .build()
        )


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
