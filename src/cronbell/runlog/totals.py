"""What runs add up to since there is a run log, by job and status, and of all jobs together.

Counters for monitoring: they only grow, and retention takes nothing away. They are kept by the
step that rolls up days, in its transaction and under its lock, so that each run is in both once.
What is not rolled up yet is added when they are read, so they are right without a runner too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connections

from cronbell.clock import to_micros
from cronbell.runlog.counters import RunTotal
from cronbell.runlog.histogram import bucket
from cronbell.runlog.models import RollupCursor, RollupLeft, Run
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import execute, rows_parameter
from cronbell.states import Kind

ALL_JOBS = 0
CURSOR = 1
# How many runs that are not rolled up are added; a runner leaves a few thousand behind at most.
MOST_FRESH = 10_000
# How often a reader tries to see totals and rows of the same moment.
TRIES = 5

COLUMNS = [
    "id", "job_id", "status", "kind", "dry_run", "scheduled_at", "started_at", "finished_at",
    "items_total", "items_failed", "attempt",
]  # fmt: skip


class Row(NamedTuple):
    """A run as it is counted; instants in microseconds."""

    id: int
    job_id: int
    status: str
    kind: str
    dry_run: bool
    scheduled_at: int
    started_at: int | None
    finished_at: int | None
    items_total: int
    items_failed: int
    attempt: int


@dataclass(slots=True)
class Total:
    """What some runs of one status add up to. Lengths of time are microseconds.

    Attributes:
        runs: how many.
        retries: attempts after the first.
        items_total: records they handled.
        items_failed: those of them that failed.
        timed: runs that started and ended.
        duration_sum: how long those took.
        awaited: runs of a schedule that started.
        lateness_sum: how late those began.
        durations: how many by bucket of ``histogram``.
        latenesses: likewise.
    """

    runs: int = 0
    retries: int = 0
    items_total: int = 0
    items_failed: int = 0
    timed: int = 0
    duration_sum: int = 0
    awaited: int = 0
    lateness_sum: int = 0
    durations: dict[int, int] = field(default_factory=dict)
    latenesses: dict[int, int] = field(default_factory=dict)

    def count(self, row: Row) -> None:
        """Add one run that has ended."""
        self.runs += 1
        self.retries += max(0, row.attempt - 1)
        self.items_total += row.items_total
        self.items_failed += row.items_failed
        if row.started_at is None or row.finished_at is None:
            return
        took = row.finished_at - row.started_at
        self.timed += 1
        self.duration_sum += took
        _one_more(self.durations, bucket(took))
        if row.kind == Kind.SCHEDULE:
            late = row.started_at - row.scheduled_at
            self.awaited += 1
            self.lateness_sum += late
            _one_more(self.latenesses, bucket(late))

    def add(self, other: Total) -> None:
        """Add what others add up to."""
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        _add_counts(self.durations, other.durations)
        _add_counts(self.latenesses, other.latenesses)


SUMS = (
    "runs", "retries", "items_total", "items_failed", "timed", "duration_sum", "awaited",
    "lateness_sum",
)  # fmt: skip
Totals = dict[tuple[int, str], Total]


@dataclass(frozen=True, slots=True)
class Everything:
    """The totals at one moment.

    Attributes:
        totals: by job (``ALL_JOBS`` for all together) and status.
        left_out: there are more runs that are not rolled up than were added.
    """

    totals: Totals
    left_out: bool


def tally(rows: Iterable[Row]) -> Totals:
    """Count ended runs, each for its job and for all; dry runs are left out."""
    found: Totals = {}
    for row in rows:
        if not row.dry_run:
            for job in (row.job_id, ALL_JOBS):
                found.setdefault((job, row.status), Total()).count(row)
    return found


def add(rows: Iterable[Row]) -> None:
    """Count ended runs; to be called inside a transaction that holds the roll-ups' cursor."""
    fresh = tally(rows)
    if not fresh:
        return
    known = _read({job for job, _ in fresh})
    written = []
    for (job, status), total in fresh.items():
        kept = known.get((job, status), Total())
        _add_counts(kept.durations, total.durations)
        _add_counts(kept.latenesses, total.latenesses)
        sums = [getattr(total, name) for name in SUMS]
        written.append((job, status, *sums, kept.durations, kept.latenesses))
    execute(connections[ALIAS], "add_totals", [rows_parameter(written)])


def totals_of(jobs: Sequence[int]) -> Everything:
    """Return what runs add up to: those of some jobs, and of all jobs together."""
    wanted = {ALL_JOBS, *jobs}
    for _ in range(TRIES):
        before = RollupCursor.objects.filter(pk=CURSOR).first()
        totals = _read(wanted)
        fresh = _not_rolled_up(before.upto if before else 0)
        after = RollupCursor.objects.filter(pk=CURSOR).first()
        if (before and before.version) == (after and after.version):
            break
    for key, total in tally(fresh[:MOST_FRESH]).items():
        if key[0] in wanted:
            totals.setdefault(key, Total()).add(total)
    return Everything(totals, left_out=len(fresh) > MOST_FRESH)


def _read(jobs: set[int]) -> Totals:
    rows = RunTotal.objects.filter(job_number__in=jobs)
    return {
        (row.job_number, row.status): Total(
            **{name: getattr(row, name) for name in SUMS},
            durations=_numbered(row.durations),
            latenesses=_numbered(row.latenesses),
        )
        for row in rows
    }


def _not_rolled_up(upto: int) -> list[Row]:
    ended = Run.objects.filter(finished_at__isnull=False, dry_run=False)
    # The smallest numbers first: what is left out now was left out before, so counters only grow.
    left = RollupLeft.objects.order_by("run_id").values("run_id")[: MOST_FRESH + 1]
    rows = [
        *ended.filter(id__in=left).order_by("id").values_list(*COLUMNS),
        *ended.filter(id__gt=upto).order_by("id").values_list(*COLUMNS)[: MOST_FRESH + 1],
    ]
    return [Row(*map(_plain, row)) for row in rows]


def _plain(value: Any) -> Any:
    return to_micros(value) if isinstance(value, datetime) else value


def _one_more(counts: dict[int, int], number: int) -> None:
    counts[number] = counts.get(number, 0) + 1


def _add_counts(into: dict[int, int], other: Mapping[int, int]) -> None:
    for number, count in other.items():
        into[number] = into.get(number, 0) + count


def _numbered(counts: Mapping[str, int]) -> dict[int, int]:
    # JSON has texts for keys.
    return {int(key): count for key, count in counts.items()}
