"""Runs of a range of time, or of any, walked over between two ids: which, whose, what they became.

Their texts are files, each of which one index answers: made by Django for each range of ids they
took as long as all else about it. Of a status alone they are not prepared: whether PostgreSQL walks
over its runs or over all depends on the values, with which it has to plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db import connections

from cronbell.runlog.log_ranges import Segment
from cronbell.runlog.log_tree import Times
from cronbell.runlog.models import ACTIVE_VALUES, FINAL_VALUES
from cronbell.runlog.prepared import Question, answer
from cronbell.runlog.rollups import DAY
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import rows_parameter
from cronbell.states import Status, is_final

# So many roll-ups of the newest days say whether a job has more runs of a status than are counted:
# one that runs every minute has in two weeks.
SURE = 128
# By whether a job is named, and a status; and whether they are prepared.
WALKS = {
    (False, False): ("runs_walked", True),
    (False, True): ("runs_walked_of_status", False),
    (True, False): ("runs_walked_of_job", True),
    (True, True): ("runs_walked_of_job_and_status", True),
}
WALKS_FOR_JOBS = {False: ("jobs_walked", True), True: ("jobs_walked_of_status", False)}


class Trio(NamedTuple):
    """A segment that is certain, and what is walked over at its two ends; ``NOTHING`` for none."""

    newer: Segment
    middle: Segment
    older: Segment


NOTHING = Segment(1, 0, certain=False)


def walkable(status: Status | None) -> bool:
    """Say whether runs of a status can be walked over; those that go on are few and found else."""
    return status is None or is_final(status)


def joined(segments: Iterable[Segment]) -> list[Segment]:
    """Return segments for walking over, neighbours as one.

    Whether a run began within the range of time is asked of each that is walked over, so it makes
    no difference where all of them did.
    """
    spans: list[Segment] = []
    for older in segments:
        newer = spans[-1] if spans else None
        known = newer is None or newer.only is not None or older.only is not None
        if newer is None or known or newer.low - older.high != 1:
            spans.append(older)
        else:
            spans[-1] = Segment(older.low, newer.high, certain=False)
    return spans


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
    segments: Sequence[Segment],
    asked: Times,
    status: Status | None,
    most: int,
    job_ids: Sequence[int],
) -> Counter[int]:
    """Return whose the newest runs of segments are that began within a range of time.

    Args:
        segments: the newest first.
        asked: the range of time.
        status: of which status, one that is walkable; None for any.
        most: how many are looked at.
        job_ids: whose numbers are wanted; those of others may be under 0.
    """
    counts: Counter[int] = Counter()
    for step in steps(segments, status):
        left = most - counts.total()
        if isinstance(step, Segment) and step.only is not None:
            counts.update([run.job_id for run in step.only if status in {None, run.status}][:left])
        elif left:
            question = by_job_question(step, asked, status, left, job_ids)
            counts.update(_of_jobs(answer(connections[ALIAS], question).rows))
    return counts


def _of_jobs(rows: Iterable[tuple[int, int, bool]]) -> Counter[int]:
    """Return numbers by job, under 0 what a sum has more than the jobs it is made of."""
    counts: Counter[int] = Counter()
    for job_id, number, part in rows:
        counts[job_id] += number
        if part:
            counts[0] -= number
    return counts


def steps(segments: Sequence[Segment], status: Status | None) -> list[Segment | Trio]:
    """Return in what portions segments are looked at for whose their runs are, the newest first."""
    # Neighbours of any status are looked at as fast as two indexes of all runs: 2,000 in 0.4 ms.
    if status is None:
        return [*joined(segments)]
    found: list[Segment | Trio] = []
    for segment in segments:
        before = found[-1] if found else None
        if segment.only is not None:
            found.append(segment)
        elif segment.certain:
            newer = NOTHING
            if isinstance(before, Segment) and before.only is None:
                newer = before
                found.pop()
            found.append(Trio(newer, segment, NOTHING))
        elif isinstance(before, Trio) and before.older is NOTHING:
            found[-1] = before._replace(older=segment)
        else:
            found.append(segment)
    return found


def by_job_question(
    step: Segment | Trio, asked: Times, status: Status | None, most: int, job_ids: Sequence[int]
) -> Question:
    """Return what ``by_job`` asks about a step, where it may look at so many runs still."""
    become = () if status is None else (status.value,)
    if isinstance(step, Segment):
        name, prepared = WALKS_FOR_JOBS[status is not None]
        return Question(name, (*become, step.low, step.high, *asked, most), prepared)
    newer, middle, older = step
    # What was not counted may have ended since.
    beside = [run for run in middle.out if run.status in become or not run.counted]
    return Question("jobs_counted_of_status", (
        rows_parameter([[run.id, run.job_id] for run in beside]), *become,
        *become, newer.low, newer.high, *asked, most,
        *become, middle.low, middle.high, most,
        *become, older.low, older.high, *asked, most,
        *become, middle.high, rows_parameter([[job_id] for job_id in job_ids]),
    ))  # fmt: skip


def by_status_of_job(segment: Segment, asked: Times, job_id: int, most: int) -> Counter[str]:
    """Return what became of a job's runs of a segment that is certain.

    By index alone; what is in the segment and not of the time is taken away. Where the range of
    time has more of a status than ``most`` it may be any number that is no less than ``most``.

    Args:
        segment: between which ids.
        asked: the range of time.
        job_id: the job.
        most: where counting those of a status may stop.
    """
    if segment.only is not None:
        return Counter(run.status for run in segment.only if run.job_id == job_id)
    out = Counter(run.status for run in segment.out if run.job_id == job_id)
    question = of_job_question(segment, asked, job_id, most)
    numbers = Counter(dict(answer(connections[ALIAS], question).rows))
    numbers.subtract({status: n for status, n in out.items() if status in FINAL_VALUES})
    going = [run for run in segment.plus if run.status in ACTIVE_VALUES]
    numbers.update(run.status for run in going if run.job_id == job_id)
    return numbers


def of_job_question(segment: Segment, asked: Times, job_id: int, most: int) -> Question:
    """Return what ``by_status_of_job`` asks about a segment of which not all is known."""
    limit = most + sum(run.job_id == job_id for run in segment.out)
    # Days that are wholly within the range; at its begin one to spare, were a clock set back.
    days = (asked.since + DAY, asked.until - DAY, asked.until - DAY)
    statuses = rows_parameter([[value] for value in FINAL_VALUES])
    span = (segment.low, segment.high)
    values = (job_id, *days, SURE, limit, limit, job_id, *span, limit, statuses)
    return Question("count_of_job", values)
