"""One call at a time, at its worst moment: in flight at a kill, hanging, the same key again."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from cronbell.testing import answers
from tests.faults.application.load import EFFECT_JOBS
from tests.faults.audit import read
from tests.faults.report import Finding
from tests.faults.settings import Settings
from tests.faults.world import LEASE, SECRET, World, job, pause, until

CALLERS = 12
KEYS = 60
TIMES = 3  # each key is called so often, at once


def world_under(store: str, sabotage: str) -> World:
    """Return a world whose processes have a safeguard taken away, or none."""
    return World(store, env={"CRONBELL_FAULTS_SABOTAGE": sabotage} if sabotage else {})


def in_flight(store: str, delivery: str, *, sabotage: str = "") -> Finding:
    """Kill a runner while the endpoint is at work on its call; start another."""
    found = Finding(f"runner killed with a call in flight, {store}, {delivery}", "1 call")
    gate = threading.Event()
    with world_under(store, sabotage) as world:
        world.target.script("/slow", answers.held(gate, answers.ok()), answers.ok())
        keys = {"every": "5s", "timeout": "20s", "deadline": "60s", "overlap": "allow"}
        world.jobs(job("slow", "/slow", delivery=delivery, **keys))
        runner = world.engine()
        world.target.wait_for(1, timeout=60)
        world.kill(runner)
        first = world.target.requests[0].header("Idempotency-Key")
        runner = world.engine()
        world.ready(runner)
        until(lambda: _ended(world, first), LEASE + 8, "the run's end")
        gate.set()
        found.promise("stuck", world.settle(LEASE + 8))
        ledger = read(world)
        (row,) = [row for row in ledger.rows if row.key == first]
        sent = ledger.sent[first]
        found.figures["sent"] = sent
        found.figures["ended"] = f"{row.status} {row.reason}".strip()
        if delivery == "at_most_once":
            found.promise("sent twice", sent - 1)
            found.require("not unknown", holds=row.status == "unknown")
        else:
            found.require("not sent again", holds=sent == 2)
            found.require("not a success", holds=row.status == "success")
    return found


def _ended(world: World, key: str | None) -> bool:
    statement = "SELECT 1 FROM runlog_run WHERE key = ? AND finished_at IS NOT NULL"
    return bool(world.query(statement, key))


def hanging(store: str, *, sabotage: str = "") -> Finding:
    """Call a target that never answers; the run must end in time."""
    found = Finding(f"a target that hangs, {store}", "1 run")
    with world_under(store, sabotage) as world:
        world.target.script("/hang", answers.hang())
        keys = {"every": "600s", "timeout": "2s", "deadline": "3s", "catch_up_window": "1h"}
        world.jobs(job("hang", "/hang", **keys))
        world.ready(world.engine())
        # Ten minutes may be far: the fire before is made due.
        world.change("UPDATE runlog_job SET cursor_at = cursor_at - 600000000")
        pause(0.5)
        world.kill(world.started[-1])
        world.ready(world.engine())
        world.target.wait_for(1, timeout=60)
        ended = "SELECT status, reason FROM runlog_run WHERE status = 'timed_out'"
        until(lambda: world.query(ended), 6, "its end")
        found.promise("stuck", world.active())
        found.require(
            "not timed_out, timeout", holds=world.query(ended) == [("timed_out", "timeout")]
        )
    return found


def same_key_again(store: str, *, sabotage: str = "") -> Finding:
    """Call endpoints written with the library, many callers at once, each key several times."""
    found = Finding(
        f"{CALLERS} callers at once, {store}", f"{KEYS} keys, each called {TIMES} times at once"
    )
    with world_under(store, sabotage) as world:
        web = world.web()
        assert until(world.web_is_up, 60, "the web process"), web.output()
        calls = [(number, f"key-{number}") for number in range(KEYS) for _ in range(TIMES)]
        with ThreadPoolExecutor(CALLERS) as pool:
            answered = Counter(pool.map(lambda call: _call(world, *call), calls))
        ledger = read(world)
    found.figures["answers"] = ", ".join(f"{n} × {what}" for what, n in sorted(answered.items()))
    found.promise("refused by the store", sum(n for code, n in answered.items() if code >= 500))
    found.promise("effects twice", sum(count - 1 for count in ledger.effects.values()))
    found.require("no call had its effect", holds=bool(ledger.effects))
    return found


def _call(world: World, number: int, key: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", world.web_port, timeout=60)
    try:
        path = f"/api/cron/effect-{number % EFFECT_JOBS}"
        headers = {"Authorization": f"Bearer {SECRET}", "Idempotency-Key": key}
        connection.request("POST", path, headers=headers)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def run(settings: Settings) -> Iterator[Finding]:
    """Do each on each store."""
    deliveries = ("at_least_once", "at_most_once")
    for store in settings.stores:
        with World(store):  # makes what the others are copies of
            pass
    with ThreadPoolExecutor(4) as pool:
        going = [
            *(pool.submit(in_flight, one, how) for one in settings.stores for how in deliveries),
            *(pool.submit(hanging, store) for store in settings.stores),
        ]
        for one in going:
            yield one.result()
    for store in settings.stores:
        yield same_key_again(store)
