"""A hundred thousand jobs of which none is due: what it costs to wait.

The engine runs as ``cronbell up`` runs it, in a process of its own with its files watched, for a
minute. Limits: 1 % of a core (processor time, which a busy machine does not change) and 250 MB
(the most that was resident in that minute).

    python -m benchmarks.idle [--jobs 100000] [--seconds 60]
"""

from __future__ import annotations

import argparse
import platform
import sqlite3
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.engine_process import EngineProcess, running_engine, watch
from cronbell.clock import SYSTEM_CLOCK

CORE_LIMIT = 0.01
MEGABYTES_LIMIT = 250.0
SETTLE_SECONDS = 5.0  # what was put off while it started is no part of idling
PATIENCE_SECONDS = 300.0


def distant_crons(jobs: int, now: datetime) -> list[dict[str, str]]:
    """Return jobs that fire once a year, each at a minute of its own, none of them soon."""
    crons = []
    for n in range(jobs):
        # From next week on, five minutes apart: 100,000 of them fill eleven months and a half.
        due = now + timedelta(days=7, minutes=n * 5 % (345 * 24 * 60))
        schedule = f"{due.minute} {due.hour} {due.day} {due.month} *"
        crons.append({"path": f"/api/cron/job-{n:05}", "schedule": schedule})
    return crons


def measure(engine: EngineProcess, seconds: float) -> tuple[float, float]:
    """Return the share of a core and the most megabytes while the engine waits."""
    sizes = [engine.megabytes()]
    before = engine.cpu_seconds()
    passed = watch(seconds, lambda: sizes.append(engine.megabytes()))
    return (engine.cpu_seconds() - before) / passed, max(sizes)


def main() -> int:
    """Read arguments; measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    print(
        f"idle: {arguments.jobs:,} jobs, none due, {arguments.seconds:g} s, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{datetime.now(UTC):%Y-%m-%d}"  # noqa: TID251 - the date of the measurement
    )
    crons = distant_crons(arguments.jobs, SYSTEM_CLOCK.now())
    with tempfile.TemporaryDirectory(prefix="cronbell-idle-") as folder:
        begun = SYSTEM_CLOCK.monotonic()
        # Nobody listens there, and nobody is called.
        target = "http://127.0.0.1:9"
        with running_engine(
            Path(folder), target=target, crons=crons, patience=PATIENCE_SECONDS
        ) as engine:
            print(
                f"up after {SYSTEM_CLOCK.monotonic() - begun:.1f} s and "
                f"{engine.cpu_seconds():.1f} s of processor time, "
                f"{engine.peak_megabytes():.0f} MB at most"
            )
            watch(min(SETTLE_SECONDS, arguments.seconds), lambda: None)
            core, megabytes = measure(engine, arguments.seconds)
    print(
        f"{core:.2%} of a core (less than {CORE_LIMIT:.0%}), "
        f"{megabytes:.0f} MB (less than {MEGABYTES_LIMIT:.0f})"
    )
    return 0 if core < CORE_LIMIT and megabytes < MEGABYTES_LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
