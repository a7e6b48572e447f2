"""A clock that was ahead and is right again: what ran early is done, the rest is still to come."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from tests.engine.conftest import NOON, running, until

from cronbell.clock import SYSTEM_CLOCK, to_micros
from cronbell.domain import CatchUp, Dialect
from cronbell.engine.planner import Planner
from cronbell.runlog import rewinding
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Job, Run
from cronbell.runlog.rewinding import Stranded, believable, rewind
from cronbell.runlog.store import RunStore
from cronbell.schedule import schedule_of
from cronbell.server.diagnosis import run_log
from cronbell.states import Status
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


class Log:
    """One job's planner on the real run log; runs end the moment they are recorded."""

    def __init__(self, spec, start: datetime = NOON) -> None:
        self.spec = spec
        self.job = sync_jobs([spec], start)[spec.name]
        self.store = RunStore("me")
        self.planner = Planner()
        self.restart()

    def restart(self) -> None:
        cursor = Job.objects.get(pk=self.job.pk).cursor_at
        self.planner.load([(self.job.pk, self.spec, to_micros(cursor))])

    def at(self, instant: datetime) -> None:
        """Record what is due at an instant, as a runner whose clock shows it does."""
        now = to_micros(instant)
        while rows := self.planner.plan(now, 10):
            with self.store.transaction():
                recorded = self.store.record_fires(rows, now)
            self.planner.planned(row for row in rows if row.job_id in recorded.moved)
        Run.objects.filter(status=Status.PENDING.value).update(
            status=Status.SUCCESS.value, finished_at=now, started_at=now
        )

    def rewind(self, instant: datetime) -> rewinding.Rewound:
        one = self.planner.jobs[self.job.pk]
        stranded = Stranded(
            one.id, one.cursor, one.schedule, one.target, one.spec.schedule, to_micros(instant)
        )
        with self.store.transaction():
            done = rewind([stranded])
        self.planner.moved(done.cursors)
        return done

    def rows(self) -> list[tuple[str, datetime, int]]:
        found = Run.objects.order_by("scheduled_at")
        return list(found.values_list("status", "scheduled_at", "missed_count"))

    def covered(self) -> Counter[int]:
        """Count the rows that account for each fire."""
        schedule, counts = schedule_of(self.spec), Counter()
        for run in Run.objects.all():
            last = to_micros(run.scheduled_at) // 1_000_000
            first = to_micros(run.missed_first_at or run.scheduled_at) // 1_000_000
            counts.update(schedule.fires(first - 1, last))
        return counts


@pytest.fixture
def log(make_spec):
    return lambda **changes: Log(make_spec(**{"schedule": "*/10 * * * *", **changes}))


def test_a_runner_fires_again_once_its_clock_is_right_again(make_spec, target, clock, caplog):
    spec = make_spec()
    target.script(spec.path, answers.ok())
    early = NOON + DAY

    async def go():
        async with running([spec], clock, target) as runner:
            clock.show(early.replace(second=1))
            await until(lambda: Counter(statuses()) == {"missed": 1, "success": 1})
            clock.show(NOON.replace(second=20))
            await until(lambda: not findings_ahead(clock))
            assert runner.planner.next_due() == to_micros(NOON + MINUTE) // 1_000_000
            clock.show_second(59.8)
            await until(lambda: statuses() == ["success", "success"])

    asyncio.run(go())
    assert [row.scheduled_at for row in Run.objects.order_by("scheduled_at")] == [
        NOON + MINUTE, early,
    ]  # fmt: skip
    assert "1439 fires that had been counted as missed are still to come" in caplog.text


def test_sabotage_without_the_look_nothing_is_due_for_a_day(log):
    one = log()
    one.at(NOON + DAY)
    one.at(NOON + timedelta(minutes=10))
    assert [status for status, *_ in one.rows()] == ["missed", "success"]
    one.rewind(NOON + MINUTE)
    one.at(NOON + timedelta(minutes=10))
    assert [status for status, *_ in one.rows()] == ["success", "success"]


def statuses() -> list[str]:
    return list(Run.objects.values_list("status", flat=True))


def findings_ahead(clock) -> bool:
    return bool(rewinding.ahead_of(clock.micros(), 60_000_000))


