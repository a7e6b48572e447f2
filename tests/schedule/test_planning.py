"""Planning accounts for every due fire exactly once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronbell.domain import CatchUp
from cronbell.schedule import Missed, Plan, compile_schedule, plan_fires
from cronbell.schedule.policy import MOST_FIRES

NOON = 1_795_348_800  # 2026-11-22T12:00:00Z
HOUR = 3600
DAY = 86_400
MINUTELY = compile_schedule("* * * * *")
HOURLY = compile_schedule("0 * * * *")
SCHEDULES = [
    MINUTELY,
    HOURLY,
    compile_schedule("every 7s"),
    compile_schedule("30 2 * * *", timezone="America/New_York"),
    compile_schedule("*/5 9-17 * * 1-5"),
]


def accounted(schedule, plan: Plan) -> list[int]:
    """List every fire of a plan, those of its outage included."""
    missed = []
    if plan.missed:
        missed = list(schedule.fires(plan.missed.first - 1, plan.missed.last))
        assert len(missed) == plan.missed.count
        assert (missed[0], missed[-1]) == (plan.missed.first, plan.missed.last)
    return sorted([*missed, *plan.due])


def test_a_fire_on_time_is_due():
    assert plan_fires(HOURLY, NOON - 1, NOON, window=HOUR) == Plan(None, (NOON,), NOON)


def test_nothing_is_due_between_fires_and_the_cursor_moves():
    assert plan_fires(HOURLY, NOON, NOON + 100, window=HOUR) == Plan(None, (), NOON + 100)


def test_a_fire_at_the_cursor_is_not_planned_again():
    assert plan_fires(HOURLY, NOON, NOON, window=HOUR) == Plan(None, (), NOON)
    assert plan_fires(HOURLY, NOON, NOON + 1, window=HOUR).due == ()


def test_fires_within_the_grace_are_due_one_by_one():
    plan = plan_fires(compile_schedule("every 20s"), NOON, NOON + 70, window=HOUR)
    assert plan == Plan(None, (NOON + 20, NOON + 40, NOON + 60), NOON + 70)
    assert plan_fires(HOURLY, NOON - 1, NOON + 60, window=0).due == (NOON,)
    assert plan_fires(HOURLY, NOON - 1, NOON + 61, window=0).due == ()


def test_after_an_outage_the_latest_fire_is_caught_up_and_the_rest_is_one_missed_row():
    now = NOON + 20 * 60
    plan = plan_fires(HOURLY, NOON - 5 * HOUR, now, window=HOUR)
    assert plan == Plan(Missed(NOON - 4 * HOUR, NOON - HOUR, 4), (NOON,), now)


@pytest.mark.parametrize(("window", "due"), [(1200, (NOON,)), (1199, ()), (0, ())])
def test_a_fire_older_than_the_window_is_not_caught_up(window, due):
    plan = plan_fires(HOURLY, NOON - 1, NOON + 1200, window=window)
    assert plan.due == due
    assert (plan.missed is None) == bool(due)


def test_a_fire_on_time_stands_for_all_that_were_missed():
    plan = plan_fires(HOURLY, NOON - 2 * HOUR, NOON, window=DAY)
    assert plan == Plan(Missed(NOON - HOUR, NOON - HOUR, 1), (NOON,), NOON)


def test_a_clock_set_back_plans_nothing_and_keeps_the_cursor():
    assert plan_fires(MINUTELY, NOON, NOON - HOUR, window=HOUR) == Plan(None, (), NOON)
    assert plan_fires(MINUTELY, NOON, NOON + 59, window=HOUR).due == ()


def test_two_years_of_missed_minutes_are_one_row():
    start = NOON - 730 * DAY
    plan = plan_fires(MINUTELY, start, NOON + 90, window=0)
    assert plan.due == (NOON + 60,)
    assert plan.missed == Missed(start + 60, NOON, 730 * 1440)


def test_without_catch_up_all_old_fires_are_one_missed_row():
    plan = plan_fires(HOURLY, NOON - 5 * HOUR, NOON + 90, window=DAY, catch_up=CatchUp.NONE)
    assert plan == Plan(Missed(NOON - 4 * HOUR, NOON, 5), (), NOON + 90)
    plan = plan_fires(HOURLY, NOON - 2 * HOUR, NOON + 30, window=DAY, catch_up=CatchUp.NONE)
    assert plan == Plan(Missed(NOON - HOUR, NOON - HOUR, 1), (NOON,), NOON + 30)


@pytest.mark.parametrize(
    ("window", "first"), [(2 * HOUR, NOON - 2 * HOUR), (2 * HOUR - 1, NOON - HOUR), (0, NOON)]
)
def test_catch_up_all_runs_each_fire_within_the_window_and_misses_the_older(window, first):
    plan = plan_fires(HOURLY, NOON - 5 * HOUR, NOON, window=window, catch_up=CatchUp.ALL)
    assert plan.due == tuple(range(first, NOON + 1, HOUR))
    assert plan.missed == Missed(NOON - 4 * HOUR, first - HOUR, (first - NOON) // HOUR + 4)


def test_a_long_catch_up_comes_in_chunks_that_join():
    cursor, found, plans = NOON - DAY, [], 0
    while cursor < NOON:
        plan = plan_fires(MINUTELY, cursor, NOON, window=DAY, catch_up=CatchUp.ALL, most=100)
        assert len(plan.due) <= 100
        assert plan.missed is None
        found += plan.due
        cursor, plans = plan.cursor, plans + 1
    assert found == list(MINUTELY.fires(NOON - DAY, NOON))
    assert plans == 15


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(CatchUp),
    st.integers(1, 40) | st.just(MOST_FIRES),
    st.sampled_from(SCHEDULES),
    st.lists(st.integers(-HOUR, 3 * DAY), min_size=1, max_size=12),
    st.integers(0, 2 * DAY),
    st.floats(0, HOUR),
)
def test_every_fire_is_accounted_for_exactly_once(catch_up, most, schedule, steps, window, grace):
    """Whatever the moments of planning, clock steps backward included."""
    start = cursor = now = NOON - 40 * DAY
    found = []
    for step in steps:
        now += step
        plan = plan_fires(
            schedule, cursor, now, window=window, grace=grace, catch_up=catch_up, most=most
        )
        assert len(plan.due) <= most
        assert list(plan.due) == sorted(plan.due)
        assert all(cursor < fire <= now for fire in plan.due)
        if plan.missed and plan.due:
            assert plan.missed.last < plan.due[0]
        found += accounted(schedule, plan)
        assert plan.cursor >= cursor
        cursor = plan.cursor
    assert found == list(schedule.fires(start, cursor))


def test_a_cursor_that_is_not_kept_doubles_fires():
    """Sabotage: the cursor is what keeps a fire from being planned twice."""
    first = plan_fires(HOURLY, NOON - 1, NOON, window=HOUR)
    again = plan_fires(HOURLY, NOON - 1, NOON + 30, window=HOUR)
    assert first.due == again.due == (NOON,)
    assert plan_fires(HOURLY, first.cursor, NOON + 30, window=HOUR).due == ()
