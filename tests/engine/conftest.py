"""A runner in this process, on the store under test, against a scripted target."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from cronbell.dispatch import Dispatcher, PyreqwestTransport
from cronbell.domain import JobSpec
from cronbell.engine.loop import Runner, RunnerSettings
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Run
from cronbell.testing import ScriptedTarget
from cronbell.testing.shifted import ShiftedClock

SECRET = "sixteen-characters-or-more"
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PATIENCE_SECONDS = 20.0


@pytest.fixture
def target():
    with ScriptedTarget() as running:
        yield running


@pytest.fixture
def clock():
    shifted = ShiftedClock()
    shifted.show(NOON.replace(second=1))
    return shifted


@pytest.fixture
def make_spec(target) -> Callable[..., JobSpec]:
    def make(name: str = "tick", **changes) -> JobSpec:
        values = {
            "path": f"/api/cron/{name}",
            "url": target.url(f"/api/cron/{name}"),
            "schedule": "* * * * *",
            "timeout": 5.0,
            "deadline": 90.0,
        }
        return JobSpec(name=name, **{**values, **changes})

    return make


@asynccontextmanager
async def running(
    specs: Sequence[JobSpec], clock, target, *, settings: RunnerSettings | None = None
) -> AsyncIterator[Runner]:
    """Run a runner for the length of the block; stop it in order afterwards."""
    transport = PyreqwestTransport()
    host = target.base_url.removeprefix("http://")
    runner = Runner(
        specs,
        Dispatcher(transport, secret=SECRET, allowed_hosts=frozenset({host}), clock=clock),
        clock=clock,
        settings=settings or RunnerSettings(poll_seconds=0.1, grace_seconds=2),
        rng=random.Random(7),
    )
    stop = asyncio.Event()
    task = asyncio.create_task(runner.run(stop))
    await asyncio.wait_for(runner.ready.wait(), PATIENCE_SECONDS)
    try:
        yield runner
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_SECONDS)
        await transport.close()


def run_until(
    specs: Sequence[JobSpec], clock, target, predicate: Callable[[], bool], *, second: float = 59.8
) -> None:
    """Run a runner from that second of the minute on, until the run log shows what is expected."""

    async def go() -> None:
        async with running(specs, clock, target):
            clock.show_second(second)
            await until(predicate)

    asyncio.run(go())


def lost_run(spec: JobSpec, clock, **changes) -> Run:
    """Make a run that a runner, now dead, was executing: its lease has just run out."""
    now = clock.now()
    values = {
        "job": sync_jobs([spec], now)[spec.name],
        "key": "cb1-lost",
        "kind": "schedule",
        "status": "running",
        "scheduled_at": now,
        "queued_at": now,
        "available_at": now,
        "started_at": now,
        "deadline_at": now + timedelta(minutes=10),
        "lease_owner": "a-dead-runner",
        "lease_term": 1,
        "lease_expires_at": now - timedelta(seconds=1),
    }
    return Run.objects.create(**{**values, **changes})


async def aside(ask: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Ask the store in a thread that leaves no connection behind.

    PostgreSQL's driver complains of one, at a moment of the collector's choice, in another test.
    """

    def closing() -> Any:
        try:
            return ask(*given, **named)
        finally:
            connections.close_all()

    return await asyncio.to_thread(closing)


async def until(predicate: Callable[[], bool]) -> None:
    """Wait until the run log (or the target) shows what a test waits for."""
    give_up = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while not await aside(predicate):
        if asyncio.get_running_loop().time() > give_up:
            raise AssertionError(await aside(_rows))
        await asyncio.sleep(0.02)  # noqa: TID251 - real processes and sockets


def _rows() -> str:
    return "\n".join(str(row) for row in Run.objects.values())


def statuses() -> list[str]:
    """Return the statuses in the log, oldest first."""
    return list(Run.objects.order_by("id").values_list("status", flat=True))
