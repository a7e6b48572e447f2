"""A whole runner under the policies of a job: overlap, catch-up, delivery."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest
from tests.engine.conftest import NOON, aside, lost_run, run_until, running, statuses, until

from cronbell.clock import to_micros
from cronbell.domain import CatchUp, Delivery, Overlap, RetryPolicy
from cronbell.engine.loop import RunnerSettings
from cronbell.engine.planner import Planner
from cronbell.runlog.cancelling import cancel
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Attempt, Run
from cronbell.runlog.reasons import explain
from cronbell.runlog.requests import request_run
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


def test_a_queued_fire_is_called_once_the_run_before_it_has_ended(make_spec, clock, target):
    spec = make_spec(timeout=20, overlap=Overlap.QUEUE_ONE)
    gate = threading.Event()
    target.script(spec.path, answers.held(gate, answers.ok()), answers.ok())

    async def go():
        async with running([spec], clock, target):
            clock.show_second(59.8)
            await until(lambda: len(target.requests_to(spec.path)) == 1)
            clock.show_second(59.8)
            await until(lambda: statuses() == ["running", "pending"])
            gate.set()
            await until(lambda: statuses() == ["success", "success"])

    asyncio.run(go())
    first, second = Run.objects.order_by("id")
    assert second.started_at >= first.finished_at


def test_a_replaced_run_is_cancelled_its_call_dropped_and_the_new_one_made(
    make_spec, clock, target
):
    spec = make_spec(timeout=20, overlap=Overlap.CANCEL_RUNNING)
    gate = threading.Event()
    target.script(spec.path, answers.held(gate, answers.ok()), answers.ok())

    async def go():
        async with running([spec], clock, target) as runner:
            clock.show_second(59.8)
            await until(lambda: len(target.requests_to(spec.path)) == 1)
            clock.show_second(59.8)
            await until(lambda: statuses() == ["cancelled", "success"])
            await until(lambda: not runner.pool.going and not runner.keeper.in_hand)
            gate.set()

    asyncio.run(go())
    assert Run.objects.order_by("id").first().reason == "replaced"
    assert len(target.requests_to(spec.path)) == 2


def test_catch_up_all_calls_each_missed_fire_in_its_order(make_spec, clock, target):
    spec = make_spec(
        catch_up=CatchUp.ALL, catch_up_window=600, overlap=Overlap.QUEUE_ALL, schedule="*/2 * * * *"
    )
    target.script(spec.path, *[answers.ok()] * 5)
    sync_jobs([spec], NOON)
    clock.show(NOON + timedelta(minutes=30, seconds=5))

    async def go():
        async with running([spec], clock, target):
            await until(lambda: statuses() == ["missed", *["success"] * 5])

    asyncio.run(go())
    missed, *caught_up = Run.objects.order_by("id")
    assert (missed.missed_first_at, missed.missed_count) == (NOON + timedelta(minutes=2), 10)
    assert [run.scheduled_at for run in caught_up] == [
        NOON + timedelta(minutes=minute) for minute in (22, 24, 26, 28, 30)
    ]
    sent = [each.header("X-Cronbell-Scheduled-At") for each in target.requests_to(spec.path)]
    assert sent == [f"2026-11-22T12:{minute}:00Z" for minute in (22, 24, 26, 28, 30)]


def test_catch_up_obeys_the_overlap_policy(make_spec, clock):
    job_id = sync_jobs([make_spec()], NOON)["tick"].pk
    due = {}
    for overlap in (Overlap.SKIP, Overlap.CANCEL_RUNNING):
        planner = Planner()
        spec = make_spec(catch_up=CatchUp.ALL, overlap=overlap)
        planner.load([(job_id, spec, to_micros(NOON))])
        rows = planner.plan(to_micros(NOON) + 180_000_000, 10)
        due[overlap] = [(row.status, row.ahead) for row in rows]
    assert due[Overlap.SKIP] == [("pending", 0), ("pending", 1), ("pending", 2)]
    assert due[Overlap.CANCEL_RUNNING] == [("skipped", 0), ("skipped", 0), ("pending", 0)]


def test_allowed_runs_go_on_beside_each_other(make_spec, clock, target):
    spec = make_spec(timeout=20, overlap=Overlap.ALLOW)
    gate = threading.Event()
    target.script(spec.path, answers.held(gate, answers.ok()), answers.held(gate, answers.ok()))

    async def go():
        async with running([spec], clock, target):
            for calls in (1, 2):
                clock.show_second(59.8)
                await until(lambda calls=calls: len(target.requests_to(spec.path)) == calls)
            assert await aside(statuses) == ["running", "running"]
            gate.set()
            await until(lambda: statuses() == ["success", "success"])

    asyncio.run(go())


ONCE = {"delivery": Delivery.AT_MOST_ONCE}


@pytest.mark.parametrize(
    ("delivery", "status"),
    [(Delivery.AT_LEAST_ONCE, "success"), (Delivery.AT_MOST_ONCE, "unknown")],
)
def test_a_run_whose_runner_died_is_called_again_or_unknown(
    make_spec, clock, target, delivery, status
):
    spec = make_spec(delivery=delivery)
    target.script(spec.path, answers.ok())
    lost_run(spec, clock, at_most_once=delivery is Delivery.AT_MOST_ONCE)

    async def go():
        async with running([spec], clock, target):
            await until(lambda: statuses() == [status])

    asyncio.run(go())
    assert len(target.requests) == (delivery is Delivery.AT_LEAST_ONCE)
    assert Attempt.objects.count() == (delivery is Delivery.AT_LEAST_ONCE)
    run = Run.objects.get()
    if delivery is Delivery.AT_MOST_ONCE:
        assert run.reason == "runner_lost"
        assert "at most once" in explain(run.reason, run.reason_data)


@pytest.mark.parametrize(
    "failure",
    [
        answers.answer(500, b""),
        answers.reset("before"),
        answers.json_answer({}, status=409, headers=[("Retry-After", "1")]),
        answers.json_answer({}, status=503, headers=[("Retry-After", "1")]),
    ],
)
def test_at_most_once_is_not_tried_again_once_something_was_sent(make_spec, clock, target, failure):
    retry = RetryPolicy(max_attempts=3, backoff=0.05, retry_on=("network", "5xx"))
    spec = make_spec(retry=retry, **ONCE)
    target.script(spec.path, failure, answers.ok())

    run_until(
        [spec], clock, target, lambda: statuses() and statuses()[0] not in {"pending", "running"}
    )
    assert Run.objects.get().status in {"error", "timed_out"}
    assert len(target.requests) == 1


def test_at_most_once_is_tried_again_where_nobody_listened(make_spec, clock, free_port):
    retry = RetryPolicy(max_attempts=2, backoff=0.05)
    spec = make_spec(retry=retry, url=f"http://127.0.0.1:{free_port}/x", **ONCE)
    nobody = SimpleNamespace(base_url=f"http://127.0.0.1:{free_port}")

    async def go():
        async with running([spec], clock, nobody):
            clock.show_second(59.8)
            await until(lambda: statuses() == ["error"])

    asyncio.run(go())
    run = Run.objects.get()
    assert (run.reason, run.attempt, run.at_most_once) == ("connect", 2, True)


def test_a_runner_told_to_stop_leaves_an_at_most_once_call_unknown(make_spec, clock, target):
    spec = make_spec(timeout=20, **ONCE)
    target.script(spec.path, answers.hang())
    settings = RunnerSettings(poll_seconds=0.1, grace_seconds=0.2)

    async def go():
        async with running([spec], clock, target, settings=settings):
            clock.show_second(59.8)
            await until(lambda: len(target.requests) == 1)

    asyncio.run(go())
    run = Run.objects.get()
    assert (run.status, run.reason) == ("unknown", "runner_lost")
    assert Attempt.objects.count() == 0


def test_run_now_keeps_the_jobs_delivery(make_spec):
    sync_jobs([make_spec(**ONCE)], NOON)
    request_run("tick", nonce="n", actor="alice")
    assert Run.objects.get().at_most_once


def test_a_cancelled_call_is_dropped_within_about_a_second(make_spec, clock, target):
    spec = make_spec(timeout=20)
    target.script(spec.path, answers.hang())

    def ask() -> str:
        return cancel(Run.objects.get().pk, actor="alice", clock=clock).status

    async def go():
        async with running([spec], clock, target) as runner:
            clock.show_second(59.8)
            await until(lambda: len(target.requests) == 1)
            asked = clock.monotonic()
            # The runner may have been quicker than the look at what became of it.
            assert await aside(ask) in {"running", "cancelled"}
            await until(lambda: statuses() == ["cancelled"])
            await until(lambda: not runner.pool.going and not runner.keeper.in_hand)
            assert clock.monotonic() - asked < 5

    asyncio.run(go())
