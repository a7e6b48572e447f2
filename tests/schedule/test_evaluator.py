"""The evaluator against other libraries, against itself, and at the edges of time."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronbell.domain import Dialect, DstGap, DstRepeat
from cronbell.errors import ScheduleError
from cronbell.schedule import compile_schedule
from cronbell.schedule.cron import Schedule

DAY = 86_400
RANGES = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
FIRST = int(datetime(1, 1, 1, tzinfo=UTC).timestamp())
LAST = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def days(schedule: Schedule, start: str, count: int) -> list[str]:
    """List the days of the first fires from a day on."""
    found, instant = [], at(start) - 1
    while len(found) < count:
        instant = schedule.next(instant)
        found.append(f"{datetime.fromtimestamp(instant, UTC):%F}")
    return found


@st.composite
def items(draw, low, high):
    start = draw(st.integers(low, high))
    step = draw(st.integers(1, high - low))
    return draw(
        st.sampled_from(
            [
                f"{start}",
                f"{start}-{draw(st.integers(start, high))}",
                f"*/{step}",
                f"{start}/{step}",
            ]
        )
    )


@st.composite
def expressions(draw):
    fields = [
        draw(st.just("*") | st.lists(items(low, high), min_size=1, max_size=3).map(",".join))
        for low, high in RANGES
    ]
    if draw(st.booleans()):
        fields[2] = draw(st.sampled_from(["L", "1,L", "*"]))
    if draw(st.booleans()):
        fields[4] = draw(st.sampled_from(["1#1", "mon#5,0#2", "*"]))
    return " ".join(fields)


ZONES = st.sampled_from(
    ["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Seoul", "Africa/Casablanca",
     "Pacific/Apia", "Antarctica/Troll", "Europe/Dublin", "America/Sao_Paulo", "Asia/Gaza"]
)  # fmt: skip


@st.composite
def schedules(draw):
    if draw(st.integers(0, 9)) == 0:
        amount, unit = draw(st.integers(1, 300)), draw(st.sampled_from("smhd"))
        return compile_schedule(f"every {amount}{unit}")
    policy = {
        "timezone": draw(ZONES),
        "dst_gap": draw(st.sampled_from(DstGap)),
        "dst_repeat": draw(st.sampled_from(DstRepeat)),
    }
    try:
        return compile_schedule(draw(expressions()), **policy)
    except ScheduleError:  # 30 February and the like
        return compile_schedule("0 0 * * *", **policy)


INSTANTS = st.integers(at("1900-01-01"), at("2500-01-01")) | st.integers(FIRST - DAY, LAST + DAY)


@settings(max_examples=400, deadline=None)
@given(schedules(), INSTANTS)
def test_next_is_later_and_is_the_very_next(schedule, instant):
    fire = schedule.next(instant)
    if fire is None:
        assert schedule.count(instant, LAST) == 0
        return
    assert fire > instant
    assert schedule.next(fire - 1) == fire
    assert schedule.next((max(instant, FIRST - 1) + fire) // 2) == fire
    assert schedule.count(instant, fire - 1) == 0
    assert schedule.count(instant, fire) == 1


@settings(max_examples=400, deadline=None)
@given(schedules(), INSTANTS)
def test_backward_agrees_with_forward(schedule, instant):
    before = schedule.previous(instant)
    if before is None:
        assert schedule.count(FIRST - 1, instant - 1) == 0
        return
    assert before < instant
    assert schedule.previous(before + 1) == before
    assert schedule.count(before, instant - 1) == 0
    following = schedule.next(before)
    assert following is None or following >= instant
    fire = schedule.next(instant)
    assert fire is None or schedule.previous(fire) in {before, instant}


@settings(max_examples=200, deadline=None)
@given(schedules(), INSTANTS, st.integers(0, 500))
def test_fires_are_what_next_gives_one_after_the_other(schedule, instant, amount):
    expected, fire = [], instant
    for _ in range(amount):
        fire = schedule.next(fire)
        if fire is None:
            break
        expected.append(fire)
    end = expected[-1] if expected else instant
    assert list(schedule.fires(instant, end)) == expected
    assert schedule.count(instant, end) == len(expected)


@settings(max_examples=100, deadline=None)
@given(schedules(), st.integers(at("1990-01-01"), at("2100-01-01")), st.integers(1, 60 * DAY))
def test_a_stretch_may_be_cut_anywhere_and_nothing_is_lost_or_doubled(schedule, start, length):
    middle, end = start + length // 3, start + length
    whole = list(schedule.fires(start, end))
    assert list(schedule.fires(start, middle)) + list(schedule.fires(middle, end)) == whole
    assert all(earlier < later for earlier, later in pairwise(whole))
    assert schedule.count(start, end) == len(whole)


@given(
    items(*RANGES[0]), items(*RANGES[1]), ZONES, st.sampled_from(DstGap),
    st.sampled_from(DstRepeat), st.integers(at("1975-01-01"), at("2200-01-01")),
)  # fmt: skip
def test_a_daily_schedule_never_lets_a_day_pass_but_one_the_clocks_took(
    minute, hour, zone, gap, repeat, instant
):
    expression = f"{minute} {hour} * * *"
    schedule = compile_schedule(expression, timezone=zone, dst_gap=gap, dst_repeat=repeat)
    shift = 3 * 3600  # what clocks are moved by at most, Apia's lost day apart
    lost = DAY if gap != DstGap.SHIFT else 0  # a time left out waits for the next day,
    lost += DAY if zone == "Pacific/Apia" else 0  # and a day left out for the one after it
    assert schedule.next(instant) - instant <= DAY + shift + lost


@given(ZONES, st.integers(at("1975-01-01"), at("2200-01-01")))
def test_every_minute_is_every_minute_whatever_the_clocks_do(zone, instant):
    schedule = compile_schedule("* * * * *", timezone=zone)
    assert schedule.next(instant) == (instant // 60 + 1) * 60
    assert schedule.previous(instant) == (instant - 1) // 60 * 60


def test_fires_repeat_after_four_hundred_years():
    cycle = 146_097 * DAY
    schedule = compile_schedule("30 2 8-14 3,11 *", timezone="America/New_York")
    near = list(schedule.fires(at("2100-01-01"), at("2103-01-01")))
    for cycles in (1, 7, 19):
        moved = cycles * cycle
        far = list(schedule.fires(at("2100-01-01") + moved, at("2103-01-01") + moved))
        assert far == [fire + moved for fire in near]
        assert [schedule.previous(fire + 1) for fire in far] == far


def test_a_range_of_one_value_is_that_value_whatever_the_step():
    assert days(compile_schedule("0 0 5-5/2 * *"), "2026-11-22", 2) == ["2026-12-05", "2027-01-05"]


@pytest.mark.parametrize(
    ("expression", "start", "expected"),
    [
        ("0 0 29 2 *", "2026-11-21", ["2028-02-29", "2032-02-29"]),
        ("0 0 29 2 *", "2095-01-01", ["2096-02-29", "2104-02-29", "2108-02-29"]),
        ("0 0 31 * *", "2026-11-21", ["2026-12-31", "2027-01-31", "2027-03-31", "2027-05-31"]),
        ("0 0 L * *", "2026-11-21", ["2026-11-30", "2026-12-31", "2027-01-31", "2027-02-28"]),
        ("0 0 L 2 *", "2027-03-01", ["2028-02-29", "2029-02-28"]),
        ("0 0 28-31 * *", "2028-02-01", ["2028-02-28", "2028-02-29", "2028-03-28"]),
        ("0 0 13 * 5", "2026-11-22", ["2026-11-27", "2026-12-04", "2026-12-11", "2026-12-13"]),
        ("0 0 */2 * 5", "2026-11-22", ["2026-11-27", "2026-12-11", "2026-12-25"]),
        ("0 0 13 * */5", "2026-11-22", ["2026-12-13", "2027-08-13", "2027-06-13"][:1]),
        ("0 0 31 2 1", "2026-11-22", ["2027-02-01", "2027-02-08", "2027-02-15", "2027-02-22"]),
        ("0 0 * * 5#2", "2026-11-22", ["2026-12-11", "2027-01-08"]),
        ("0 0 * * 1#5", "2026-11-22", ["2026-11-30", "2027-03-29"]),
        ("0 0 1 * 1#1", "2026-11-22", ["2026-12-01", "2026-12-07", "2027-01-01", "2027-01-04"]),
        ("0 0 * * 7", "2026-11-22", ["2026-11-22", "2026-11-29"]),
        ("0 0 * * 5-7", "2026-11-22", ["2026-11-22", "2026-11-27", "2026-11-28", "2026-11-29"]),
        ("0 0 * * fri-sun", "2026-11-22", ["2026-11-22", "2026-11-27", "2026-11-28"]),
        ("0 0 * jan-mar/2 *", "2027-01-31", ["2027-01-31", "2027-03-01"]),
        ("@weekly", "2026-11-22", ["2026-11-22", "2026-11-29"]),
        ("@yearly", "2026-11-22", ["2027-01-01", "2028-01-01"]),
        ("every 1d", "2026-11-22", ["2026-11-22", "2026-11-23"]),
    ],
)  # fmt: skip
def test_days_that_calendars_make_hard(expression, start, expected):
    assert days(compile_schedule(expression), start, len(expected)) == expected


def test_vercel_weekdays_end_on_saturday():
    schedule = compile_schedule("0 0 * * 1/2", dialect=Dialect.VERCEL)
    assert days(schedule, "2026-11-22", 3) == ["2026-11-23", "2026-11-25", "2026-11-27"]


def test_intervals_count_from_the_epoch():
    assert list(compile_schedule("every 90s").fires(0, 300)) == [90, 180, 270]
    assert compile_schedule("every 7m").next(420 * 1000) == 420 * 1001
    assert compile_schedule("every 2h", timezone="Asia/Kolkata").next(0) == 7200
    assert compile_schedule("every 30s").previous(30) == 0
    assert compile_schedule("every 30s").count(-60, 60) == 4


@pytest.mark.parametrize("timezone", ["UTC", "Asia/Seoul", "America/New_York"])
def test_time_has_ends_and_neither_is_an_error(timezone):
    schedule = compile_schedule("0 0 1 1 *", timezone=timezone)
    assert schedule.next(LAST) is None
    assert schedule.next(10**40) is None
    assert schedule.previous(FIRST) is None
    assert schedule.previous(-(10**40)) is None
    assert schedule.next(-(10**40)) == schedule.next(FIRST - 1)
    assert schedule.previous(10**40) == schedule.previous(LAST + 1)
    assert list(schedule.fires(10**40, 10**41)) == []
    assert schedule.count(at("2026-01-01"), at("2025-01-01")) == 0
    assert FIRST <= schedule.next(-(10**40)) <= FIRST + 367 * DAY
    assert schedule.count(-(10**40), 10**40) in {9998, 9999}


def test_fires_beyond_2038_keep_their_zone_rules():
    assert days(compile_schedule("14 3 19 1 *"), "2037-06-01", 2) == ["2038-01-19", "2039-01-19"]
    summer = compile_schedule("0 12 1 7 *", timezone="America/New_York").next(at("2038-06-01"))
    assert summer == at("2038-07-01T16:00:00")


def test_two_years_of_minutes_are_counted_without_being_listed():
    schedule = compile_schedule("* * * * *", timezone="America/New_York")
    start = at("2025-01-01")
    assert schedule.count(start, start + 730 * DAY) == 730 * 1440


def test_a_compiled_schedule_is_kept():
    first = compile_schedule("7 3 * * *", timezone="Asia/Seoul")
    assert compile_schedule("7 3 * * *", timezone="Asia/Seoul") is first
    assert compile_schedule("7 3 * * *", timezone="UTC") is not first


def test_what_was_asked_before_changes_no_answer():
    """The remembered stretch is a cache: asking in any order gives the same answers."""
    schedule = compile_schedule("*/20 1-3 * * *", timezone="America/New_York")
    instants = list(range(at("2026-03-07"), at("2026-03-10"), 600))
    instants += list(range(at("2026-10-31"), at("2026-11-03"), 600))
    forward = {instant: schedule.next(instant) for instant in instants}
    chance = random.Random(4)
    for instant in chance.sample(instants, len(instants)):
        assert schedule.next(instant) == forward[instant]
        schedule.next(chance.randrange(FIRST, LAST))
        assert next(schedule.fires(instant, instant + 2 * DAY)) == forward[instant]
