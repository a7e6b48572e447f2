"""Pings and silence: every due fire of a heartbeat has one row, on the store under test."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cronbell.clock import from_micros, to_micros
from cronbell.domain import Dialect, JobSpec
from cronbell.runlog import heartbeats
from cronbell.runlog.heartbeats import Ping, Signal, expire, look, take
from cronbell.runlog.jobs import spec_of, sync_jobs
from cronbell.runlog.models import Job, Run
from cronbell.runlog.pausing import pause
from cronbell.runlog.requests import HeartbeatRunError, request_run
from cronbell.runlog.shape import details_text
from cronbell.runlog.statements import rows_parameter, statement
from cronbell.runlog.store import RunStore
from cronbell.schedule import schedule_of
from cronbell.schedule.heartbeats import MICROS, window_at, window_of
from cronbell.testing import FakeClock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])

NINE = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
HOURLY = "0 * * * *"
START, OK, FAIL = Ping(Signal.START), Ping(Signal.SUCCESS), Ping(Signal.FAIL)
numbers = itertools.count()


def heartbeat(since: datetime = NINE - timedelta(minutes=30), **changes) -> Job:
    values = {"schedule": HOURLY, "dialect": Dialect.STANDARD, "timeout": 600.0, "deadline": 600.0}
    spec = JobSpec(name=f"backup-{next(numbers)}", path="", heartbeat=True, **{**values, **changes})
    return sync_jobs([spec], since)[spec.name]


class Watched:
    """A heartbeat, a clock, and what is in the log."""

    def __init__(self, job: Job, at: datetime = NINE) -> None:
        self.job = job
        self.clock = FakeClock(at)

    def at(self, when: datetime) -> Watched:
        self.clock = FakeClock(when)
        return self

    def ping(self, ping: Ping = OK) -> Run:
        run_id = take(self.job.pk, ping, self.clock)
        assert run_id is not None
        return Run.objects.get(pk=run_id)

    def look(self, owner: str = "runner-a") -> None:
        store = RunStore(owner)
        with store.transaction():
            expire(self.clock.micros())
            look(store, [self.job.pk], self.clock.micros())

    def rows(self) -> list[tuple[str, str, str]]:
        found = Run.objects.filter(job=self.job).order_by("id")
        return list(found.values_list("kind", "status", "reason"))


@pytest.fixture
def watched():
    return Watched(heartbeat())


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(-30, ""), (-2, ""), (0, ""), (60, ""), (61, "late"), (299, "late")],
)
def test_a_ping_around_its_time_is_the_fires_row(watched, seconds, reason):
    run = watched.at(NINE + timedelta(seconds=seconds)).ping()
    assert (run.kind, run.status, run.reason) == ("schedule", "success", reason)
    assert run.scheduled_at == NINE
    assert run.started_at == run.finished_at == watched.clock.now()
    watched.at(NINE + timedelta(minutes=6)).look()
    assert len(watched.rows()) == 1
    assert Job.objects.get().cursor_at == NINE


@pytest.mark.parametrize("seconds", [-31, 300])
def test_a_ping_outside_the_window_is_a_run_beside_the_schedule(watched, seconds):
    run = watched.at(NINE + timedelta(seconds=seconds)).ping()
    assert (run.kind, run.status) == ("call", "success")
    watched.at(NINE + timedelta(minutes=5)).look()
    missed = Run.objects.get(kind="schedule")
    assert (missed.status, missed.reason, missed.scheduled_at) == ("missed", "no_ping", NINE)


def test_without_a_ping_the_fire_is_missed_when_the_grace_is_over_and_not_before(watched):
    watched.at(NINE + timedelta(seconds=299)).look()
    assert watched.rows() == []
    watched.at(NINE + timedelta(seconds=300)).look()
    watched.look("runner-b")
    assert watched.rows() == [("schedule", "missed", "no_ping")]
    assert "no ping came" in details_text(Run.objects.get())


def test_a_start_is_running_until_its_end_and_keeps_what_it_said(watched):
    began = watched.at(NINE + timedelta(seconds=90)).ping(START)
    assert (began.status, began.reason, began.scheduled_at) == ("running", "late", NINE)
    ended = watched.at(NINE + timedelta(minutes=8)).ping(Ping(Signal.SUCCESS, 0, "\n12 files\nok"))
    assert (ended.pk, ended.status, ended.reason) == (began.pk, "success", "late")
    assert ended.finished_at - ended.started_at == timedelta(minutes=6, seconds=30)
    assert (ended.details, ended.body) == ("12 files", "\n12 files\nok")


@pytest.mark.parametrize(
    ("ping", "words"),
    [(FAIL, "reported that it failed"), (Ping(Signal.FAIL, 3), "exit status 3")],
)
def test_a_failure_is_an_error_with_its_reason(watched, ping, words):
    run = watched.ping(ping)
    assert (run.status, run.reason) == ("error", "reported_failure")
    assert words in details_text(run)
    assert watched.at(NINE + timedelta(minutes=2)).ping(OK).kind == "call", "its next try"


def test_a_start_without_an_end_times_out_whoever_looks_first(watched):
    began = watched.ping(START)
    watched.at(NINE + timedelta(seconds=599)).look()
    assert Run.objects.get().status == "running"
    late = watched.at(NINE + timedelta(seconds=600)).ping(OK)
    began.refresh_from_db()
    assert (began.status, began.reason) == ("timed_out", "no_end")
    assert began.finished_at == NINE + timedelta(seconds=600)
    assert (late.kind, late.status) == ("call", "success"), "said all the same"


@pytest.mark.parametrize("ping", [START, OK, FAIL, Ping(Signal.FAIL, 7)])
def test_a_client_that_asks_again_changes_nothing(watched, ping):
    first = watched.ping(ping)
    again = watched.at(NINE + timedelta(seconds=91)).ping(ping)
    assert first.pk == again.pk
    assert len(watched.rows()) == 1


def test_an_end_belongs_to_the_newest_start(watched):
    crashed = watched.ping(START)
    watched.at(NINE + timedelta(minutes=9, seconds=30))
    rerun = watched.ping(START)
    assert rerun.pk != crashed.pk
    assert watched.ping(OK).pk == rerun.pk
    watched.at(NINE + timedelta(minutes=11)).look()
    crashed.refresh_from_db()
    assert crashed.status == "timed_out"


def test_while_nobody_watched_all_silent_fires_are_one_row_that_says_so(watched):
    run = watched.at(NINE + timedelta(hours=5)).ping()
    unwatched = Run.objects.order_by("id").first()
    assert (unwatched.status, unwatched.reason) == ("missed", "unwatched")
    assert (unwatched.missed_first_at, unwatched.scheduled_at) == (NINE, NINE + timedelta(hours=4))
    assert unwatched.missed_count == 5
    assert (run.kind, run.scheduled_at) == ("schedule", NINE + timedelta(hours=5))


def test_two_years_of_silent_minutes_are_one_row():
    watched = Watched(heartbeat(schedule="* * * * *", grace=30.0))
    watched.at(NINE + timedelta(days=730)).look()
    first = Run.objects.order_by("id").first()
    assert first.missed_count > 1_000_000
    assert len(watched.rows()) <= 3


def test_silence_during_a_pause_is_skipped_and_a_ping_still_counts(watched):
    pause(watched.job.name, reason="moving", actor="alice", clock=FakeClock(NINE))
    watched.at(NINE + timedelta(minutes=5)).look()
    run = Run.objects.get()
    assert (run.status, run.reason, run.reason_data) == (
        "skipped",
        "paused",
        {"reason": "moving", "by": "alice"},
    )
    assert watched.at(NINE + timedelta(hours=1)).ping().status == "success"


def test_a_switched_off_or_removed_heartbeat_is_not_waited_for():
    off = Watched(heartbeat(enabled=False))
    off.at(NINE + timedelta(hours=3)).look()
    assert off.rows() == []
    assert off.ping().kind == "call"
    sync_jobs([], NINE)
    assert take(off.job.pk, OK, off.clock) is None


def test_it_cannot_be_run_from_here(watched):
    with pytest.raises(HeartbeatRunError, match="waits for its pings"):
        request_run(watched.job.name, nonce="n", actor="alice")
    assert watched.rows() == []


def test_many_pings_and_runners_at_once_make_one_row(watched):
    barrier, faults = threading.Barrier(6), []

    def act(n: int) -> None:
        try:
            barrier.wait()
            if n % 2:
                watched.ping()
            else:
                Watched(watched.job, NINE + timedelta(minutes=5)).look(f"runner-{n}")
        except Exception as error:  # noqa: BLE001 - shown by the test
            faults.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=act, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert Run.objects.filter(kind="schedule").count() == 1


def stale_row(watched, **changes) -> heartbeats._PingRow:
    """A ping that read the job's cursor before somebody moved it."""
    spec, now = spec_of(watched.job), watched.clock.micros()
    window = window_of(schedule_of(spec), now // MICROS, spec.grace)
    return heartbeats._row(watched.job, spec, OK, window, now=now, cursor=now - 1)._replace(
        **changes
    )


def test_a_ping_whose_cursor_has_moved_records_nothing(watched):
    """The planners' lock is not all there is: the statement has a condition of its own."""
    with transaction.atomic(using="runlog"):
        assert heartbeats._insert(stale_row(watched)) is None
    assert watched.rows() == []


def test_sabotage_without_the_cursors_condition_a_stale_ping_would_be_recorded(watched):
    whole = statement("record_ping", connections["runlog"].vendor)
    condition = "AND job.cursor_at = CAST(rows.value ->> 1 AS BIGINT)"
    assert condition in whole
    watched.ping()
    values = ["ping", rows_parameter([stale_row(watched, key="another")])]
    with transaction.atomic(using="runlog"), connections["runlog"].cursor() as cursor:
        cursor.execute(whole.replace(condition, ""), values)
        assert cursor.fetchall() == [], "the constraint still stands behind it"
        cursor.execute(whole.replace(condition, "").replace("rows.value ->> 4", "'call'"), values)
        assert len(cursor.fetchall()) == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 400)),
        st.tuples(st.just("wait"), st.integers(3_000, 9_000)),
        st.tuples(st.just("ping"), st.sampled_from([START, OK, FAIL])),
        st.tuples(st.just("look"), st.sampled_from(["runner-a", "runner-b"])),
    ),
    min_size=1,
    max_size=25,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=40,
)
@given(
    steps=STEPS,
    schedule=st.sampled_from(["*/5 * * * *", "0,7 * * * *", "every 90s"]),
    grace=st.sampled_from([20.0, 240.0, 5000.0]),
)
def test_whatever_comes_every_due_fire_is_accounted_for_exactly_once(steps, schedule, grace):
    watched = Watched(heartbeat(NINE, schedule=schedule, grace=grace))
    now = NINE + timedelta(seconds=1)
    pings: list[tuple[int, Ping]] = []
    for what, value in steps:
        watched.at(now)
        if what == "wait":
            now += timedelta(seconds=value)
        elif what == "ping":
            watched.ping(value)
            pings.append((to_micros(now), value))
        else:
            watched.look(value)
    watched.at(now).look()
    compiled = schedule_of(spec_of(watched.job))
    check_rows(watched.job, compiled, to_micros(now), grace, pings)


