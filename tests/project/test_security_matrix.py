"""``docs/security.md`` has every row, and every test it names is there and would be run."""

from __future__ import annotations

import ast
import importlib
import re

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
    """Return what is wrong with a matrix."""
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
    """Say whether pytest would run it: its file's name, one definition, no mark that skips it."""
    file = source.ROOT / path
    if not (file.is_file() and file.name.startswith("test_") and test.startswith("test_")):
        return False
    defined = [
        node
        for node in source.tree(file).body
        if isinstance(node, ast.FunctionDef) and node.name == test
    ]
    marks = [ast.unparse(mark) for node in defined for mark in node.decorator_list]
    return len(defined) == 1 and not any(re.search(r"\bskip\b|\bxfail", mark) for mark in marks)


def test_every_row_is_there_with_a_test_or_a_reason():
    assert faults(source.text(MATRIX)) == []


def test_every_test_it_names_is_found_by_pytest():
    """A file that cannot be imported has no test that runs."""
    for path, test in NAMED.findall(source.text(MATRIX)):
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        assert callable(getattr(module, test)), (path, test)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("| C07 |", "| C77 |"), ["C07: no row", "C77: an unknown row"]),
        (
            lambda text: re.sub(r"(?m)^\| C20 .*$", "| C20 | tables | See there. |", text),
            ["C20: neither a test nor a reason why it does not apply"],
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
