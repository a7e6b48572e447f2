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
from cronbell.runlog.prepared import Question, answer
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import rows_parameter
from cronbell.states import Status, is_final

# By whether a job is named, and a status; and whether they are prepared.
WALKS = {
    (False, False): ("runs_walked", True),
    (False, True): ("runs_walked_of_status", False),
    (True, False): ("runs_walked_of_job", True),
    (True, True): ("runs_walked_of_job_and_status", True),
}
WALKS_FOR_JOBS = {False: ("jobs_walked", True), True: ("jobs_walked_of_status", False)}


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
    question = ids_question(segment, asked, job_id, status, part)
    return [row[0] for row in answer(connections[ALIAS], question).rows]


def ids_question(
    segment: Segment, asked: Times, job_id: int | None, status: Status | None, part: slice
) -> Question:
    """Return what ``ids`` asks."""
    name, prepared = WALKS[job_id is not None, status is not None]
    of = () if job_id is None else (job_id,)
    become = () if status is None else (status.value,)
    span = (segment.low, segment.high, *asked)
    return Question(name, (*of, *become, *span, part.stop - part.start, part.start), prepared)


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
    counts: Counter[int] = Counter()
    for segment in segments:
        left = most - counts.total()
        if segment.only is not None:
            counts.update(
                [run.job_id for run in segment.only if status in {None, run.status}][:left]
            )
        elif left:
            question = by_job_question(segment, asked, status, left)
            counts.update(dict(answer(connections[ALIAS], question).rows))
    return counts


def by_job_question(segment: Segment, asked: Times, status: Status | None, most: int) -> Question:
    """Return what ``by_job`` asks about a segment, where it may look at so many runs still."""
    name, prepared = WALKS_FOR_JOBS[status is not None]
    become = () if status is None else (status.value,)
    return Question(name, (*become, segment.low, segment.high, *asked, most), prepared)


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
    question = of_job_question(segment, job_id, most)
    numbers = Counter(dict(answer(connections[ALIAS], question).rows))
    numbers.subtract({status: n for status, n in out.items() if status in FINAL_VALUES})
    going = [run for run in segment.plus if run.status in ACTIVE_VALUES]
    numbers.update(run.status for run in going if run.job_id == job_id)
    return numbers


def of_job_question(segment: Segment, job_id: int, most: int) -> Question:
    """Return what ``by_status_of_job`` asks about a segment of which not all is known."""
    out = sum(run.job_id == job_id for run in segment.out)
    statuses = rows_parameter([[value] for value in FINAL_VALUES])
    return Question("count_of_job", (job_id, segment.low, segment.high, most + out, statuses))
