"""Fires recorded before they are due: sent in time, and whatever is decided meanwhile holds."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from tests.engine.conftest import NOON, aside, running, statuses, until
from tests.runlog.test_store import fire

from cronbell.clock import from_micros, to_micros
from cronbell.domain import Blackout, Delivery, Overlap
from cronbell.engine.early import Early
from cronbell.engine.loop import RunnerSettings
from cronbell.engine.planner import LEAD, LEFT, MICROS, NEAREST, Planner
from cronbell.runlog import applying, pausing, requests
from cronbell.runlog.cancelling import cancel
from cronbell.runlog.early import MARGIN
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Job, RollupLeft, Run, Runner
from cronbell.runlog.pausing import pause
from cronbell.runlog.requests import request_run
from cronbell.runlog.rollups import Roller
from cronbell.runlog.router import ALIAS
from cronbell.runlog.store import RunStore
from cronbell.testing import answers
from cronbell.testing.shifted import ShiftedClock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])

DUE = NOON + timedelta(minutes=1)
EARLY_SECOND = 59.5  # of the minute: early enough, and not too near
OWN_SECOND = 59.2  # early enough for a runner's own part, not for another's
LATE_SECOND = 59.95
SETTINGS = RunnerSettings(poll_seconds=0.1, grace_seconds=2)


class HeldClock(ShiftedClock):
    """A clock that can be held, for as long as a test needs before a fire's instant."""

    def __init__(self) -> None:
        super().__init__()
        self._held: int | None = None

    def now(self) -> datetime:
        return super().now() if self._held is None else from_micros(self._held)

    def micros(self) -> int:
        return super().micros() if self._held is None else self._held

    def hold(self, second: float) -> None:
        """Stand still at that second of the minute that it shows."""
        self._held = None
        self._held = self.show_second(second)

    def go_on(self, second: float = LATE_SECOND) -> None:
        """Go on from that second of the minute it was held in."""
        minute = self.now().replace(second=0, microsecond=0)
        self._held = None
        self.show(minute + timedelta(seconds=second))


@pytest.fixture
def clock():
    held = HeldClock()
    held.show(NOON.replace(second=1))
    return held


def recorded_early() -> bool:
    return statuses() == ["running"]


@asynccontextmanager
async def before_the_fire(specs, clock, target):
    """Lend a runner that has just recorded its first fire early; the clock is held."""
    async with running(specs, clock, target, settings=SETTINGS) as runner:
        clock.hold(EARLY_SECOND)
        await until(recorded_early)
        yield runner


async def after_the_fire(clock) -> None:
    while clock.now() < DUE + timedelta(seconds=0.4):
        await clock.wait(0.05)


def meanwhile(specs, clock, target, what: Callable[[], Awaitable[object]], ends: list[str]) -> None:
    """Do something between a fire's recording and its instant; then wait for these statuses."""

    async def go():
        async with before_the_fire(specs, clock, target):
            await what()
            clock.go_on()
            await after_the_fire(clock)
            await until(lambda: statuses() == ends)

    asyncio.run(go())


def paused(spec, clock) -> Callable[[], Awaitable[object]]:
    return lambda: aside(pause, spec.name, reason="moving", actor="alice", clock=clock)


def test_a_fire_is_recorded_before_it_is_due_and_sent_when_it_is(make_spec, clock, target):
    spec = make_spec()
    target.script(spec.path, answers.ok())

    async def go():
        async with before_the_fire([spec], clock, target):
            run = await aside(Run.objects.get)
            assert (run.started_at, run.scheduled_at) == (DUE, DUE)
            assert run.queued_at < DUE
            assert not target.requests_to(spec.path)
            clock.go_on()
            await until(lambda: statuses() == ["success"])

    asyncio.run(go())
    assert len(target.requests_to(spec.path)) == 1
    assert Run.objects.get().started_at >= DUE


def test_a_pause_before_the_instant_holds(make_spec, clock, target):
    spec = make_spec()
    meanwhile([spec], clock, target, paused(spec, clock), ["skipped"])
    run = Run.objects.get()
    assert (run.reason, run.scheduled_at) == ("paused", DUE)
    assert not target.requests_to(spec.path)


def test_sabotage_without_the_look_before_sending_a_paused_job_is_called(
    make_spec, clock, target, monkeypatch
):
    async def trusting(_self, batch):
        return batch.runs

    monkeypatch.setattr(Early, "_still_mine", trusting)
    spec = make_spec()
    target.script(spec.path, answers.ok())

    async def go():
        async with before_the_fire([spec], clock, target):
            await paused(spec, clock)()
            clock.go_on()
            await until(lambda: bool(target.requests_to(spec.path)))

    asyncio.run(go())


