"""Opens and closes incidents; what makes one be opened once is the table's unique key.

Opening does not look first: two who notice the same at once both insert, and one row comes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from cronbell.config.alerts import Condition
from cronbell.runlog.alert_tables import Incident


def key_of(condition: Condition, subject: int | str = "") -> str:
    """Return the key under which one incident at most is open.

    Args:
        condition: what is wrong.
        subject: with what: a job's number, a host.
    """
    return f"{condition}:{subject}"[:300]


def open_incident(
    condition: Condition,
    now: datetime,
    *,
    job: int | None = None,
    subject: str = "",
    run: int | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Have an incident open from now on; one that is open already gets the newer facts.

    Args:
        condition: what is wrong.
        now: when it was noticed.
        job: whose, where it is a job's.
        subject: a host, where it is one's.
        run: a run that shows it.
        data: what the texts name.
    """
    key = key_of(condition, subject if job is None else job)
    facts = {"run": run, "data": dict(data or {})}
    one = Incident(
        key=key, condition=condition.value, job_id=job, subject=subject, opened_at=now, **facts
    )
    Incident.objects.bulk_create([one], ignore_conflicts=True)
    Incident.objects.filter(key=key, recovered_at__isnull=True).update(**facts)


def close(keys: Iterable[str], now: datetime, *, silently: bool = False) -> int:
    """Close those of the incidents that are open.

    Args:
        keys: of ``key_of``.
        now: when it was right again.
        silently: nobody is told: something else took its place, or nobody knows.

    Returns:
        How many were.
    """
    found = Incident.objects.filter(key__in=list(keys), recovered_at__isnull=True)
    return found.update(recovered_at=now, recovery_told=silently)


def open_keys(condition: Condition, limit: int = 1_000) -> list[Incident]:
    """Return the open incidents of a condition, the oldest first."""
    found = Incident.objects.filter(condition=condition.value, recovered_at__isnull=True)
    return list(found.order_by("id")[:limit])
