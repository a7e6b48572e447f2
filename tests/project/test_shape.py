"""The shape of the source: sizes, SQL, clocks, notes to self, traces of a machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from tests.support import rules, source

CODE = ("src", "tests", "benchmarks", "scripts")
BINARY = {".png", ".jpg", ".ico", ".woff2", ".mo", ".gz", ".pdf"}


def python() -> list[Path]:
    return [path for path in source.under(*CODE, suffix=".py") if "migrations" not in path.parts]


def texts() -> list[Path]:
    return [path for path in source.files() if path.suffix not in BINARY]


def complaints(paths: Iterable[Path], rule: Callable[[Path], Iterable[str]]) -> list[str]:
    return [f"{source.name(path)}: {words}" for path in paths for words in rule(path)]


def test_no_function_is_longer_than_sixty_lines():
    assert not complaints(python(), lambda path: rules.long_functions(source.tree(path)))


def test_no_file_is_longer_than_five_hundred_lines():
    checked = [*python(), *source.under("src", suffix=".html"), *source.under("src", suffix=".sql")]
    assert not complaints(checked, lambda path: rules.long_file(source.text(path)))


def test_no_statement_is_put_together_from_strings():
    checked = source.under("src", suffix=".py")
    assert not complaints(checked, lambda path: rules.formatted_sql(source.tree(path)))


def test_no_note_to_self_is_left():
    assert not complaints(texts(), lambda path: rules.matches(rules.NOTES, source.text(path)))


def test_no_machine_of_ours_is_named():
    assert not complaints(texts(), lambda path: rules.matches(rules.MACHINES, source.text(path)))


def test_no_package_registry_is_named():
    assert not complaints(texts(), lambda path: rules.matches(rules.REGISTRIES, source.text(path)))


EXCUSED = "noqa: TID" + "251"


def test_only_the_clock_is_excused_from_the_ban_on_asking_the_time():
    excused = [path for path in source.under("src", suffix=".py") if EXCUSED in source.text(path)]
    assert [source.name(path) for path in excused] == ["src/cronbell/clock.py"]


def test_elsewhere_an_excuse_says_why():
    reason = re.compile(rf"{EXCUSED}(?! - \w)")
    checked = source.under("tests", "benchmarks", "scripts", suffix=".py")
    assert not complaints(checked, lambda path: rules.matches(reason, source.text(path)))


@pytest.mark.parametrize(
    "line",
    [
        "import time; time.time()",
        "from time import time; time()",
        "from time import monotonic as m; m()",
        "import time; time.sleep(1)",
        "import asyncio; asyncio.sleep(1)",
        "from datetime import datetime; datetime.now()",
        "import datetime; datetime.datetime.now()",
        "import datetime; datetime.date.today()",
        "from django.utils import timezone; timezone.now()",
        "from django.utils.timezone import now; now()",
    ],
)
@pytest.mark.parametrize("folder", ["src/cronbell/engine", "tests/engine"])
def test_sabotage_the_linter_sees_the_time_asked_elsewhere(line: str, folder: str):
    command = ["-m", "ruff", "check", "--no-cache", "--select=TID251", "--quiet"]
    answer = subprocess.run(
        [sys.executable, *command, f"--stdin-filename={folder}/x.py", "-"],
        input=line + "\n",
        cwd=source.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "TID251" in answer.stdout, answer.stdout + answer.stderr


def function(lines: int) -> ast.Module:
    return ast.parse("@cached\ndef f():\n" + "    pass\n" * (lines - 2))


def test_sabotage_a_function_of_sixty_one_lines_is_seen():
    assert not list(rules.long_functions(function(60)))
    assert list(rules.long_functions(function(61))) == ["line 1: f has 61 lines"]


@pytest.mark.parametrize(
    "statement",
    [
        'cursor.execute(f"DELETE FROM {table}")',
        'cursor.execute("DELETE FROM %s" % table)',
        'cursor.execute("DELETE FROM " + table)',
        'cursor.executemany("DELETE FROM {}".format(table), rows)',
        'Idea.objects.raw(f"SELECT {x}")',
        'RawSQL(f"SELECT {x}", [])',
    ],
)
def test_sabotage_a_formatted_statement_is_seen(statement: str):
    assert list(rules.formatted_sql(ast.parse(statement)))


def test_parameters_are_not_taken_for_formatting():
    assert not list(rules.formatted_sql(ast.parse('cursor.execute("SELECT %s", [x])')))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (rules.NOTES, "# TO" + "DO: later"),
        (rules.MACHINES, "see /ro" + "ot/notes.txt"),
        (rules.MACHINES, "cd /ho" + "me/kim"),
        (rules.REGISTRIES, "https://py" + "pi.org/simple"),
    ],
)
def test_sabotage_what_must_not_be_named_is_seen(pattern, text: str):
    assert list(rules.matches(pattern, f"fine\n{text}\n")) == [f"line 2: {text}"]
