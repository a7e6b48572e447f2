"""What a herd would gain by a run log that cost nothing: not a promise, a bound on what is left.

By turns, one runner as it is, one whose ends are gathered and not written, and one that does not
decide on them either (nothing is in the log then: only the target's count says that each job was
called once). Each stands between two bare loops, as in ``herd``, with the runner's own calls made
without an engine beside them.

    python -m benchmarks.herd_bounds [--store sqlite|postgresql] [--jobs 10000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.herd import LIMITS, Scene, measure_bare, measure_calls, measure_runners, server_of
from benchmarks.local_target import answering_at_once

MICROS = 1_000_000
ENGINES = {"whole": "", "ends not written": "ends", "nor decided": "decisions"}
CALLS = "calls alone"


def main() -> int:
    """Read arguments; measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=list(LIMITS), default="sqlite")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    today = datetime.now(UTC).date()  # noqa: TID251 - the date of the measurement
    print(
        f"herd bounds: {given.jobs:,} jobs due at once on {given.store}, {given.rounds} rounds, "
        f"Python {platform.python_version()}, {today}; µs a run and share of the bare loop",
        flush=True,
    )
    with (
        tempfile.TemporaryDirectory(prefix="cronbell-nginx-") as folder,
        answering_at_once(Path(folder)) as target,
        server_of(given.store) as server,
    ):
        found = measure(Scene(target, given.jobs, 64, given.store, server), given.rounds)
    for name, rounds in found.items():
        took = statistics.median(MICROS / rate for rate, _bare in rounds)
        shares = [rate / bare for rate, bare in rounds]
        print(
            f"{name:18} {took:6.1f}  {statistics.median(shares):.2f} "
            f"({min(shares):.2f} to {max(shares):.2f})"
        )
    return 0


def measure(scene: Scene, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return, for each engine and for the calls alone, rates and the bare loops' beside them."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in (CALLS, *ENGINES)}
    before = measure_bare(scene)["per_second"]
    for number in range(rounds):
        names = list(found)
        for name in names if number % 2 else reversed(names):
            if name == CALLS:
                rate = measure_calls(scene)
            else:
                rate = measure_runners(scene, 1, ENGINES[name])["per_second"]
            after = measure_bare(scene)["per_second"]
            found[name].append((rate, (before + after) / 2))
            before = after
    return found


if __name__ == "__main__":
    sys.exit(main())
