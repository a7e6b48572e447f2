from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.store import chosen

ROOT = Path(__file__).parents[2]


def run(name, *words):
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            f"benchmarks.{name}",
            "--ideas",
            "1500",
            *words,
            "--store",
            chosen(),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    # 1 where a limit was passed: so few rows on a busy machine say nothing about limits.
    assert done.returncode in {0, 1}, done.stderr
    return done


def test_the_ranking_benchmark_runs_and_prints_every_scenario():
    done = run("ranking")
    assert "1,500 ideas, 3,000 purchases, 150 claims, seed 1" in done.stdout
    # Two times, two ratios with the limit between them, the rows that were written.
    row = r"^(all|1 %|none) changed +\S+ +\S+ +\S+ +(\S+) +\S+ +(\S+)"
    assert re.findall(row, done.stdout, re.MULTILINE) == [
        ("all", "-", "1,500"), ("1 %", "0.2", "15"), ("none", "0.1", "0"),
    ]  # fmt: skip


def test_the_cleaning_benchmark_runs_and_finds_nothing_left_in_many_runs():
    done = run("cleaning", "--deadline", "0.02")
    stale = re.search(r"1,500 ideas, (\d+) past keeping", done.stdout)
    deleted = re.search(r"deleted (\d+) in (\d+) runs", done.stdout)
    assert stale, done.stdout + done.stderr
    assert deleted, done.stdout + done.stderr
    assert 600 < int(stale[1]) == int(deleted[1])
    assert int(deleted[2]) > 1
    assert "NOT EXACT" not in done.stdout
    assert re.search(r"pages read meanwhile: median [\d.]+ ms", done.stdout)