def check_rows(job, schedule, now, grace, pings) -> None:
    """Compare the log with the windows themselves: closed ones have a row, open ones may."""
    covered: Counter[int] = Counter()
    answered = set()
    for run in Run.objects.filter(job=job, kind="schedule"):
        last = to_micros(run.scheduled_at) // MICROS
        first = to_micros(run.missed_first_at) // MICROS if run.missed_first_at else last
        fires = list(schedule.fires(first - 1, last))
        assert len(fires) == max(run.missed_count, 1)
        covered.update(fires)
        if run.status != "missed":
            answered.update(fires)
    assert set(covered.values()) <= {1}, "a fire has two rows"
    begin, due = (
        to_micros(NINE) // MICROS,
        list(schedule.fires(to_micros(NINE) // MICROS, now // MICROS + 60)),
    )
    for fire in due:
        window = window_of(schedule, fire, grace)
        if window.closes <= now:
            assert covered[fire] == 1, f"{from_micros(fire * MICROS)} is not accounted for"
        if window.opens > now:
            assert covered[fire] == 0
    assert min(covered, default=begin + 1) > begin
    # A start always answers its window; an answer always has a ping in its window.
    in_windows = {
        window.fire // MICROS for at, _ in pings if (window := window_at(schedule, at, grace))
    }
    begun = {
        window.fire // MICROS
        for at, ping in pings
        if ping is START
        and (window := window_at(schedule, at, grace))
        and window.fire > begin * MICROS
    }
    assert begun <= answered <= in_windows
