"""Daily roll-ups: what runs add up to, by job, day in UTC and status; kept up by the runners.

A run is counted once, after it has ended: an ended row never changes, so a count never has to be
taken back. A cursor goes over the runs' ids; those that still go on when it passes are put on a
list and counted when they end. Cursor, list and counts change in one transaction, under a lock on
the cursor's row, so that any number of runners may do it. A run counts for the day it was due, so
one that ends late, or is backfilled, changes an old day.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections

from cronbell.clock import from_micros, to_micros
from cronbell.runlog import log_counts, totals
from cronbell.runlog.histogram import bucket
from cronbell.runlog.log_counts import EVER
from cronbell.runlog.models import DailyRollup, RollupCursor, RollupLeft, Run
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import fetch, rows_parameter
from cronbell.runlog.totals import COLUMNS, CURSOR, Row
from cronbell.states import Kind

DAY = 86_400 * 1_000_000
# Runs a step: so many that the run log is locked for a few milliseconds.
CHUNK = 200
# How often a reader tries to see roll-ups and rows of the same moment.
TRIES = 5

COUNTED = [
    "runs", "items_total", "items_failed", "timed", "duration_sum", "duration_min", "duration_max",
    "awaited", "lateness_sum", "lateness_max", "durations", "latenesses",
]  # fmt: skip

# Transactions of others that may have inserted a run and not ended yet. An id is taken under this
# lock, so whoever took a smaller id than one that is seen committed is in this list, or is over.
_WRITERS = """
SELECT locks.virtualtransaction
FROM pg_locks AS locks
WHERE locks.locktype = 'relation' AND locks.mode = 'RowExclusiveLock' AND locks.granted
  AND locks.relation = CAST('runlog_run' AS regclass)
  AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND locks.pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Days:
    """What a job's days add up to.

    Attributes:
        rollups: those of the days asked for, with what is not rolled up yet added.
        complete: whether everything was; if not, the oldest of what is not rolled up is left out.
    """

    rollups: Sequence[DailyRollup]
    complete: bool


class Roller:
    """Rolls up, a bounded step at a time. One for each runner; the run log decides between them.

    Args:
        note: told of the runs of each step, which have ended; each run is told of once.
    """

    def __init__(self, note: Callable[[Sequence[Row]], None] = lambda _rows: None) -> None:
        self._note = note
        self._settled = 0
        self._waiting: tuple[int, frozenset[str]] | None = None
        self._looked_at = 0

    def step(self, now: int = EVER) -> bool:
        """Count what has ended, at most ``CHUNK`` new runs and ``CHUNK`` of those left.

        To be called inside a transaction of the run log.

        Args:
            now: microseconds. A run that has not begun by then was recorded early and may be taken
                back: it is not passed.

        Returns:
            Whether there may be more to do.
        """
        cursors = RollupCursor.objects.select_for_update()
        cursor, _ = cursors.get_or_create(pk=CURSOR)
        connection = connections[ALIAS]
        limits = [cursor.upto, self._settle(), CHUNK]
        found = [Row(*row) for row in fetch(connection, "rollup_new", limits)]
        new = list(itertools.takewhile(lambda row: not _is_early(row, now), found))
        left = RollupLeft.objects.filter(run_id__gt=self._looked_at).order_by("run_id")
        looked_at = list(left.values_list("run_id", flat=True)[:CHUNK])
        ended = self._ended(looked_at)
        going = [RollupLeft(run_id=row.id, job_id=row.job_id) for row in new if not row.finished_at]
        over = [row for row in new if row.finished_at] + ended
        add(over)
        totals.add(over)
        log_counts.count(
            log_counts.Counted(row.id, row.job_id, row.status, row.started_at or row.scheduled_at)
            for row in over
        )
        self._note(over)
        RollupLeft.objects.bulk_create(going)
        if ended:
            RollupLeft.objects.filter(run_id__in=[row.id for row in ended]).delete()
        if new or ended:
            cursor.upto = new[-1].id if new else cursor.upto
            cursor.version += 1
            cursor.save()
        more_left = len(looked_at) == CHUNK
        self._looked_at = looked_at[-1] if more_left else 0
        return len(new) == CHUNK or more_left

    def _ended(self, ids: Sequence[int]) -> list[Row]:
        if not ids:
            return []
        parameter = rows_parameter([[each] for each in ids])
        return [Row(*row) for row in fetch(connections[ALIAS], "rollup_ended", [parameter])]

    def _settle(self) -> int:
        """Return an id up to which no further run can appear.

        On SQLite that is the newest. On PostgreSQL a run with a smaller id may be committed after
        one with a larger: whoever was writing when the newest was read is waited for.
        """
        if connections[ALIAS].vendor != "postgresql":
            return _newest()
        newest = _newest() if self._waiting is None else self._waiting[0]
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(_WRITERS)
            writing = frozenset(row[0] for row in cursor.fetchall())
        pending = writing if self._waiting is None else writing & self._waiting[1]
        if pending:
            self._waiting = (newest, pending)
        else:
            self._waiting = None
            self._settled = newest
        return self._settled


def _is_early(row: Row, now: int) -> bool:
    return row.finished_at is None and row.started_at is not None and row.started_at > now


