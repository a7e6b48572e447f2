"""How an endpoint's own calls get into the run log, once, whoever made them.

A call that a runner sent has its row already; one that Vercel or curl made gets a row here, under
a lease that the endpoint's process keeps, so that a process that dies leaves no run going on.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from django.conf import settings
from django.db import connections, transaction
from django.db.models import Q
from django.utils import translation

from cronbell.clock import SYSTEM_CLOCK, Clock, to_micros
from cronbell.domain import Item, Outcome
from cronbell.endpoint.recorder import Call, RunRef
from cronbell.runlog.lease_time import LeaseTime, lease_time_for
from cronbell.runlog.models import Job, LogLine, Run
from cronbell.runlog.reasons import explain
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import fetch
from cronbell.runlog.store import FinishRow, ItemRow, RunStore
from cronbell.states import Kind, Status

LEASE_SECONDS = 30
MAX_LOG_LINES = 1000
MAX_MESSAGE = 10_000
LONGEST_RECORD_ID = 255  # what the column takes: PostgreSQL would refuse the whole run's items
# A call nobody planned has no deadline of its own; the endpoint's max_duration ends it.
CALL_DEADLINE_SECONDS = 24 * 3600
FIRST_TERM = 1


@dataclass(slots=True)
class _Spent:
    lines: int = 0


class RunLogRecorder:
    """Writes an endpoint's calls, progress and log lines to the run log.

    Args:
        clock: what time it is.
        lease_time: judges leases; the store's clock unless ``clock`` is a made-up one.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK, *, lease_time: LeaseTime | None = None) -> None:
        self.clock = clock
        self.lease_time = lease_time or lease_time_for(clock)
        self.store = RunStore(
            f"endpoint:{socket.gethostname()[:20]}:{os.getpid()}:{secrets.token_hex(6)}"
        )
        self._spent: dict[int, _Spent] = {}
        self._terms: dict[int, int] = {}

    def open(self, call: Call) -> RunRef | None:
        """Find the run's row, or make it where no runner has.

        Returns:
            The row, and whether this process made it and must end it; None where the job is not
            in the run log (a service without a runner that has never read its configuration).
        """
        key = call.run_id or call.key
        found = Run.objects.filter(key=key).values_list("id", flat=True).first()
        if found is not None:
            return RunRef(id=found, owned=self._adopt(found))
        job = _job_of(call, self.clock)
        now = to_micros(call.started_at)
        scheduled = to_micros(call.scheduled_at) if call.scheduled_at else now
        with transaction.atomic(using=ALIAS):
            rows = fetch(
                connections[ALIAS],
                "open_call",
                [
                    key, call.kind.value, call.dry_run, scheduled, now, now, now,
                    now + CALL_DEADLINE_SECONDS * 1_000_000, self.store.owner,
                    self._lease_end(),
                    json.dumps(dict(call.parameters)) if call.parameters else None,
                    job.pk,
                ],
            )  # fmt: skip
        if rows:
            return RunRef(id=rows[0][0], owned=True)
        return self._existing(call, job, key)

    def renew(self, ref: RunRef) -> None:
        """Keep the lease of a run this process must end."""
        if ref.owned:
            Run.objects.filter(
                pk=ref.id, status=Status.RUNNING.value, lease_owner=self.store.owner
            ).update(lease_expires_at=self._lease_end())

    def stop_wanted(self, ref: RunRef) -> bool:
        """Say whether a person cancelled the run, or the next fire took its place."""
        cancelled = Q(cancel_requested_at__isnull=False) | Q(status=Status.CANCELLED.value)
        return Run.objects.filter(cancelled, pk=ref.id).exists()

    def progress(self, ref: RunRef, done: int, total: int | None) -> None:
        """Show how far the job is."""
        Run.objects.filter(pk=ref.id, status=Status.RUNNING.value).update(
            progress_done=max(done, 0), progress_total=total
        )

    def log(self, ref: RunRef, message: str) -> None:
        """Keep a line the job wrote; the first thousand of a run."""
        spent = self._spent.setdefault(ref.id, _Spent())
        spent.lines += 1
        if spent.lines <= MAX_LOG_LINES:
            text = storable(message)[:MAX_MESSAGE]
            LogLine.objects.create(run_id=ref.id, at=self.clock.now(), message=text)

    def close(self, ref: RunRef, outcome: Outcome) -> None:
        """End a run this process made."""
        self._spent.pop(ref.id, None)
        if not ref.owned:
            return
        started = Run.objects.values_list("started_at", flat=True).get(pk=ref.id)
        now = self.clock.micros()
        reason = outcome.reason
        row = FinishRow(
            id=ref.id,
            term=self._terms.pop(ref.id, FIRST_TERM),
            started_at=to_micros(started) if started else now,
            finished_at=now,
            status=outcome.status.value,
            reason=reason.value if reason else "",
            reason_data=object_text(outcome.reason_data),
            http_status=outcome.http_status,
            details=details_of(outcome),
            body=outcome.body,
            items_total=len(outcome.items),
            items_failed=sum(not item.ok for item in outcome.items),
        )
        with self.store.transaction():
            self.store.finish([row], item_rows(ref.id, outcome.items))

    def _existing(self, call: Call, job: Job, key: str) -> RunRef | None:
        # Somebody recorded the same key or the same fire between our look and our insert, or a
        # runner's row for that fire has another key (its expression was changed meanwhile).
        same = Q(key=key)
        if call.kind is Kind.SCHEDULE and call.scheduled_at:
            same |= Q(job=job, kind=Kind.SCHEDULE.value, scheduled_at=call.scheduled_at)
        found = Run.objects.filter(same).values_list("id", flat=True).first()
        return None if found is None else RunRef(id=found, owned=False)

    def _adopt(self, run_id: int) -> bool:
        """Take over a call whose process died, when the same call comes again before a rescue.

        Whether it died is told by its receipt: the receipt's lease let this process in.
        """
        with transaction.atomic(using=ALIAS):
            taken = fetch(
                connections[ALIAS],
                "adopt_call",
                [self.store.owner, self._lease_end(), run_id, self.store.owner],
            )
        for _, term in taken:
            self._terms[run_id] = term
        return bool(taken)

    def _lease_end(self) -> int:
        ahead = self.lease_time.ahead(self.clock)
        return self.clock.micros() + ahead + LEASE_SECONDS * 1_000_000


