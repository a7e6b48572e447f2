"""The wall clock is stepped under a runner: an hour and a day, forward and back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.faults import hooks
from tests.faults.audit import MICROS, judge
from tests.faults.report import Finding
from tests.faults.runners import load
from tests.faults.settings import Settings
from tests.faults.world import World, pause, until

HOUR, DAY = 3600, 86_400
STEPS = {"+1 h": HOUR, "-1 h": -HOUR, "+1 day": DAY, "-1 day": -DAY}
BEFORE, AFTER = 3.0, 4.0  # seconds


def stepped(store: str, name: str) -> Finding:
    """Step the clock while calls are under way, go on for a while, step it back.

    The clock is the processes' own, moved by what a shared file says (``hooks``): as with a step
    of the system's clock, monotonic time and the kernel's timers are left alone.
    """
    found = Finding(f"clock stepped {name} and back, {store}", "2 steps")
    with World(store) as world:
        clock = world.home / "clock"
        clock.write_bytes(bytes(hooks.SHIFT.size))
        world.env[hooks.CLOCK] = str(clock)
        load(world, random.Random(1))
        runner = world.engine()
        world.ready(runner)
        pause(BEFORE)
        before = len(world.target.requests)
        hooks.set_clock(clock, STEPS[name])
        pause(AFTER)
        ahead = STEPS[name] > 0
        found.figures["calls while stepped"] = len(world.target.requests) - before
        if ahead:
            found.require(
                "nothing was called after the step", holds=len(world.target.requests) > before
            )
        hooks.set_clock(clock, 0)
        pause(1)
        if not ahead:
            called = len(world.target.requests)
            again = until(lambda: len(world.target.requests) > called, 10, "a call")
            found.require("nothing was called after the step back", holds=again)
        ledger = judge(found, world, stuck=world.settle(30), stepped=ahead)
        found.promise("sent again for a step", int(str(found.figures["sent again"])))
        negative = [
            row for row in ledger.rows
            if row.started_at and row.finished_at and row.finished_at < row.started_at
        ]  # fmt: skip
        found.promise("ended before they began", len(negative))
        longest = max(
            (row.finished_at - row.started_at) / MICROS for row in ledger.rows
            if row.started_at and row.finished_at
        )  # fmt: skip
        found.figures["longest run by the wall clock"] = f"{longest:.1f} s"
        found.require("the runner did not outlive the step", holds=runner.running)
    return found


def run(settings: Settings) -> Iterator[Finding]:
    """Do each step on each store, side by side."""
    plans = [(store, name) for store in settings.stores for name in STEPS]
    for store in settings.stores:
        with World(store):  # makes what the others are copies of
            pass
    with ThreadPoolExecutor(4) as pool:
        yield from pool.map(lambda plan: stepped(*plan), plans)
