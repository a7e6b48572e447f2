"""What a runner does to the run log, one method a step, on the connection of the calling thread.

Every method is one or two statements and expects to run inside ``transaction``; a runner's writer
puts many of them into one (group commit). Methods that end or give back runs name owner and term
in their WHERE and return the ids that changed: what is missing was no longer the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from django.db import connections, transaction

from cronbell.clock import to_micros
from cronbell.domain import Overlap
from cronbell.runlog.models import Job, Run
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import (
    batches,
    changed,
    execute,
    fetch,
    lock_planning,
    rows_parameter,
)
from cronbell.states import Status

SYNCHRONOUS = {True: "PRAGMA synchronous = FULL", False: "PRAGMA synchronous = NORMAL"}


FIRE_OWN = 3
FINISH_OWN = 4
CURSOR_OWN = 2
FIRST_ATTEMPT = 1
FIRST_TERM = 1
# Looked up once: a member of an enumeration costs a tenth of a microsecond to find.
REPLACES, PENDING = Overlap.CANCEL_RUNNING, Status.PENDING


class FireRow(NamedTuple):
    """One row to record for a due fire or an outage; instants in microseconds.

    What each row has for itself comes first (``FIRE_OWN``), then what those of a herd share.
    ``ahead`` is how many fires of the same job before this one are in the batch as due; ``start``
    says that this runner has room for it now; ``reason_data`` is a JSON object as text.
    """

    job_id: int
    cursor_read: int
    key: str
    cursor_new: int
    scheduled_at: int
    status: str
    reason: str
    deadline_at: int
    missed_first_at: int | None
    missed_count: int
    available_at: int
    overlap: str
    ahead: int
    at_most_once: bool
    start: bool = False
    reason_data: str = "{}"


class Claimed(msgspec.Struct, frozen=True, gc=False):
    """A run that was just taken under this runner's lease; instants in microseconds."""

    id: int
    job_id: int
    key: str
    dry_run: bool
    scheduled_at: int
    queued_at: int
    deadline_at: int
    attempt: int
    term: int
    at_most_once: bool = False
    gives_way: bool = False
    # A JSON object as text.
    parameters: str | None = None


class FinishRow(NamedTuple):
    """How a run ended; instants in microseconds, ``reason_data`` a JSON object as text.

    What each row has for itself comes first (``FINISH_OWN``).
    """

    id: int
    term: int
    started_at: int
    finished_at: int
    status: str
    reason: str
    reason_data: str
    http_status: int | None
    details: str
    body: str
    items_total: int
    items_failed: int


class ReleaseRow(NamedTuple):
    """A run to be tried again, and the attempt that makes it necessary."""

    id: int
    term: int
    available_at: int
    next_attempt: int
    sent_at: int | None = None


class AttemptRow(NamedTuple):
    """An attempt that did not end its run; instants in microseconds."""

    run_id: int
    term: int
    number: int
    started_at: int
    finished_at: int
    reason: str
    reason_data: dict[str, Any]
    http_status: int | None


