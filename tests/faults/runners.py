"""Two runners on one store: stopped, killed, told to end; and one that comes back too late."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from cronbell.testing import answers
from tests.faults.audit import MICROS, Finals, judge, read
from tests.faults.report import Finding
from tests.faults.settings import Settings
from tests.faults.world import LEASE, World, after_a_while, job, pause, until
from tests.support.processes import Process, stop_between_commits

JOBS = 6
SHORT, LONG = 6, 60  # rounds
RETRY = "{ max_attempts = 50, backoff = 0.2, max_backoff = 1 }"


def load(world: World, rng: random.Random) -> None:
    """Give a world jobs of both deliveries on a target that takes its time."""
    keys = {"timeout": "10s", "deadline": "120s", "overlap": "allow", "retry": RETRY}
    text = ""
    for number in range(JOBS):
        period = f"{number % 2 + 1}s"  # those of two seconds are recorded before they are due
        for name in ("again", "once"):
            path = f"/api/cron/{name}-{number}"
            world.target.script(path, after_a_while(random.Random(rng.random()), 0.4))
            delivery = "at_most_once" if name == "once" else "at_least_once"
            text += job(f"{name}-{number}-{period}", path, delivery=delivery, every=period, **keys)
    world.jobs(text)


def disturb(world: World, runners: list[Process], rng: random.Random, done: Counter[str]) -> None:
    """Do one thing to one of the runners."""
    which = rng.randrange(len(runners))
    what = rng.choice(["SIGSTOP past the lease", "kill -9", "SIGTERM"])
    done[what] += 1
    pause(rng.uniform(0, 1))
    if what == "SIGSTOP past the lease":
        runners[which].signal(signal.SIGSTOP)
        pause(LEASE * rng.uniform(1.2, 2))
        runners[which].signal(signal.SIGCONT)
        pause(0.5)
        return
    if what == "kill -9":
        world.kill(runners[which])
    else:
        runners[which].signal(signal.SIGTERM)
        runners[which].wait(30)
    pause(rng.uniform(0, LEASE))
    runners[which] = world.engine()
    world.ready(runners[which])


def two_runners(store: str, rounds: int, rng: random.Random) -> Finding:
    """Disturb one of two runners again and again; the other must take over, once."""
    found = Finding(f"two runners on one store, {store}")
    done: Counter[str] = Counter()
    with World(store) as world:
        load(world, rng)
        runners = [world.engine(), world.engine()]
        for one in runners:
            world.ready(one)
        finals = Finals(world)
        for _ in range(rounds):
            disturb(world, runners, rng, done)
            finals.look()
        stuck = world.settle(60)
        finals.look()
        ledger = judge(found, world, stuck=stuck)
        found.promise("changed after the end", finals.changed)
        owners = world.query("SELECT lease_owner, COUNT(*) FROM runlog_run GROUP BY lease_owner")
        found.figures["runners that ended runs"] = sum(bool(owner) for owner, _ in owners)
        late = sorted(
            (row.started_at - row.scheduled_at) / MICROS for row in ledger.rows if row.started_at
        )
        found.figures["longest wait for a start"] = f"{late[-1]:.1f} s"
        words = ", ".join(f"{count} × {what}" for what, count in sorted(done.items()))
        found.trials = f"{sum(done.values())} disturbances ({words})"
    return found


def stale_finish(store: str, *, sabotage: str = "") -> Finding:
    """A runner is stopped with an answer on its way; another does the run; the first comes back."""
    found = Finding(f"a runner comes back with a lost lease, {store}", "1 run")
    env = {"CRONBELL_FAULTS_SABOTAGE": sabotage} if sabotage else {}
    gate = threading.Event()
    with World(store, env=env) as world:
        stale = answers.json_answer({"success": False, "error": "stale"})
        world.target.script("/slow", answers.held(gate, stale), answers.ok(message="fresh"))
        world.jobs(job("slow", "/slow", every="2s", timeout="60s", deadline="300s"))
        first = world.engine()
        world.target.wait_for(1, timeout=60)
        file = world.data / "runlog.sqlite3" if world.store == "sqlite" else None
        stop_between_commits(first, file)
        second = world.engine()
        world.ready(second)
        over = "SELECT id FROM runlog_run WHERE status = 'success' AND lease_term > 1"
        taken = until(lambda: world.query(over), 30, "the second runner's success")
        found.require("nobody took the stopped runner's run over", holds=taken)
        finals = Finals(world)
        finals.look()
        gate.set()
        first.signal(signal.SIGCONT)
        pause(2)
        finals.look()
        found.promise("changed after the end", finals.changed)
        found.promise("fires with two", _doubles(world))
    return found


def _doubles(world: World) -> int:
    counted = Counter((row.job, row.scheduled_at) for row in read(world).rows)
    return sum(count - 1 for count in counted.values())


def cursor_set_back(store: str, *, sabotage: str = "") -> Finding:
    """A job's cursor is set back, as by an old copy of its row: its fires come due once more."""
    found = Finding(f"a cursor set back by ten seconds, {store}", "3 times")
    with World(store) as world:
        if sabotage:
            world.change("DROP INDEX run_one_per_fire")
            _drop_unique_key(world)
        load(world, random.Random(1))
        world.ready(world.engine())
        for _ in range(3):
            pause(4)
            world.change("UPDATE runlog_job SET cursor_at = cursor_at - 10000000")
        pause(2)
        found.promise("stuck", world.settle(30))
        ledger = read(world)
        found.promise("fires with two", _doubles(world))
        found.promise("sent twice", sum(count - 1 for count in ledger.sent.values()))
        found.figures["calls"] = sum(ledger.sent.values())
    return found


def _drop_unique_key(world: World) -> None:
    """Take away the second unique key, on what is sent: both are the same safeguard."""
    if world.store == "postgresql":
        world.change("ALTER TABLE runlog_run DROP CONSTRAINT run_key")
        return
    # SQLite can only drop it by writing the schema anew.
    with world.connect() as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql,"
            " ', CONSTRAINT \"run_key\" UNIQUE (\"key\")', '') WHERE name = 'runlog_run'"
        )
        connection.execute("DELETE FROM sqlite_schema WHERE name = 'sqlite_autoindex_runlog_run_1'")
        connection.execute("PRAGMA writable_schema = RESET")


def run(settings: Settings) -> Iterator[Finding]:
    """Do all of it on each store."""
    rng = random.Random(settings.seed)
    rounds = LONG if settings.full else SHORT
    for store in settings.stores:
        with World(store):  # makes what the others are copies of
            pass
    with ThreadPoolExecutor(3) as pool:
        going = [
            *(
                pool.submit(two_runners, store, rounds, random.Random(rng.random()))
                for store in settings.stores
            ),
            *(pool.submit(stale_finish, store) for store in settings.stores),
            *(pool.submit(cursor_set_back, store) for store in settings.stores),
        ]
        for one in going:
            yield one.result()
