"""Where a job had to stop, so that its next run goes on from there."""

from __future__ import annotations

from cronbell.clock import Clock
from ideasgpt.ideas.models import JobPosition


def load_position(job: str) -> int:
    """Return the id behind which the job's next run begins; 0 for the beginning."""
    return JobPosition.objects.filter(job=job).values_list("last_id", flat=True).first() or 0


def save_position(job: str, last_id: int, clock: Clock) -> None:
    """Remember that everything up to ``last_id`` is done; 0 when the job came to its end."""
    if load_position(job) == last_id:
        return
    JobPosition.objects.update_or_create(
        job=job, defaults={"last_id": last_id, "updated_at": clock.now()}
    )
