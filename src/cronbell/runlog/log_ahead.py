"""What a page of the log is going to ask, asked together: on PostgreSQL one trip for several.

Each function here belongs where what its questions need is known. What is not asked after all is
thrown away, so a wrong guess costs its time and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connections

from cronbell.runlog import log_counts, log_ranges, log_tree, log_walks, queries
from cronbell.runlog.log_ranges import Segment
from cronbell.runlog.log_tree import Times
from cronbell.runlog.prepared import Question, ahead
from cronbell.runlog.queries import LONGEST_NAME, LogFilter, storable
from cronbell.runlog.router import ALIAS
from cronbell.states import Status

# Of so many segments the runs are asked for together: few runs of the range of time may be not
# counted yet, or in the block that it ends in.
TOGETHER = 3


def log(wanted: LogFilter) -> list[Question]:
    """Return what is asked about the log whatever is in it."""
    questions = []
    name = wanted.job_name
    if name and len(name) <= LONGEST_NAME and storable(name):
        questions.append(queries.id_question(name))
    timed = wanted.since is not None or wanted.until is not None
    if timed or not wanted.text:
        questions.append(log_counts.state_question())
    if timed:
        questions += [log_tree.top_question(), log_ranges.LEFT]
    return questions


def jobs(wanted: LogFilter, lines: int) -> list[Question]:
    """Return what is asked about the jobs above the log.

    Args:
        wanted: which runs.
        lines: how many jobs are shown.
    """
    questions = [queries.lines_question(lines)]
    if wanted.job_name and storable(wanted.job_name):
        questions.append(queries.lines_question(lines, wanted.job_name))
    return questions


def frame(now: datetime, choices: int) -> list[Question]:
    """Return what is asked about what stands around the log.

    Args:
        now: what time it is.
        choices: how many jobs can be chosen from.
    """
    return [queries.names_question(choices), queries.runner_question(now)]


def of_time(
    segments: Sequence[Segment],
    instants: tuple[int | None, int | None],
    of_job: tuple[int, int] | None,
) -> list[Question]:
    """Return what is asked for the numbers of a range of time by status.

    Args:
        segments: where the range's runs are.
        instants: its begin and its end, microseconds.
        of_job: whose runs are counted, and where counting stops; None for all.
    """
    if of_job is None:
        counted = log_ranges.counted_questions(segments)
        return counted + log_ranges.walked_questions(segments, *instants)
    job_id, most = of_job
    certain = [each for each in segments if each.certain and each.only is None]
    return log_ranges.walked_questions(segments, *instants, job_id) + [
        log_walks.of_job_question(each, job_id, most) for each in certain
    ]


def walks(
    segments: Sequence[Segment],
    asked: Times,
    job_id: int | None,
    status: Status | None,
    limit: int,
) -> list[Question]:
    """Return what is asked for the first rows of a list."""
    if not log_walks.walkable(status):
        return []
    unknown = [one for one in segments if one.only is None and one.low <= one.high]
    return [
        log_walks.ids_question(segment, asked, job_id, status, slice(0, limit))
        for segment in unknown[:TOGETHER]
    ]


def by_job(
    segments: Sequence[Segment], asked: Times, status: Status | None, most: int
) -> list[Question]:
    """Return what is asked first for the jobs of the newest runs of segments.

    What it gives decides how many more are looked at.
    """
    if not log_walks.walkable(status):
        return []
    for segment in segments:
        if segment.only is None:
            return [log_walks.by_job_question(segment, asked, status, most)] if most else []
        most = max(0, most - sum(status in {None, run.status} for run in segment.only))
    return []


def ask(questions: Sequence[Question]) -> None:
    """Have them answered in one trip."""
    ahead(connections[ALIAS], questions)
