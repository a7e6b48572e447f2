"""People, jobs and runs for the tests of pages and API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.access import ADMIN_GROUP, VIEWER_GROUP
from cronbell.domain import Dialect, JobSpec
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Job, Run, Runner
from cronbell.states import ACTIVE, Status

START = datetime(2026, 11, 22, tzinfo=UTC)
PASSWORD = "correct horse battery"
Factory = Callable[..., Run]


@pytest.fixture(autouse=True)
def _plain_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def people(db) -> dict[str, User]:
    """Return one user of each kind."""
    made = {
        name: User.objects.create_user(name, password=PASSWORD)
        for name in ("administrator", "superuser", "user", "inactive", "staff", "viewer")
    }
    group, _ = Group.objects.get_or_create(name=ADMIN_GROUP)
    made["administrator"].groups.add(group)
    made["inactive"].groups.add(group)
    made["viewer"].groups.add(Group.objects.get_or_create(name=VIEWER_GROUP)[0])
    User.objects.filter(username="inactive").update(is_active=False)
    User.objects.filter(username="superuser").update(is_superuser=True)
    User.objects.filter(username="staff").update(is_staff=True)
    return {user.username: user for user in User.objects.all()}


@pytest.fixture
def admin(people) -> Client:
    """Return a signed-in administrator's browser."""
    client = Client()
    client.force_login(people["administrator"])
    return client


@pytest.fixture
def viewer(people) -> Client:
    """Return the browser of somebody who may look at everything and change nothing."""
    client = Client()
    client.force_login(people["viewer"])
    return client


def spec(name: str, **changes: Any) -> JobSpec:
    """Return a job of that name."""
    values: dict[str, Any] = {
        "name": name,
        "path": f"/api/cron/{name}",
        "url": f"http://127.0.0.1:9/api/cron/{name}",
        "schedule": "0 0 * * *",
        "deadline": 600.0,
    }
    return JobSpec(**(values | changes))


@pytest.fixture
def jobs(db) -> dict[str, Job]:
    """Return three configured jobs."""
    return sync_jobs(
        [
            spec("update-rankings"),
            spec("clean-data", schedule="0 3 * * 0", dry_run=True),
            spec(
                "digest",
                schedule="30 9 * * MON-FRI",
                timezone="Asia/Seoul",
                dialect=Dialect.STANDARD,
            ),
        ],
        START,
    )


@pytest.fixture
def make_run(jobs) -> Factory:
    """Return ``make_run(job="update-rankings", status="success", **columns)``."""
    numbers = count(1)

    def make(job: str = "update-rankings", status: str = "success", **columns: Any) -> Run:
        number = next(numbers)
        at = START + timedelta(minutes=number)
        final = Status(status) not in ACTIVE
        values: dict[str, Any] = {
            "key": f"cb1-{number:032x}",
            "kind": "schedule",
            "scheduled_at": at,
            "queued_at": at + timedelta(milliseconds=5),
            "available_at": at,
            "started_at": at + timedelta(milliseconds=250),
            "finished_at": at + timedelta(seconds=3) if final else None,
            "deadline_at": at + timedelta(hours=1),
        }
        return Run.objects.create(job=jobs[job], status=status, **(values | columns))

    return make


@pytest.fixture
def runner(db) -> Runner:
    """Return a runner that is alive."""
    now = SYSTEM_CLOCK.now()
    return Runner.objects.create(
        id="r1", host="test", pid=1, version="0", started_at=now, seen_at=now, jobs=3
    )
