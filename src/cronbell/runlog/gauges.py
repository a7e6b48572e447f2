"""What monitoring asks the run log besides totals: work under way, runners, the configuration.

Every figure costs a bounded look, however long the log is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cronbell.runlog.models import Job, Run, Runner
from cronbell.runlog.queries import RUNNER_STALE
from cronbell.states import Status

MOST_ACTIVE = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """Figures of one moment.

    Attributes:
        active: pending and running runs by status, counted no further than ``MOST_ACTIVE``.
        waiting_since: since when the run waits that any runner might have taken first; or None.
        jobs: how many are configured.
        named: id and name of those that get figures of their own, oldest first.
        runners: those alive.
        runner_seen_at: when any was last seen; None where none ever was.
    """

    active: dict[str, int]
    waiting_since: datetime | None
    jobs: int
    named: Sequence[tuple[int, str]]
    runners: Sequence[Runner]
    runner_seen_at: datetime | None


def gauges(now: datetime, most_jobs: int) -> Gauges:
    """Look at the run log.

    Args:
        now: by which runners are alive and runs due.
        most_jobs: how many jobs to name. The oldest ones: a new job must not take another's place
            and end its series.
    """
    due = Run.objects.filter(
        status=Status.PENDING.value, available_at__lte=now, waits=False, gives_way=False
    )
    configured = Job.objects.filter(removed_at__isnull=True)
    newest = Runner.objects.order_by("-seen_at").first()
    alive = Runner.objects.filter(stopped_at__isnull=True, seen_at__gte=now - RUNNER_STALE)
    return Gauges(
        active={
            status.value: Run.objects.filter(status=status.value)
            .order_by()
            .values("id")[:MOST_ACTIVE]
            .count()
            for status in (Status.PENDING, Status.RUNNING)
        },
        waiting_since=due.order_by("available_at").values_list("available_at", flat=True).first(),
        jobs=configured.count(),
        named=list(configured.order_by("id").values_list("id", "name")[:most_jobs]),
        runners=list(alive),
        runner_seen_at=newest.seen_at if newest else None,
    )
