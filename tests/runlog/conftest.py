"""Two runners at one run log; rows for it, and what is done with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction

from cronbell.domain import JobSpec
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Job, Run
from cronbell.runlog.rollups import Roller
from cronbell.runlog.router import ALIAS
from cronbell.runlog.store import RunStore
from cronbell.states import ACTIVE

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def store():
    return RunStore("runner-a")


@pytest.fixture
def other():
    return RunStore("runner-b")


@pytest.fixture
def jobs() -> list[Job]:
    specs = [
        JobSpec(name=name, path=f"/{name}", url=f"http://127.0.0.1:9/{name}", schedule="* * * * *")
        for name in ("one", "two")
    ]
    return list(sync_jobs(specs, NOON - timedelta(days=90)).values())


def row(job, number, status="success", *, due=NOON, **changes) -> Run:
    began = due + timedelta(milliseconds=7 * number)
    ended = status not in ACTIVE
    values = {
        "job": job, "key": f"k-{job.pk}-{number}", "kind": "schedule", "status": status,
        "scheduled_at": due, "queued_at": due, "available_at": due, "started_at": began,
        "finished_at": began + timedelta(milliseconds=13 * number) if ended else None,
        "deadline_at": due + timedelta(hours=1), "items_total": number, "items_failed": number % 3,
    }  # fmt: skip
    return Run(**{**values, **changes})


def roll(roller: Roller) -> int:
    """Do steps until nothing is left; return how many."""
    for count in range(1, 1000):
        with transaction.atomic(using=ALIAS):
            more = roller.step()
        if not more:
            return count
    raise AssertionError("it never ends")
