"""A whole runner: real clock (shifted), real HTTP, real store."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest
from tests.engine.conftest import NOON, aside, lost_run, run_until, running, statuses, until

from cronbell.clock import from_micros, to_micros
from cronbell.domain import RetryPolicy, fire_key
from cronbell.engine.loop import RunnerSettings
from cronbell.engine.planner import Planner, jitter_of
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Attempt, Job, Run, Runner
from cronbell.runlog.requests import request_run
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


def test_a_fire_is_called_at_its_instant_with_the_specified_headers_and_recorded_once(
    make_spec, clock, target
):
    spec = make_spec()
    target.script(spec.path, answers.ok(message="3 done"))

    run_until([spec], clock, target, lambda: statuses() == ["success"], second=59.5)
    run = Run.objects.get()
    due = NOON + timedelta(minutes=1)
    assert run.scheduled_at == due
    assert timedelta(0) <= run.started_at - due < timedelta(seconds=1)
    assert (run.http_status, run.details) == (200, "3 done")
    (request,) = target.requests_to(spec.path)
    key = fire_key(spec.path, spec.schedule, due)
    wanted = {
        "User-Agent": "vercel-cron/1.0",
        "Authorization": "Bearer sixteen-characters-or-more",
        "x-vercel-cron-schedule": "* * * * *",
        "Idempotency-Key": key,
        "X-Cronbell-Run-Id": key,
        "X-Cronbell-Scheduled-At": "2026-11-22T12:01:00Z",
        "X-Cronbell-Attempt": "1",
    }
    assert {name: request.header(name) for name in wanted} == wanted
    assert Runner.objects.get().stopped_at is not None


def test_a_failure_is_explained_and_not_tried_again_unless_configured(make_spec, clock, target):
    spec = make_spec()
    target.script(spec.path, answers.answer(500, b"boom"))

    run_until([spec], clock, target, lambda: statuses() == ["error"])
    run = Run.objects.get()
    assert (run.reason, run.http_status, run.attempt) == ("http_status", 500, 1)
    assert "500" in run.details
    assert len(target.requests_to(spec.path)) == 1


def test_a_configured_retry_keeps_the_key_and_counts_attempts(make_spec, clock, target):
    retry = RetryPolicy(max_attempts=3, backoff=0.05, max_backoff=0.1)
    spec = make_spec(retry=retry)
    target.script(spec.path, answers.answer(500, b""), answers.reset("before"), answers.ok())

    run_until([spec], clock, target, lambda: statuses() == ["success"])
    calls = target.requests_to(spec.path)
    assert [call.header("X-Cronbell-Attempt") for call in calls] == ["1", "2", "3"]
    assert len({call.header("Idempotency-Key") for call in calls}) == 1
    assert Run.objects.get().attempt == 3
    assert list(Attempt.objects.values_list("number", "reason")) == [
        (1, "http_status"),
        (2, "reset"),
    ]


def test_an_endpoint_still_at_work_is_asked_again_without_spending_an_attempt(
    make_spec, clock, target
):
    spec = make_spec()
    working = answers.json_answer({"error": "going on"}, status=409, headers=[("Retry-After", "0")])
    target.script(spec.path, working, working, answers.ok())

    run_until([spec], clock, target, lambda: statuses() == ["success"])
    attempts = [call.header("X-Cronbell-Attempt") for call in target.requests_to(spec.path)]
    assert attempts == ["1", "1", "1"]


def test_a_fire_during_a_run_is_skipped_and_the_run_goes_on(make_spec, clock, target):
    spec = make_spec(timeout=20)
    gate = threading.Event()
    target.script(spec.path, answers.held(gate, answers.ok()))

    async def go():
        async with running([spec], clock, target):
            clock.show_second(59.8)
            await until(lambda: len(target.requests_to(spec.path)) == 1)
            clock.show_second(59.8)
            await until(lambda: statuses() == ["running", "skipped"])
            gate.set()
            await until(lambda: statuses() == ["success", "skipped"])

    asyncio.run(go())
    assert Run.objects.get(status="skipped").reason == "overlap"


def test_a_hanging_target_ends_at_the_timeout_and_others_are_not_kept_waiting(
    make_spec, clock, target
):
    slow, quick = make_spec("slow", timeout=0.4), make_spec("quick")
    target.script(slow.path, answers.hang())
    target.script(quick.path, answers.ok())

    run_until([slow, quick], clock, target, lambda: sorted(statuses()) == ["success", "timed_out"])
    slow_run, quick_run = (Run.objects.get(job__name=spec.name) for spec in (slow, quick))
    assert (slow_run.reason, quick_run.status) == ("timeout", "success")
    assert quick_run.finished_at < slow_run.finished_at, "it was not kept waiting"


def test_a_short_outage_is_caught_up_and_a_long_one_is_one_missed_row(make_spec, clock, target):
    spec = make_spec(catch_up_window=3600)
    target.script(spec.path, answers.ok())
    sync_jobs([spec], NOON)
    clock.show(NOON + timedelta(hours=5, seconds=30))

    async def go():
        async with running([spec], clock, target):
            await until(lambda: statuses() == ["missed", "success"])

    asyncio.run(go())
    missed, caught_up = Run.objects.order_by("id")
    assert missed.missed_first_at == NOON + timedelta(minutes=1)
    assert missed.scheduled_at == NOON + timedelta(hours=4, minutes=59)
    assert missed.missed_count == 299
    assert caught_up.scheduled_at == NOON + timedelta(hours=5)


def test_a_run_of_a_runner_that_died_is_sent_again_with_the_same_key(make_spec, clock, target):
    spec = make_spec()
    target.script(spec.path, answers.ok())
    lost = lost_run(spec, clock, key="cb1-the-same")

    async def go():
        async with running([spec], clock, target):
            await until(lambda: statuses() == ["success"])

    asyncio.run(go())
    (request,) = target.requests_to(spec.path)
    assert request.header("Idempotency-Key") == "cb1-the-same"
    assert request.header("X-Cronbell-Attempt") == "1"
    lost.refresh_from_db()
    assert (lost.status, lost.lease_term) == ("success", 2)
    assert Attempt.objects.get().reason == "runner_lost"


def test_a_run_past_its_deadline_ends_without_being_sent(make_spec, clock, target):
    spec = make_spec(enabled=False, deadline=60)
    job = sync_jobs([spec], clock.now())[spec.name]
    long_ago = clock.now() - timedelta(hours=1)
    Run.objects.create(
        job=job,
        key="cb1-late",
        kind="run_now",
        status="pending",
        scheduled_at=long_ago,
        queued_at=long_ago,
        available_at=long_ago,
        deadline_at=long_ago + timedelta(seconds=60),
    )

    async def go():
        async with running([spec], clock, target):
            await until(lambda: statuses() == ["timed_out"])

    asyncio.run(go())
    assert Run.objects.get().reason == "deadline"
    assert target.requests == []


def test_a_runner_told_to_stop_lets_calls_end_and_gives_back_what_it_cut_off(
    make_spec, clock, target
):
    quick, stuck = make_spec("quick", timeout=20), make_spec("stuck", timeout=20)
    gate = threading.Event()
    target.script(quick.path, answers.held(gate, answers.ok()))
    target.script(stuck.path, answers.hang())
    settings = RunnerSettings(poll_seconds=0.1, grace_seconds=1.0)

    async def go():
        async with running([quick, stuck], clock, target, settings=settings):
            clock.show_second(59.8)
            await until(lambda: len(target.requests) == 2)
            asyncio.get_running_loop().call_later(0.3, gate.set)

    asyncio.run(go())
    assert Run.objects.get(job__name="quick").status == "success"
    cut = Run.objects.get(job__name="stuck")
    assert (cut.status, cut.attempt) == ("pending", 1)
    assert Attempt.objects.get(run=cut).reason == "runner_lost"


def test_run_now_works_between_fires_and_a_double_click_makes_one_run(make_spec, clock, target):
    spec = make_spec(schedule="0 0 1 1 *")
    target.script(spec.path, answers.ok())

    def click() -> int:
        return request_run(spec.name, nonce="one-click", actor="alice", clock=clock)

    async def go():
        async with running([spec], clock, target):
            first = await aside(click)
            second = await aside(click)
            assert first == second
            await until(lambda: statuses() == ["success"])

    asyncio.run(go())
    run = Run.objects.get()
    assert (run.kind, run.actor) == ("run_now", "alice")
    assert len(target.requests) == 1


def test_two_runners_on_one_store_share_the_work_and_never_fire_twice(make_spec, clock, target):
    specs = [make_spec(f"job-{n}") for n in range(40)]

    async def go():
        async with running(specs, clock, target), running(specs, clock, target):
            clock.show_second(59.7)
            await until(lambda: statuses() == ["success"] * 40)

    for spec in specs:
        target.script(spec.path, answers.ok())
    asyncio.run(go())
    keys = [request.header("Idempotency-Key") for request in target.requests]
    assert len(keys) == len(set(keys)) == 40


def test_a_changed_schedule_makes_up_no_fire_in_the_past(make_spec, clock):
    sync_jobs([make_spec(schedule="0 0 1 1 *")], NOON - timedelta(days=30))
    job = sync_jobs([make_spec(schedule="* * * * *")], NOON)["tick"]
    assert job.cursor_at == NOON
    again = sync_jobs([make_spec(schedule="* * * * *")], NOON + timedelta(hours=1))["tick"]
    assert Job.objects.get(pk=again.pk).cursor_at == NOON, "a second look changes nothing"


def test_a_removed_job_keeps_its_history_and_a_longer_name_takes_it_along(make_spec):
    sync_jobs([make_spec("clean")], NOON)
    sync_jobs([make_spec("a-clean", path="/api/cron/clean")], NOON)
    assert [job.name for job in Job.objects.all()] == ["a-clean"]
    sync_jobs([], NOON)
    assert Job.objects.get().removed_at == NOON


def test_instants_survive_the_store_to_the_microsecond(make_spec):
    odd = NOON + timedelta(microseconds=123457)
    job = sync_jobs([make_spec()], odd)["tick"]
    assert Job.objects.get(pk=job.pk).cursor_at == odd == from_micros(to_micros(odd))


def test_jitter_sends_a_fire_later_always_by_the_same_and_keeps_the_due_instant(make_spec, clock):
    early, late = make_spec("a", jitter=600.0), make_spec("b", jitter=600.0)
    assert 0 <= jitter_of(early) < 600_000_000
    assert jitter_of(early) == jitter_of(make_spec("a", jitter=600.0)) != jitter_of(late)
    assert jitter_of(make_spec("a")) == 0
    planned = Planner()
    job = sync_jobs([early], NOON)["a"]
    planned.load([(job.pk, early, to_micros(NOON))])
    (row,) = planned.plan(to_micros(NOON) + 60_000_000, 10)
    assert row.scheduled_at == to_micros(NOON) + 60_000_000
    assert row.available_at - row.scheduled_at == jitter_of(early)


def test_a_due_fire_is_in_the_log_within_seconds_however_busy_the_runner_is(
    make_spec, clock, target
):
    specs = [make_spec(f"job-{n}", timeout=20) for n in range(6)]
    gate = threading.Event()
    for spec in specs:
        target.script(spec.path, answers.held(gate, answers.ok()))
    settings = RunnerSettings(concurrency=2, poll_seconds=0.1, grace_seconds=2)

    async def go():
        async with running(specs, clock, target, settings=settings):
            clock.show_second(59.8)
            await until(lambda: sorted(statuses()) == ["pending"] * 4 + ["running"] * 2)
            gate.set()
            await until(lambda: statuses() == ["success"] * 6)

    asyncio.run(go())
    queued = {run.queued_at - run.scheduled_at for run in Run.objects.all()}
    assert max(queued) < timedelta(seconds=3)
