"""Runs recorded early: a moment before they are due, by a runner that will send them.

A herd spends as much on recording its fires as on anything else, and every fire waits for the disk
before it is sent. Where nothing stands in the way of a fire it is therefore recorded and claimed up
to a second before it is due, in one commit, and sent when it is due: its row is ``running`` and
begins at its instant (``started_at``).

Whatever is decided about the job in that second must hold as if the row were not there. So whoever
pauses, changes, removes or runs a job takes its early rows back first, in the same transaction and
under the planners' lock: the row is deleted and the job's cursor put back to before the fire, which
is then planned anew when it is due. The runner asks, once a fire is due and before it sends,
whether its rows are all there still; a commit that took one back came before, and is seen.

Between two machines a row counts as begun ``MARGIN`` before it is due. Clocks that are further
apart than that, and a change in that very second, may have a fire sent twice under its one key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connections

from cronbell.clock import Clock
from cronbell.runlog.models import RollupLeft
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import execute, fetch, lock_planning, rows_parameter

# Microseconds before it is due from which on a row is left alone: its runner may have asked already
# whether it is there, by a clock that is this little ahead.
MARGIN = 100_000
BATCH = 1000


def take_back(job_ids: Iterable[int], clock: Clock) -> None:
    """Take back what was recorded early of these jobs, before what is decided about them now.

    To be called in the transaction of that decision, as the first that it does.

    Args:
        job_ids: the jobs.
        clock: what time it is, once the planners' lock is had.
    """
    connection = connections[ALIAS]
    lock_planning(connection)
    instant = clock.micros() + MARGIN
    every = [(job_id,) for job_id in job_ids]
    for start in range(0, len(every), BATCH):
        rows = rows_parameter(every[start : start + BATCH])
        _undo(fetch(connection, "early_of_jobs", [rows, instant]))


def take_back_runs(owner: str, run_ids: Sequence[int]) -> dict[int, int]:
    """Take back runs that their own runner recorded early and will not send.

    To be called inside a transaction.

    Args:
        owner: the runner, as its leases name it.
        run_ids: the runs; those that are not its own any more are left alone.

    Returns:
        Where the cursors of the jobs now are, in microseconds by id.
    """
    lock_planning(connections[ALIAS])
    rows = rows_parameter([(run_id,) for run_id in run_ids])
    return _undo(fetch(connections[ALIAS], "early_mine", [rows, owner]))


def held(owner: str, lease: int, due: int) -> int:
    """Return how many runs of one batch recorded early are still there.

    Args:
        owner: the runner, as its leases name it.
        lease: when the batch's expires, in microseconds; no other batch of the runner's has the
            same.
        due: its instant, in microseconds.
    """
    return int(fetch(connections[ALIAS], "early_held", [lease, owner, due])[0][0])


def _undo(found: Sequence[tuple[Any, ...]]) -> dict[int, int]:
    if not found:
        return {}
    connection = connections[ALIAS]
    ids = [run_id for run_id, _, _ in found]
    # Roll-ups pass by what has not begun; by the clock of another machine it may have.
    RollupLeft.objects.filter(run_id__in=ids).delete()
    execute(connection, "take_back", [rows_parameter([(run_id,) for run_id in ids])])
    fires = rows_parameter([(job_id, at) for _, job_id, at in found])
    execute(connection, "put_cursors_back", [fires])
    return {job_id: at - 1 for _, job_id, at in found}
