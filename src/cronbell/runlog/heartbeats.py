"""Pings to rows: each due fire of a heartbeat has one, whatever pings came and whoever was up.

A ping and the runner's look at the time are the same two steps in the same order: what is over is
recorded as over, then the ping is taken. So what the log says does not depend on when a runner
looked, or on whether there was one; all of it is in one transaction under the planners' lock.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from django.db import connections, transaction

from cronbell.clock import SYSTEM_CLOCK, Clock, from_micros, to_micros
from cronbell.domain import JobSpec, fire_key_at, request_key
from cronbell.runlog.jobs import spec_of
from cronbell.runlog.models import Job, Run
from cronbell.runlog.recorder import object_text, storable
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import (
    batches,
    changed,
    fetch,
    lock_planning,
    rows_parameter,
)
from cronbell.runlog.store import CURSOR_OWN, FinishRow, FireRow, RunStore
from cronbell.schedule import schedule_of
from cronbell.schedule.heartbeats import MICROS, Window, silent, window_at
from cronbell.states import Kind, Reason, Status

OWNER = "ping"
TERM = 1
# `curl -m 10 --retry 5` may ask again for so long where only the answer was lost.
REPEAT_SECONDS = 120
MOST_EXPIRED = 500
DETAILS = 300


class Signal(StrEnum):
    """What a ping says."""

    START = "start"
    SUCCESS = "success"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Ping:
    """One ping.

    Attributes:
        signal: what it says.
        exit_status: of the watched command, where it was given.
        text: what came along, at most 64 KB.
    """

    signal: Signal
    exit_status: int | None = None
    text: str = ""

    @property
    def status(self) -> Status:
        """The status of a run this ping is the last word on."""
        words = {Signal.START: Status.RUNNING, Signal.SUCCESS: Status.SUCCESS}
        return words.get(self.signal, Status.ERROR)


class _PingRow(NamedTuple):
    """A row as ``record_ping.sql`` takes it; instants in microseconds."""

    job_id: int
    cursor_read: int
    cursor_new: int
    key: str
    kind: str
    status: str
    reason: str
    reason_data: dict[str, Any]
    scheduled_at: int
    now: int
    finished_at: int | None
    deadline_at: int
    details: str
    body: str


def take(job_id: int, ping: Ping, clock: Clock = SYSTEM_CLOCK) -> int | None:
    """Record a ping.

    It ends the run that said it began; else it answers the fire in whose window it came; else it
    is a run of its own, beside the schedule. The same word again within two minutes is a client
    that asks again because an answer was lost, and changes nothing.

    Args:
        job_id: the heartbeat.
        ping: what it says.
        clock: what time it is; asked under the lock, so that rows and instants have one order.

    Returns:
        The run's id; None where the job is no heartbeat of the configuration (any more).
    """
    with transaction.atomic(using=ALIAS):
        lock_planning(connections[ALIAS])
        now = clock.micros()
        job = Job.objects.filter(pk=job_id, removed_at__isnull=True).first()
        if job is None or not job.spec.get("heartbeat"):
            return None
        spec = spec_of(job)
        expire(now)
        cursor = account(RunStore(OWNER), job, spec, now)
        return _take(job, spec, ping, now, cursor)


def expire(now: int) -> int:
    """End watched runs past their time; return how many."""
    return len(fetch(connections[ALIAS], "expire_pings", [OWNER, now, MOST_EXPIRED]))


def look(store: RunStore, job_ids: Sequence[int], now: int) -> dict[int, int]:
    """Record fires whose window closed without a ping; the runner's step, in its transaction.

    Args:
        store: the runner's.
        job_ids: heartbeats, a bounded number.
        now: microseconds.

    Returns:
        The cursors of those that still are heartbeats.
    """
    lock_planning(connections[ALIAS])
    jobs = Job.objects.filter(pk__in=job_ids, removed_at__isnull=True, enabled=True)
    return {
        job.pk: account(store, job, spec_of(job), now) for job in jobs if job.spec.get("heartbeat")
    }


def account(store: RunStore, job: Job, spec: JobSpec, now: int) -> int:
    """Record what no ping can answer any more; return the job's cursor in microseconds."""
    cursor = to_micros(job.cursor_at)
    if not spec.enabled:
        return cursor
    over = silent(schedule_of(spec), cursor, now, spec.grace)
    if over is None:
        return cursor
    last = over.noticed[-1] if over.noticed else over.last
    assert last is not None  # noqa: S101 - one of the two is there
    row = FireRow(
        job_id=job.pk, cursor_read=cursor, cursor_new=last * MICROS, key="", scheduled_at=0,
        status=Status.MISSED.value, reason=Reason.NO_PING.value, deadline_at=0,
        missed_first_at=None, missed_count=0, available_at=0, overlap=spec.overlap, ahead=0,
        at_most_once=False,
    )  # fmt: skip
    rows = []
    if over.first is not None and over.last is not None:
        rows.append(
            _at(row, spec, over.last)._replace(
                reason=Reason.UNWATCHED.value,
                missed_first_at=over.first * MICROS,
                missed_count=over.unwatched,
            )
        )
    for fire in over.noticed:
        paused = job.paused_at is not None and to_micros(job.paused_at) <= fire * MICROS
        status = Status.SKIPPED if paused else Status.MISSED
        rows.append(_at(row, spec, fire)._replace(status=status.value))
    store.record_fires(rows, now)
    return last * MICROS


