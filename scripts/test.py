"""``make test``: the whole suite on SQLite, then what depends on the store on PostgreSQL.

Arguments go to pytest: ``make test ARGS="tests/schedule -x"``. Where this machine has no
PostgreSQL the closing lines say so; under ``CI=true`` that is a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support import machine, store  # noqa: E402

NOTHING_SELECTED = 5  # pytest's exit code


def run(name: str, *options: str) -> tuple[str, int]:
    """Run pytest on one store and return how it went, in words and as an exit code."""
    print(f"\n== tests on {name}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *sys.argv[1:]],
        cwd=ROOT,
        env={**os.environ, store.STORE_VARIABLE: name},
        check=False,
    )
    if done.returncode == NOTHING_SELECTED and options:
        return f"{name}: nothing selected depends on the store", 0
    word = "passed" if done.returncode == 0 else f"FAILED (pytest exit code {done.returncode})"
    return f"{name}: {word}", done.returncode


def main() -> int:
    """Return 0 only if everything that ran passed and, in CI, everything ran."""
    results = [run("sqlite")]
    if machine.find("postgresql"):
        results.append(run("postgresql", "--store-dependent"))
    else:
        words = f"postgresql: NOT TESTED HERE ({machine.INSTALL['postgresql']})"
        results.append((words, int(machine.in_ci())))
    print(f"\n== Python {sys.version.split()[0]}")
    for words, _code in results:
        print(f"== {words}")
    return max(code for _words, code in results)


if __name__ == "__main__":
    raise SystemExit(main())