def _job_of(call: Call, clock: Clock) -> Job:
    """Return the configured job this call belongs to, or one that stands for its endpoint."""
    path = call.path.partition("?")[0]
    candidates = Job.objects.filter(Q(path=call.path) | Q(path=path), removed_at__isnull=True)
    if call.schedule:
        exact = candidates.filter(schedule=call.schedule).first()
        if exact is not None:
            return exact
    job = candidates.order_by("id").first()
    if job is not None:
        return job
    now = clock.now()
    # Not configured anywhere this run log knows (Vercel alone calls it): keep its runs all the
    # same, under the endpoint's own name, as a job that has no schedule here.
    job, _ = Job.objects.get_or_create(
        name=call.job,
        defaults={
            "path": path, "dialect": "vercel", "enabled": False, "spec": {},
            "cursor_at": now, "created_at": now, "removed_at": now,
        },
    )  # fmt: skip
    return job


def details_of(outcome: Outcome) -> str:
    """Return the line a log shows for an outcome: the endpoint's own words, or why it ended so."""
    if outcome.message or outcome.reason is None:
        return outcome.message
    # The log is kept in the service's language, whatever the language of the caller.
    with translation.override(settings.LANGUAGE_CODE):
        return explain(outcome.reason.value, outcome.reason_data)


def object_text(data: Mapping[str, Any]) -> str:
    """Encode a reason's data as text, which unlike a dict can be grouped by."""
    return msgspec.json.encode(data).decode() if data else "{}"


def item_rows(run_id: int, items: Sequence[Item]) -> list[ItemRow]:
    """Return the rows of a run's items."""
    return [
        ItemRow(
            run_id,
            storable(item.record_id)[:LONGEST_RECORD_ID],
            item.ok,
            item.status,
            storable(item.error),
            storable(item.body),
            item.attempts,
            item.microseconds,
            item.tokens,
            item.micromoney,
        )
        for item in items
    ]


def storable(value: Any) -> Any:
    """Return a JSON value that both stores can hold: PostgreSQL refuses NUL and lone surrogates."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, list | tuple):
        return [storable(each) for each in value]
    if isinstance(value, dict):
        return {storable(str(name)): storable(each) for name, each in value.items()}
    return value
