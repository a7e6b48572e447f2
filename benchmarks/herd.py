"""Ten thousand jobs due at the same instant, against a target that answers at once.

Each round times a bare loop of the same HTTP client and then the whole engine (plan, record,
claim, send, judge, record again, every commit durable) in processes of their own, and prints
recorded runs per second as a share of the bare loop's calls per second.

    python benchmarks/herd.py [--jobs 10000] [--rounds 3] [--concurrency 64]
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
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from pyreqwest.client import ClientBuilder

from benchmarks.local_target import answering_at_once
from cronbell.clock import SystemClock, to_micros
from cronbell.testing.shifted import ShiftedClock

LIMIT = 0.5  # of the bare loop; SPEC section 10, issue "The whole path"
SECRET = "only-for-this-benchmark"  # noqa: S105
LEAD_SECONDS = 1.0
MICROS = 1_000_000


def percentile(values: list[float], share: float) -> float:
    """Return the value below which ``share`` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def bare_loop(target: str, jobs: int, concurrency: int) -> dict[str, float]:
    """Make as many calls with the client alone, from as many workers."""
    client = ClientBuilder().runtime_multithreaded(enable=False).http1_only().no_proxy().build()
    clock = SystemClock()
    urls = deque(f"{target}/api/cron/job-{n:05}" for n in range(jobs))
    lateness: list[float] = []

    async def work() -> None:
        while urls:
            url = urls.popleft()
            lateness.append((clock.micros() - begun) / 1000)
            response = await client.get(url).bearer_auth(SECRET).build().send()
            await response.bytes()

    begun = clock.micros()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    seconds = (clock.micros() - begun) / MICROS
    await client.close()
    return {
        "per_second": jobs / seconds,
        "p50_ms": percentile(lateness, 0.50),
        "p99_ms": percentile(lateness, 0.99),
    }


async def engine(target: str, jobs: int, concurrency: int, folder: Path) -> dict[str, float]:
    """Let a whole runner do it and read from the run log what happened."""
    import django

    django.setup()
    from django.core.management import call_command

    from cronbell.config.loader import load
    from cronbell.dispatch import Dispatcher, PyreqwestTransport
    from cronbell.engine.loop import Runner, RunnerSettings
    from cronbell.engine.memory import set_aside

    await asyncio.to_thread(call_command, "migrate", "runlog", database="runlog", verbosity=0)
    file = folder / "vercel.json"
    file.write_text(
        json.dumps(
            {
                "crons": [
                    {"path": f"/api/cron/job-{n:05}", "schedule": "* * * * *"} for n in range(jobs)
                ]
            }
        )
    )
    config = load(file, None, target=target)
    transport = PyreqwestTransport()
    # The jobs are read in just after a full minute and due at the next one, which is moved to
    # come as soon as they are ready.
    clock = ShiftedClock()
    clock.show_second(1)
    runner = Runner(
        config.jobs,
        Dispatcher(transport, secret=SECRET, allowed_hosts=config.allowed_hosts),
        clock=clock,
        settings=RunnerSettings(concurrency=concurrency),
        loaded=set_aside,  # as the engine's own process does
    )
    stop = asyncio.Event()
    task = asyncio.create_task(runner.run(stop))
    await runner.ready.wait()
    due = clock.show_second(60 - LEAD_SECONDS) + int(LEAD_SECONDS * MICROS)
    while runner.pool._ended < jobs:  # noqa: SLF001 - looks, does not touch
        await clock.wait(0.005)
    await runner.settler.drain()
    recorded = clock.micros()
    stop.set()
    await task
    await transport.close()
    return await asyncio.to_thread(_read, due, recorded, jobs)


def _read(due: int, recorded: int, jobs: int) -> dict[str, float]:
    from cronbell.runlog.models import Run

    rows = Run.objects.filter(status="success", scheduled_at=due).values_list("started_at")
    lateness = [(to_micros(started) - due) / 1000 for (started,) in rows]
    if len(lateness) != jobs or Run.objects.count() != jobs:
        sys.exit(f"{len(lateness)} of {jobs} runs recorded, {Run.objects.count()} rows")
    return {
        "per_second": jobs / ((recorded - due) / MICROS),
        "p50_ms": percentile(lateness, 0.50),
        "p99_ms": percentile(lateness, 0.99),
    }


def measure(role: str, target: str, jobs: int, concurrency: int) -> dict[str, Any]:
    """Run one role in a process of its own and return what it found."""
    with tempfile.TemporaryDirectory(prefix="cronbell-herd-") as folder:
        environment = os.environ | {
            "CRONBELL_DATA": folder,
            "DJANGO_SETTINGS_MODULE": os.environ.get("HERD_SETTINGS", "cronbell.server.settings"),
            "CRONBELL_LOG_LEVEL": "WARNING",
        }
        command = [sys.executable, "-m", "benchmarks.herd", "--role", role, "--target", target]
        command += ["--jobs", str(jobs), "--concurrency", str(concurrency), "--folder", folder]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def compare(jobs: int, rounds: int, concurrency: int) -> float:
    """Run the rounds, print them, return the median share."""
    shares: list[float] = []
    late: list[float] = []
    print(
        f"herd: {jobs:,} jobs due at once, {rounds} rounds, concurrency {concurrency}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{datetime.now(UTC):%Y-%m-%d}"  # noqa: TID251 - the date of the measurement
    )
    print("round   bare/s  engine/s  share   p50 ms  p99 ms   bare p99 ms  p99 ratio")
    with (
        tempfile.TemporaryDirectory(prefix="cronbell-nginx-") as folder,
        answering_at_once(Path(folder)) as target,
    ):
        for number in range(rounds):
            bare = measure("bare", target, jobs, concurrency)
            own = measure("engine", target, jobs, concurrency)
            shares.append(own["per_second"] / bare["per_second"])
            late.append(own["p99_ms"] / bare["p99_ms"])
            print(
                f"{number + 1:>5} {bare['per_second']:>8,.0f} {own['per_second']:>9,.0f} "
                f"{shares[-1]:>6.2f} {own['p50_ms']:>8.0f} {own['p99_ms']:>7.0f} "
                f"{bare['p99_ms']:>13.0f} {late[-1]:>10.2f}"
            )
    share = statistics.median(shares)
    print(
        f"median share {share:.2f} (at least {LIMIT}), median p99 ratio "
        f"{statistics.median(late):.2f}; all {jobs:,} recorded once in every round"
    )
    return share


def main() -> int:
    """Read arguments; compare, or play one role in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--role", choices=["bare", "engine"])
    parser.add_argument("--target", default="")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.role is None:
        share = compare(arguments.jobs, arguments.rounds, arguments.concurrency)
        return 0 if share >= LIMIT else 1
    role = (
        bare_loop(arguments.target, arguments.jobs, arguments.concurrency)
        if arguments.role == "bare"
        else engine(arguments.target, arguments.jobs, arguments.concurrency, arguments.folder)
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(role)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
