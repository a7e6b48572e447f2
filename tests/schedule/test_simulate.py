"""What a configuration would fire is what the engine's planner fires."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronbell.domain import Blackout, Dialect, DstGap, DstRepeat, JobSpec
from cronbell.schedule.simulate import fires_of, overlaps, simulate

MICROS = 1_000_000
NEW_YORK = "America/New_York"


def epoch(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp())


def spec(schedule: str, name: str = "job", **changes) -> JobSpec:
    values = {"path": f"/api/cron/{name}", "dialect": Dialect.STANDARD, "deadline": 60.0}
    return JobSpec(name=name, schedule=schedule, **{**values, **changes})


SPRING = (epoch(2026, 3, 7), epoch(2026, 3, 10))
AUTUMN = (epoch(2026, 10, 31), epoch(2026, 11, 3))
SCHEDULES = ["30 2 * * *", "30 1 * * *", "*/30 * * * *", "0 */2 * * *", "15 1-3 * * *", "0 0 L * *"]


@pytest.mark.parametrize("window", [SPRING, AUTUMN])
@pytest.mark.parametrize("gap", list(DstGap))
@pytest.mark.parametrize("repeat", list(DstRepeat))
@given(
    schedule=st.sampled_from(SCHEDULES),
    steps=st.lists(st.sampled_from([31, 59, 60, 400, 3600, 9000]), min_size=1, max_size=5),
)
def test_simulated_fires_are_the_planners_on_a_moving_clock(window, gap, repeat, schedule, steps):
    from cronbell.engine.planner import Planner

    one = spec(schedule, timezone=NEW_YORK, dst_gap=gap, dst_repeat=repeat)
    step = cycle(steps)
    start, end = window
    planner = Planner()
    planner.load([(1, one, start * MICROS)])
    planned, now = [], start
    while now < end:
        now = min(end, now + next(step))
        rows = planner.plan(now * MICROS, 10)
        planner.planned(rows)
        for row in rows:
            last, count = row.scheduled_at // MICROS, max(row.missed_count, 1)
            planned += list(fires_of(one, start, last))[-count:]
    assert planned == list(fires_of(one, start, end))


def test_a_moved_fire_is_neither_added_nor_removed():
    window = (epoch(2026, 11, 1), epoch(2026, 11, 8))
    found = simulate({"job": spec("0 3 * * *")}, [spec("30 3 * * *")], *window, durations={})
    (job,) = found.jobs
    assert (job.before, job.after, job.added, job.removed) == (7, 7, (), ())
    assert job.moved[0] == (epoch(2026, 11, 1, 3), epoch(2026, 11, 1, 3, 30))


def test_added_and_removed_jobs_and_the_load_by_hour():
    window = (epoch(2026, 11, 1), epoch(2026, 11, 2))
    live = {"old": spec("0 * * * *", "old")}
    found = simulate(live, [spec("*/30 1-2 * * *", "new")], *window, durations={})
    new, old = found.jobs
    assert (new.before, new.after, len(new.added)) == (0, 4, 4)
    assert (old.before, old.after, len(old.removed)) == (24, 0, 24)
    assert found.load == {epoch(2026, 11, 1, 1): 2, epoch(2026, 11, 1, 2): 2}


def test_a_disabled_job_fires_nothing():
    window = (epoch(2026, 11, 1), epoch(2026, 11, 2))
    assert list(fires_of(spec("* * * * *", enabled=False), *window)) == []


def test_overlaps_are_what_overlap_skip_would_skip():
    assert overlaps([0, 60, 120, 180, 240], 150) == 3
    assert overlaps([0, 60, 120], 60) == 0
    assert overlaps([], 10) == 0
    window = (epoch(2026, 11, 1), epoch(2026, 11, 1, 1))
    found = simulate({}, [spec("* * * * *")], *window, durations={"job": 90.0})
    assert found.jobs[0].overlaps == 30


def test_changes_of_the_clocks_are_noted():
    found = simulate({}, [spec("30 2 * * *", timezone=NEW_YORK)], *SPRING, durations={})
    assert any("2026-03-08" in note for note in found.jobs[0].notes)


DAYTIME = (Blackout(start="09:00", end="11:00", reason="office"),)


def test_fires_in_windows_are_named_and_left_out_of_load_and_overlaps():
    window = (epoch(2026, 11, 1), epoch(2026, 11, 2) - 1)
    before, after = spec("0 * * * *"), spec("0 * * * *", blackout=DAYTIME)
    found = simulate({"job": before}, [after], *window, durations={"job": 5400.0})
    (job,) = found.jobs
    assert (job.before, job.after, job.skipped_before) == (23, 23, 0)
    assert [(each.fire, each.window) for each in job.skipped] == [
        (epoch(2026, 11, 1, hour), DAYTIME[0]) for hour in (9, 10)
    ]
    assert sorted(found.load) == [
        epoch(2026, 11, 1, hour) for hour in range(1, 24) if hour not in {9, 10}
    ]
    everything = simulate({"job": before}, [before], *window, durations={"job": 5400.0})
    assert everything.jobs[0].overlaps == 11
    assert job.overlaps == 4 + 6, "01–08 and 11–23, every second one of each"


def test_a_pause_skips_what_is_due_since_and_goes_before_a_window():
    window = (epoch(2026, 11, 1), epoch(2026, 11, 2) - 1)
    one = spec("0 * * * *", blackout=DAYTIME)
    paused = {"job": epoch(2026, 11, 1, 10)}
    (job,) = simulate({"job": one}, [one], *window, durations={}, paused=paused).jobs
    assert [each.window for each in job.skipped] == [DAYTIME[0], *[None] * 14]
    assert job.skipped_before == 15


def test_simulated_windows_are_the_planners():
    from cronbell.engine.planner import Planner

    night = (Blackout(days=("sat",), start="22:00", end="06:00"),)
    one = spec("*/30 * * * *", timezone=NEW_YORK, blackout=night)
    planner = Planner()
    start, end = AUTUMN
    planner.load([(1, one, start * MICROS)])
    skipped = []
    for now in range(start, end, 600):
        rows = planner.plan(now * MICROS, 10)
        planner.planned(rows)
        skipped += [row.scheduled_at // MICROS for row in rows if row.reason == "blackout"]
    (job,) = simulate({}, [one], start, end, durations={}).jobs
    assert [each.fire for each in job.skipped] == skipped
    assert len(skipped) == 18, "eight hours on the clock, one of which comes twice"
