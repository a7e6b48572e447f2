"""A thousand runs a minute, spread over its seconds: how late they start, and what that costs.

A thousand jobs, each due about once a minute, by intervals of 30 to 105 seconds: sixteen or so
are due at most seconds, now and then many more. The engine runs as ``cronbell up`` runs it, in a
process of its own on real time, against a local nginx that answers at once. Limits: 99 of 100 runs
start within 50 ms of their instant, and it takes less than 10 % of a core (processor time of the
process and its children, which a busy machine does not change).

    python -m benchmarks.trickle [--jobs 1000] [--minutes 10]
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.engine_process import EngineProcess, running_engine, watch
from benchmarks.herd_roles import percentile
from benchmarks.local_target import answering_at_once
from cronbell.clock import SYSTEM_CLOCK

P99_LIMIT_MS = 50.0
CORE_LIMIT = 0.10
SETTLE_SECONDS = 5.0
MICROS = 1_000_000
# With as many jobs of each, a thousand jobs have a thousand fires a minute.
SHORTEST, LONGEST = 30, 105


def intervals(jobs: int) -> list[int]:
    """Return each job's interval in seconds."""
    return [SHORTEST + n % (LONGEST - SHORTEST + 1) for n in range(jobs)]


def toml(jobs: int) -> str:
    """Return the jobs as ``cronbell.toml`` has them."""
    return "".join(
        f'[jobs.job-{n:05}]\npath = "/api/cron/job-{n:05}"\nevery = "{seconds}s"\n\n'
        for n, seconds in enumerate(intervals(jobs))
    )


def expected(jobs: int, since: int, until: int) -> int:
    """Return how many fires there are with ``since < fire <= until``, in microseconds."""
    many = Counter(intervals(jobs)).items()
    return sum(n * (until // (s * MICROS) - since // (s * MICROS)) for s, n in many)


def measure(engine: EngineProcess, jobs: int, seconds: float) -> tuple[float, int, int]:
    """Return the share of a core, and between which instants fires count."""
    watch(min(SETTLE_SECONDS, seconds), lambda: None)
    since, before = SYSTEM_CLOCK.micros(), engine.cpu_seconds()
    passed = watch(seconds, lambda: None)
    # A second later: what was due has begun. In a very short time nothing may have been due.
    while not expected(jobs, since, until := SYSTEM_CLOCK.micros() - MICROS):
        passed += watch(1.0, lambda: None)
    return (engine.cpu_seconds() - before) / passed, since, until


def lateness(engine: EngineProcess, since: int, until: int) -> list[float]:
    """Return by how many milliseconds the runs due in a time started late; others end the run."""
    os.environ.update(engine.environment)
    import django

    django.setup()
    from cronbell.runlog.models import Run

    due = Run.objects.filter(scheduled_at__gt=since, scheduled_at__lte=until)
    others = due.exclude(status="success").count()
    if others:
        sys.exit(f"{others} runs did not succeed: the lateness of the others means nothing")
    rows = due.values_list("started_at", "scheduled_at")
    return [(started - scheduled).total_seconds() * 1000 for started, scheduled in rows]


def main() -> int:
    """Read arguments; measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000)
    parser.add_argument("--minutes", type=float, default=10.0)
    arguments = parser.parse_args()
    print(
        f"trickle: {arguments.jobs:,} jobs, {arguments.minutes:g} minutes, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{datetime.now(UTC):%Y-%m-%d}",  # noqa: TID251 - the date of the measurement
        flush=True,
    )
    with (
        tempfile.TemporaryDirectory(prefix="cronbell-nginx-") as nginx,
        answering_at_once(Path(nginx)) as target,
        tempfile.TemporaryDirectory(prefix="cronbell-trickle-") as folder,
    ):
        with running_engine(Path(folder), target=target.url, toml=toml(arguments.jobs)) as engine:
            core, since, until = measure(engine, arguments.jobs, arguments.minutes * 60)
        # The engine has ended in order: whatever it had begun is recorded.
        late = lateness(engine, since, until)
    wanted = expected(arguments.jobs, since, until)
    if len(late) != wanted:
        sys.exit(f"{len(late)} runs are recorded, {wanted} were due")
    p99 = percentile(late, 0.99)
    print(
        f"{len(late):,} runs, each recorded once; lateness p50 {percentile(late, 0.5):.1f} ms, "
        f"p99 {p99:.1f} ms (less than {P99_LIMIT_MS:.0f}), longest {max(late):.1f} ms; "
        f"{core:.1%} of a core (less than {CORE_LIMIT:.0%})"
    )
    return 0 if p99 < P99_LIMIT_MS and core < CORE_LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
