"""Five hundred jobs due at once at a target that takes two seconds for each, a hundred at a time.

The ideal is five rounds of two seconds: every place taken again the moment it is free. The time
counts from the instant all are due until the last end is recorded. Limit: 5 % more than the ideal;
a bare loop of the same client in the same run shows what of that is the client's and the target's.

    python -m benchmarks.slow_target [--jobs 500] [--seconds 2] [--concurrency 100]
"""

from __future__ import annotations

import argparse
import math
import platform
import sqlite3
import sys
from datetime import UTC, datetime

from benchmarks.herd import Scene, measure_bare, measure_runners
from benchmarks.local_target import answering_after

LIMIT = 1.05


def ideal(jobs: int, seconds: float, concurrency: int) -> float:
    """Return the seconds that all calls take with every place always taken."""
    return math.ceil(jobs / concurrency) * seconds


def main() -> int:
    """Read arguments; measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--concurrency", type=int, default=100)
    given = parser.parse_args()
    print(
        f"slow target: {given.jobs:,} jobs at once, {given.seconds:g} s each, concurrency "
        f"{given.concurrency}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, "
        f"{datetime.now(UTC):%Y-%m-%d}",  # noqa: TID251 - the date of the measurement
        flush=True,
    )
    with answering_after(given.seconds) as target:
        scene = Scene(target, given.jobs, given.concurrency, "sqlite", None)
        bare = measure_bare(scene)["seconds"]
        ours = measure_runners(scene, 1)["seconds"]
    best = ideal(given.jobs, given.seconds, given.concurrency)
    print(
        f"ideal {best:.2f} s, bare loop {bare:.2f} s ({bare / best:.3f}), "
        f"engine {ours:.2f} s ({ours / best:.3f}, at most {LIMIT}); "
        f"all {given.jobs:,} recorded once"
    )
    return 0 if ours <= best * LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
