"""The receipt store on Django's connection to the application's database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import DEFAULT_DB_ALIAS, Error, IntegrityError, close_old_connections, connections
from django.db import transaction as django_transaction
from django.db.models import QuerySet

from cronbell.endpoint import receipt as core
from cronbell.endpoint.receipts.models import Receipt
from cronbell.errors import StorageError
from cronbell.states import Status

# Two claims that both find no row to lock are told apart by the unique constraints; the loser
# decides again and then sees the winner's row.
CLAIM_TRIES = 5


class DjangoReceipts:
    """Receipts in one of Django's databases.

    SQLite's immediate transactions come from the settings (``transaction_mode``); elsewhere rows
    are locked with ``FOR UPDATE``.

    Args:
        using: the alias of the application's database.
    """

    transactional = True

    def __init__(self, using: str = DEFAULT_DB_ALIAS) -> None:
        self._using = using

    def claim(self, want: core.Want) -> core.Claim:
        """Decide and carry out, in one immediate transaction.

        Raises:
            StorageError: the database cannot be used.
        """
        with _explained():
            for left in reversed(range(CLAIM_TRIES)):
                try:
                    with django_transaction.atomic(using=self._using, durable=True):
                        return self._claim(want)
                except IntegrityError:
                    if not left:
                        raise
        raise AssertionError("unreachable: the last try returns or raises")

    def renew(self, hold: core.Hold, expires_at: datetime) -> bool:
        """Move the lease's end; False when the hold is no longer ours."""
        with _explained():
            return self._held(hold).update(lease_expires_at=expires_at) == 1

    def settle(self, hold: core.Hold, settlement: core.Settlement) -> bool:
        """Store the end; False, and nothing changed, when the hold is no longer ours."""
        with _explained():
            changed = self._held(hold).update(
                state=settlement.state.value,
                http_status=settlement.http_status,
                answer=settlement.answer,
                finished_at=settlement.finished_at,
                lease_expires_at=None,
            )
            return changed == 1

    def read(self, hold: core.Hold) -> core.Receipt | None:
        """Return the receipt as it is now."""
        with _explained():
            return _core(self._rows().filter(pk=hold.id).first())

    def prune(self, before: datetime, most: int) -> int:
        """Delete receipts that ended before an instant, at most so many; return how many."""
        with _explained():
            ended = self._rows().filter(finished_at__lt=before).exclude(state=Status.RUNNING.value)
            oldest = list(ended.order_by("finished_at").values_list("pk", flat=True)[:most])
            # Asked again in the DELETE: one of them may run again by now.
            return ended.filter(pk__in=oldest).delete()[0] if oldest else 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in one transaction; roll back if it raises."""
        with django_transaction.atomic(using=self._using, durable=True):
            yield

    @contextmanager
    def session(self) -> Iterator[None]:
        """Give a thread connections that work, and leave none behind."""
        close_old_connections()
        try:
            yield
        finally:
            connections.close_all()

    def _rows(self) -> QuerySet[Receipt]:
        return Receipt.objects.using(self._using)

    def _held(self, hold: core.Hold) -> QuerySet[Receipt]:
        return self._rows().filter(
            pk=hold.id, owner=hold.owner, term=hold.term, state=Status.RUNNING.value
        )

    def _claim(self, want: core.Want) -> core.Claim:
        lane = self._rows().filter(job=want.job, dry_run=want.dry_run)
        mine, running = lane.filter(key=want.key), lane.filter(state=Status.RUNNING.value)
        # One query, one order: two claims never wait for each other crosswise.
        rows = list((mine | running).select_for_update().order_by("pk"))
        own = next((row for row in rows if row.key == want.key), None)
        other = next((row for row in rows if row.key != want.key), None)
        plan = core.decide(want, _core(own), _core(other))
        if not isinstance(plan, core.Start):
            return plan
        hold = self._start(want, plan)
        # Only now: of calls that found no row to lock, one got past the constraints. Asked before,
        # the losers would hold threads as well, and turn away a call that is to run.
        if want.reserve():
            return hold
        django_transaction.set_rollback(True, using=self._using)
        return core.Full()

    def _start(self, want: core.Want, plan: core.Start) -> core.Hold:
        if dead := plan.abandoned:
            hold = core.Hold(dead.id, dead.owner, dead.term, dead.attempt)
            self._held(hold).update(
                state=Status.UNKNOWN.value, lease_expires_at=None, finished_at=want.now
            )
        values = {
            "state": Status.RUNNING.value,
            "attempt": plan.attempt,
            "owner": want.owner,
            "term": plan.term,
            "lease_expires_at": want.expires_at,
            "started_at": want.now,
            "finished_at": None,
            "http_status": None,
            "answer": "",
        }
        if plan.own is None:
            made = self._rows().create(
                job=want.job, dry_run=want.dry_run, key=want.key, created_at=want.now, **values
            )
            row_id = made.pk
        else:
            row_id = plan.own.id
            self._rows().filter(pk=row_id).update(**values)
        return core.Hold(row_id, want.owner, plan.term, plan.attempt)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except Error as error:
        raise StorageError(
            f"the receipts cannot be read or written: {error}",
            hint="check the application's database, and that its migrations have been run",
        ) from error


def _core(row: Receipt | None) -> core.Receipt | None:
    if row is None:
        return None
    return core.Receipt(
        id=row.pk,
        key=row.key,
        state=Status(row.state),
        attempt=row.attempt,
        owner=row.owner,
        term=row.term,
        lease_expires_at=row.lease_expires_at,
        http_status=row.http_status,
        answer=row.answer,
    )