@pytest.mark.parametrize("catch_up", list(CatchUp))
@pytest.mark.parametrize("restarted", [False, True])
def test_every_fire_has_exactly_one_row_in_the_end(log, catch_up, restarted):
    one = log(catch_up=catch_up, catch_up_window=3600)
    one.at(NOON + 10 * MINUTE)
    one.at(NOON + 5 * 60 * MINUTE)  # the clock leaps, goes on for an hour,
    for minutes in range(10, 70, 10):
        one.at(NOON + (5 * 60 + minutes) * MINUTE)
    if restarted:
        one.restart()
    one.rewind(NOON + 12 * MINUTE)  # and is set right
    ran = Run.objects.filter(status=Status.SUCCESS.value).count()
    for minutes in range(20, 8 * 60 + 10, 10):
        one.at(NOON + minutes * MINUTE)
    assert Run.objects.filter(status=Status.SUCCESS.value).count() > ran + 20
    covered = one.covered()
    assert set(covered.values()) == {1}, "a fire is accounted for twice"
    assert len(covered) == 8 * 6, "a fire is accounted for by no row"


def test_what_was_missed_by_the_right_clock_stays_missed(log):
    one = log()
    one.at(NOON + DAY)
    one.rewind(NOON + 25 * MINUTE)
    (missed, early) = one.rows()
    assert missed == ("missed", NOON + 20 * MINUTE, 2)
    assert early[1] == NOON + DAY
    one.at(NOON + 30 * MINUTE)
    assert set(one.covered().values()) == {1}


def test_a_clock_that_is_behind_moves_nothing_where_all_is_recorded(log):
    one = log()
    for minutes in range(10, 130, 10):
        one.at(NOON + minutes * MINUTE)
    before = one.rows()
    assert one.rewind(NOON + 15 * MINUTE).cursors == {}
    assert one.rows() == before


def test_sabotage_a_cursor_set_back_by_force_still_runs_nothing_twice(log):
    one = log()
    for minutes in range(10, 130, 10):
        one.at(NOON + minutes * MINUTE)
    before = one.rows()
    Job.objects.update(cursor_at=NOON)
    one.restart()
    for minutes in range(10, 130, 10):
        one.at(NOON + minutes * MINUTE)
    assert one.rows() == before


def test_more_recorded_fires_than_are_looked_at_leave_the_cursor_until_the_next_look(
    log, monkeypatch
):
    one = log()
    for minutes in range(10, 70, 10):
        one.at(NOON + minutes * MINUTE)
    one.at(NOON + DAY)
    with monkeypatch.context() as few:
        few.setattr(rewinding, "MOST_OWN", 3)
        assert one.rewind(NOON).cursors == {}
    assert one.rewind(NOON).cursors == {one.job.pk: to_micros(NOON + 60 * MINUTE)}


def test_a_job_configured_while_the_clock_was_ahead_fires_now(make_spec):
    one = Log(make_spec(schedule="0 * * * *"), NOON + DAY)
    assert one.rewind(NOON + MINUTE).cursors == {one.job.pk: to_micros(NOON + MINUTE)}
    one.at(NOON + 60 * MINUTE)
    assert one.rows() == [("success", NOON + 60 * MINUTE, 0)]


def test_a_cursor_another_runner_has_moved_is_left_and_taken_over(log):
    one = log()
    one.at(NOON + DAY)
    moved = NOON + 10 * MINUTE
    Job.objects.update(cursor_at=moved)
    before = one.rows()
    assert one.rewind(NOON + MINUTE).cursors == {one.job.pk: to_micros(moved)}
    assert one.rows() == before


def test_rows_of_a_definition_before_this_one_are_left(make_spec):
    Log(make_spec(schedule="*/10 * * * *")).at(NOON + DAY)
    one = Log(make_spec(schedule="*/7 * * * *", dialect=Dialect.STANDARD), NOON + DAY)
    before = one.rows()
    one.rewind(NOON)
    assert one.rows() == before
    one.at(NOON + 7 * MINUTE)
    assert len(one.rows()) == len(before) + 1


def test_a_machine_without_its_time_moves_nothing(make_spec, target, clock, caplog):
    spec = make_spec()
    sync_jobs([spec], NOON)
    boot = datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert not believable(to_micros(boot))
    assert believable(to_micros(NOON - timedelta(hours=14)))
    clock.show(boot)

    async def go():
        async with running([spec], clock, target) as runner:
            await runner.rewinder.look()
            await runner.rewinder.look()

    asyncio.run(go())
    assert Job.objects.get().cursor_at == NOON
    assert caplog.text.count("before anything the run log holds") == 1, "said once"


def test_doctor_names_a_job_that_is_recorded_further_than_now(make_spec):
    tomorrow = SYSTEM_CLOCK.now() + DAY
    sync_jobs([make_spec()], tomorrow)
    found = {one.name: one for one in run_log(SYSTEM_CLOCK)}["recorded"]
    assert (found.ok, "tick up to" in found.detail) == (False, True)
    Job.objects.update(cursor_at=SYSTEM_CLOCK.now())
    assert {one.name: one for one in run_log(SYSTEM_CLOCK)}["recorded"].ok
