"""What a page of the log is going to ask, asked together: on PostgreSQL one trip for several.

Each function here belongs where what its questions need is known. What is not asked after all is
thrown away, so a wrong guess costs its time and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connections

from cronbell.clock import to_micros
from cronbell.runlog import log_counts, log_guess, log_ranges, log_tree, log_walks, queries
from cronbell.runlog.log_counts import EVER
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
        instants = [None if at is None else to_micros(at) for at in (wanted.since, wanted.until)]
        questions += [log_guess.question(log_ranges.times(*instants)), log_ranges.LEFT]
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
    asked = log_ranges.times(*instants)
    certain = [each for each in segments if each.certain and each.only is None]
    return log_ranges.walked_questions(segments, *instants, job_id) + [
        log_walks.of_job_question(each, asked, job_id, most) for each in certain
    ]


def walks(
    segments: Sequence[Segment],
    asked: Times,
    job_id: int | None,
    status: Status | None,
    part: slice,
) -> list[Question]:
    """Return what is asked for the first rows of a list, or for some that are not far down."""
    if not log_walks.walkable(status):
        return []
    spans = [one for one in log_walks.joined(segments) if one.low <= one.high]
    # Further down it is guessed that the rows are in the first, which is the longest nearly always.
    unknown = [one for one in (spans[:1] if part.start else spans) if one.only is None]
    return [
        log_walks.ids_question(segment, asked, job_id, status, part)
        for segment in unknown[:TOGETHER]
    ]


def seeks(segments: Sequence[Segment], status: Status | None) -> list[Question]:
    """Return what is asked first for a page of a range of time that is looked for in the blocks.

    Args:
        segments: where the range's runs are.
        status: of the runs that stand in the list; None for any.
    """
    value = status.value if status else log_counts.ANY
    certain = [one for one in segments if one.certain and one.only is None]
    return [
        log_ranges.seek_question(log_tree.nodes(one.low, one.high), value)
        for one in certain[:TOGETHER]
    ]


def by_job(
    segments: Sequence[Segment],
    asked: Times,
    status: Status | None,
    most: int,
    job_ids: Sequence[int],
) -> list[Question]:
    """Return what is asked first for the jobs of the newest runs of segments.

    What it gives decides how many more are looked at.
    """
    if not log_walks.walkable(status):
        return []
    questions = []
    for step in log_walks.steps(segments, status):
        if isinstance(step, Segment) and step.only is not None:
            most = max(0, most - sum(status in {None, run.status} for run in step.only))
            continue
        questions += [log_walks.by_job_question(step, asked, status, most, job_ids)] if most else []
        # Of what is not counted yet hardly any is of a range of time that is apart from it.
        if isinstance(step, log_walks.Trio) or step.high != EVER:
            break
    return questions


def ask(questions: Sequence[Question]) -> None:
    """Have them answered in one trip."""
    ahead(connections[ALIAS], questions)
