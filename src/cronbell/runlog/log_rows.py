"""Rows of the log by their numbers: whole runs, or only what a list shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from django.db import connections

from cronbell.clock import from_micros
from cronbell.runlog.models import Run
from cronbell.runlog.prepared import Question, answer
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import rows_parameter


class ListedJob(NamedTuple):
    """The job of a listed run.

    Attributes:
        name: its name.
        timezone: IANA name of its zone.
    """

    name: str
    timezone: str


class ListedRun(NamedTuple):
    """What a list shows of a run; the attributes are those of ``Run``.

    Making a whole ``Run`` and ``Job`` of each row, and the statement anew for each page, took an
    eighth of a page of the log; a frozen dataclass takes twice as long to make as a tuple.
    """

    pk: int
    status: str
    scheduled_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    reason: str
    reason_data: dict[str, Any]
    missed_count: int
    details: str
    job: ListedJob


def whole_runs(ids: Sequence[int]) -> list[Run]:
    """Return runs with their jobs but without bodies, the newest first."""
    if not ids:
        return []
    rows = Run.objects.select_related("job").filter(id__in=ids).order_by("-id")
    return list(rows.defer("body", "job__spec"))


def rows_question(ids: Sequence[int]) -> Question:
    """Return what ``listed_runs`` asks."""
    return Question("log_rows", (rows_parameter([[number] for number in ids]),))


def listed_runs(ids: Sequence[int]) -> list[ListedRun]:
    """Return what a list shows of runs, the newest first."""
    if not ids:
        return []
    return [_listed(row) for row in answer(connections[ALIAS], rows_question(ids)).rows]


def newest_runs(job_id: int, limit: int) -> list[ListedRun]:
    """Return a job's newest runs, newest first, without counting any."""
    ids = Run.objects.filter(job_id=job_id).order_by("-id").values_list("id", flat=True)[:limit]
    return listed_runs(list(ids))


def _listed(row: Sequence[Any]) -> ListedRun:
    pk, status, scheduled, started, finished, reason, data, missed, details, name, zone = row
    # In the order of the attributes: by name it takes half as long again.
    return ListedRun(
        pk,
        status,
        from_micros(scheduled),
        None if started is None else from_micros(started),
        None if finished is None else from_micros(finished),
        reason,
        msgspec.json.decode(data) if reason else {},
        missed,
        details,
        ListedJob(name, zone),
    )
