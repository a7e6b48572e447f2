"""One record's history over all runs of a job, at a bounded cost however long the log is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q

from cronbell.runlog.models import Item, Job
from cronbell.runlog.queries import LONGEST_NAME, storable

MOST_ITEMS = 10_000  # items a run has at most


@dataclass(frozen=True, slots=True)
class History:
    """A page of what became of a record, newest first.

    Attributes:
        items: each with its run and job.
        cursor: the id that leads to the page after it; None where there is none.
    """

    items: Sequence[Item]
    cursor: int | None


def jobs_of(name: str, path: str = "") -> list[int]:
    """Return the ids of the jobs in the log that a name stands for.

    A path with several schedules is several jobs that run one endpoint; removed jobs count too,
    their runs are history all the same.

    Args:
        name: a job's name.
        path: the path of the endpoint of that name, where there is one.
    """
    if not name or len(name) > LONGEST_NAME or not storable(name):
        return []
    same = Q(name=name)
    if path:
        same |= Q(path=path) | Q(path__startswith=f"{path}?")
    return list(Job.objects.filter(same).values_list("id", flat=True))


def record_history(
    jobs: Sequence[int], record_id: str, *, limit: int, before: int | None = None
) -> History:
    """Return a page of the items of one record over all runs of some jobs.

    Args:
        jobs: ids.
        record_id: the application's id of the record.
        limit: how many items at most.
        before: only items older than this one.
    """
    if not storable(record_id):
        return History([], None)
    items = Item.objects.filter(job__in=jobs, record_id=record_id)
    if before is not None:
        items = items.filter(id__lt=before)
    found = list(
        items.select_related("run__job")
        .defer("run__body", "run__job__spec")
        .order_by("-id")[: limit + 1]
    )
    return History(found[:limit], found[limit - 1].pk if len(found) > limit else None)


def failed_records(jobs: Sequence[int], run_id: int) -> list[str] | None:
    """Return the ids of the records that failed in a run, in the order they were handled.

    None where these jobs have no such run, or none that handled a record.
    """
    rows = Item.objects.filter(run_id=run_id, job__in=jobs).order_by("id")
    ended = dict(rows.values_list("record_id", "ok")[:MOST_ITEMS])
    return [record_id for record_id, ok in ended.items() if not ok] if ended else None
