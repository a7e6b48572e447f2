"""The records that travel between the folders: frozen, with aware UTC datetimes.

Nothing here does I/O or asks the time, and nothing here knows Django, HTTP or SQL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from cronbell.states import Kind, Reason, Status

KEY_PREFIX = "cb1-"  # the version of the key's derivation: a change of it must change this
LARGEST = 10**14  # millionths: ten thousand items' sum still fits a 64-bit integer
INSTANT_MASK = (1 << 40) - 1  # ten hexadecimal digits


class Dialect(StrEnum):
    """Which grammar an expression is read in (SPEC section 2)."""

    VERCEL = "vercel"  # what Vercel documents for `crons`; strict
    STANDARD = "standard"  # Debian cron's, with names, L, d#n, @daily and `every`


class DstGap(StrEnum):
    """What a fire at a local time that does not exist does (clocks go forward)."""

    DEBIAN = (
        "debian"  # fixed-time jobs run once right after the gap; wildcard jobs follow real time
    )
    SHIFT = "shift"  # every such fire runs once right after the gap
    SKIP = "skip"  # not run that day


class DstRepeat(StrEnum):
    """What a fire at a local time that comes twice does (clocks go back)."""

    DEBIAN = "debian"  # fixed-time jobs run the first time only; wildcard jobs both times
    FIRST = "first"  # the first time only
    BOTH = "both"  # both times


class Overlap(StrEnum):
    """What a fire does while a run of its job goes on: one that waits between attempts, too."""

    SKIP = "skip"  # the fire is a skipped row
    QUEUE_ONE = "queue_one"  # it waits; a further one, while one waits, is a skipped row
    QUEUE_ALL = "queue_all"  # every one waits its turn
    CANCEL_RUNNING = "cancel_running"  # it ends the run that goes on and takes its place
    ALLOW = "allow"  # it runs beside the other


class CatchUp(StrEnum):
    """What becomes of fires that were due while no runner was up."""

    LATEST = "latest"  # the latest runs if it is young enough, the others are one missed row
    NONE = "none"  # all are one missed row
    ALL = "all"  # each that is young enough gets its run, in order; older ones are one missed row


class Delivery(StrEnum):
    """What becomes of a run whose runner died with the call in hand."""

    AT_LEAST_ONCE = "at_least_once"  # called again, with the same key
    AT_MOST_ONCE = "at_most_once"  # the run is unknown and waits for a person


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a failed attempt is tried again. None is unless configured.

    Attributes:
        max_attempts: attempts in all, the first included; 1 means no retry.
        backoff: seconds before the second attempt; doubled for each further one, with jitter.
        max_backoff: seconds; no wait is longer than this.
        retry_on: kinds of failure that are tried again: ``network``, ``timeout``, ``5xx``,
            ``429``, ``4xx``.
    """

    max_attempts: int = 1
    backoff: float = 10.0
    max_backoff: float = 600.0
    retry_on: tuple[str, ...] = ("network", "timeout", "5xx", "429")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blackout:
    """A window of time in which a job's fires are skipped; what it covers is ``schedule``'s to say.

    Attributes:
        days: ``mon`` … ``sun``, in that order: the days it begins on, every week. Empty with
            times of day: every day.
        start: ``22:00`` for a window that comes back; a date, a local time or an instant (ISO
            8601) for one that comes once.
        end: likewise, not part of the window; before or at ``start`` it is the next day's. A date
            is part of the window as a whole.
        timezone: IANA name; empty for the job's own.
        reason: why, for whoever asks later; may be empty.
    """

    days: tuple[str, ...] = ()
    start: str
    end: str
    timezone: str = ""
    reason: str = ""


