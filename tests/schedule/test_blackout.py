"""What a blackout window covers, also when clocks change, and what catch-up makes of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronbell.domain import Blackout, CatchUp
from cronbell.errors import ScheduleError
from cronbell.schedule import Missed, compile_schedule, plan_fires
from cronbell.schedule.blackout import WEEKDAYS, Blackouts
from cronbell.schedule.zones import zone_info

NEW_YORK = "America/New_York"
MINUTELY = compile_schedule("* * * * *")
HOUR = 3600


def at(text: str, zone: str = "UTC", fold: int = 0) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.replace(tzinfo=zone_info(zone), fold=fold).timestamp())


def windows(*, zone: str = "UTC", **fields) -> Blackouts:
    return Blackouts([Blackout(**fields)], zone)


WEEKEND_NIGHTS = {"days": ("sat", "sun"), "start": "22:00", "end": "06:00"}


@pytest.mark.parametrize(
    ("moment", "covered"),
    [
        ("2026-11-21T21:59:59", False),  # a Saturday
        ("2026-11-21T22:00", True),
        ("2026-11-22T05:59:59", True),
        ("2026-11-22T06:00", False),
        ("2026-11-22T22:00", True),
        ("2026-11-23T05:59", True),  # Monday morning belongs to Sunday's night
        ("2026-11-23T22:00", False),
        ("2026-11-21T05:00", False),  # Saturday morning to Friday's, which has none
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_it_begins_on(moment, covered):
    seoul = windows(zone="Asia/Seoul", **WEEKEND_NIGHTS)
    assert (seoul.covering(at(moment, "Asia/Seoul")) is not None) is covered


def test_without_days_it_is_every_day_and_2400_is_midnight():
    late = windows(start="23:00", end="24:00")
    for day in range(16, 23):
        assert late.covering(at(f"2026-11-{day}T23:59:59")) is not None
        assert late.covering(at(f"2026-11-{day}T00:00")) is None


def test_a_zone_of_its_own_goes_before_the_jobs():
    window = windows(start="09:00", end="10:00", timezone="Asia/Seoul", zone=NEW_YORK)
    assert window.covering(at("2026-11-22T09:30", "Asia/Seoul"))
    assert not window.covering(at("2026-11-22T09:30", NEW_YORK))


def test_an_hour_that_comes_twice_is_in_the_window_both_times():
    inside, beside = windows(start="01:15", end="01:45", zone=NEW_YORK), at
    for fold in (0, 1):
        assert inside.covering(at("2026-11-01T01:30", NEW_YORK, fold))
        assert not inside.covering(beside("2026-11-01T01:45", NEW_YORK, fold))
    before = windows(start="22:00", end="01:00", zone=NEW_YORK)
    assert before.covering(at("2026-11-01T00:59", NEW_YORK))
    assert not before.covering(at("2026-11-01T01:00", NEW_YORK, 1))


def test_an_hour_that_is_left_out_holds_nothing():
    gap = windows(start="02:00", end="03:00", zone=NEW_YORK)
    change = at("2026-03-08T03:00", NEW_YORK)
    assert not any(gap.covering(second) for second in range(change - 60, change + 60))
    over = windows(start="22:00", end="02:30", zone=NEW_YORK)
    assert over.covering(change - 1)
    assert not over.covering(change)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2026-12-24", "2026-12-26", "2026-12-24T00:00:00", "2026-12-26T23:59:59"),
        ("2026-12-24T18:00", "2026-12-24T20:00", "2026-12-24T18:00:00", "2026-12-24T19:59:59"),
        ("2026-12-24", "2026-12-24T12:00", "2026-12-24T00:00:00", "2026-12-24T11:59:59"),
        ("2026-12-24T09:00Z", "2026-12-24T10:00Z", "2026-12-24T18:00:00", "2026-12-24T18:59:59"),
    ],
)
def test_a_window_that_comes_once(start, end, first, last):
    once = windows(start=start, end=end, zone="Asia/Seoul")
    first, last = at(first, "Asia/Seoul"), at(last, "Asia/Seoul")
    assert [once.covering(second) is not None for second in (first - 1, first, last, last + 1)] == [
        False, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "field", "hint"),
    [
        ({"start": "22:00", "end": "22:00"}, "to", "leave"),
        ({"start": "24:00", "end": "06:00"}, "from", "00:00"),
        ({"start": "25:00", "end": "06:00"}, "from", "22:00"),
        ({"start": "22:00", "end": "2026-12-24"}, "to", "two times"),
        ({"start": "2026-12-24", "end": "2026-12-23"}, "to", "later"),
        ({"start": "2026-12-24T10:00", "end": "2026-12-24T09:00"}, "to", "later"),
        ({"start": "2026-12-24", "end": "2026-12-25T00:00Z"}, "to", "both"),
        ({"start": "2026-13-24", "end": "2026-12-25"}, "from", "2026-12-24"),
        ({"start": "2026-12-24", "end": "soon"}, "to", "22:00"),
        ({"start": "2026-12-24", "end": "2026-12-25", "days": ("mon",)}, "days", "remove days"),
        ({"start": "22:00", "end": "06:00", "days": ("payday",)}, "days", "mon"),
    ],
)
def test_a_window_that_means_nothing_is_refused(fields, field, hint):
    with pytest.raises(ScheduleError) as caught:
        windows(**fields)
    assert caught.value.field == field
    assert hint in caught.value.hint


def test_a_zone_that_is_not_there_is_refused():
    with pytest.raises(ScheduleError, match="no time zone"):
        windows(start="22:00", end="06:00", timezone="Asia/Soul")


TIMES = st.integers(0, 287).map(lambda five: f"{five // 12:02}:{five % 12 * 5:02}")


@given(
    start=TIMES,
    end=TIMES,
    days=st.sets(st.sampled_from(WEEKDAYS)),
    instant=st.integers(at("2026-10-30T00:00"), at("2026-11-04T00:00")),
)
def test_all_instants_since_are_covered(start, end, days, instant):
    if start == end:
        return
    named = tuple(day for day in WEEKDAYS if day in days)
    window = windows(start=start, end=end, days=named, zone=NEW_YORK)
    since = window.since(instant)
    assert (since is None) == (window.covering(instant) is None)
    if since is not None:
        steps = range(since, instant + 1, 301)
        assert all(window.covering(second) for second in [*steps, since, instant])


def plan(now: str, cursor: str, closed: Callable[[int], int | None], **changes):
    values = {"window": HOUR, "closed": closed}
    return plan_fires(MINUTELY, at(cursor), at(now), **(values | changes))


def test_catch_up_takes_the_latest_fire_that_no_window_covers():
    closed = windows(start="11:30", end="12:00").since
    found = plan("2026-11-22T12:00:59", "2026-11-22T11:00:00", closed)
    assert found.due == (at("2026-11-22T12:00"),), "on time, and stands for all before"
    hourly = compile_schedule("*/10 * * * *")
    found = plan_fires(
        hourly, at("2026-11-22T10:00"), at("2026-11-22T12:05"), window=HOUR, closed=closed
    )
    assert found.due == (at("2026-11-22T12:00"),)
    closed = windows(start="11:30", end="12:05").since
    found = plan_fires(
        hourly, at("2026-11-22T10:00"), at("2026-11-22T12:07"), window=HOUR, closed=closed
    )
    assert found.due == (at("2026-11-22T11:20"),)
    assert found.missed == Missed(at("2026-11-22T10:10"), at("2026-11-22T11:10"), 7)
    assert found.missed_after == Missed(at("2026-11-22T11:30"), at("2026-11-22T12:00"), 4)


def test_a_fire_older_than_the_catch_up_window_is_not_looked_for():
    closed = windows(start="10:30", end="12:05").since
    found = plan_fires(
        compile_schedule("*/10 * * * *"),
        at("2026-11-22T10:00"), at("2026-11-22T12:07"), window=HOUR, closed=closed,
    )  # fmt: skip
    assert found.due == ()
    assert found.missed == Missed(at("2026-11-22T10:10"), at("2026-11-22T12:00"), 12)


@pytest.mark.parametrize("catch_up", list(CatchUp))
def test_nothing_is_made_up_for_while_a_window_is_open(catch_up):
    closed = windows(start="11:30", end="13:00").since
    found = plan("2026-11-22T12:00:30", "2026-11-22T11:00:30", closed, catch_up=catch_up)
    assert found.missed == Missed(at("2026-11-22T11:01"), at("2026-11-22T11:59"), 59)
    assert found.due == (at("2026-11-22T12:00"),), "on time: the caller records it as skipped"


@given(
    cursor=st.integers(0, 5000),
    minutes=st.integers(0, 3000),
    second=st.integers(0, 59),
    start=TIMES,
    end=TIMES,
    catch_up=st.sampled_from(CatchUp),
)
def test_every_fire_is_in_exactly_one_place(cursor, minutes, second, start, end, catch_up):
    if start == end:
        return
    begin = at("2026-11-20T00:00") + cursor * 60
    now = begin + minutes * 60 + second
    closed = windows(start=start, end=end)
    found = plan_fires(
        MINUTELY, begin, now, window=2 * HOUR, catch_up=catch_up, closed=closed.since
    )
    parts = [found.due]
    for missed in (found.missed, found.missed_after):
        if missed is not None:
            fires = tuple(MINUTELY.fires(missed.first - 1, missed.last))
            assert len(fires) == missed.count
            parts.append(fires)
    assert sorted(fire for part in parts for fire in part) == list(
        MINUTELY.fires(begin, found.cursor)
    )
    made_up = [fire for fire in found.due if fire < now - 60]
    assert not (made_up and closed.covering(now))
    if catch_up is CatchUp.LATEST:
        assert not [fire for fire in made_up if closed.covering(fire)]


def test_three_months_of_windows_are_leapt_over_not_walked_through():
    asked = []
    closed = windows(start="00:00", end="23:59")

    def counting(instant: int) -> int | None:
        asked.append(instant)
        return closed.since(instant)

    now = at("2026-11-22T23:59:00") + 3
    found = plan_fires(
        compile_schedule("*/2 * * * *"), now - 90 * 86_400, now,
        window=89 * 86_400, closed=counting, grace=0,
    )  # fmt: skip
    assert found.due == ()
    assert found.missed == Missed(found.missed.first, found.missed.last, 90 * 720)
    assert len(asked) < 200


def test_two_windows_the_first_that_covers_is_named():
    both = Blackouts(
        [Blackout(start="10:00", end="12:00", reason="a"), Blackout(start="11:00", end="13:00")],
        "UTC",
    )
    assert both.covering(at("2026-11-22T11:30")).reason == "a"
    assert both.covering(at("2026-11-22T12:30")).reason == ""
    assert datetime.fromtimestamp(both.since(at("2026-11-22T11:30")), UTC).hour == 10
