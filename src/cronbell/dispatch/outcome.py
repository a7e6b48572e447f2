"""An answer, or the lack of one, becomes an ``Outcome`` (SPEC section 3). Pure; never raises.

The rules, in the order they are asked:

* No answer: ``TIMED_OUT`` for a timeout, else ``ERROR``; HTTP status 0.
* 2xx: ``ERROR`` if the body says ``success: false`` or ``status: "error"``, ``PARTIAL`` if it
  says ``status: "partial"``, else ``SUCCESS``, JSON or not. What an endpoint reports this way is
  its verdict and is not tried again. A 2xx whose body broke off is no answer: the verdict may
  have been in the missing part.
* 2xx with a body over the limit: by what was read; where that was JSON and said nothing bad, it
  is ``SUCCESS`` with the reason ``BODY_TOO_LARGE``, since the rest was not seen.
* 3xx with a ``Location``: ``ERROR``, redirected; only host and path of it are kept, a query may
  hold tokens.
* 409: ``{"skipped": true}`` is ``SKIPPED`` for overlap; with a usable ``Retry-After`` the endpoint
  is still at work on this very run and is asked again; should the deadline come first, the run
  is ``TIMED_OUT``.
* 429 and 503 with a usable ``Retry-After``: asked again then; should the deadline come first,
  ``ERROR``.
* 504 with ``status: "timed_out"`` is what the endpoint library answers at ``max_duration``.
* Every other status: ``ERROR``. A body that breaks off does not matter here: the status decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from cronbell.dispatch.body import (
    DECODER,
    MAX_MESSAGE,
    Members,
    clean,
    items_of,
    members_of,
    message_of,
    text_of,
)
from cronbell.dispatch.transport import MAX_BODY, Failure, Response
from cronbell.domain import Item, Outcome
from cronbell.states import Reason, Status

MAX_LOCATION = 500  # characters
MAX_ERROR = 300  # characters of the client's own words
# Retry-After is kept within these, in seconds: 0 or a date gone by must not become a busy loop,
# and the run's deadline ends the waiting long before a day has passed.
MIN_WAIT = 1.0
MAX_WAIT = 86_400.0
_SECONDS = re.compile(r"[0-9]{1,20}")
_LONGEST_DATE = 64

# A body of this many bytes at most, ASCII throughout, can be an ordinary success.
PLAIN_BODY = 4_096
_SUCCESS = Status.SUCCESS
_NOTHING: dict[str, Any] = {}
_OK = 200
_CONFLICT = 409
_TOO_MANY = 429
_UNAVAILABLE = 503
_GATEWAY_TIMEOUT = 504


def outcome_of(
    received: Response | Failure, authority: str, timeout: float, now: Callable[[], datetime]
) -> Outcome:
    """Say what became of an attempt.

    Args:
        received: what the transport brought back.
        authority: host and port called, for the reason's text.
        timeout: the attempt's limit in seconds, likewise.
        now: gives the wall time, aware; asked only for what a ``Retry-After`` is counted from.
    """
    if isinstance(received, Failure):
        return _no_answer(received, authority, timeout)
    status = received.status
    if status == _OK and (plain := _plain(received)) is not None:
        return plain
    if 200 <= status < 300:  # noqa: PLR2004
        if received.failure is not None:
            return _no_answer(received.failure, authority, timeout)
        return _accepted(received)
    if status < 200:  # noqa: PLR2004 - a final answer cannot be informational
        return _no_answer(Failure(Reason.PROTOCOL, f"status {status}"), authority, timeout)
    return _declined(received, timeout, now)


def refused(reason: Reason, **data: Any) -> Outcome:
    """Return the outcome of a call that was not made: nothing was sent, no retry would help."""
    return Outcome(status=Status.ERROR, reason=reason, reason_data=data)


def retry_after(value: str, now: datetime) -> float | None:
    """Return the seconds a ``Retry-After`` asks for, or None where it is unusable.

    Whole seconds and HTTP dates (RFC 9110, 10.2.3) are usable; a date gone by means now. What is
    negative, fractional or neither is not. The result is between ``MIN_WAIT`` and ``MAX_WAIT``.
    """
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return min(max(float(text), MIN_WAIT), MAX_WAIT)
    if not text[:1].isalpha() or len(text) > _LONGEST_DATE:
        return None
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        wait = (moment - now).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(wait, MIN_WAIT), MAX_WAIT)


def _no_answer(failure: Failure, authority: str, timeout: float) -> Outcome:
    reason = failure.reason
    error = clean(failure.error[:MAX_ERROR])
    data: dict[Reason, dict[str, Any]] = {
        Reason.TIMEOUT: {"seconds": timeout},
        Reason.CONNECT: {"host": authority},
        Reason.DNS: {"host": authority},
        Reason.TLS: {"host": authority, "error": error},
        Reason.RESET: {},
    }
    if reason is Reason.BAD_REQUEST:
        return refused(reason, error=error)
    if reason is Reason.ADDRESS_NOT_ALLOWED:
        return refused(reason, host=authority, address=error)
    timed_out = reason is Reason.TIMEOUT
    return Outcome(
        status=Status.TIMED_OUT if timed_out else Status.ERROR,
        reason=reason,
        reason_data=data.get(reason, {"error": error}),
        http_status=0,
        retry_kind="timeout" if timed_out else "network",
    )


def _plain(response: Response) -> Outcome | None:
    """Return the outcome of an ordinary success, or None where more has to be looked at.

    Ten thousand runs may be due at once and nearly all end like this, so it is done in one step;
    the rules are ``_accepted``'s, and a test holds the two together.
    """
    body = response.body
    if response.failure is not None or len(body) > PLAIN_BODY or not body.isascii():
        return None
    try:
        members = DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    # A raw NUL is no JSON, so there is none in the text.
    if members.success is not True or members.status is not None or members.results is not None:
        return None
    message = members.message
    if message is None:
        if members.error is not None or members.details is not None:
            return None
        message = ""
    elif not (
        isinstance(message, str) and message.isprintable() and 0 < len(message) < MAX_MESSAGE
    ):
        return None
    # By position: names cost half a microsecond, and the members of an enumeration as much.
    return Outcome(_SUCCESS, None, _NOTHING, _OK, message.strip(), body.decode("ascii"))


def _accepted(response: Response) -> Outcome:
    members, unread = members_of(response.body, complete=response.complete)
    message = message_of(members)
    items = items_of(members)
    status, reason, data = _verdict(members, message, items)
    if reason is None and unread:
        reason, data = Reason.BODY_TOO_LARGE, {"limit": MAX_BODY}
    return Outcome(
        status=status,
        reason=reason,
        reason_data=data,
        http_status=response.status,
        message=message,
        body=text_of(response.body),
        items=items,
    )


def _verdict(
    members: Members, message: str, items: tuple[Item, ...]
) -> tuple[Status, Reason | None, dict[str, Any]]:
    """Read what a 2xx answer says about itself."""
    if members.success is False or members.status == "error":
        return Status.ERROR, Reason.BODY_ERROR, {"message": message}
    if members.status == "partial":
        data: dict[str, Any] = {"message": message}
        if items:
            data |= {"failed": sum(not item.ok for item in items), "total": len(items)}
        return Status.PARTIAL, Reason.BODY_PARTIAL, data
    return Status.SUCCESS, None, {}


def _declined(response: Response, timeout: float, now: Callable[[], datetime]) -> Outcome:
    members, _ = members_of(response.body, complete=response.complete)
    status = response.status
    wait = retry_after(response.retry_after, now()) if response.retry_after else None
    verdict, reason = Status.ERROR, Reason.HTTP_STATUS
    data: dict[str, Any] = {"status": status}
    kind = _retry_kind(status)
    location = _shown(response.location)
    if location:
        reason, data = Reason.REDIRECTED, {"status": status, "location": location}
    elif status == _CONFLICT and members.skipped is True:
        verdict, reason, data, kind, wait = Status.SKIPPED, Reason.OVERLAP, {}, "", None
    elif status == _CONFLICT and wait is not None:
        verdict, reason, data = Status.TIMED_OUT, Reason.STILL_WORKING, {"after": wait}
    elif wait is not None and status in {_TOO_MANY, _UNAVAILABLE}:
        reason, data = Reason.ASKED_TO_WAIT, {"status": status, "after": wait}
    elif status == _GATEWAY_TIMEOUT and members.status == Status.TIMED_OUT.value:
        verdict, reason, data = Status.TIMED_OUT, Reason.TIMEOUT, {"seconds": timeout}
        kind = "timeout"
    return Outcome(
        status=verdict,
        reason=reason,
        reason_data=data,
        http_status=status,
        message=message_of(members),
        body=text_of(response.body),
        items=items_of(members),
        retry_kind=kind,
        ask_again_after=wait,
    )


def _retry_kind(status: int) -> str:
    if status == _TOO_MANY:
        return "429"
    if status < 400:  # noqa: PLR2004 - a redirect leads elsewhere the next time too
        return ""
    # RFC 9110, 15: a status outside 100–599 is treated as a server error.
    return "4xx" if status < 500 else "5xx"  # noqa: PLR2004


def _shown(location: str) -> str:
    """Return host and path of a ``Location``; empty where it has neither."""
    try:
        parts = urlsplit(location.strip())
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return clean(location.partition("?")[0].rpartition("@")[2][:MAX_LOCATION])
    return clean(f"{host}{port}{parts.path}"[:MAX_LOCATION])