def _at(row: FireRow, spec: JobSpec, fire: int) -> FireRow:
    at = fire * MICROS
    return row._replace(key=_key(spec, fire), scheduled_at=at, deadline_at=at, available_at=at)


def _key(spec: JobSpec, fire: int) -> str:
    return fire_key_at(key_target(spec), spec.schedule, fire)


def key_target(spec: JobSpec) -> str:
    """Return what the keys of a heartbeat's fires are made of, beside schedule and instant.

    It has no path; its name tells it from others with the same schedule.
    """
    return f"heartbeat:{spec.name}"


def _take(job: Job, spec: JobSpec, ping: Ping, now: int, cursor: int) -> int:
    own = Run.objects.filter(job=job, lease_owner=OWNER).order_by("-id")
    going = own.filter(status=Status.RUNNING.value).first()
    if ping.signal is not Signal.START and going is not None:
        _end(going, ping, now)
        return going.pk
    window = window_at(schedule_of(spec), now, spec.grace) if spec.enabled else None
    if window is not None and window.fire > cursor:
        found = _insert(_row(job, spec, ping, window, now=now, cursor=cursor))
        if found is not None:
            return found
        # The fire has its row though the cursor is behind: its schedule was taken away and back.
    last = own.first()
    if last is not None and _says_the_same(last, ping, now):
        return last.pk
    found = _insert(_row(job, spec, ping, None, now=now, cursor=cursor))
    assert found is not None  # noqa: S101 - its key is new and the cursor is under our lock
    return found


def _says_the_same(run: Run, ping: Ping, now: int) -> bool:
    said_at = run.finished_at or run.started_at
    return (
        run.status == ping.status.value
        and run.reason_data.get("exit_status") == ping.exit_status
        and said_at is not None
        and now - to_micros(said_at) <= REPEAT_SECONDS * MICROS
    )


def _row(
    job: Job, spec: JobSpec, ping: Ping, window: Window | None, *, now: int, cursor: int
) -> _PingRow:
    if window is None:
        key = request_key(Kind.CALL, job.name, secrets.token_hex(16))
        kind, due, cursor_new = Kind.CALL, now, cursor
    else:
        key = _key(spec, window.fire // MICROS)
        kind, due, cursor_new = Kind.SCHEDULE, window.fire, window.fire
    late = window is not None and window.is_late(now)
    reason, data = _why(ping, late_by=now - due if late else 0)
    return _PingRow(
        job.pk, cursor, cursor_new, key, kind.value, ping.status.value, reason, data, due, now,
        None if ping.signal is Signal.START else now,
        now + int(spec.timeout * MICROS), _first_line(ping.text), ping.text,
    )  # fmt: skip


def _why(ping: Ping, *, late_by: int) -> tuple[str, dict[str, Any]]:
    data: dict[str, Any] = {"seconds": late_by // MICROS} if late_by else {}
    if ping.exit_status is not None:
        data["exit_status"] = ping.exit_status
    if ping.signal is Signal.FAIL:
        return Reason.REPORTED_FAILURE.value, data
    return (Reason.LATE.value if late_by else ""), data


def _insert(row: _PingRow) -> int | None:
    connection = connections[ALIAS]
    found = fetch(connection, "record_ping", [OWNER, rows_parameter([row])])
    if row.cursor_new != row.cursor_read:
        moved = (row.job_id, row.cursor_read, row.cursor_new)
        for batch in batches(connection, [moved], CURSOR_OWN):
            changed(connection, "advance_cursors", batch)
    return found[0][0] if found else None


def _end(run: Run, ping: Ping, now: int) -> None:
    started = to_micros(run.started_at or from_micros(now))
    late_by = int(run.reason_data.get("seconds", 0)) * MICROS
    reason, data = _why(ping, late_by=late_by)
    text = ping.text or run.body
    RunStore(OWNER).finish(
        [
            FinishRow(
                id=run.pk, term=TERM, status=ping.status.value, reason=reason,
                reason_data=object_text(data),
                http_status=None, started_at=started,
                # A wall clock that is set back must not end a run before it began.
                finished_at=max(now, started), details=_first_line(text), body=text,
                items_total=0, items_failed=0,
            )
        ],
        [],
    )  # fmt: skip


def _first_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= DETAILS else f"{line[:DETAILS]}…"


def readable(body: bytes) -> str:
    """Return what came with a ping as text both stores can hold; at most its first 64 KB."""
    text: str = storable(body.decode("utf-8", "replace"))
    return text
