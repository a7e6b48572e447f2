"""Retention: removes runs that are older than their status is kept, a bounded piece at a time.

Removed is only what has ended and is rolled up. A job's newest runs stay, and so does its newest
run of each status: how a job stands is read from them. A fire's row stays as long as its job's
cursor has not gone past it, and the newest one always, so that a fire is refused a second row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from django.db import connections
from django.db.models import F

from cronbell.clock import Clock
from cronbell.config.retention import Retention
from cronbell.runlog import log_counts
from cronbell.runlog.log_counts import Counted
from cronbell.runlog.models import Attempt, DailyRollup, Item, LogLine, RollupCursor
from cronbell.runlog.rollups import DAY
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import fetch, rows_parameter
from cronbell.runlog.totals import CURSOR
from cronbell.states import Status

MICROS = 1_000_000
# A step ends after so many rows of all tables, or so long, whichever comes first.
MOST_ROWS = 500
MOST_SECONDS = 0.005
# Runs removed by one statement; between two the time is looked at.
CHUNK = 50
# Among so many of the oldest runs of a job and status those to remove are looked for.
LOOKED_AT = 200
# Jobs looked at by one statement: a few milliseconds, where none has anything to remove.
JOBS = 500


class Pruner:
    """Goes over the jobs that have runs, one piece after another.

    Args:
        clock: what time it is, and how long a step has taken.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._job = 0
        self._rows = 0
        self._until = 0.0

    def step(self, retention: Retention) -> bool:
        """Remove some runs; to be called inside a transaction of the run log.

        Returns:
            Whether there is more to do; if not, the next step begins with the first job again.
        """
        self._rows = MOST_ROWS
        self._until = self.clock.monotonic() + MOST_SECONDS
        now = self.clock.micros()
        # Whoever counts holds it: totals are changed by one at a time.
        cursor = RollupCursor.objects.select_for_update().filter(pk=CURSOR).first()
        if cursor is None:
            return False
        asked = [self._job, JOBS, retention.newest]
        jobs = fetch(connections[ALIAS], "prune_jobs", asked)
        for job_id, enough in jobs:
            if enough and not self._prune(job_id, retention, now, cursor.upto):
                return True
            self._job = job_id
            if enough and self._spent():
                return True
        if len(jobs) == JOBS:
            return True
        self._job = 0
        return False

    def _spent(self) -> bool:
        return self._rows <= 0 or self.clock.monotonic() >= self._until

    def _prune(self, job_id: int, retention: Retention, now: int, upto: int) -> bool:
        """Remove what there is of one job; say whether nothing is left to remove."""
        connection = connections[ALIAS]
        bounds = fetch(connection, "prune_bounds", [job_id, retention.newest - 1, job_id])
        if not bounds:
            return True
        newest_kept, cursor_at, last_fire = bounds[0]
        fires_from = cursor_at if last_fire is None else min(cursor_at, last_fire)
        rolled_up = min(upto, newest_kept - 1)
        for status, age in retention.seconds.items():
            if age is None:
                continue
            before = now - int(age * MICROS)
            looked_for = [job_id, status.value, rolled_up, job_id, status.value, LOOKED_AT, before,
                          fires_from]  # fmt: skip
            while found := fetch(connection, "prune_find", [*looked_for, min(CHUNK, self._rows)]):
                if not self._remove([row[0] for row in found], status) or self._spent():
                    return False
        return True

    def _remove(self, ids: Sequence[int], status: Status) -> bool:
        """Remove runs and what hangs on them; say whether the runs themselves are gone."""
        for model in (Item, LogLine, Attempt):
            some = model.objects.filter(run_id__in=ids).values_list("pk", flat=True)
            hanging = list(some[: self._rows])
            if hanging:
                self._rows -= model.objects.filter(pk__in=hanging).delete()[0]
            if self._rows <= 0:
                # A run with thousands of items goes bit by bit, itself last.
                return False
        gone = fetch(
            connections[ALIAS], "prune", [status.value, rows_parameter([[i] for i in ids])]
        )
        self._rows -= len(gone)
        log_counts.count((Counted(run_id, job_id, status.value, began or due)
                      for run_id, job_id, due, began, _ in gone), -1)  # fmt: skip
        RollupCursor.objects.filter(pk=CURSOR).update(version=F("version") + 1)
        days = Counter(
            (job_id, due - due % DAY) for _, job_id, due, _, dry_run in gone if not dry_run
        )
        for (job_id, day), count in days.items():
            rollup = DailyRollup.objects.filter(job_id=job_id, day=day, status=status.value)
            rollup.update(removed=F("removed") + count)
        return True


def removed_of(job_id: int, micros: int) -> int:
    """Return how many of a job's runs of the day of an instant were removed."""
    day = DailyRollup.objects.filter(job_id=job_id, day=micros - micros % DAY)
    return sum(day.values_list("removed", flat=True))
