"""Runners whose clocks differ: nobody takes a living runner's work, nobody fires by a wrong clock.

The store's clock is the real one here, PostgreSQL's or SQLite's; each runner has a clock of its
own that is set apart from it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from tests.engine.conftest import PATIENCE_SECONDS, SECRET, aside, statuses, until

from cronbell.clock import SYSTEM_CLOCK, to_micros
from cronbell.dispatch import Dispatcher, PyreqwestTransport
from cronbell.domain import Dialect
from cronbell.engine.clocks import ALONE, FAR_APART, Clocks
from cronbell.engine.loop import Runner, RunnerSettings
from cronbell.runlog import models
from cronbell.runlog.lease_time import OwnTime, StoreTime, lease_time_for
from cronbell.runlog.models import Attempt, Run
from cronbell.runlog.requests import request_run
from cronbell.server.diagnosis import run_log
from cronbell.testing import answers
from cronbell.testing.shifted import ShiftedClock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


def apart(seconds: float) -> ShiftedClock:
    clock = ShiftedClock()
    clock.show(SYSTEM_CLOCK.now() + timedelta(seconds=seconds))
    return clock


@asynccontextmanager
async def runner(specs, target, clock, *, lease=3.0, lease_time=None):
    transport = PyreqwestTransport()
    host = target.base_url.removeprefix("http://")
    one = Runner(
        specs,
        Dispatcher(transport, secret=SECRET, allowed_hosts=frozenset({host}), clock=clock),
        clock=clock,
        settings=RunnerSettings(poll_seconds=0.1, grace_seconds=2, lease_seconds=lease),
        lease_time=lease_time or StoreTime(),
    )
    stop = asyncio.Event()
    task = asyncio.create_task(one.run(stop))
    await asyncio.wait_for(one.ready.wait(), PATIENCE_SECONDS)
    try:
        yield one
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_SECONDS)
        await transport.close()


def looks(one: Runner) -> asyncio.Event:
    """Tell when a runner has looked for abandoned runs a few times more."""
    enough, kept, left = asyncio.Event(), one.keeper.rescue, [4]

    async def rescue():
        found = await kept()
        left[0] -= 1
        if not left[0]:
            enough.set()
        return found

    one.keeper.rescue = rescue
    return enough


async def a_call_beside_another_clock(make_spec, target, seconds, lease_time) -> None:
    """Have a run going on at one runner while another, whose clock is apart, looks."""
    spec = make_spec(schedule="0 0 1 1 *", timeout=20)
    gate = threading.Event()
    target.script(spec.path, answers.held(gate, answers.ok()), answers.ok())
    async with runner([spec], target, apart(0), lease_time=lease_time):
        await aside(request_run, spec.name, nonce="n", actor="alice")
        await until(lambda: len(target.requests) == 1)
        async with runner([spec], target, apart(seconds), lease_time=lease_time) as other:
            await asyncio.wait_for(looks(other).wait(), PATIENCE_SECONDS)
            gate.set()
            await until(lambda: statuses() == ["success"])


@pytest.mark.parametrize("seconds", [-4, 2, 4, 20, 3600])
def test_a_living_runners_call_is_not_taken_for_a_dead_ones(make_spec, target, seconds):
    asyncio.run(a_call_beside_another_clock(make_spec, target, seconds, StoreTime()))
    assert len(target.requests) == 1
    assert Run.objects.get().lease_term == 1
    assert not Attempt.objects.exists()


def test_sabotage_judged_by_each_ones_own_clock_the_call_is_made_twice(make_spec, target):
    asyncio.run(a_call_beside_another_clock(make_spec, target, 4, OwnTime()))
    assert len(target.requests) == 2
    assert Run.objects.get().lease_term > 1


def test_a_dead_runners_run_is_taken_over_in_time_by_one_whose_clock_is_behind(make_spec, target):
    spec = make_spec(schedule="0 0 1 1 *")
    target.script(spec.path, answers.ok())

    async def go():
        async with runner([spec], target, apart(-4)):
            await aside(abandoned, spec.name)
            await until(lambda: statuses() == ["success"])

    asyncio.run(go())
    assert Run.objects.get().lease_term == 2


def abandoned(name: str) -> None:
    now = SYSTEM_CLOCK.now()
    Run.objects.create(
        job=models.Job.objects.get(name=name), key="cb1-left", kind="schedule", status="running",
        scheduled_at=now, queued_at=now, available_at=now, started_at=now,
        deadline_at=now + timedelta(minutes=10), lease_owner="dead", lease_term=1,
        lease_expires_at=now - timedelta(milliseconds=1),
    )  # fmt: skip


def early() -> set[int]:
    """Return the runs whose time has not come."""
    soon = SYSTEM_CLOCK.now() + timedelta(seconds=1)
    return set(Run.objects.filter(scheduled_at__gt=soon).values_list("id", flat=True))


@pytest.mark.parametrize("seconds", [20, 3600, -3600])
def test_the_runner_whose_clock_is_wrong_stands_aside_until_it_is_alone(make_spec, target, seconds):
    spec = make_spec(schedule="every 10s", dialect=Dialect.STANDARD)
    target.script(spec.path, answers.ok())

    async def go():
        async with runner([spec], target, apart(seconds)) as wrong:
            assert not wrong.keeper.clocks.aside, "alone it works by its own clock"
            async with runner([spec], target, apart(0)) as right:
                await until(lambda: wrong.keeper.clocks.aside)
                before = await aside(early)
                wrong.clock.show(wrong.clock.now() + timedelta(seconds=30))
                await asyncio.wait_for(looks(wrong).wait(), PATIENCE_SECONDS)
                assert await aside(early) <= before, "planned by the wrong clock"
                assert not right.keeper.clocks.aside
                found = {one.name: one for one in await aside(findings)}
                assert not found["clocks"].ok
                assert "stands aside" in found["clocks"].remedy
            await until(lambda: not wrong.keeper.clocks.aside)

    asyncio.run(go())


def findings() -> list:
    from django.db import connections

    try:
        return list(run_log(SYSTEM_CLOCK))
    finally:
        connections.close_all()


def test_sabotage_one_that_does_not_stand_aside_fires_an_hour_early(make_spec, target, monkeypatch):
    monkeypatch.setattr(Clocks, "compare", lambda _self: None)
    spec = make_spec(schedule="* * * * *")
    target.script(spec.path, answers.ok())

    async def go():
        async with runner([spec], target, apart(0)), runner([spec], target, apart(3600)):
            await until(lambda: bool(early()))

    asyncio.run(go())


def test_a_clock_that_is_set_is_noticed_and_a_dead_better_one_counts_no_more(make_spec, target):
    clock = apart(0)
    seen = to_micros(SYSTEM_CLOCK.now())
    other = models.Runner.objects.create(
        id="other", host="h", pid=1, version="0", started_at=seen, seen_at=seen
    )
    clocks = Clocks("me", clock, StoreTime(), lease_seconds=15)
    clocks.measure()
    assert abs(clocks.ahead) < FAR_APART
    clock.show(SYSTEM_CLOCK.now() + timedelta(hours=1))
    clocks.measure()
    clocks.compare()
    assert clocks.aside
    assert abs(clocks.now() - SYSTEM_CLOCK.micros()) < 1_000_000
    models.Runner.objects.filter(pk=other.pk).update(seen_at=seen - 16_000_000)
    clocks.compare()
    assert not clocks.aside


def test_a_runner_knows_its_place_among_those_alive():
    seen = to_micros(SYSTEM_CLOCK.now())
    here = socket.gethostname()
    for name, host, seen_at, stopped in [
        ("a", here, seen, None),
        ("b", "elsewhere", seen, None),
        ("c", here, seen - 16_000_000, None),
        ("d", here, seen, seen),
        ("z", here, seen, None),
    ]:
        models.Runner.objects.create(
            id=name, host=host, pid=1, version="0", started_at=seen, seen_at=seen_at,
            stopped_at=stopped,
        )  # fmt: skip
    clocks = Clocks("me", apart(0), StoreTime(), lease_seconds=15)
    assert clocks.place == clocks.place_here == ALONE
    clocks.measure()
    clocks.compare()
    assert clocks.place == (2, 4)
    assert clocks.place_here == (1, 3)
    models.Runner.objects.all().delete()
    clocks.compare()
    assert clocks.place == clocks.place_here == ALONE


def test_a_real_runner_judges_by_the_stores_clock():
    assert isinstance(lease_time_for(SYSTEM_CLOCK), StoreTime)
    assert isinstance(lease_time_for(apart(0)), OwnTime)
    assert abs(StoreTime().ahead(SYSTEM_CLOCK)) < 1_000_000
    assert abs(StoreTime().ahead(apart(20)) + 20_000_000) < 1_000_000