LONGEST_PARAMETER = 500  # characters of a value


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What a person may choose when running a job now; sent in the request's query.

    Attributes:
        name: of the query's parameter.
        label: what it is for, in words; empty: its name says it.
        choices: the values it may have; empty for any text.
        required: a run now needs it. Schedules never send it.
    """

    name: str
    label: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One job as the configuration defines it.

    Attributes:
        name: unique; derived from the path (SPEC section 1) or given in ``cronbell.toml``.
        path: request target on the job's host, starting with ``/``, query included.
        url: the absolute URL that is called; empty where the target is not known yet
            (``cronbell check`` without a target).
        schedule: the expression as written; ``every 30s`` for an interval.
        dialect: the grammar the expression is read in.
        timezone: IANA name.
        dst_gap: see ``DstGap``.
        dst_repeat: see ``DstRepeat``.
        method: HTTP method.
        timeout: seconds one attempt may take.
        deadline: seconds the whole run may take, from the moment it was queued; 0 for what the
            timeout and the retries come to.
        overlap: see ``Overlap``.
        catch_up: see ``CatchUp``.
        delivery: see ``Delivery``.
        catch_up_window: seconds; a fire older than this is not caught up.
        retry: see ``RetryPolicy``.
        jitter: seconds; a fire is sent up to so much later, by an amount that is the job's own
            and always the same.
        blackout: windows in which its fires are skipped.
        enabled: a disabled job has no fires; it can still be run now.
        dry_run: the endpoint honours ``X-Cronbell-Dry-Run``, so a dry run may be asked of it.
        parameters: what may be chosen when it is run now; see ``Parameter``.
        heartbeat: Cronbell does not call this job but waits for its pings; it has no path.
        grace: seconds after a heartbeat is due within which its ping still counts.
        source: where the job is defined, for messages: ``vercel.json crons[0]``.
    """

    name: str
    path: str
    schedule: str
    url: str = ""
    dialect: Dialect = Dialect.VERCEL
    timezone: str = "UTC"
    dst_gap: DstGap = DstGap.DEBIAN
    dst_repeat: DstRepeat = DstRepeat.DEBIAN
    method: str = "GET"
    timeout: float = 300.0
    deadline: float = 0.0
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LATEST
    catch_up_window: float = 3600.0
    delivery: Delivery = Delivery.AT_LEAST_ONCE
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    jitter: float = 0.0
    blackout: tuple[Blackout, ...] = ()
    enabled: bool = True
    dry_run: bool = False
    parameters: tuple[Parameter, ...] = ()
    heartbeat: bool = False
    grace: float = 300.0
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong (or worth a warning) in a configuration file.

    Attributes:
        file: the file's path as given.
        line: 1-based line, or 0 where none can be named.
        key: where in the file: ``crons[0].path``, ``jobs.update-rankings.timeout``.
        message: what is wrong.
        hint: what to write instead; may be empty.
    """

    file: str
    line: int
    key: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One record handled within a run, as the endpoint reported it in ``results``.

    Attributes:
        record_id: the application's id of the record, as text.
        ok: whether it was handled.
        status: HTTP status of the call made for it; 0 for a network error, None where none applies.
        body: what came back, parsed; None where it was not JSON or there was none.
        error: what went wrong; empty where nothing did.
        attempts: how often the record had been taken up by then, this time included; None where
            the endpoint does not say, as with the three below.
        microseconds: how long handling it took.
        tokens: what it used of a model.
        micromoney: what it cost, in millionths of the endpoint's currency.
    """

    record_id: str
    ok: bool
    status: int | None = None
    body: Any = None
    error: str = ""
    attempts: int | None = None
    microseconds: int | None = None
    tokens: int | None = None
    micromoney: int | None = None


class Outcome(NamedTuple):
    """What became of one attempt, as a value: the engine turns it into a status in one place.

    A named tuple, not a dataclass: one is made for every run, at a fifth of the cost. Name the
    fields when making one.

    Attributes:
        status: the run's status if this attempt is its last.
        reason: why, where the status alone does not say; None for a plain success.
        reason_data: the values the reason's text names (``{"status": 404}``).
        http_status: the answer's status; 0 for a network error; None where nothing was sent.
        message: the endpoint's own message, or empty.
        body: the answer's text, cut at 64 KB, or empty.
        items: the answer's ``results``.
        retry_kind: which ``retry_on`` word this failure falls under; empty where it never does.
        ask_again_after: seconds the endpoint asked to be left alone (409, 429, 503 with
            Retry-After); such an answer spends no attempt. None where it did not ask.
    """

    status: Status
    reason: Reason | None = None
    reason_data: Mapping[str, Any] = {}
    http_status: int | None = None
    message: str = ""
    body: str = ""
    items: tuple[Item, ...] = ()
    retry_kind: str = ""
    ask_again_after: float | None = None


def millionths(value: float | str | Decimal) -> int | None:
    """Return a number of seconds or money in whole millionths, rounded up.

    None for what is negative, no number, or more than can be added up.
    """
    try:
        exact = (Decimal(str(value)) * 1_000_000).to_integral_value(ROUND_CEILING)
        return int(exact) if 0 <= exact <= LARGEST else None
    except (ArithmeticError, ValueError):
        return None


def cost_text(micromoney: int | None) -> str | None:
    """Return millionths of a currency as a plain decimal: 1500000 → "1.5"; None as it is."""
    if micromoney is None:
        return None
    whole, rest = divmod(micromoney, 1_000_000)
    return f"{whole}.{rest:06d}".rstrip("0").removesuffix(".")


def fire_key(path: str, schedule: str, scheduled_at: datetime) -> str:
    """Return the idempotency key of one fire of a schedule.

    It is made of what Vercel and Cronbell both know, the request target, the expression and the
    instant, so that an endpoint called by both for the same fire works once.

    Args:
        path: the request target, query included, as in ``vercel.json``.
        schedule: the expression as written there.
        scheduled_at: the instant the fire is due, aware.

    Returns:
        ``cb1-`` and 32 hexadecimal digits, the first ten of which are the instant: keys grow with
        time, so that the run log's index of them is written at its end and not all over.
    """
    return fire_key_at(path, schedule, int(scheduled_at.astimezone(UTC).timestamp()))


def fire_key_at(path: str, schedule: str, instant: int) -> str:
    """Return ``fire_key`` for an instant in epoch seconds."""
    digest = _digest("fire", path, schedule, str(instant))
    return f"{KEY_PREFIX}{instant & INSTANT_MASK:010x}{digest[:22]}"


def request_key(kind: Kind, job: str, nonce: str) -> str:
    """Return the idempotency key of a run that no schedule asked for.

    Args:
        kind: what made the run.
        job: the job's name.
        nonce: the id of the click, command or call; the same nonce gives the same run.
    """
    return KEY_PREFIX + _digest(str(kind), job, nonce)


def _digest(*parts: str) -> str:
    # The lengths keep ("a", "bc") and ("ab", "c") apart.
    text = "".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
