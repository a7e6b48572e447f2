"""Idempotency key ─► run, replay, or wait: the rule that makes a fire work once.

``decide`` is the whole rule, without input or output; a store loads at most two rows for it and
carries out what it says inside one immediate transaction. The rows' two unique constraints, (job,
dry run, key) and (job, dry run) while running, are the last guard against two stores deciding at
once. See
``docs/decisions/0003-receipts.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from cronbell.states import Status

WORKED = frozenset({Status.SUCCESS, Status.PARTIAL})
FAILED = frozenset({Status.ERROR, Status.TIMED_OUT, Status.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A call that asks for its receipt.

    Attributes:
        job: the job's name.
        key: the idempotency key.
        dry_run: dry runs have receipts of their own and stand in no real run's way.
        attempt: ``X-Cronbell-Attempt``; None where the caller gave none.
        owner: a name for this call's hold that no other call has.
        now: aware.
        lease: how long the hold lasts unless renewed.
        reserve: asked for a thread when all else lets the job run, and only then, so that a herd
            of calls that are not to run keeps none from one that is: a store asks it where no
            other call can be deciding the same any more. May be asked twice.
        live: owners whose jobs this very process knows to be at work, whatever their lease says
            (a suspended laptop, or a long write transaction, may keep a lease from being renewed).
    """

    job: str
    key: str
    dry_run: bool
    attempt: int | None
    owner: str
    now: datetime
    lease: timedelta
    reserve: Callable[[], bool] = lambda: True
    live: frozenset[str] = frozenset()

    @property
    def expires_at(self) -> datetime:
        """When the hold ends unless renewed."""
        return self.now + self.lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One stored row.

    Attributes:
        id: the row's id.
        key: the idempotency key.
        state: ``RUNNING``; a final status with its answer; or ``UNKNOWN`` for one whose process
            died and which another key's call found in its way.
        attempt: the attempt that ran last.
        owner: who holds or held it.
        term: grows each time it changes hands: the fencing token.
        lease_expires_at: aware; None unless running.
        http_status: the stored answer's; None while there is none.
        answer: the stored answer, JSON text.
    """

    id: int
    key: str
    state: Status
    attempt: int
    owner: str
    term: int
    lease_expires_at: datetime | None
    http_status: int | None
    answer: str

    def held(self, want: Want) -> bool:
        """Say whether its job is still at work, as far as ``want`` can know."""
        if self.state is not Status.RUNNING:
            return False
        if self.owner in want.live:
            return True
        return self.lease_expires_at is not None and self.lease_expires_at > want.now


@dataclass(frozen=True, slots=True)
class Hold:
    """The right to run, and to settle: whoever shows another owner or term changes nothing.

    Attributes:
        id: the receipt's id.
        owner: who holds it.
        term: the fencing token.
        attempt: the attempt it is held for.
    """

    id: int
    owner: str
    term: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Replay:
    """This key is done: give the stored answer again.

    Attributes:
        http_status: the stored answer's.
        answer: JSON text.
    """

    http_status: int
    answer: str


@dataclass(frozen=True, slots=True)
class StillRunning:
    """This very run is going on.

    Attributes:
        seconds: until its lease ends, if it is not renewed.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Overlap:
    """Another run of the job is going on."""


@dataclass(frozen=True, slots=True)
class Full:
    """It may run, but no thread is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """It may run, if a thread is free (``Want.reserve``).

    Attributes:
        own: the receipt to take over or run again; None to make one.
        abandoned: a dead run of the job that stands in the way and is to become ``UNKNOWN``.
        term: the new hold's.
        attempt: the new hold's.
    """

    own: Receipt | None
    abandoned: Receipt | None
    term: int
    attempt: int


Refusal = Replay | StillRunning | Overlap | Full
Claim = Hold | Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How a run ended, as its receipt keeps it.

    Attributes:
        state: a final status.
        http_status: the answer's.
        answer: JSON text.
        finished_at: aware.
    """

    state: Status
    http_status: int
    answer: str
    finished_at: datetime


def decide(want: Want, own: Receipt | None, other: Receipt | None) -> Start | Refusal:
    """Say what becomes of a call.

    Args:
        want: the call.
        own: the receipt of its key, if there is one.
        other: the running receipt of the same job under another key, if there is one.
    """
    if own is not None:
        if own.held(want):
            left = (own.lease_expires_at or want.now) - want.now
            return StillRunning(max(0.0, left.total_seconds()))
        again = own.state in FAILED and (want.attempt or 0) > own.attempt
        if own.state in WORKED | FAILED and not again:
            return Replay(own.http_status or 0, own.answer)
    if other is not None and other.held(want):
        return Overlap()
    return Start(
        own=own,
        abandoned=other,
        term=own.term + 1 if own else 1,
        attempt=max(want.attempt or 1, own.attempt if own else 1),
    )


class ReceiptStore(Protocol):
    """Where receipts are kept. Methods raise ``StorageError`` when the store cannot be used."""

    @property
    def transactional(self) -> bool:
        """Whether a job's own writes can share a transaction with its receipt (``atomic``)."""
        ...

    def claim(self, want: Want) -> Claim:
        """Decide and carry out, in one immediate transaction."""
        ...

    def renew(self, hold: Hold, expires_at: datetime) -> bool:
        """Move the lease's end; False when the hold is no longer ours."""
        ...

    def settle(self, hold: Hold, settlement: Settlement) -> bool:
        """Store the end; False, and nothing changed, when the hold is no longer ours.

        Inside ``transaction`` it becomes part of it.
        """
        ...

    def read(self, hold: Hold) -> Receipt | None:
        """Return the receipt as it is now."""
        ...

    def prune(self, before: datetime, most: int) -> int:
        """Delete receipts that ended before an instant, at most so many; return how many.

        One that is running is never among them, however old.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Run the block in one transaction of the application's database; roll back if it raises.

        Only where ``transactional``.
        """
        ...

    def session(self) -> AbstractContextManager[None]:
        """Surround everything a thread of the endpoint does with the store."""
        ...