@pytest.mark.parametrize("module", [pausing, requests, applying], ids=lambda each: each.__name__)
def test_sabotage_where_nothing_is_taken_back_the_fire_runs_all_the_same(
    make_spec, clock, target, monkeypatch, module
):
    monkeypatch.setattr(module, "take_back", lambda _jobs, _clock: None)
    spec = make_spec()
    target.script(spec.path, answers.ok())
    decide = {
        pausing: paused(spec, clock),
        requests: lambda: aside(request_run, spec.name, nonce="n", actor="alice", clock=clock),
        applying: lambda: aside(applying.bring_into_force, [], clock.now(), clock=clock),
    }[module]

    async def go():
        async with before_the_fire([spec], clock, target):
            await decide()
            clock.go_on()
            over = Run.objects.filter(scheduled_at=DUE, finished_at__isnull=False)
            await until(over.exists)

    asyncio.run(go())
    fire = Run.objects.get(scheduled_at=DUE)
    # Called although paused; called while the run asked for should have had its place; a row of a
    # job that was not there any more when it was due.
    assert (fire.status, fire.reason) in {("success", ""), ("error", "job_removed")}


def test_a_job_removed_before_the_instant_has_no_fire(make_spec, clock, target):
    spec = make_spec()
    removed = lambda: aside(applying.bring_into_force, [], clock.now(), clock=clock)  # noqa: E731
    meanwhile([spec], clock, target, removed, [])
    assert not target.requests_to(spec.path)


def test_a_job_timed_differently_before_the_instant_has_its_new_fires_alone(
    make_spec, clock, target
):
    spec = make_spec()
    other = dataclasses.replace(spec, schedule="30 * * * *")
    change = lambda: aside(  # noqa: E731
        applying.bring_into_force, [other], clock.now(), clock=clock
    )
    meanwhile([spec], clock, target, change, [])
    assert not target.requests_to(spec.path)


def test_a_job_changed_before_the_instant_fires_once_as_it_is_now(make_spec, clock, target):
    spec = make_spec()
    other = make_spec(path="/api/cron/other", url=target.url("/api/cron/other"))
    target.script(other.path, answers.ok())
    change = lambda: aside(  # noqa: E731
        applying.bring_into_force, [other], clock.now(), clock=clock
    )
    meanwhile([spec], clock, target, change, ["success"])
    assert not target.requests_to(spec.path)
    assert len(target.requests_to(other.path)) == 1


def test_a_run_asked_for_before_the_instant_goes_first(make_spec, clock, target):
    spec = make_spec()
    gate = threading.Event()
    target.script(spec.path, answers.held(gate, answers.ok()), answers.ok())

    async def go():
        async with before_the_fire([spec], clock, target):
            await aside(request_run, spec.name, nonce="n", actor="alice", clock=clock)
            clock.go_on()
            await until(lambda: sorted(statuses()) == ["running", "skipped"])
            gate.set()
            await until(lambda: sorted(statuses()) == ["skipped", "success"])

    asyncio.run(go())
    fire = Run.objects.get(kind="schedule")
    assert (fire.status, fire.reason, fire.scheduled_at) == ("skipped", "overlap", DUE)
    assert Run.objects.get(kind="run_now").status == "success"
    assert len(target.requests_to(spec.path)) == 1


def test_a_fire_cancelled_before_the_instant_is_not_sent(make_spec, clock, target):
    spec = make_spec()

    async def ended() -> None:
        run = await aside(Run.objects.get)
        await aside(cancel, run.pk, actor="alice", clock=clock)

    meanwhile([spec], clock, target, ended, ["cancelled"])
    run = Run.objects.get()
    assert (run.started_at, run.scheduled_at) == (None, DUE), "it never began"
    assert not target.requests_to(spec.path)


def test_a_runner_that_stops_leaves_the_fire_to_the_next(make_spec, clock, target):
    spec = make_spec()
    target.script(spec.path, answers.ok())

    async def go():
        async with before_the_fire([spec], clock, target):
            pass
        assert await aside(statuses) == []
        cursor = (await aside(Job.objects.get)).cursor_at
        assert cursor == DUE - timedelta(microseconds=1)
        clock.go_on()
        async with running([spec], clock, target):
            await until(lambda: statuses() == ["success"])

    asyncio.run(go())
    assert Run.objects.get().scheduled_at == DUE
    assert len(target.requests_to(spec.path)) == 1


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_jumps_before_the_instant(make_spec, clock, target, hours):
    spec = make_spec(schedule="0 * * * *", deadline=90.0)
    clock.show(NOON + timedelta(minutes=59, seconds=1))
    target.script(spec.path, answers.ok())
    due = NOON + timedelta(hours=1)

    async def go():
        async with running([spec], clock, target, settings=SETTINGS):
            clock.hold(EARLY_SECOND)
            await until(recorded_early)
            clock.go_on(EARLY_SECOND)
            clock.show(clock.now() + timedelta(hours=hours))
            if hours < 0:
                await until(lambda: statuses() == [])
                clock.show(due - timedelta(seconds=0.1))
            await until(lambda: "success" in statuses() or "missed" in statuses())

    asyncio.run(go())
    fires = list(Run.objects.filter(scheduled_at=due))
    assert len(fires) == 1, "one row for the fire, whatever the clock did"


