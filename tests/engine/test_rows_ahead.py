"""Rows put together ahead are the rows that would be made; jobs put back late miss no fire."""

from __future__ import annotations

import pytest
from tests.engine.conftest import NOON

from cronbell.clock import to_micros
from cronbell.domain import Blackout, Overlap
from cronbell.engine.planner import MICROS, ON_TIME, PUT_BACK, SHORT_DEADLINE, Planner

CURSOR = to_micros(NOON)
MINUTE = CURSOR // MICROS + 60
DUE = MINUTE * MICROS


@pytest.fixture
def make_spec(make_spec):
    return lambda name, **changes: make_spec(name, **{"deadline": 900.0, **changes})


def planner_of(specs, *, ahead=True):
    planner = Planner()
    planner.load([(number, spec, CURSOR) for number, spec in enumerate(specs, 1)])
    planner.warm(len(specs))
    if ahead:
        planner.soon(MINUTE, len(specs))
    return planner


def test_a_row_made_ahead_is_the_row_that_would_be_made(make_spec):
    specs = [make_spec("a"), make_spec("b", overlap=Overlap.QUEUE_ALL), make_spec("c", deadline=90)]
    late = 700_000
    ahead = planner_of(specs).plan(DUE + late, 10, room=10)
    anew = planner_of(specs, ahead=False).plan(DUE + late, 10, room=10)
    assert [row.deadline_at + late for row in ahead] == [row.deadline_at for row in anew]
    assert [row._replace(deadline_at=0) for row in ahead] == [
        row._replace(deadline_at=0) for row in anew
    ]


def test_a_late_fire_has_its_whole_deadline_from_now(make_spec):
    (row,) = planner_of([make_spec("a", deadline=90)]).plan(DUE + ON_TIME + 1, 10, room=10)
    assert row.deadline_at == DUE + ON_TIME + 1 + 90 * MICROS


def test_without_room_a_fire_is_recorded_to_wait(make_spec):
    rows = planner_of([make_spec("a"), make_spec("b")]).plan(DUE, 10, room=1)
    assert [row.start for row in rows] == [True, False]


NOT_PLAIN = {
    "sent later than due": {"jitter": 30.0},
    "in a window": {"blackout": (Blackout(start="00:00", end="23:59"),)},
    "a short deadline": {"timeout": 5, "deadline": SHORT_DEADLINE - 1},
}


@pytest.mark.parametrize("changes", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_where_more_is_to_be_weighed_no_row_is_made_ahead(make_spec, changes):
    spec = make_spec("a", **changes)
    planner = planner_of([spec])
    assert planner.jobs[1].row is None
    assert planner.plan(DUE, 10, room=10) == planner_of([spec], ahead=False).plan(DUE, 10, room=10)


def fires(planner, *, until, step, put_back):
    """Plan every so often up to then; return the fires planned."""
    seen, now = [], DUE
    while now <= until:
        planner.put_back(now, put_back)
        planner.warm(10)
        planner.soon(now // MICROS + 15, 10)
        rows = planner.plan(now, 10, room=10)
        planner.recorded(rows, now)
        seen += [row.scheduled_at for row in rows]
        now += step
    return seen


@pytest.mark.parametrize("put_back", [0, 10], ids=["never idle", "idle"])
def test_no_fire_is_missed_or_double_whenever_jobs_are_put_back(make_spec, put_back):
    until = DUE + 600 * MICROS
    seen = fires(planner_of([make_spec("a")]), until=until, step=MICROS // 4, put_back=put_back)
    assert seen == list(range(DUE, until + 1, 60 * MICROS))


def test_a_job_is_put_back_when_there_is_time_and_soon_in_any_case(make_spec):
    planner = planner_of([make_spec("a"), make_spec("b")])
    planner.recorded(planner.plan(DUE, 10, room=10), DUE)
    assert planner.next_due() is None
    assert planner.put_back(DUE, 0), "both wait"
    assert planner.put_back(DUE, 1), "one waits"
    assert planner.next_due() == MINUTE + 60

    assert not planner.put_back(DUE + PUT_BACK, 0)
    assert len(planner._heap) == 2


def test_a_clock_set_back_puts_all_back(make_spec):
    planner = planner_of([make_spec("a")])
    planner.recorded(planner.plan(DUE, 10, room=10), DUE)
    assert not planner.put_back(DUE - 1, 0)
    assert planner.next_due() == MINUTE + 60


def test_what_fires_again_soon_is_put_back_at_once(make_spec):
    planner = planner_of([make_spec("a")])
    rows = planner.plan(DUE, 10, room=10)
    planner.recorded(rows, DUE + 57 * MICROS)
    assert planner.next_due() == MINUTE + 60


def test_a_job_moved_meanwhile_stays_where_it_was_moved(make_spec):
    """Another runner's cursor, or a rewound one, must not be overwritten by what waited."""
    planner = planner_of([make_spec("a")])
    planner.recorded(planner.plan(DUE, 10, room=10), DUE)
    planner.moved({1: CURSOR})
    assert not planner.put_back(DUE + PUT_BACK, 10)
    assert (planner.next_due(), planner.jobs[1].row) == (MINUTE, None)
