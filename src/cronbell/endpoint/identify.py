"""Request headers ─► which run this is: its key, its fire, its attempt."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from cronbell.clock import from_micros, to_micros
from cronbell.domain import LONGEST_PARAMETER, Dialect, fire_key
from cronbell.errors import CronbellError, ScheduleError
from cronbell.schedule import compile_schedule
from cronbell.states import Kind

VISIBLE = re.compile(rb"[\x21-\x7e]{1,200}")
PRINTABLE = re.compile(rb"[\x20-\x7e]{1,256}")  # 256: the longest expression (SPEC section 1)
ATTEMPT = re.compile(rb"0*[1-9][0-9]{0,8}")  # nine digits fit every store's integer
MICROS = 1_000_000

LatestFire = Callable[[str, datetime], datetime | None]


class BadRequestError(CronbellError):
    """A header that a caller with the secret sent wrongly."""

    code = "bad-request"


@dataclass(frozen=True, slots=True)
class Request:
    """What the endpoint needs of an HTTP request; its body is never read.

    Attributes:
        method: as sent.
        path: the path the job was found by.
        target: the path as the caller wrote it, with ``?`` and query if there is one.
        headers: in order, names in lower case; a name may come twice.
    """

    method: str
    path: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def values(self, name: bytes) -> tuple[bytes, ...]:
        """Return the values of every header of this (lower-case) name."""
        return tuple(value for key, value in self.headers if key == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which run a call asks for; see ``recorder.Call`` for the fields."""

    key: str
    run_id: str
    kind: Kind
    schedule: str
    scheduled_at: datetime | None
    attempt: int | None
    dry_run: bool


def identify(
    request: Request, *, now: datetime, new_key: Callable[[], str], latest_fire: LatestFire
) -> Identity:
    """Read the headers of SPEC section 3.

    Args:
        request: the call.
        now: aware; which fire is the latest depends on it.
        new_key: makes a key for a call that nothing else identifies.
        latest_fire: see ``latest_vercel_fire``.

    Raises:
        BadRequestError: a header is there but cannot be read. Guessing would run a job under the
            wrong key, or do for real what was to be a dry run.
    """
    key = _text(request, b"idempotency-key")
    run_id = _text(request, b"x-cronbell-run-id")
    scheduled_at = _instant(request, b"x-cronbell-scheduled-at")
    attempt = _attempt(request, b"x-cronbell-attempt")
    dry_run = _yes_or_no(request, b"x-cronbell-dry-run")
    schedule = _schedule(request)
    kind = Kind.CALL
    if not key and schedule and (fire := latest_fire(schedule, now)):
        key = fire_key(request.target, schedule, fire)
        kind = Kind.SCHEDULE
        scheduled_at = scheduled_at or fire
    return Identity(
        key=key or new_key(),
        run_id=run_id,
        kind=kind,
        schedule=schedule,
        scheduled_at=scheduled_at,
        attempt=attempt,
        dry_run=dry_run,
    )


def parameters_of(request: Request, names: Collection[str]) -> dict[str, str]:
    """Return the query's values of these names; blank ones are left out.

    Raises:
        BadRequestError: one is there twice, is too long or holds control characters: a job must
            not have to guess what was meant.
    """
    query = request.target.partition("?")[2] if names else ""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in names:
            continue
        if name in found:
            raise BadRequestError(f"the parameter {name} was sent more than once")
        if len(value) > LONGEST_PARAMETER or not value.isprintable():
            raise BadRequestError(
                f"the parameter {name} has {len(value)} characters, or some that are not printable",
                hint=f"send one line of at most {LONGEST_PARAMETER} characters",
            )
        found[name] = value.strip()
    return {name: value for name, value in found.items() if value}


def latest_vercel_fire(expression: str, now: datetime) -> datetime | None:
    """Return the latest fire of a Vercel expression that is not after ``now``.

    Vercel sends no id of the fire, only the expression, and calls soon after the fire is due.

    Returns:
        None where the expression is none that Vercel runs.
    """
    try:
        schedule = compile_schedule(expression, dialect=Dialect.VERCEL)
    except ScheduleError:
        return None
    latest = schedule.previous(to_micros(now) // MICROS + 1)
    return None if latest is None else from_micros(latest * MICROS)


def _single(request: Request, name: bytes) -> bytes | None:
    values = request.values(name)
    if len(values) > 1:
        raise _bad(name, "was sent more than once", "send it once")
    return values[0] if values else None


def _text(request: Request, name: bytes) -> str:
    value = _single(request, name)
    if value is None:
        return ""
    if not VISIBLE.fullmatch(value):
        raise _bad(
            name,
            f"has {len(value)} bytes, or some that are not visible ASCII",
            "send 1 to 200 visible ASCII characters",
        )
    return value.decode("ascii")


def _attempt(request: Request, name: bytes) -> int | None:
    value = _single(request, name)
    if value is None:
        return None
    if not ATTEMPT.fullmatch(value):
        raise _bad(name, "is not a whole number from 1", "send 1 for the first attempt")
    return int(value)


def _instant(request: Request, name: bytes) -> datetime | None:
    value = _single(request, name)
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value.decode("ascii"))
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise _bad(name, "is not an instant with its zone", "write it as 2026-11-22T00:00:00Z")


def _yes_or_no(request: Request, name: bytes) -> bool:
    value = _single(request, name)
    if value is None:
        return False
    word = value.lower()
    if word not in {b"true", b"false"}:
        raise _bad(name, "is neither true nor false", "send true, or leave it out")
    return word == b"true"


def _schedule(request: Request) -> str:
    # It comes from Vercel's own machinery and is only ever a help: a strange one is not refused.
    values = request.values(b"x-vercel-cron-schedule")
    if len(values) != 1 or not PRINTABLE.fullmatch(values[0]):
        return ""
    return values[0].decode("ascii")


def _bad(name: bytes, fault: str, hint: str) -> BadRequestError:
    return BadRequestError(f"the header {name.decode()} {fault}", hint=hint)
