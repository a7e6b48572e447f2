"""The schedule evaluator against cronsim and croniter, and against a hundred thousand jobs.

Three promises, each measured in this run on this machine:

- next fire: at least 15 times as many a second as cronsim, expressions compiled before and looked
  up in our cache; cronsim has none, so the cost of its parsing is printed apart;
- a year of fires: at least 100 times as fast as cronsim, all expressions together;
- 100,000 jobs from a file and the next fire of each: under 3 seconds and 250 MB, in a process of
  its own.

    python -m benchmarks.evaluator [--quick]

Exits 1 if a promise is broken. ``--quick`` runs everything small and judges nothing.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import math
import platform
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path

from croniter import croniter  # type: ignore[import-untyped,unused-ignore]
from cronsim import CronSim

from cronbell.clock import SystemClock
from cronbell.schedule import Schedule, compile_schedule, tzdata_version

NEXT_LIMIT = 15.0
YEAR_LIMIT = 100.0
SECONDS_LIMIT = 3.0
MEGABYTES_LIMIT = 250.0
START = datetime(2026, 11, 22, 0, 0, 30, tzinfo=UTC)
START_SECOND = int(START.timestamp())
YEAR = 365 * 86_400
EXPRESSIONS = 240
INSTANTS = 20
ROUNDS = 3
# Of an expression with more fires in a year, the libraries list this many and are scaled up.
LISTED = 1_000
OURS, CRONSIM, CRONITER = "cronbell", "cronsim", "croniter"
CLOCK = SystemClock()


def mixed_expressions(count: int) -> list[str]:
    """Return different expressions as people write them, from every minute to once a year."""
    chance = random.Random(20261122)
    minutes = ["0", "15", "30", "*/5", "*/10", "*/15", "*", "7,37", "0,30", "3-59/10"]
    hours = ["*", "0", "3", "*/2", "*/6", "9-17", "6,18", "22,23"]
    days = ["*", "*", "*", "1", "1,15", "28-31", "*/3"]
    months = ["*", "*", "*", "1,7", "6-8", "12"]
    weekdays = ["*", "*", "0", "1-5", "1,4", "6"]
    found: dict[str, None] = {}
    while len(found) < count:
        fields = [chance.choice(choice) for choice in (minutes, hours, days, months, weekdays)]
        if fields[2] != "*":  # where both are set the libraries disagree about what it means
            fields[4] = "*"
        found[" ".join(fields)] = None
    return list(found)


def cronsim_fires(expression: str, after: datetime) -> Iterator[float]:
    """Return cronsim's fires, as epoch seconds."""
    return (fire.timestamp() for fire in CronSim(expression, after))


def croniter_fires(expression: str, after: datetime) -> Iterator[float]:
    """Return croniter's fires, as epoch seconds."""
    return iter(croniter(expression, after, ret_type=float).all_next(float))


LIBRARIES: dict[str, Callable[[str, datetime], Iterator[float]]] = {
    CRONSIM: cronsim_fires,
    CRONITER: croniter_fires,
}


def check_agreement(expressions: Iterable[str]) -> None:
    """Make sure that all three find the same fires: a wrong answer's speed means nothing."""
    for expression in expressions:
        ours = list(islice(compile_schedule(expression).fires(START_SECOND, 1 << 40), 5))
        for name, fires in LIBRARIES.items():
            theirs = [int(fire) for fire in islice(fires(expression, START), 5)]
            if theirs != ours:
                raise SystemExit(f"{name} finds other fires of `{expression}`: {theirs}, {ours}")


def timed(work: Callable[[], object], repeats: int) -> float:
    """Return the seconds one call takes: the best of some rounds, without garbage collection."""
    best = math.inf
    gc.disable()
    try:
        for _ in range(ROUNDS):
            begun = CLOCK.monotonic()
            for _ in range(repeats):
                work()
            best = min(best, (CLOCK.monotonic() - begun) / repeats)
    finally:
        gc.enable()
    return best


@dataclass
class Timings:
    """Seconds per expression, by library."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, seconds: float) -> None:
        """Keep one expression's time."""
        self.seconds.setdefault(name, []).append(seconds)

    def ratio(self, name: str) -> float:
        """Return a library's time as a multiple of ours, all expressions together."""
        return sum(self.seconds[name]) / sum(self.seconds[OURS])

    def typical(self, name: str) -> float:
        """Return the geometric mean of each expression's own ratio."""
        pairs = zip(self.seconds[name], self.seconds[OURS], strict=True)
        logs = [math.log(theirs / ours) for theirs, ours in pairs]
        return math.exp(sum(logs) / len(logs))


def next_fires(expressions: list[str], instants: int) -> Timings:
    """Time the next fire after some instants spread over a year."""
    chance, timings = random.Random(7), Timings()
    moments = [START_SECOND + chance.randrange(YEAR) for _ in range(instants)]
    dated = [datetime.fromtimestamp(moment, UTC) for moment in moments]
    for expression in expressions:
        compile_schedule(expression)

        def ours(expression: str = expression) -> None:
            for moment in moments:
                compile_schedule(expression).next(moment)

        timings.add(OURS, timed(ours, 20) / instants)
        for name, fires in LIBRARIES.items():

            def theirs(
                fires: Callable[[str, datetime], Iterator[float]] = fires,
                expression: str = expression,
            ) -> None:
                for moment in dated:
                    next(fires(expression, moment))

            timings.add(name, timed(theirs, 1) / instants)
        timings.add(f"{CRONSIM}, parsing", timed(partial(CronSim, expression, START), 10))
    return timings


