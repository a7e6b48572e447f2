"""Each safeguard taken away once: the experiment that is there for it must fail.

A nought means nothing where nothing could have been counted. ``hooks`` says how each is taken
away, in the child processes of the experiment alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.faults import calls, runners
from tests.faults.report import Finding
from tests.faults.settings import Settings
from tests.faults.world import World

Sabotaged = Callable[[], Finding]


def table(store: str) -> dict[str, Sabotaged]:
    """Return the experiments by what is taken away."""
    found: dict[str, Sabotaged] = {
        "the unique keys": lambda: runners.cursor_set_back(store, sabotage="unique"),
        "the fencing": lambda: runners.stale_finish(store, sabotage="fencing"),
        "the deadline": lambda: calls.hanging(store, sabotage="deadline"),
        "the mark of at_most_once": lambda: calls.in_flight(store, "at_most_once", sabotage="mark"),
        "the rescue": lambda: calls.in_flight(store, "at_least_once", sabotage="rescue"),
        "the receipts": lambda: calls.same_key_again(store, sabotage="receipts"),
    }
    if store == "sqlite":  # PostgreSQL's transactions need no such beginning
        found["the immediate transactions"] = lambda: calls.same_key_again(
            store, sabotage="immediate"
        )
    return found


def noticed(store: str, name: str, experiment: Sabotaged) -> Finding:
    """Run an experiment under sabotage; what it finds broken is what it ought to find."""
    found = Finding(f"sabotage: without {name}, {store}", "must be noticed")
    seen = experiment()
    found.figures["noticed by"] = seen.experiment.partition(",")[0]
    found.figures["as"] = "; ".join(seen.broken)
    found.require("the sabotage went unnoticed", holds=bool(seen.broken) and not seen.skipped)
    return found


def run(settings: Settings) -> Iterator[Finding]:
    """Do the whole table: on SQLite in the short version, on both stores in the full one."""
    stores = settings.stores if settings.full else settings.stores[:1]
    for store in stores:
        with World(store):  # makes what the others are copies of
            pass
        with ThreadPoolExecutor(3) as pool:
            going = [pool.submit(noticed, store, *pair) for pair in table(store).items()]
            for one in going:
                yield one.result()
