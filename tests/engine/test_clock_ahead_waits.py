"""A clock that was ahead and is right again: heartbeats are waited for, retries are made."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from tests.engine.conftest import NOON, aside, running, until

from cronbell.clock import to_micros
from cronbell.domain import Dialect, JobSpec, RetryPolicy
from cronbell.engine.heartbeats import Heartbeats
from cronbell.runlog.heartbeats import Ping, Signal, key_target, look, take
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Attempt, Job, Run
from cronbell.runlog.rewinding import Stranded, hasten, rewind
from cronbell.runlog.store import RunStore
from cronbell.schedule import schedule_of
from cronbell.schedule.heartbeats import last_closed
from cronbell.testing import FakeClock, answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
DAY = 24 * HOUR
GRACE = 300.0
MICROS = 1_000_000


def heartbeat(**changes) -> JobSpec:
    values = {"schedule": "0 * * * *", "dialect": Dialect.STANDARD, "grace": GRACE}
    return JobSpec(name="backup", path="", heartbeat=True, **{**values, **changes})


class Log:
    """An hourly heartbeat and what is recorded of it."""

    def __init__(self) -> None:
        self.spec = heartbeat()
        self.job = sync_jobs([self.spec], NOON)[self.spec.name]
        self.schedule = schedule_of(self.spec)

    def look(self, at) -> None:
        store = RunStore("me")
        with store.transaction():
            look(store, [self.job.pk], to_micros(at))

    def ping(self, at, signal=Signal.SUCCESS) -> Run:
        return Run.objects.get(pk=take(self.job.pk, Ping(signal), FakeClock(at)))

    def rewind(self, at) -> int:
        over = last_closed(self.schedule, to_micros(at), GRACE)
        cursor = to_micros(Job.objects.get().cursor_at)
        one = Stranded(
            self.job.pk, cursor, self.schedule, key_target(self.spec), self.spec.schedule,
            over * MICROS,
        )  # fmt: skip
        with RunStore("me").transaction():
            return rewind([one]).fires

    def covered(self) -> Counter[int]:
        """Count, for each hour after noon, the rows that account for its fire."""
        counts: Counter[int] = Counter()
        for run in Run.objects.filter(kind="schedule"):
            last = to_micros(run.scheduled_at) // MICROS
            first = to_micros(run.missed_first_at or run.scheduled_at) // MICROS
            counts.update(
                (fire * MICROS - to_micros(NOON)) // (3600 * MICROS)
                for fire in self.schedule.fires(first - 1, last)
            )
        return counts


@pytest.mark.parametrize("watching", [True, False])
@pytest.mark.parametrize("back", [HOUR + MINUTE, 2 * HOUR + MINUTE, 2 * HOUR + 20 * MINUTE])
def test_every_fire_of_a_heartbeat_has_one_row_in_the_end(back, watching):
    log = Log()
    log.ping(NOON + HOUR)
    if watching:  # every silence is noticed as it comes; else they are one row
        for minute in range(60, 9 * 60 + 7):
            log.look(NOON + minute * MINUTE)
    else:
        log.look(NOON + 9 * HOUR + 6 * MINUTE)
    early = log.ping(NOON + 10 * HOUR)
    assert early.scheduled_at == NOON + 10 * HOUR
    log.rewind(NOON + back)
    first = 2 if back < 2 * HOUR + MINUTE * 5 else 3
    for hour in range(first, 10):
        at = NOON + hour * HOUR + 2 * MINUTE
        if hour % 2:
            assert log.ping(at).scheduled_at == NOON + hour * HOUR
        log.look(at + 4 * MINUTE)
    log.ping(NOON + 11 * HOUR)
    assert log.covered() == Counter(range(1, 12)), "each fire is accounted for by one row"
    statuses = Run.objects.filter(kind="schedule").values_list("scheduled_at", "status")
    pinged = {(at - NOON) // HOUR for at, status in statuses if status == "success"}
    assert pinged == {1, 10, 11, *(hour for hour in range(first, 10) if hour % 2)}


def test_what_was_silent_by_the_right_clock_stays_missed():
    log = Log()
    log.look(NOON + DAY)
    assert log.rewind(NOON + 3 * HOUR + 6 * MINUTE) == 20
    (row,) = Run.objects.all()
    assert (row.scheduled_at, row.missed_count) == (NOON + 3 * HOUR, 3)
    assert log.rewind(NOON + 3 * HOUR + 6 * MINUTE) == 0


def test_a_window_that_is_still_open_can_be_answered_again():
    log = Log()
    log.look(NOON + HOUR + 5.5 * MINUTE)
    assert Run.objects.get().reason == "no_ping"
    log.rewind(NOON + HOUR + 4 * MINUTE)
    assert not Run.objects.exists()
    assert log.ping(NOON + HOUR + 4 * MINUTE).scheduled_at == NOON + HOUR


def test_a_runner_notices_silence_again_once_its_clock_is_right_again(clock, target, caplog):
    spec = heartbeat(schedule="* * * * *", grace=20.0)

    async def go():
        async with running([spec], clock, target) as runner:
            clock.show(NOON + DAY)
            await until(Run.objects.exists)
            clock.show(NOON + timedelta(seconds=30))
            await until(lambda: Job.objects.get().cursor_at < NOON + MINUTE)
            assert not await aside(Run.objects.exists)
            clock.show(NOON + timedelta(seconds=79.8))
            await until(Run.objects.exists)
            assert len(runner.heartbeats) == 1

    asyncio.run(go())
    assert Run.objects.get().scheduled_at == NOON + MINUTE
    assert "1 jobs were recorded further than now and fire again" in caplog.text


def test_sabotage_without_the_look_silence_goes_unnoticed_for_a_day(clock, target, monkeypatch):
    monkeypatch.setattr(Heartbeats, "stranded", lambda *_: [])
    spec = heartbeat(schedule="* * * * *", grace=20.0)

    async def go():
        async with running([spec], clock, target) as runner:
            clock.show(NOON + DAY)
            await until(Run.objects.exists)
            clock.show(NOON + timedelta(seconds=90))
            await runner.rewinder.look()
            await runner.heartbeats.beat()

    asyncio.run(go())
    assert Job.objects.get().cursor_at >= NOON + DAY - MINUTE
    assert not Run.objects.filter(scheduled_at=NOON + MINUTE, missed_count=0).exists()


def put_off(make_spec, *, queued, ended, available, number=1, **changes) -> Run:
    """Make a run that waits for its next try."""
    spec = make_spec(name=f"job-{number}")
    run = Run.objects.create(
        job=sync_jobs([spec], NOON)[spec.name], key=f"cb1-{number}", kind="schedule",
        status="pending", scheduled_at=NOON, queued_at=queued, available_at=available,
        started_at=queued, deadline_at=queued + HOUR, attempt=2, lease_term=1, **changes,
    )  # fmt: skip
    if ended is not None:
        Attempt.objects.create(
            run=run, number=1, term=1, started_at=queued, finished_at=ended, reason="http_status"
        )
    return run


@pytest.mark.parametrize(
    ("queued", "ended", "available", "deadline"),
    [
        (NOON, NOON + DAY, NOON + DAY + 10 * MINUTE, NOON + HOUR),
        (NOON + DAY, NOON + DAY, NOON + DAY + 10 * MINUTE, NOON + MINUTE + HOUR),
    ],
)
def test_what_a_clock_that_was_ahead_has_put_off_waits_as_long_as_it_was_to(
    make_spec, queued, ended, available, deadline
):
    run = put_off(make_spec, queued=queued, ended=ended, available=available)
    now = NOON + MINUTE
    assert hasten(to_micros(now), to_micros(now + MINUTE)) == 1
    run.refresh_from_db()
    assert (run.available_at, run.deadline_at) == (now + 10 * MINUTE, deadline)
    assert hasten(to_micros(now), to_micros(now + MINUTE)) == 0


def test_a_clock_that_cannot_be_right_hastens_nothing(make_spec):
    run = put_off(make_spec, queued=NOON, ended=NOON + DAY, available=NOON + DAY + HOUR)
    before_the_log = NOON - 3650 * DAY
    assert hasten(to_micros(before_the_log), to_micros(before_the_log + MINUTE)) == 0
    run.refresh_from_db()
    assert run.available_at == NOON + DAY + HOUR


@pytest.mark.parametrize(
    ("ended", "changes"),
    [
        (NOON, {}),  # a retry far ahead, put off by the right clock
        (None, {}),  # never tried: it waits for its own time
    ],
)
def test_what_waits_for_its_own_time_is_left(make_spec, ended, changes):
    run = put_off(make_spec, queued=NOON, ended=ended, available=NOON + DAY, **changes)
    assert hasten(to_micros(NOON), to_micros(NOON + MINUTE)) == 0
    run.refresh_from_db()
    assert run.available_at == NOON + DAY


def test_a_retry_that_was_put_off_by_a_clock_ahead_is_made(make_spec, clock, target):
    retry = RetryPolicy(max_attempts=2, backoff=600.0)
    spec = make_spec(retry=retry, deadline=3600.0, schedule="0 0 * * *")
    target.script(spec.path, answers.answer(500), answers.ok())

    async def go():
        async with running([spec], clock, target):
            clock.show(NOON + DAY / 2)
            await until(Attempt.objects.exists)
            await until(lambda: Run.objects.get().status == "pending")
            clock.show(NOON)
            await until(lambda: Run.objects.get().available_at < NOON + HOUR)
            clock.show(NOON + 12 * MINUTE)
            await until(lambda: Run.objects.get().status == "success")

    asyncio.run(go())
    assert len(target.requests) == 2
