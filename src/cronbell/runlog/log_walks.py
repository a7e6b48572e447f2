"""Runs of a range of time, or of any, walked over between two ids: which, whose, what they became.

Their texts are files, each of which one index answers: made by Django for each range of ids they
took as long as all else about it. Of a status alone they are not prepared: whether PostgreSQL walks
over its runs or over all depends on the values, with which it has to plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from django.db import connections

from cronbell.runlog.log_ranges import Segment
from cronbell.runlog.log_tree import Times
from cronbell.runlog.models import ACTIVE_VALUES, FINAL_VALUES
from cronbell.runlog.prepared import read
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import fetch, rows_parameter
from cronbell.states import Status, is_final

# By whether a job is named, and a status; and how they are asked.
WALKS = {
    (False, False): ("runs_walked", read),
    (False, True): ("runs_walked_of_status", fetch),
    (True, False): ("runs_walked_of_job", read),
    (True, True): ("runs_walked_of_job_and_status", read),
}
WALKS_FOR_JOBS = {False: ("jobs_walked", read), True: ("jobs_walked_of_status", fetch)}


def walkable(status: Status | None) -> bool:
    """Say whether runs of a status can be walked over; those that go on are few and found else."""
    return status is None or is_final(status)


def ids(
    segment: Segment, asked: Times, job_id: int | None, status: Status | None, part: slice
) -> list[int]:
    """Return the numbers of a segment's runs that began within a range of time, the newest first.

    Args:
        segment: between which ids.
        asked: the range of time.
        job_id: of which job; None for any.
        status: of which status, one that is walkable; None for any.
        part: which of them, as of a list.
    """
    name, ask = WALKS[job_id is not None, status is not None]
    of = [] if job_id is None else [job_id]
    become = [] if status is None else [status.value]
    span = [segment.low, segment.high, *asked]
    values = [*of, *become, *span, part.stop - part.start, part.start]
    return [row[0] for row in ask(connections[ALIAS], name, values)]


def by_job(
    segments: Sequence[Segment], asked: Times, status: Status | None, most: int
) -> Counter[int]:
    """Return whose the newest runs of segments are that began within a range of time.

    Args:
        segments: the newest first.
        asked: the range of time.
        status: of which status, one that is walkable; None for any.
        most: how many are looked at.
    """
    name, ask = WALKS_FOR_JOBS[status is not None]
    values = [] if status is None else [status.value]
    counts: Counter[int] = Counter()
    for segment in segments:
        left = most - counts.total()
        if segment.only is not None:
            counts.update(
                [run.job_id for run in segment.only if status in {None, run.status}][:left]
            )
        elif left:
            asked_for = [*values, segment.low, segment.high, *asked, left]
            counts.update(dict(ask(connections[ALIAS], name, asked_for)))
    return counts


def by_status_of_job(segment: Segment, job_id: int, most: int) -> Counter[str]:
    """Return what became of a job's runs of a segment that is certain.

    By index alone; what is in the segment and not of the time is taken away.

    Args:
        segment: between which ids.
        job_id: the job.
        most: where counting those of a status may stop.
    """
    if segment.only is not None:
        return Counter(run.status for run in segment.only if run.job_id == job_id)
    out = Counter(run.status for run in segment.out if run.job_id == job_id)
    statuses = rows_parameter([[value] for value in FINAL_VALUES])
    parameters = [job_id, segment.low, segment.high, most + out.total(), statuses]
    numbers = Counter(dict(read(connections[ALIAS], "count_of_job", parameters)))
    numbers.subtract({status: n for status, n in out.items() if status in FINAL_VALUES})
    going = [run for run in segment.plus if run.status in ACTIVE_VALUES]
    numbers.update(run.status for run in going if run.job_id == job_id)
    return numbers
