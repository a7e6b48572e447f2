"""What a search by text finds among the newest runs of a segment of the log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import Q, QuerySet

from cronbell.runlog.log_ranges import Segment
from cronbell.runlog.models import Job, Run
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import fetch, rows_parameter
from cronbell.states import Status, is_final


class Match(NamedTuple):
    """A run that was found."""

    id: int
    status: str
    job_id: int


def matches(runs: QuerySet[Run]) -> list[Match]:
    """Return runs as what is found."""
    return [Match(*row) for row in runs.values_list("id", "status", "job_id")]


def hits(
    runs: QuerySet[Run],
    segment: Segment,
    text: str,
    room: int,
    *,
    job_id: int | None,
    status: Status | None,
) -> list[Match]:
    """Return the runs that have a text in their details or their job's name, the newest first.

    Args:
        runs: those of the segment that match the other filters.
        segment: where they are.
        text: what is looked for, whatever the case.
        room: how many of the newest are looked at.
        job_id: of which job they are; None for any.
        status: of which status; None for any.
    """
    connection = connections[ALIAS]
    pattern = f"%{connection.ops.prep_for_like_query(text)}%"
    named = Job.objects.filter(name__icontains=text).values("id")
    whole = segment.certain and segment.only is None
    ids: list[Any] = [segment.low, segment.high]
    rows: Iterable[tuple[int, str, int]]
    # Both texts find the bound of the ids first: looked up one by one, runs took twice as long. Nor
    # are they prepared: the pattern would be put in capitals anew for each run.
    if whole and job_id is None and status is None:
        out = {run.id for run in segment.out}
        not_meant = rows_parameter([[number] for number in out])
        parameters = [segment.high, *ids, not_meant, room, pattern, pattern]
        rows = fetch(connection, "search_all", parameters)
        return [Match(*row) for row in rows if row[0] not in out]
    if whole and not segment.out and job_id is not None and status is not None and is_final(status):
        of = [job_id, status.value]
        meant = named.filter(id=job_id).exists()
        rows = fetch(
            connection, "search_ended", [*of, segment.high, *of, *ids, room, pattern, meant]
        )
        return [Match(*row) for row in rows]
    window = runs.values("id")[:room]
    found = Run.objects.filter(Q(details__icontains=text) | Q(job__in=named), id__in=window)
    return matches(found.order_by("-id"))