class ItemRow(NamedTuple):
    """One item of a finished run."""

    run_id: int
    record_id: str
    ok: bool
    http_status: int | None
    error: str
    body: Any
    attempts: int | None = None
    microseconds: int | None = None
    tokens: int | None = None
    micromoney: int | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of fires that were to be recorded.

    Attributes:
        moved: ids of the jobs whose cursor was still where the planner read it; of those recorded
            early, only the ones that have a row now.
        started: runs that are this runner's to send.
    """

    moved: set[int]
    started: list[Claimed]


@dataclass(frozen=True, slots=True)
class Rescued:
    """What a rescue found.

    Attributes:
        runs: given back, to be sent again.
        unknown: ended, since their request may not be sent a second time.
        cancelled: ended, since a person asked for it.
        calls: recorded by an endpoint whose process died; ended, since nobody will repeat them.
    """

    runs: int
    unknown: int
    cancelled: int
    calls: int


class RunStore:
    """The run log as a runner uses it.

    Args:
        owner: the name in this runner's leases; new for every process, so that a process that
            comes back after a crash can never be taken for the one that died.
        using: Django's alias of the run log's database.
    """

    def __init__(self, owner: str, *, using: str = ALIAS) -> None:
        self.owner = owner
        self.using = using

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[None]:
        """Open one write transaction: immediate on SQLite, so that it cannot fail half-way.

        Args:
            durable: wait at the commit until the disk has it. What is about to be sent must be;
                how a run ended need not: a power cut that takes it away makes the run be sent
                again under its key, and the next durable commit takes it to the disk along.
        """
        connection = connections[self.using]
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            # Also puts it back to FULL after a commit that did not wait.
            with connection.cursor() as cursor:
                cursor.execute(SYNCHRONOUS[durable])
        with transaction.atomic(using=self.using):
            if connection.vendor == "postgresql" and not durable:
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL synchronous_commit = off")
            yield

    def record_fires(
        self,
        rows: Sequence[FireRow],
        now: int,
        lease_expires_at: int = 0,
        *,
        early: bool = False,
    ) -> Recorded:
        """Record due fires and move their jobs' cursors.

        Args:
            rows: what to record; one with the status ``running`` is this runner's to send.
            now: microseconds.
            lease_expires_at: of those that are running.
            early: they are not due yet. Only those are recorded, and only their jobs' cursors
                moved, that nothing of their job stands in the way of now.
        """
        connection = connections[self.using]
        lock_planning(connection)
        # A job's fires get their ids in the order they are due, whatever groups they fall into.
        rows = sorted(rows, key=attrgetter("scheduled_at"))
        # A job's fires all move its cursor from and to the same instants.
        cursors = {row.job_id: (row.job_id, row.cursor_read, row.cursor_new) for row in rows}
        if not early:
            self._replace(rows, now)
        began = None if early else now  # else when it is due
        (before,) = fetch(connection, "last_id", [])[0]
        for batch in batches(connection, rows, FIRE_OWN):
            given = [*batch.parameters, now, began, now, self.owner, lease_expires_at, early]
            execute(connection, "record_fires", given, batch.size)
        started = self._started(rows, now, lease_expires_at, before)
        if early:
            cursors = {run.job_id: cursors[run.job_id] for run in started}
        moved: set[int] = set()
        for batch in batches(connection, list(cursors.values()), CURSOR_OWN):
            moved |= changed(connection, "advance_cursors", batch)
        return Recorded(moved, started)

    def _replace(self, rows: Sequence[FireRow], now: int) -> None:
        """End the runs whose place the fires take."""
        wins = [
            (row.job_id, row.cursor_read, row.scheduled_at)
            for row in rows
            if row.overlap == REPLACES and row.status == PENDING
        ]
        if wins:
            execute(connections[self.using], "replace", [now, rows_parameter(wins)])

    def _started(
        self, rows: Sequence[FireRow], now: int, lease_expires_at: int, before: int
    ) -> list[Claimed]:
        by_key = {row.key: row for row in rows if row.start}
        if not by_key:
            return []
        ((text,),) = fetch(
            connections[self.using], "started", [lease_expires_at, self.owner, before]
        )
        # By position, in the order of the fields: by name it costs twice as much, for every run.
        return [
            Claimed(
                run_id, row.job_id, key, False, row.scheduled_at, now, row.deadline_at,  # noqa: FBT003
                FIRST_ATTEMPT, FIRST_TERM, row.at_most_once,
            )
            for run_id, key in msgspec.json.decode(text or "[]")
            if (row := by_key.get(key)) is not None
        ]  # fmt: skip

    def claim(self, limit: int, now: int, lease_expires_at: int) -> list[Claimed]:
        """Take up to ``limit`` pending runs, oldest first."""
        rows = fetch(
            connections[self.using],
            "claim",
            [now, limit, self.owner, lease_expires_at, now],
        )
        claimed = [Claimed(*row) for row in rows]
        if len(claimed) < limit and self._some_give_way():
            claimed += self._claim_behind(limit - len(claimed), now, lease_expires_at)
        claimed.sort(key=lambda run: (run.scheduled_at, run.id))
        return claimed

    def _some_give_way(self) -> bool:
        waiting = Run.objects.using(self.using).filter(gives_way=True, status=Status.PENDING.value)
        return waiting.exists()

    def _claim_behind(self, limit: int, now: int, lease_expires_at: int) -> list[Claimed]:
        connection = connections[self.using]
        lock_planning(connection)
        rows = fetch(
            connection,
            "claim_behind",
            [now, limit, self.owner, lease_expires_at, now, now],
        )
        return [Claimed(*row) for row in rows]

    def finish(self, rows: Sequence[FinishRow], items: Sequence[ItemRow]) -> set[int]:
        """End runs and keep their items; return the ids that were this owner's to end."""
        connection = connections[self.using]
        ended: set[int] = set()
        for batch in batches(connection, rows, FINISH_OWN):
            ended |= changed(connection, "finish", batch, self.owner)
        kept = [item for item in items if item.run_id in ended]
        if kept:
            execute(connection, "record_items", [rows_parameter(kept)])
        # Runs whose items used nothing, nearly all, pay nothing for the sums of those that did.
        costly = {row.run_id for row in kept if (row.tokens, row.micromoney) != (None, None)}
        if costly:
            execute(connection, "sum_usage", [rows_parameter([[each] for each in sorted(costly)])])
        return ended

    def cursors(self, job_ids: Iterable[int]) -> dict[int, int]:
        """Return where the cursors of jobs are, in microseconds by id."""
        rows = Job.objects.using(self.using).filter(pk__in=job_ids)
        return {pk: to_micros(cursor) for pk, cursor in rows.values_list("pk", "cursor_at")}

    def release(self, rows: Sequence[ReleaseRow], attempts: Sequence[AttemptRow]) -> set[int]:
        """Give runs back to be tried later; return the ids that were this owner's to give."""
        connection = connections[self.using]
        if attempts:
            execute(connection, "record_attempts", [rows_parameter(attempts), self.owner])
        return {row[0] for row in fetch(connection, "release", [rows_parameter(rows), self.owner])}

    def renew(self, in_hand: Mapping[int, int], lease_expires_at: int) -> set[int]:
        """Keep the leases of what this owner has in hand.

        Args:
            in_hand: terms by run id.
            lease_expires_at: microseconds.

        Returns:
            The ids whose leases were still this owner's.
        """
        if not in_hand:
            return set()
        rows = rows_parameter(list(in_hand.items()))
        found = fetch(connections[self.using], "renew", [rows, self.owner, lease_expires_at])
        return {row[0] for row in found}

    def lost(self, in_hand: Mapping[int, int]) -> set[int]:
        """Return the ids whose leases are not this owner's any more.

        Args:
            in_hand: terms by run id.
        """
        if not in_hand:
            return set()
        rows = rows_parameter(list(in_hand.items()))
        return {row[0] for row in fetch(connections[self.using], "lost", [rows, self.owner])}

    def expired(self, now: int) -> bool:
        """Say whether anybody's lease has run out."""
        return bool(fetch(connections[self.using], "expired", [now]))

    def end_cancelled(self, now: int, lease_now: int | None = None) -> int:
        """End the runs a person cancelled that are this owner's or nobody's; return how many.

        Args:
            now: microseconds, when they ended.
            lease_now: by which leases are judged, where that is another clock's time.
        """
        judged = now if lease_now is None else lease_now
        return len(fetch(connections[self.using], "end_cancelled", [now, self.owner, judged]))

    def rescue(self, now: int, lease_now: int | None = None) -> Rescued:
        """Act on expired leases, whoever held them; arguments as for ``end_cancelled``."""
        connection = connections[self.using]
        judged = now if lease_now is None else lease_now
        cancelled = self.end_cancelled(now, lease_now)
        execute(connection, "rescue_attempts", [now, judged, now])
        return Rescued(
            cancelled=cancelled,
            runs=len(fetch(connection, "rescue", [now, now, judged])),
            unknown=len(fetch(connection, "rescue_once", [now, judged])),
            calls=len(fetch(connection, "rescue_calls", [now, judged])),
        )
