"""What ``clean-data`` costs while half a million ideas go, and what others wait meanwhile.

A million ideas, half of them temporary and past keeping, a few of those saved by a purchase. While
the job deletes, one process writes every few milliseconds and another reads the first page of the
ranking. Each run of the job has a deadline far too short, so that it takes many runs, each going
on where the one before had to stop. Beside it, one plain DELETE of as many ideas.

    python -m benchmarks.cleaning [--store sqlite|postgresql|both] [--ideas 1000000]
                                  [--deadline 10] [--seed 1]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import idea_stores, ranking
from cronbell.clock import SYSTEM_CLOCK

LIMIT_MS = 100
READER_PAUSE_SECONDS = 0.003
# Every fourth idea and its neighbour; every fortieth keeps its purchases and so is kept.
STALE = """
UPDATE ideas_idea SET is_temporary = (id % 4 < 2), created_at = '2020-01-01 00:00:00'
"""
UNBOUGHT = ("DELETE FROM ideas_purchase WHERE idea_id % 4 < 2 AND idea_id % 40 <> 0",)
UNCLAIMED = ("DELETE FROM ideas_claim WHERE idea_id % 4 < 2",)
COUNT = """
SELECT COUNT(*) FROM ideas_idea
WHERE is_temporary AND created_at < '2020-01-02'
  AND NOT EXISTS (SELECT 1 FROM ideas_purchase WHERE idea_id = ideas_idea.id)
  AND NOT EXISTS (SELECT 1 FROM ideas_claim WHERE idea_id = ideas_idea.id)
"""
PLAIN = """
DELETE FROM ideas_idea
WHERE is_temporary AND created_at < '2020-01-02'
  AND NOT EXISTS (SELECT 1 FROM ideas_purchase WHERE idea_id = ideas_idea.id)
  AND NOT EXISTS (SELECT 1 FROM ideas_claim WHERE idea_id = ideas_idea.id)
"""


@dataclass(slots=True)
class Cleaned:
    """What the runs of the job did together."""

    runs: int = 0
    deleted: int = 0


def main() -> int:
    """Measure and print; exit 1 where a limit is passed or something is left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=[*idea_stores.STORES, "both"], default="both")
    parser.add_argument("--ideas", type=int, default=1_000_000)
    parser.add_argument("--deadline", type=float, default=10.0, help="seconds of each run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--read", metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    ideas, seed, deadline = arguments.ideas, arguments.seed, arguments.deadline
    if arguments.read:
        read_beside(Path(arguments.read))
        return 0
    if arguments.store == "both":
        words = ["--ideas", str(ideas), "--seed", str(seed), "--deadline", str(deadline)]
        return idea_stores.on_each("benchmarks.cleaning", words)
    with idea_stores.kept_on(arguments.store) as directory:
        return measure(ideas, seed, deadline, directory)


def measure(ideas: int, seed: int, deadline: float, directory: Path) -> int:
    """Load, clean with the job, look, load again, clean with one statement."""
    import django
    from django.core.management import call_command
    from django.db import connection

    django.setup()
    from ideasgpt.ideas.models import Idea
    from ideasgpt.sample import load_sample

    call_command("migrate", database="default", verbosity=0)
    load_sample(ideas=ideas, purchases=ideas * 2, claims=ideas // 10, seed=seed)
    with connection.cursor() as cursor:
        for statement in (STALE, *UNBOUGHT, *UNCLAIMED):
            cursor.execute(statement)
    idea_stores.settle()
    stale, before = count_stale(), Idea.objects.count()
    cleaned = Cleaned()

    def clean() -> int:
        run_job(deadline, cleaned)
        return cleaned.deleted

    reads: list[float] = []
    job = ranking.beside_writer(directory, lambda: beside_reader(directory, clean, reads))
    left, gone = count_stale(), before - Idea.objects.count()
    plain = plain_seconds(stale)
    print(
        f"clean-data: {before:,} ideas, {stale:,} past keeping, seed {seed}; "
        f"{idea_stores.versions()}"
    )
    reads.sort()
    slowest, middle = reads[-1] * 1000, reads[len(reads) // 2] * 1000
    print(f"deleted {gone:,} in {cleaned.runs} runs of {deadline:g} s: {job.seconds:.2f} s")
    print(f"one plain DELETE of {stale:,}: {plain:.2f} s, ratio {job.seconds / plain:.2f}")
    print(f"longest wait of another writer {job.longest:.1f} ms (p99 {job.p99:.1f})", end="")
    print(f", limit {LIMIT_MS} ms; its longest commit {job.longest_commit:.1f} ms", end="")
    print(f"; {len(job.waits):,} writes")
    print(f"{len(reads):,} pages read meanwhile: median {middle:.1f} ms, slowest {slowest:.0f} ms")
    exact = left == 0 and gone == stale == cleaned.deleted
    if not exact:
        print(f"NOT EXACT: {left} left, {gone} gone, {cleaned.deleted} reported")
    return 0 if exact and job.longest <= LIMIT_MS else 1


def run_job(deadline: float, cleaned: Cleaned) -> None:
    """Run the job again and again until a run comes to its end."""
    from cronbell.endpoint import JobContext
    from ideasgpt.ideas.jobs.clean_data import clean_data

    partial = True
    while partial:
        result = clean_data(JobContext("clean-data", max_duration=deadline))
        cleaned.runs += 1
        cleaned.deleted += int(result.data["deleted"])
        partial = result.partial


def count_stale() -> int:
    """Return how many ideas are past keeping."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(COUNT)
        return int(cursor.fetchone()[0])


def plain_seconds(stale: int) -> float:
    """Return what one statement takes to delete as many ideas as the job did, then undo it."""
    from django.db import connection, transaction

    statement = "UPDATE ideas_idea SET is_temporary = TRUE, created_at = '2020-01-01 00:00:00'"
    with transaction.atomic(), connection.cursor() as cursor:
        # What is left of the ideas takes the place of those that are gone.
        cursor.execute("DELETE FROM ideas_purchase")
        cursor.execute("DELETE FROM ideas_claim")
        cursor.execute(statement)
        started = SYSTEM_CLOCK.monotonic()
        cursor.execute(PLAIN)
        seconds = SYSTEM_CLOCK.monotonic() - started
        deleted = int(cursor.rowcount)
        transaction.set_rollback(True)
    return seconds * stale / max(deleted, 1)


def beside_reader(directory: Path, work: Callable[[], int], reads: list[float]) -> int:
    """Run work while another process reads pages; collect how long each took."""
    file = directory / "reads.txt"
    command = [sys.executable, "-m", "benchmarks.cleaning", "--read", str(file)]
    reader = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[1],
    )
    assert reader.stdout is not None  # noqa: S101 - a pipe was asked for
    reader.stdout.readline()
    try:
        return work()
    finally:
        reader.communicate()  # closes its input, which ends it
        reads += [float(line) for line in file.read_text().split()]


def read_beside(file: Path) -> None:
    """Read the first page of the ranking until the input closes; note how long each took."""
    import select

    import django

    django.setup()
    from ideasgpt.ideas.ranking import ranked

    ranked(None, 1, 25)
    print("ready", flush=True)
    took: list[float] = []
    while not took or not select.select([sys.stdin], [], [], READER_PAUSE_SECONDS)[0]:
        asked = SYSTEM_CLOCK.monotonic()
        ranked(None, 1, 25)
        took.append(SYSTEM_CLOCK.monotonic() - asked)
    file.write_text("\n".join(f"{seconds:.6f}" for seconds in took))


if __name__ == "__main__":
    sys.exit(main())
