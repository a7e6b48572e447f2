"""``docs/security.md`` has every row, and every test it names is there and is collected."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys

import pytest
from tests.support import source

MATRIX = source.ROOT / "docs" / "security.md"
ROW = re.compile(r"^\| (C\d\d) \| ([^|]+) \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"`(tests/[a-z0-9_/]+\.py)::([A-Za-z0-9_]+)`")
ROWS = [f"C{number:02}" for number in range(1, 46)]
NOT_HERE = "Does not apply: "


def rows(text: str) -> dict[str, str]:
    """Return what shows each row, in the order of the document."""
    found = ROW.findall(text)
    assert len(found) == len({name for name, _, _ in found}), "a row is there twice"
    return {name: shown for name, _, shown in found}


def faults(text: str) -> list[str]:
    """Return what is wrong with a matrix, tests that are collected left aside."""
    found = rows(text)
    wrong = [f"{name}: no row" for name in ROWS if name not in found]
    wrong += [f"{name}: an unknown row" for name in found if name not in ROWS]
    for name, shown in found.items():
        named = NAMED.findall(shown)
        if not named and not re.search(rf"{NOT_HERE}\S+ \S+ \S+", shown):
            wrong.append(f"{name}: neither a test nor a reason why it does not apply")
        wrong += [f"{name}: no {path}::{test}" for path, test in named if not is_there(path, test)]
    return wrong


def is_there(path: str, test: str) -> bool:
    file = source.ROOT / path
    return file.is_file() and any(
        isinstance(node, ast.FunctionDef) and node.name == test and test.startswith("test_")
        for node in source.tree(file).body
    )


def test_every_row_is_there_with_a_test_or_a_reason():
    assert faults(source.text(MATRIX)) == []


def test_every_test_it_names_is_collected():
    """A name that is there may still be none that runs: shadowed, or in a file that breaks."""
    named = sorted({f"{path}::{test}" for path, test in NAMED.findall(source.text(MATRIX))})
    files = sorted({one.partition("::")[0] for one in named})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:xdist", *files],
        cwd=source.ROOT,
        env={name: value for name, value in os.environ.items() if "PYTEST" not in name},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    collected = {line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line}
    assert [one for one in named if one not in collected] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("| C07 |", "| C77 |"), ["C07: no row", "C77: an unknown row"]),
        (
            lambda text: re.sub(r"(?m)^\| C08 .*$", "| C08 | webhooks | See there. |", text),
            ["C08: neither a test nor a reason why it does not apply"],
        ),
        (
            lambda text: text.replace("::test_what_is_no_name`", "::test_gone`"),
            ["C28: no tests/config/test_job_names.py::test_gone"],
        ),
    ],
    ids=["renamed", "unsaid", "dead"],
)
def test_sabotage_each_fault_is_seen(change, said):
    assert faults(change(source.text(MATRIX))) == said