def year_of_fires(expressions: list[str], listed: int) -> Timings:
    """Time the list of all fires of a year."""
    timings = Timings()
    for expression in expressions:
        schedule = compile_schedule(expression)

        def ours(schedule: Schedule = schedule) -> None:
            list(schedule.fires(START_SECOND, START_SECOND + YEAR))

        count = schedule.count(START_SECOND, START_SECOND + YEAR)
        part = min(count, listed)
        timings.add(OURS, timed(ours, 1 if count > listed else 10))
        for name, fires in LIBRARIES.items():

            def theirs(
                fires: Callable[[str, datetime], Iterator[float]] = fires,
                expression: str = expression,
                part: int = part,
            ) -> None:
                list(islice(fires(expression, START), part))

            timings.add(name, timed(theirs, 1) * count / part)
    return timings


# Run in a process of its own, so that its memory is nobody else's.
JOBS_PROGRAM = """
import json, resource, sys
from pathlib import Path
from cronbell.clock import SystemClock
from cronbell.schedule import compile_schedule
clock = SystemClock()
begun = clock.monotonic()
if sys.argv[2] == "load":
    from cronbell.config.loader import load
    jobs = load(Path(sys.argv[1]), None).jobs
    asked = [(job.schedule, job.dialect, job.timezone, job.dst_gap, job.dst_repeat) for job in jobs]
else:
    crons = json.loads(Path(sys.argv[1]).read_text())["crons"]
    asked = [(cron["schedule"], "vercel", "UTC", "debian", "debian") for cron in crons]
loaded = clock.monotonic()
now = int(sys.argv[3])
fires = [
    compile_schedule(
        schedule, dialect=dialect, timezone=zone, dst_gap=gap, dst_repeat=repeat
    ).next(now)
    for schedule, dialect, zone, gap, repeat in asked
]
known = clock.monotonic()
assert None not in fires
print(json.dumps({
    "jobs": len(fires), "load": loaded - begun, "fires": known - loaded,
    "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def many_jobs(count: int, how: str) -> dict[str, float]:
    """Load that many jobs and find the next fire of each; return seconds and megabytes."""
    crons = [
        {
            "path": f"/api/cron/job-{n:06}",
            "schedule": f"{n % 60} {n // 60 % 24} {1 + n // 1440 % 28} {1 + n // 40_320 % 12} *",
        }
        for n in range(count)
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vercel.json"
        file.write_text(json.dumps({"crons": crons}), encoding="utf-8")
        answer = subprocess.run(
            [sys.executable, "-c", JOBS_PROGRAM, str(file), how, str(START_SECOND)],
            capture_output=True,
            text=True,
            check=True,
        )
    result: dict[str, float] = json.loads(answer.stdout)
    return result


def report(title: str, timings: Timings, limit: float) -> bool:
    """Print a table of ratios; return whether the limit holds."""
    print(f"\n{title}")
    for name, seconds in timings.seconds.items():
        mean = sum(seconds) / len(seconds)
        ratio = "" if name == OURS else f"{timings.ratio(name):9.1f} ×"
        typical = "" if name == OURS else f"{timings.typical(name):9.1f} × per expression"
        print(f"  {name:20}{mean * 1e6:12.2f} µs{ratio:>12}{typical:>28}")
    reached = timings.ratio(CRONSIM)
    print(f"  {reached:.1f} times cronsim; the promise is {limit:.0f}")
    return reached >= limit


def report_jobs(count: int) -> bool:
    """Print what many jobs cost; return whether the limits hold."""
    bare, loaded = many_jobs(count, "json"), many_jobs(count, "load")
    seconds = loaded["load"] + loaded["fires"]
    print(f"\n{count} jobs, each with an expression of its own, and the next fire of each")
    print(
        f"  compile and next fire {bare['fires']:6.2f} s, {bare['megabytes']:.0f} MB with the JSON"
    )
    print(
        f"  with the loader       {seconds:6.2f} s ({loaded['load']:.2f} s of it loading), ", end=""
    )
    print(f"{loaded['megabytes']:.0f} MB")
    print(f"  the promise is {SECONDS_LIMIT:.0f} s and {MEGABYTES_LIMIT:.0f} MB")
    return seconds < SECONDS_LIMIT and loaded["megabytes"] < MEGABYTES_LIMIT


def main() -> int:
    """Run all three; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="run small, judge nothing")
    quick = parser.parse_args().quick
    expressions = mixed_expressions(12 if quick else EXPRESSIONS)
    versions = {name: importlib.metadata.version(name) for name in (OURS, CRONSIM, CRONITER)}
    print(f"Python {platform.python_version()}, {versions}, tzdata {tzdata_version()}")
    print(f"{len(expressions)} expressions in UTC, {START:%Y-%m-%d}, best of {ROUNDS} rounds")
    check_agreement(expressions)
    held = [
        report("Next fire", next_fires(expressions, 2 if quick else INSTANTS), NEXT_LIMIT),
        report("A year of fires", year_of_fires(expressions, 50 if quick else LISTED), YEAR_LIMIT),
        report_jobs(500 if quick else 100_000),
    ]
    return 0 if quick or all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
