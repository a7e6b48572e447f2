"""What is to be sent soon is put together while nothing is due, and only that is sent."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from tests.engine.conftest import NOON, aside, run_until, running, statuses, until

from cronbell.clock import to_micros
from cronbell.domain import RetryPolicy
from cronbell.engine.planner import MICROS, Planner
from cronbell.runlog.requests import request_run
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])

CURSOR = to_micros(NOON)
MINUTE = CURSOR // MICROS + 60


def planner_of(specs):
    planner = Planner()
    planner.load([(number, spec, CURSOR) for number, spec in enumerate(specs, 1)])
    return planner


def test_a_fire_is_told_once_when_it_is_near_enough(make_spec):
    planner = planner_of([make_spec("a"), make_spec("b"), make_spec("c", schedule="5 * * * *")])
    assert planner.soon(MINUTE, 10) == [], "nothing is worked out yet"
    assert not planner.warm(10)

    assert planner.soon(MINUTE - 1, 10) == []
    told = [job.spec.name for job in [*planner.soon(MINUTE, 1), *planner.soon(MINUTE, 10)]]
    assert sorted(told) == ["a", "b"]
    assert planner.soon(MINUTE, 10) == []
    assert [job.spec.name for job in planner.soon(MINUTE + 240, 10)] == ["c"]


def test_a_fire_that_was_planned_meanwhile_is_told_no_more(make_spec):
    planner = planner_of([make_spec("a")])
    planner.warm(10)
    rows = planner.plan(MINUTE * MICROS, 10)
    planner.planned(rows)

    assert planner.soon(MINUTE, 10) == []
    planner.warm(10)
    (job,) = planner.soon(MINUTE + 60, 10)
    assert (job.due, bool(job.key)) == (MINUTE + 60, True)


def test_fires_are_sent_as_they_were_put_together(make_spec, clock, target):
    specs = [make_spec(f"job-{number}") for number in range(5)]
    for spec in specs:
        target.script(spec.path, answers.ok())
    sent = []

    async def go():
        async with running(specs, clock, target) as runner:
            made = runner.executor.dispatcher._made
            whole = runner.executor.dispatcher.send_made
            runner.executor.dispatcher.send_made = lambda *asked: (
                sent.append(whole(*asked)) or sent[-1]
            )
            clock.show(NOON + timedelta(seconds=50))
            await until(lambda: len(made) == 5)
            clock.show_second(59.9)
            await until(lambda: statuses() == ["success"] * 5)
            assert made == {}

    asyncio.run(go())
    assert len(sent) == 5
    assert None not in sent
    keys = [request.header("Idempotency-Key") for request in target.requests]
    assert len(set(keys)) == 5


def test_a_second_attempt_is_put_together_anew(make_spec, clock, target):
    spec = make_spec(retry=RetryPolicy(max_attempts=2, backoff=0.05, max_backoff=0.1))
    target.script(spec.path, answers.answer(500, b""), answers.ok())

    run_until([spec], clock, target, lambda: statuses() == ["success"], second=55)
    attempts = [call.header("X-Cronbell-Attempt") for call in target.requests_to(spec.path)]
    assert attempts == ["1", "2"]


def test_who_asks_for_a_run_does_not_wait_until_all_is_ready(make_spec, clock, target):
    spec = make_spec(schedule="0 0 1 1 *")
    target.script(spec.path, answers.ok())

    async def go():
        async with running([spec], clock, target) as runner:
            begun = []
            runner.planner.warm = lambda limit: not begun.append(limit)  # never done
            await until(lambda: begun)
            await aside(request_run, "tick", nonce="n" * 16, actor="kim", clock=clock)
            runner._poked.set()
            await until(lambda: statuses() == ["success"])

    asyncio.run(go())
