"""The loop and the client's thread share a processor while a herd is on, and only then."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from datetime import timedelta

import pytest
from tests.engine.conftest import NOON, running, statuses, until

from cronbell.engine import processor
from cronbell.engine.clocks import Place
from cronbell.engine.due import FIRST_PIECE
from cronbell.engine.processor import CHOSEN_SECONDS, OneProcessor
from cronbell.testing import answers
from cronbell.testing.clock import FakeClock

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2,
    reason="there is one processor, or no way to choose one",
)


def where(thread: int = 0) -> tuple[set[int], int]:
    return os.sched_getaffinity(thread), os.sched_getscheduler(thread)


@pytest.fixture
def other(monkeypatch):
    """Stand in for the client's thread."""
    done, started = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (started.set(), done.wait(30)))
    thread.start()
    started.wait(5)
    monkeypatch.setattr(processor, "_client_threads", lambda: [thread.native_id])
    yield thread.native_id
    done.set()
    thread.join()


def test_both_are_held_on_one_processor_and_let_go_where_they_were(other):
    before = [where(), where(other)]
    clock = FakeClock()
    together = OneProcessor(clock)
    together.hold()
    try:
        (mine, policy), theirs = where(), where(other)
        assert len(mine) == 1
        assert policy == os.SCHED_BATCH
        assert theirs == (mine, policy)
        together.expire()
        assert where() == (mine, policy), "it is asked for still"
    finally:
        together.let_go()
    assert [where(), where(other)] == before


def test_the_processor_is_chosen_anew_after_a_while(other):
    before = [where(), where(other)]
    clock = FakeClock()
    together = OneProcessor(clock)
    together.hold()
    clock.advance(CHOSEN_SECONDS)
    together.hold()
    assert [where(), where(other)] == before, "for a moment the system may move them"
    together.hold()
    assert len(where()[0]) == 1
    clock.advance(CHOSEN_SECONDS)
    together.expire()
    assert [where(), where(other)] == before


@pytest.mark.parametrize("of", [2, 5])
def test_of_several_runners_on_a_machine_each_has_another(other, of):
    free = sorted(os.sched_getaffinity(0))
    chosen = []
    for number in range(of):
        together = OneProcessor(FakeClock(), lambda number=number: Place(number, of))
        together.hold()
        (mine,) = where()[0]
        together.let_go()
        chosen.append(mine)
    assert chosen == [free[number % len(free)] for number in range(of)]


def test_where_it_is_not_allowed_the_threads_stay_as_they_are(other, monkeypatch):
    before = [where(), where(other)]

    def refused(*_: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(os, "sched_setscheduler", refused)
    together = OneProcessor(FakeClock())
    together.hold()
    monkeypatch.undo()
    assert not together._able
    assert where()[0] == before[0][0]


@pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
def test_a_runner_holds_them_for_a_herd_only(make_spec, clock, target, monkeypatch):
    held: list[int] = []
    whole = OneProcessor.hold
    monkeypatch.setattr(OneProcessor, "hold", lambda self: held.append(1) or whole(self))
    specs = [make_spec(f"job-{number}", deadline=900.0) for number in range(2 * FIRST_PIECE)]
    for spec in specs:
        target.script(spec.path, answers.ok())
    before = where()

    async def go() -> None:
        async with running(specs[:3], clock, target):
            clock.show(NOON + timedelta(seconds=59.9))
            await until(lambda: statuses() == ["success"] * 3)
        assert held == []
        async with running(specs, clock, target):
            clock.show_second(59.9)
            await until(lambda: statuses() == ["success"] * (3 + len(specs)))

    asyncio.run(go())
    assert held
    assert where() == before
