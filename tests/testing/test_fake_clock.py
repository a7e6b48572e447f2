"""A clock for tests that must itself be beyond doubt."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from cronbell.clock import Clock
from cronbell.testing import FakeClock

START = datetime(2026, 11, 22, tzinfo=UTC)


def test_it_stands_still_until_it_is_moved():
    clock: Clock = FakeClock(START)

    assert (clock.now(), clock.monotonic()) == (START, 0.0)
    assert clock.now() == START


def test_advance_moves_wall_and_monotonic_time_alike():
    clock = FakeClock(START)

    clock.advance(90.5)

    assert clock.now() == START + timedelta(seconds=90.5)
    assert clock.monotonic() == 90.5
    assert clock.micros() == int(START.timestamp()) * 1_000_000 + 90_500_000


def test_a_stepped_wall_clock_leaves_monotonic_time_alone_and_wakes_nobody():
    async def scenario():
        clock = FakeClock(START)
        task = asyncio.create_task(clock.wait(60))
        await clock.walk(10)
        clock.set_wall(START - timedelta(days=1))
        await clock.walk(0)
        assert not task.done()
        assert clock.monotonic() == 10.0
        await clock.walk(50)
        assert task.done()
        assert clock.now() == START - timedelta(days=1) + timedelta(seconds=50)

    asyncio.run(scenario())


def test_waiters_wake_in_the_order_of_their_times_then_of_their_coming():
    async def scenario():
        clock, woken = FakeClock(), []

        async def sleeper(name, seconds):
            await clock.wait(seconds)
            woken.append(name)

        waits = [("c", 3), ("a", 1), ("b1", 2), ("b2", 2)]
        tasks = [asyncio.create_task(sleeper(*wait)) for wait in waits]
        await clock.walk(0)
        clock.advance(10)
        await asyncio.gather(*tasks)
        return woken

    assert asyncio.run(scenario()) == ["a", "b1", "b2", "c"]


def test_nobody_wakes_a_microsecond_early():
    async def scenario():
        clock = FakeClock()
        task = asyncio.create_task(clock.wait(1))
        await clock.walk(0.999_999)
        early = task.done()
        await clock.walk(0.000_001)
        return early, task.done()

    assert asyncio.run(scenario()) == (False, True)


def test_walk_shows_each_waiter_its_own_time_and_advance_the_final_one():
    async def times(move):
        clock, seen = FakeClock(), []

        async def ticker():
            for _ in range(3):
                await clock.wait(60)
                seen.append(clock.monotonic())

        task = asyncio.create_task(ticker())
        await clock.walk(0)
        await move(clock)
        task.cancel()
        return seen

    async def jump(clock):
        clock.advance(180)
        await clock.walk(0)

    assert asyncio.run(times(lambda clock: clock.walk(180))) == [60.0, 120.0, 180.0]
    assert asyncio.run(times(jump)) == [180.0]


def test_automatic_time_runs_a_day_of_minutes_in_order():
    async def scenario():
        clock, log = FakeClock(auto=True), []

        async def every(name, seconds, times):
            for _ in range(times):
                await clock.wait(seconds)
                log.append((clock.monotonic(), name))

        await asyncio.gather(every("minute", 60, 1_440), every("hour", 3_600, 24))
        return log

    log = asyncio.run(scenario())
    assert len(log) == 1_464
    assert log == sorted(log, key=lambda entry: entry[0])
    assert log[-1][0] == 86_400.0


def test_automatic_time_waits_for_work_that_a_woken_task_hands_on():
    async def scenario():
        clock, queue, times = FakeClock(auto=True), asyncio.Queue(), []

        async def worker():
            while True:
                await queue.get()
                times.append(clock.monotonic())

        task = asyncio.create_task(worker())
        for _ in range(3):
            await clock.wait(5)
            queue.put_nowait(None)
        await clock.wait(5)
        task.cancel()
        return times

    assert asyncio.run(scenario()) == [5.0, 10.0, 15.0]


def test_a_cancelled_waiter_is_forgotten():
    async def scenario():
        clock = FakeClock()
        task = asyncio.create_task(clock.wait(5))
        await clock.walk(0)
        before = clock.waiting
        task.cancel()
        await asyncio.wait([task])
        after = clock.waiting
        clock.advance(10)
        return before, after

    assert asyncio.run(scenario()) == (1, 0)


def test_a_waiter_whose_loop_is_gone_does_not_hinder_others():
    clock = FakeClock()
    loop = asyncio.new_event_loop()
    task = loop.create_task(clock.wait(5))
    loop.run_until_complete(clock.walk(0))
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()

    clock.advance(10)

    assert clock.waiting == 0


@pytest.mark.parametrize("seconds", [0, -1])
def test_no_wait_at_all_still_gives_others_a_turn(seconds):
    async def scenario():
        clock, order = FakeClock(), []

        async def other():
            order.append("other")

        task = asyncio.create_task(other())
        await clock.wait(seconds)
        order.append("waiter")
        await task
        return order, clock.monotonic()

    assert asyncio.run(scenario()) == (["other", "waiter"], 0.0)


def test_a_sleeping_thread_wakes_when_another_advances():
    clock, woken = FakeClock(), []

    def sleeper():
        clock.sleep(30)
        woken.append(clock.monotonic())

    thread = threading.Thread(target=sleeper)
    thread.start()
    clock.wait_for_waiters(1)
    clock.advance(29)
    assert clock.waiting == 1
    clock.advance(1)
    thread.join(5)

    assert woken == [30.0]


def test_a_task_wakes_when_another_thread_advances():
    async def scenario():
        clock = FakeClock()
        task = asyncio.create_task(clock.wait(30))
        await clock.walk(0)
        await asyncio.to_thread(clock.advance, 30)
        await asyncio.wait_for(task, 5)
        return clock.monotonic()

    assert asyncio.run(scenario()) == 30.0


def test_automatic_sleep_passes_at_once():
    clock = FakeClock(auto=True)

    clock.sleep(3_600)

    assert clock.monotonic() == 3_600.0


def test_waiting_for_waiters_that_do_not_come_is_an_error():
    with pytest.raises(TimeoutError, match="0 of 1 waiters"):
        FakeClock().wait_for_waiters(1, timeout=0.01)


def test_time_does_not_run_backwards():
    with pytest.raises(ValueError, match="set_wall"):
        FakeClock().advance(-1)
    with pytest.raises(ValueError, match="backwards"):
        asyncio.run(FakeClock().walk(-1))


def test_a_naive_instant_is_refused():
    naive = datetime(2026, 11, 22)  # noqa: DTZ001 - the very mistake
    with pytest.raises(ValueError, match="naive"):
        FakeClock(naive)
    with pytest.raises(ValueError, match="naive"):
        FakeClock().set_wall(naive)
