"""Ten thousand jobs due at the same instant, against a target that answers at once.

Each round times, in processes of their own, the whole engine (plan, record, claim, send, judge,
record again, every commit durable) and two whole runners that share one store, each between two
bare loops of the same HTTP client; it prints recorded runs per second as a share of the mean of
these two's calls per second and checks that each fire was run once. Beside it stands what one
runner is of its own calls, made without an engine: these carry headers and limits that the bare
loop's do not. On SQLite and on a PostgreSQL of its own that keeps its data safe.

    python -m benchmarks.herd [--store sqlite|postgresql|both] [--jobs 10000] [--rounds 3]
        [--concurrency 64] [--quick]

Exits 1 if a promise is broken. ``--quick`` runs everything small and judges nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from tests.support import machine, postgres, store

from benchmarks.herd_roles import MICROS, READY, bare_loop, calls_alone, engine, look
from benchmarks.local_target import Target, answering_at_once
from cronbell.clock import SYSTEM_CLOCK

FIRST_LIMIT = 0.5  # what the first whole path was asked for; printed beside the limit that counts
LIMITS = {"sqlite": 0.75, "postgresql": 0.65}
P99_LIMIT = 1.4
TWO_LIMIT = 1.1
# Longer than runners take to see each other again once their clocks have been moved (they are
# "alive" every five seconds): two that think themselves alone share nothing.
LEAD_MICROS = 7 * MICROS
QUICK_JOBS = 60
# Unlike the tests' server: every commit that precedes a send is on the disk.
SAFE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


@dataclass(frozen=True, slots=True)
class Scene:
    """What a round's processes share: the target, and how much there is to do."""

    target: Target
    jobs: int
    concurrency: int
    store: str
    server: postgres.Server | None


@dataclass(slots=True)
class Shares:
    """What was measured, one value a round."""

    one: list[float] = field(default_factory=list)
    of_calls: list[float] = field(default_factory=list)  # one runner, of its own calls; not judged
    two: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

    def kept(self, store_name: str) -> bool:
        """Say whether the medians keep the promises."""
        return (
            statistics.median(self.one) >= LIMITS[store_name]
            and statistics.median(self.p99) <= P99_LIMIT
            and statistics.median(self.two) >= TWO_LIMIT
        )


@contextmanager
def _empty_store(scene: Scene) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """Lend a folder and the environment that names an empty run log."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="cronbell-herd-"))
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        environment |= {
            "CRONBELL_DATA": folder,
            "DJANGO_SETTINGS_MODULE": os.environ.get("HERD_SETTINGS", "cronbell.server.settings"),
            "CRONBELL_LOG_LEVEL": "WARNING",
        }
        if scene.server is not None:
            environment["DATABASE_URL"] = stack.enter_context(scene.server.database())
        migrate = ["django", "migrate", "runlog", "--database", "runlog", "-v0"]
        subprocess.run([sys.executable, "-m", *migrate], env=environment, check=True)
        yield Path(folder), environment


def _command(
    role: str, scene: Scene, folder: Path, number: int = 0, without: str = ""
) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.herd", "--role", role]
    command += ["--target", scene.target.url, "--jobs", str(scene.jobs)]
    command += ["--concurrency", str(scene.concurrency)]
    return [*command, "--folder", str(folder), "--number", str(number), "--without", without]


def measure_bare(scene: Scene) -> dict[str, float]:
    """Run the bare loop in a process of its own."""
    command = _command("bare", scene, Path())
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout)
    return found | {"per_second": scene.jobs / found["seconds"]}


def measure_calls(scene: Scene) -> float:
    """Return how many calls a second a process makes that makes a runner's calls only."""
    with tempfile.TemporaryDirectory(prefix="cronbell-herd-") as folder:
        command = _command("calls", scene, Path(folder))
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return scene.jobs / float(json.loads(done.stdout)["seconds"])


