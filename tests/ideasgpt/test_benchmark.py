from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ranking.py"


def test_the_ranking_benchmark_runs_and_prints_every_scenario():
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, SCRIPT, "--ideas", "1500"],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1,500 ideas, 3,000 purchases, 150 claims, seed 1" in done.stdout
    rows = re.findall(r"^(all|1 %|none) changed +\S+ +\S+ +\S+ +(\S+)", done.stdout, re.MULTILINE)
    assert rows == [("all", "1,500"), ("1 %", "15"), ("none", "0")]
