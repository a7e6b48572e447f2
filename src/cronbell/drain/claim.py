"""Backlog ─► records held under a lease, and the only statements that let go of them again.

Whatever settles, renews or releases a record names owner, term and version in its WHERE: who was
taken over, or whose record has changed meanwhile, changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from django.db import router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Count, F, Min, Q, QuerySet, Value
from django.db.models.functions import Least
from django.db.models.lookups import In

from cronbell.drain.models import DrainState, Stage
from cronbell.errors import CronbellError

KEY_PREFIX = "cbd1-"  # the version of the key's derivation: a change of it must change this
MAX_ERROR = 2_000  # characters of a failure's text that are kept with the record

Records: TypeAlias = "QuerySet[Any]"
Qualifying: TypeAlias = Callable[[], Records]


class BacklogError(CronbellError):
    """A queryset that cannot be claimed from."""

    code = "drain-backlog"


@dataclass(frozen=True, slots=True)
class Hold:
    """The right to handle one version of one record, as long as nobody else has taken it over.

    Attributes:
        record: the application's row as it was when claimed.
        owner: the claim that took it.
        term: the how-manieth claim of this record that was.
        version: of what is to be handled.
        key: the idempotency key of this record's version, the same for every try.
    """

    record: Any
    owner: str
    term: int
    version: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """A backlog in numbers.

    Attributes:
        pending: records that qualify and are not held, whether due yet or not.
        in_progress: records held at the moment.
        dead: records set aside.
        oldest: since when the oldest of ``pending`` waits; None where there is none.
        inflow: records that joined within the last hour.
        outflow: records that were done or set aside within the last hour.
    """

    pending: int
    in_progress: int
    dead: int
    oldest: datetime | None
    inflow: int
    outflow: int

    @property
    def time_to_empty(self) -> timedelta | None:
        """How long until nothing is pending if it goes on like this; None where it never will."""
        if not self.pending:
            return timedelta(0)
        net = self.outflow - self.inflow
        return timedelta(hours=self.pending / net) if net > 0 else None


class _Among(In):
    """``IN (subquery)`` whose subquery PostgreSQL runs exactly once.

    As a plain IN it may become the inner side of a nested loop and, skipping the rows it locked
    before, give other rows each time: more than LIMIT says would be claimed.
    """

    def get_rhs_op(self, connection: BaseDatabaseWrapper, rhs: str) -> str:
        if connection.vendor == "postgresql":
            return f"= ANY(ARRAY{rhs})"
        return str(super().get_rhs_op(connection, rhs))


def claim(
    qualifying: Records, *, limit: int, owner: str, now: datetime, due: datetime, lease: float
) -> list[Hold]:
    """Take up to ``limit`` records, those due longest first, in one statement.

    The condition of ``qualifying`` is part of it, so that old records which do not qualify take
    nobody's place. On PostgreSQL rows that another claim is just taking are passed over; on SQLite
    the statement holds the write lock.

    Args:
        qualifying: which records may be handled; ``pending_records`` has checked it.
        limit: at least 1.
        owner: new for every claim.
        now: the wall time.
        due: only records available by then; a run gives its start, so that what it gives back
            it does not take again.
        lease: seconds until others may take over what is not settled.
    """
    alias = router.db_for_write(qualifying.model)
    chosen = due_records(qualifying.using(alias), now=now, due=due)
    everything = qualifying.model._meta.base_manager.using(alias)
    # Durable: within a transaction of the caller's a claim would be seen by nobody else.
    with transaction.atomic(using=alias, durable=True):
        picked = chosen.select_for_update(skip_locked=True, of=("self",)).values("pk")[:limit]
        taken = everything.filter(_Among(F("pk"), picked.query)).update(
            drain_owner=owner,
            drain_term=F("drain_term") + 1,
            drain_lease_expires_at=now + timedelta(seconds=lease),
        )
        rows = (
            list(everything.filter(drain_owner=owner).order_by("drain_available_at", "pk"))
            if taken
            else []
        )
    return [
        Hold(row, owner, row.drain_term, row.drain_version, idempotency_key(row)) for row in rows
    ]


def due_records(qualifying: Records, *, now: datetime, due: datetime) -> Records:
    """Return what a claim would take, in its order."""
    return qualifying.filter(_free(now), drain_available_at__lte=due).order_by(
        "drain_available_at", "pk"
    )


def idempotency_key(record: DrainState) -> str:
    """Return the key of this version of a record: 45 visible ASCII characters."""
    named = f"{record._meta.label_lower}\0{record.pk}\0{record.drain_version}"
    return KEY_PREFIX + hashlib.sha256(named.encode()).hexdigest()[:40]


def pending_records(qualifying: Qualifying) -> Records:
    """Ask the application which records qualify, and refuse what cannot be claimed from.

    Raises:
        BacklogError: the rows of the queryset are not rows of a ``DrainState`` table one by one.
    """
    records = qualifying()
    if not issubclass(records.model, DrainState):
        raise BacklogError(
            f"{records.model.__name__} cannot be drained",
            hint="derive it from cronbell.drain.models.DrainState and make migrations",
        )
    query = records.query
    if query.is_sliced or query.distinct or query.combinator or query.group_by is not None:
        raise BacklogError(
            f"the records of {records.model.__name__} to be drained are sliced, distinct, "
            "combined or grouped",
            hint="use plain filters; write a condition on another table with Exists(…)",
        )
    return records.order_by()


def intend(hold: Hold, qualifying: Records, *, now: datetime, lease: float) -> bool:
    """Write down that the record is about to be sent; False where it must not be.

    It must still be ours, of the version we hold, and qualify. From here the lease counts anew,
    and a record whose handling kills the process goes to the back instead of coming first again.
    """
    ends = now + timedelta(seconds=lease)
    changed = held(hold, qualifying.using(_home(hold))).update(
        drain_lease_expires_at=ends, drain_available_at=ends
    )
    return changed == 1


def intend_all(
    holds: Sequence[Hold], qualifying: Records, *, now: datetime, lease: float
) -> list[Hold]:
    """Do ``intend`` for many; return those that are to be sent, in their order.

    Call it in a transaction. Nearly always one statement: only where one of them may not be sent
    are they asked about one by one.
    """
    sendable: list[Hold] = []
    ends = now + timedelta(seconds=lease)
    for alike in _alike(holds):
        records = _held_all(alike, qualifying.using(_home(alike[0])))
        changed = records.update(drain_lease_expires_at=ends, drain_available_at=ends)
        if changed == len(alike):
            sendable += alike
        else:
            sendable += [hold for hold in alike if intend(hold, qualifying, now=now, lease=lease)]
    return sendable


def finish(hold: Hold, *, now: datetime) -> bool:
    """Settle a record as done; False, and nothing changed, where it is no longer ours."""
    return _settle(hold, **_done(now))


def finish_all(holds: Sequence[Hold], *, now: datetime) -> list[Hold]:
    """Do ``finish`` for many; return those that were still ours. Call it in a transaction."""
    finished: list[Hold] = []
    for alike in _alike(holds):
        everything = type(alike[0].record)._meta.base_manager.using(_home(alike[0])).all()
        changed = _held_all(alike, everything).update(
            drain_owner="", drain_lease_expires_at=None, **_done(now)
        )
        if changed == len(alike):
            finished += alike
            continue
        # What is done in our term was done by us: no other claim has the same.
        ours = everything.filter(
            pk__in=[hold.record.pk for hold in alike],
            drain_term=alike[0].term,
            drain_version=alike[0].version,
            drain_state=Stage.DONE.value,
        )
        kept = set(ours.values_list("pk", flat=True)) if changed else set()
        finished += [hold for hold in alike if hold.record.pk in kept]
    return finished


def fail(
    hold: Hold, *, error: str, now: datetime, wait: float, strikes: int | None
) -> tuple[bool, bool]:
    """Give a failed record back, or set it aside.

    Args:
        hold: the right to it.
        error: what went wrong.
        now: the wall time.
        wait: seconds before it may be claimed again.
        strikes: how many failures of its own set it aside; None where this is not one of them.

    Returns:
        Whether it was still ours; whether it was set aside.
    """
    values: dict[str, Any] = {
        "drain_error": error[:MAX_ERROR].replace("\x00", "\ufffd"),
        "drain_available_at": now + timedelta(seconds=wait),
    }
    dead = False
    if strikes is not None:
        # The row is ours until it is settled, so what was read with the claim still stands.
        failures = hold.record.drain_failures + 1
        dead = failures >= strikes
        values["drain_failures"] = failures
    if dead:
        values |= {"drain_state": Stage.DEAD.value, "drain_settled_at": now}
    return _settle(hold, **values), dead


def release(hold: Hold) -> bool:
    """Give back a record that was not sent; it keeps its place in the order."""
    return _settle(hold, drain_available_at=hold.record.drain_available_at)


def held(hold: Hold, records: Records) -> Records:
    """Return the record as long as it is still ours: the fence before every write."""
    return records.filter(
        pk=hold.record.pk,
        drain_owner=hold.owner,
        drain_term=hold.term,
        drain_version=hold.version,
        drain_state=Stage.PENDING.value,
    )


def mark_changed(records: Records, *, now: datetime) -> int:
    """Have records handled anew because they have changed: next version, new idempotency key.

    A call that is going on for the version before settles nothing.

    Returns:
        How many there were.
    """
    return _again(records, now, drain_version=F("drain_version") + 1, drain_entered_at=now)


def send_again(records: Records, *, now: datetime) -> int:
    """Have records that were set aside tried again, under the same key: they have not changed.

    Returns:
        How many of them were set aside.
    """
    return _again(records.filter(drain_state=Stage.DEAD.value), now)


def try_again(records: Records, *, now: datetime) -> int:
    """Have records that failed tried again at once, before what joined after them.

    Those set aside, and those that wait for another try; not those that are held. The key stays:
    they have not changed.

    Returns:
        How many of them that were.
    """
    return failed(records, now=now).update(
        **_afresh(now) | {"drain_available_at": Least(F("drain_entered_at"), Value(now))}
    )


def failed(records: Records, *, now: datetime) -> Records:
    """Return those of records that were set aside, or failed and wait for another try."""
    waiting = _free(now) & ~Q(drain_error="")
    return records.filter(Q(drain_state=Stage.DEAD.value) | waiting)


def mark_handled(records: Records, *, now: datetime) -> int:
    """Have records done whose effect is there though no drain settled them: it was killed before.

    For applications that can tell by themselves. What a drain holds at the moment is left to it.

    Returns:
        How many there were.
    """
    return records.filter(_free(now)).update(
        drain_state=Stage.DONE.value,
        drain_owner="",
        drain_lease_expires_at=None,
        drain_settled_at=now,
        drain_failures=0,
        drain_error="",
    )


def close_dead(records: Records, *, now: datetime) -> int:
    """Have records done that were set aside and that somebody has dealt with in another way.

    Returns:
        How many of them had been set aside.
    """
    return records.filter(drain_state=Stage.DEAD.value).update(
        drain_state=Stage.DONE.value, drain_settled_at=now, drain_failures=0, drain_error=""
    )


def backlog(qualifying: Qualifying, *, now: datetime) -> Backlog:
    """Count a backlog."""
    records = pending_records(qualifying)
    everything = records.model._meta.base_manager.using(records.db)
    # Distinct: a condition on another table may have given a record several rows.
    waiting = records.filter(_free(now)).aggregate(
        pending=Count("pk", distinct=True), oldest=Min("drain_entered_at")
    )
    hour_ago = now - timedelta(hours=1)
    # One count for each index: a single pass over all of them would read the whole table.
    return Backlog(
        **waiting,
        in_progress=everything.filter(_pending() & ~_lapsed(now)).count(),
        dead=everything.filter(drain_state=Stage.DEAD.value).count(),
        inflow=everything.filter(drain_entered_at__gt=hour_ago).count(),
        outflow=everything.filter(drain_settled_at__gt=hour_ago).count(),
    )


def glimpse(qualifying: Qualifying, *, now: datetime, most: int) -> Backlog:
    """Count a backlog as ``backlog`` does, but no number further than ``most`` + 1.

    Where more than ``most`` records are pending, ``oldest`` is that of those that are due first.
    """
    records = pending_records(qualifying)
    everything = records.model._meta.base_manager.using(records.db)
    # In the order of the claims' index, so that it can stop early; distinct as in ``backlog``.
    first = records.filter(_free(now)).order_by("drain_available_at").distinct()
    waiting = first.values("pk", "drain_entered_at", "drain_available_at")[: most + 1]
    hour_ago = now - timedelta(hours=1)

    def counted(condition: Q) -> int:
        number: int = everything.filter(condition).order_by().values("pk")[: most + 1].count()
        return number

    return Backlog(
        **waiting.aggregate(pending=Count("pk"), oldest=Min("drain_entered_at")),
        in_progress=counted(_pending() & ~_lapsed(now)),
        dead=counted(Q(drain_state=Stage.DEAD.value)),
        inflow=counted(Q(drain_entered_at__gt=hour_ago)),
        outflow=counted(Q(drain_settled_at__gt=hour_ago)),
    )


def waiting(qualifying: Qualifying, *, now: datetime, most: int) -> int:
    """Return how many records are pending and held by nobody, counted no further than ``most``."""
    records = pending_records(qualifying).filter(_free(now))
    first = records.order_by("drain_available_at").distinct().values("pk", "drain_available_at")
    return first[:most].count()


def _pending() -> Q:
    return Q(drain_state=Stage.PENDING.value)


def _lapsed(now: datetime) -> Q:
    return Q(drain_owner="") | Q(drain_lease_expires_at__lte=now)


def _free(now: datetime) -> Q:
    return _pending() & _lapsed(now)


def _home(hold: Hold) -> str:
    return router.db_for_write(type(hold.record), instance=hold.record)


def _alike(holds: Sequence[Hold]) -> list[list[Hold]]:
    """Put together what one statement can name: the same owner, term and version."""
    groups: dict[tuple[str, int, int], list[Hold]] = {}
    for hold in holds:
        groups.setdefault((hold.owner, hold.term, hold.version), []).append(hold)
    return list(groups.values())


def _held_all(alike: Sequence[Hold], records: Records) -> Records:
    """Return those of alike records that are still ours: the same fence as ``held``."""
    hold = alike[0]
    return records.filter(
        pk__in=[each.record.pk for each in alike],
        drain_owner=hold.owner,
        drain_term=hold.term,
        drain_version=hold.version,
        drain_state=Stage.PENDING.value,
    )


def _done(now: datetime) -> dict[str, Any]:
    return {
        "drain_state": Stage.DONE.value,
        "drain_settled_at": now,
        "drain_failures": 0,
        "drain_error": "",
    }


def _settle(hold: Hold, **values: Any) -> bool:
    rows = type(hold.record)._meta.base_manager.using(_home(hold))
    changed = held(hold, rows.all()).update(drain_owner="", drain_lease_expires_at=None, **values)
    return bool(changed == 1)


def _again(records: Records, now: datetime, **values: Any) -> int:
    return records.update(**_afresh(now), **values)


def _afresh(now: datetime) -> dict[str, Any]:
    return {
        "drain_state": Stage.PENDING.value,
        "drain_failures": 0,
        "drain_owner": "",
        "drain_lease_expires_at": None,
        "drain_available_at": now,
        "drain_settled_at": None,
        "drain_error": "",
    }