def _mean(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Return what the bare loop came to around a measurement: a machine's speed wanders."""
    return {name: (before[name] + after[name]) / 2 for name in before}


def measure_runners(scene: Scene, runners: int, without: str = "") -> dict[str, float]:
    """Run so many runners on one empty store; return rate and lateness of all runs together.

    Ends the benchmark unless each fire was called once, by the target's own count and by the log.
    There is no lateness where ``without`` leaves out what would be in the log.
    """
    before = scene.target.calls()
    with _empty_store(scene) as (folder, environment):
        started = [
            subprocess.Popen(
                _command("engine", scene, folder, number, without),
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(runners)
        ]
        try:
            recorded = _due_at_once(started)
        finally:
            for process in started:
                process.kill()
                process.communicate()
        judge_calls(scene.jobs, scene.target.calls() - before)
        if without:
            return {"per_second": scene.jobs / recorded, "seconds": recorded}
        command = _command("look", scene, folder)
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
        found: dict[str, float] = json.loads(done.stdout)
        return found | {"per_second": scene.jobs / recorded, "seconds": recorded}


def judge_calls(jobs: int, called: int) -> None:
    """End the benchmark unless the target was called once for each job."""
    if called != jobs:
        sys.exit(f"{jobs} jobs were due; the target was called {called} times")


def _due_at_once(runners: list[subprocess.Popen[str]]) -> float:
    """Make the jobs due when all runners are ready; return seconds until all is recorded."""
    for runner in runners:
        assert runner.stdout is not None  # noqa: S101 - a pipe, asked for above
        if runner.stdout.readline().strip() != READY:
            sys.exit("a runner did not come up")
    due = SYSTEM_CLOCK.micros() + LEAD_MICROS
    for runner in runners:
        assert runner.stdin is not None  # noqa: S101 - likewise
        runner.stdin.write(f"{due}\n")
        runner.stdin.flush()
    answers = [json.loads(runner.communicate()[0]) for runner in runners]
    return float(max(answer["recorded"] for answer in answers) - due) / MICROS


def compare(scene: Scene, rounds: int) -> Shares:
    """Run the rounds on one store and print them."""
    version = f"SQLite {sqlite3.sqlite_version}"
    if scene.server is not None:
        version = f"PostgreSQL {scene.server.version()}"
    print(
        f"herd: {scene.jobs:,} jobs due at once, {rounds} rounds, "
        f"concurrency {scene.concurrency}, Python {platform.python_version()}, {version}, "
        f"{datetime.now(UTC):%Y-%m-%d}"  # noqa: TID251 - the date of the measurement
    )
    print(
        "round   bare/s  calls/s    one/s  share  of calls    two/s  share"
        "   p50 ms  p99 ms   bare p99  p99 ratio"
    )
    shares = Shares()
    after = measure_bare(scene)
    for number in range(rounds):
        before, one, between = after, measure_runners(scene, 1), measure_bare(scene)
        calls = measure_calls(scene)
        two, after = measure_runners(scene, 2), measure_bare(scene)
        bare, later = _mean(before, between), _mean(between, after)
        shares.one.append(one["per_second"] / bare["per_second"])
        shares.of_calls.append(one["per_second"] / calls)
        shares.two.append(two["per_second"] / later["per_second"])
        shares.p99.append(one["p99_ms"] / max(bare["p99_ms"], 0.001))
        print(
            f"{number + 1:>5} {bare['per_second']:>8,.0f} {calls:>8,.0f} "
            f"{one['per_second']:>8,.0f} {shares.one[-1]:>6.2f} {shares.of_calls[-1]:>9.2f} "
            f"{two['per_second']:>8,.0f} {shares.two[-1]:>6.2f} "
            f"{one['p50_ms']:>8.0f} {one['p99_ms']:>7.0f} {bare['p99_ms']:>10.0f} "
            f"{shares.p99[-1]:>10.2f}",
            flush=True,
        )
    print(
        f"medians: one runner {statistics.median(shares.one):.2f} of the bare loop "
        f"(first promise {FIRST_LIMIT}, at least {LIMITS[scene.store]}) and "
        f"{statistics.median(shares.of_calls):.2f} of its calls alone, p99 lateness "
        f"{statistics.median(shares.p99):.2f} times the bare loop's (at most {P99_LIMIT}), two "
        f"runners {statistics.median(shares.two):.2f} (at least {TWO_LIMIT}); "
        f"all {scene.jobs:,} recorded once in every round"
    )
    return shares


@contextmanager
def server_of(store_name: str) -> Iterator[postgres.Server | None]:
    """Lend a PostgreSQL that keeps its data safe; None where the store is SQLite."""
    if store_name == "sqlite":
        yield None
        return
    programs = machine.find("postgresql")
    if programs is None:
        sys.exit(f"this benchmark needs PostgreSQL ({machine.INSTALL['postgresql']})")
    with postgres.Server(programs, store.plan(), settings=SAFE) as server:
        yield server


def main() -> int:
    """Read arguments; compare, or play one role in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=[*LIMITS, "both"], default="both")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--role", choices=["bare", "calls", "engine", "look"])
    parser.add_argument("--target", default="")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--without", default="")
    given = parser.parse_args()
    if given.role is not None:
        roles = {
            "bare": lambda: bare_loop(given.target, given.jobs, given.concurrency),
            "calls": lambda: calls_alone(given.target, given.jobs, given.concurrency, given.folder),
            "engine": lambda: engine(
                given.target,
                given.jobs,
                given.concurrency,
                given.folder,
                given.number,
                without=given.without,
            ),
            "look": lambda: look(given.jobs),
        }
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(json.dumps(runner.run(roles[given.role]())))
        return 0
    jobs, rounds = (QUICK_JOBS, 1) if given.quick else (given.jobs, given.rounds)
    kept = []
    with (
        tempfile.TemporaryDirectory(prefix="cronbell-nginx-") as folder,
        answering_at_once(Path(folder)) as target,
    ):
        for name in LIMITS if given.store == "both" else [given.store]:
            with server_of(name) as server:
                scene = Scene(target, jobs, given.concurrency, name, server)
                kept.append(compare(scene, rounds).kept(name))
    return 0 if given.quick or all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