def test_runs_beyond_what_workers_can_begin_are_given_back(make_spec, clock, target):
    specs = [make_spec(f"slow-{n}", timeout=20) for n in range(6)]
    gate = threading.Event()
    for spec in specs:
        target.script(spec.path, answers.held(gate, answers.ok()))
    settings = dataclasses.replace(SETTINGS, concurrency=2)

    async def go():
        async with running(specs, clock, target, settings=settings):
            clock.hold(EARLY_SECOND)
            await until(lambda: statuses() == ["running"] * 6)
            clock.go_on()
            # Those that wait are nobody's: another runner may have room.
            await until(lambda: sorted(statuses()) == ["pending"] * 4 + ["running"] * 2)
            gate.set()
            await until(lambda: statuses() == ["success"] * 6)

    asyncio.run(go())
    assert all(len(target.requests_to(spec.path)) == 1 for spec in specs)


def test_a_fire_whose_job_still_runs_is_left_for_its_instant(make_spec, clock, target):
    spec = make_spec(timeout=20)
    gate = threading.Event()
    target.script(spec.path, answers.held(gate, answers.ok()), answers.ok())

    async def go():
        async with running([spec], clock, target, settings=SETTINGS):
            clock.show_second(LATE_SECOND)
            await until(lambda: len(target.requests_to(spec.path)) == 1)
            clock.hold(EARLY_SECOND)
            await clock.wait(0.5)
            assert await aside(statuses) == ["running"], "nothing is decided before the instant"
            gate.set()  # the run ends in that second, and the fire meets nothing
            await until(lambda: statuses() == ["success"])
            clock.go_on()
            await until(lambda: statuses() == ["success", "success"])

    asyncio.run(go())


def test_two_runners_record_each_fire_once(make_spec, clock, target):
    specs = [make_spec(f"job-{n}") for n in range(40)]
    for spec in specs:
        target.script(spec.path, answers.ok())

    async def go():
        async with (
            running(specs, clock, target, settings=SETTINGS),
            running(specs, clock, target, settings=SETTINGS),
        ):
            clock.hold(EARLY_SECOND)
            await until(lambda: statuses() == ["running"] * 40)
            clock.go_on()
            await until(lambda: statuses() == ["success"] * 40)

    asyncio.run(go())
    assert all(len(target.requests_to(spec.path)) == 1 for spec in specs)


def test_two_runners_share_what_is_due_at_once(make_spec, clock, target):
    specs = [make_spec(f"job-{n}") for n in range(40)]
    for spec in specs:
        target.script(spec.path, answers.ok())
    settings = dataclasses.replace(SETTINGS, lease_seconds=3)

    def seen_at(second: float) -> bool:
        seen = Runner.objects.values_list("seen_at", flat=True)
        return all(each >= NOON + timedelta(seconds=second) for each in seen)

    async def go():
        async with (
            running(specs, clock, target, settings=settings) as one,
            running(specs, clock, target, settings=settings) as other,
        ):
            keepers = one.keeper, other.keeper
            clock.hold(58)
            await until(lambda: seen_at(58))
            await until(lambda: all(keeper.clocks.place.of == 2 for keeper in keepers))
            clock.hold(OWN_SECOND)
            await until(lambda: statuses() == ["running"] * 40)
            owners = await aside(lambda: list(Run.objects.values_list("lease_owner", "job_id")))
            for keeper in keepers:
                mine = {job for owner, job in owners if owner == keeper.id}
                assert mine == {job for _, job in owners if job % 2 == keeper.clocks.place.number}
            clock.go_on()
            await until(lambda: statuses() == ["success"] * 40)

    asyncio.run(go())
    assert all(len(target.requests_to(spec.path)) == 1 for spec in specs)


def test_roll_ups_do_not_pass_what_has_not_begun(make_spec, clock, target):
    spec = make_spec()

    def roll() -> None:
        with transaction.atomic(using=ALIAS):
            Roller().step(clock.micros())

    async def rolled_then_paused() -> None:
        await aside(roll)
        assert await aside(RollupLeft.objects.count) == 0
        await paused(spec, clock)()

    meanwhile([spec], clock, target, rolled_then_paused, ["skipped"])


