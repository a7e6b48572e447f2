"""A lease counts from the write that gives it, however long the store was waited for."""

from __future__ import annotations

import asyncio
import random
import threading

import pytest
from tests.engine.conftest import NOON, SECRET, aside

from cronbell.clock import to_micros
from cronbell.dispatch import Dispatcher, PyreqwestTransport
from cronbell.domain import Delivery, Dialect
from cronbell.engine.loop import Runner, RunnerSettings
from cronbell.runlog.models import Run
from cronbell.runlog.requests import request_run
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])

LEASE = 10.0


async def blocked(runner: Runner, clock, *steps) -> None:
    """Have ``steps`` wait for the store past a whole lease."""
    gate = threading.Event()
    busy = runner.writer.submit(lambda _store: gate.wait(20))
    waiting = [asyncio.ensure_future(step()) for step in steps]
    for _ in waiting:
        await clock.wait(0)  # each has handed in its operation
    clock.show(NOON.replace(minute=1))
    gate.set()
    await asyncio.gather(busy, *waiting)


def runner_for(spec, clock, target, then) -> None:
    async def go() -> None:
        transport = PyreqwestTransport()
        hosts = frozenset({target.base_url.removeprefix("http://")})
        runner = Runner(
            [spec],
            Dispatcher(transport, secret=SECRET, allowed_hosts=hosts, clock=clock),
            clock=clock,
            settings=RunnerSettings(lease_seconds=LEASE),
            rng=random.Random(7),
        )
        runner.writer.start()
        await runner._load()
        try:
            await then(runner)
        finally:
            await runner.pool.stop(5)
            await runner.writer.stop()
            await transport.close()

    asyncio.run(go())


def in_force(clock) -> bool:
    return Run.objects.get().lease_expires_at > clock.now()


def test_a_fire_recorded_late_is_not_born_with_an_expired_lease(make_spec, clock, target):
    spec = make_spec(
        schedule="every 1s", dialect=Dialect.STANDARD, delivery=Delivery.AT_MOST_ONCE, deadline=900
    )
    gate = threading.Event()
    target.script(spec.path, answers.held(gate))

    async def then(runner: Runner) -> None:
        clock.show(NOON.replace(second=2))
        rows = runner.planner.plan(clock.micros(), 1, 1)
        await blocked(runner, clock, lambda: runner.due.record(rows, to_micros(NOON)))
        assert await aside(lambda: in_force(clock))
        rescued = await runner.keeper.rescue()
        assert rescued.unknown == 0
        gate.set()

    runner_for(spec, clock, target, then)


def test_a_claim_that_waited_is_not_expired_either(make_spec, clock, target):
    spec = make_spec(deadline=900)
    gate = threading.Event()
    target.script(spec.path, answers.held(gate))

    async def then(runner: Runner) -> None:
        await aside(lambda: request_run(spec.name, nonce="1", actor="me", clock=clock))
        await blocked(runner, clock, runner.pool._claim_once)
        assert await aside(lambda: in_force(clock))
        gate.set()

    runner_for(spec, clock, target, then)


def test_a_renewal_and_a_rescue_that_waited_keep_what_was_taken_meanwhile(make_spec, clock, target):
    spec = make_spec(
        schedule="every 1s", dialect=Dialect.STANDARD, delivery=Delivery.AT_MOST_ONCE, deadline=900
    )
    gate = threading.Event()
    target.script(spec.path, answers.held(gate))

    async def then(runner: Runner) -> None:
        clock.show(NOON.replace(second=2))
        rows = runner.planner.plan(clock.micros(), 1, 1)
        taken: dict[int, int] = {}

        async def take() -> None:
            await runner.due.record(rows, clock.micros())
            taken.update(runner.pool.in_hand)

        await take()
        runner.pool.in_hand.clear()

        async def put_back() -> None:
            runner.pool.in_hand.update(taken)

        # The rescue is asked for while the run is not in hand yet, and done when it is.
        await blocked(runner, clock, runner.keeper.renew, runner.keeper.rescue, put_back)
        assert await aside(lambda: in_force(clock))
        assert await aside(lambda: Run.objects.get().status) == "running"
        gate.set()

    runner_for(spec, clock, target, then)