def add(rows: Iterable[Row]) -> None:
    """Count ended runs; to be called inside a transaction that holds the cursor."""
    tallies = tally(rows, {})
    if not tallies:
        return
    known = DailyRollup.objects.filter(
        job_id__in={key[0] for key in tallies}, day__in={key[1] for key in tallies}
    )
    for kept in known:
        fresh = tallies.get((kept.job_id, to_micros(kept.day), kept.status))
        if fresh is not None:
            _merge(fresh, kept)
    DailyRollup.objects.bulk_create(
        tallies.values(),
        update_conflicts=True,
        unique_fields=["job", "day", "status"],
        update_fields=COUNTED,
    )


def tally(
    rows: Iterable[Row], into: dict[tuple[int, int, str], DailyRollup]
) -> dict[tuple[int, int, str], DailyRollup]:
    """Add runs to the roll-ups of their days, by (job, first microsecond of the day, status)."""
    for row in rows:
        if row.dry_run:
            continue
        day = row.scheduled_at - row.scheduled_at % DAY
        key = (row.job_id, day, row.status)
        if key not in into:
            into[key] = DailyRollup(job_id=row.job_id, day=from_micros(day), status=row.status)
        _count(into[key], row)
    return into


def days_of(job_id: int, since: int, most: int) -> Days:
    """Return what a job's days from an instant on add up to.

    Args:
        job_id: the job.
        since: the first instant of the first day, microseconds.
        most: how many runs that are not rolled up yet are looked at.
    """
    for _ in range(TRIES):
        before = RollupCursor.objects.filter(pk=CURSOR).first()
        kept = list(DailyRollup.objects.filter(job_id=job_id, day__gte=since))
        fresh = _not_rolled_up(job_id, before.upto if before else 0, most + 1)
        after = RollupCursor.objects.filter(pk=CURSOR).first()
        if (before and before.version) == (after and after.version):
            break
    by_key = {(each.job_id, to_micros(each.day), each.status): each for each in kept}
    for each in kept:
        each.durations, each.latenesses = _numbered(each.durations), _numbered(each.latenesses)
    within = [row for row in fresh[:most] if row.scheduled_at >= since]
    return Days(list(tally(within, by_key).values()), complete=len(fresh) <= most)


def _not_rolled_up(job_id: int, upto: int, most: int) -> list[Row]:
    ended = Run.objects.filter(job_id=job_id, finished_at__isnull=False, dry_run=False)
    left = RollupLeft.objects.filter(job_id=job_id).order_by("-run_id").values("run_id")
    rows = [
        *ended.filter(id__gt=upto).order_by("-id").values_list(*COLUMNS)[:most],
        *ended.filter(id__in=list(left.values_list("run_id", flat=True)[:most])).values_list(
            *COLUMNS
        ),
    ]
    return [Row(*map(_plain, row)) for row in rows[:most]]


def _plain(value: Any) -> Any:
    return to_micros(value) if isinstance(value, datetime) else value


def _newest() -> int:
    return Run.objects.order_by("-id").values_list("id", flat=True).first() or 0


def _count(into: DailyRollup, row: Row) -> None:
    into.runs += 1
    into.items_total += row.items_total
    into.items_failed += row.items_failed
    if row.started_at is None or row.finished_at is None:
        return
    took = row.finished_at - row.started_at
    into.timed += 1
    into.duration_sum += took
    into.duration_min = took if into.duration_min is None else min(into.duration_min, took)
    into.duration_max = took if into.duration_max is None else max(into.duration_max, took)
    into.durations[bucket(took)] = into.durations.get(bucket(took), 0) + 1
    if row.kind != Kind.SCHEDULE:
        return
    late = row.started_at - row.scheduled_at
    into.awaited += 1
    into.lateness_sum += late
    into.lateness_max = late if into.lateness_max is None else max(into.lateness_max, late)
    into.latenesses[bucket(late)] = into.latenesses.get(bucket(late), 0) + 1


def _merge(into: DailyRollup, other: DailyRollup) -> None:
    for name in ("runs", "items_total", "items_failed", "timed", "duration_sum", "awaited",
                 "lateness_sum"):  # fmt: skip
        setattr(into, name, getattr(into, name) + getattr(other, name))
    into.duration_min = _either(min, into.duration_min, other.duration_min)
    into.duration_max = _either(max, into.duration_max, other.duration_max)
    into.lateness_max = _either(max, into.lateness_max, other.lateness_max)
    into.durations = merged(into.durations, _numbered(other.durations))
    into.latenesses = merged(into.latenesses, _numbered(other.latenesses))


def merged(one: dict[int, int], other: dict[int, int]) -> dict[int, int]:
    """Return the counts of both."""
    return {key: one.get(key, 0) + other.get(key, 0) for key in sorted({*one, *other})}


def _numbered(counts: dict[str, int]) -> dict[int, int]:
    # JSON has texts for keys.
    return {int(key): count for key, count in counts.items()}


def _either(choose: Callable[[list[int]], int], one: int | None, other: int | None) -> int | None:
    known = [value for value in (one, other) if value is not None]
    return choose(known) if known else None