def test_a_row_that_was_passed_all_the_same_is_taken_back_with_what_hangs_on_it(
    make_spec, clock, target
):
    spec = make_spec()

    def roll() -> None:
        with transaction.atomic(using=ALIAS):
            Roller().step()  # by the clock of another machine it has begun

    async def rolled_then_paused() -> None:
        await aside(roll)
        assert await aside(RollupLeft.objects.count) == 1
        await paused(spec, clock)()

    meanwhile([spec], clock, target, rolled_then_paused, ["skipped"])
    assert RollupLeft.objects.count() <= 1


CURSOR = to_micros(NOON)
MINUTE = CURSOR // MICROS + 60


def planner_of(*specs) -> Planner:
    planner = Planner()
    planner.load([(number, spec, CURSOR) for number, spec in enumerate(specs, 1)])
    planner.warm(len(specs))
    planner.soon(MINUTE, len(specs))
    return planner


NOT_EARLY = {
    "at most once": {"delivery": Delivery.AT_MOST_ONCE},
    "sent later than due": {"jitter": 30.0},
    "in a window": {"blackout": (Blackout(start="00:00", end="23:59"),)},
    "a short deadline": {"timeout": 5, "deadline": 59},
}


@pytest.mark.parametrize("changes", NOT_EARLY.values(), ids=NOT_EARLY)
def test_where_more_is_to_be_weighed_nothing_is_recorded_early(make_spec, changes):
    planner = planner_of(make_spec("a", **changes))
    assert planner.next_early() is None
    assert planner.early(MINUTE * MICROS - LEAD, 10) == []


def test_only_what_is_due_in_a_moment_is_given_and_once(make_spec):
    due = MINUTE * MICROS
    planner = planner_of(make_spec("a"), make_spec("b"), make_spec("c", schedule="*/5 * * * *"))
    assert planner.next_early() == due - LEAD
    assert planner.early(due - LEAD - 1, 10) == []
    assert [row.job_id for row in planner.early(due - LEAD, 1)] == [1]
    assert [row.job_id for row in planner.early(due - LEAD, 10)] == [2]
    assert planner.early(due - LEAD, 10) == []
    assert [row.job_id for row in planner.plan(due, 10, room=10)] == [1, 2], "not recorded: planned"


def test_what_is_too_near_is_left_for_its_instant(make_spec):
    planner = planner_of(make_spec("a"))
    assert planner.early(MINUTE * MICROS - NEAREST + 1, 10) == []
    assert planner.next_early() is None
    assert MARGIN < NEAREST < LEAD


@pytest.mark.parametrize("overlap", [each for each in Overlap if each is not Overlap.ALLOW])
def test_the_statement_records_nothing_early_that_may_be_decided_otherwise(make_spec, overlap):
    spec = make_spec(overlap=overlap)
    job = sync_jobs([spec], NOON)[spec.name]
    at = to_micros(DUE)
    store = RunStore("runner-a")
    row = fire(job, at, read=to_micros(NOON), overlap=overlap.value, start=True)
    Run.objects.create(
        job=job, key="k", kind="run_now", status="running", scheduled_at=NOON, queued_at=NOON,
        available_at=NOON, started_at=NOON, deadline_at=NOON + timedelta(hours=1),
    )  # fmt: skip
    now = row.scheduled_at - LEAD
    with store.transaction():
        found = store.record_fires([row], now, now + 15 * MICROS, early=True)
    assert (found.moved, found.started) == (set(), [])
    assert statuses() == ["running"]
    assert Job.objects.get().cursor_at == NOON


def test_of_several_runners_each_has_its_own_part_first(make_spec):
    due = MINUTE * MICROS
    first, second = (planner_of(*(make_spec(name) for name in "abcd")) for _ in range(2))
    own = first.early(due - LEAD, 10, number=0, of=2), second.early(due - LEAD, 10, number=1, of=2)
    assert [[row.job_id for row in rows] for rows in own] == [[2, 4], [1, 3]]
    assert first.next_early() == due - LEFT
    assert first.early(due - LEFT - 1, 10, number=0, of=2) == []
    assert NEAREST < LEFT < LEAD


def test_what_another_runner_has_left_is_anybodys(make_spec):
    due = MINUTE * MICROS
    planner = planner_of(*(make_spec(name) for name in "abcd"))
    planner.early(due - LEAD, 10, number=0, of=2)
    assert [row.job_id for row in planner.early(due - LEFT, 1, number=0, of=2)] == [1]
    assert [row.job_id for row in planner.early(due - LEFT, 10, number=0, of=2)] == [3]
    assert planner.next_early() is None

    planner = planner_of(*(make_spec(name) for name in "abcd"))
    late = planner.early(due - LEFT, 10, number=0, of=2)
    assert [row.job_id for row in late] == [1, 2, 3, 4], "no time to lose"
