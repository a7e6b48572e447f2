"""Each variable that is read is described, and one that looks like ours and is none is told."""

from __future__ import annotations

import ast
import re

import pytest
from tests.support import source

from cronbell.config import variables
from ideasgpt.variables import VARIABLES as OF_THE_SERVICE

NAME = re.compile(
    r"(CRON_SECRET|CRONBELL|DATABASE|DJANGO|IDEASGPT|LANGUAGE|OPENAI|OTEL|SERVICE|VERIFY)(_[A-Z]+)*"
)
# Not of the environment: what Django's settings, and the endpoint's in them, are called.
SETTINGS = {"CRONBELL_ENDPOINT", "DATABASE"}


def named(tree: ast.AST) -> set[str]:
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {one for one in constants if isinstance(one, str) and NAME.fullmatch(one)}


def test_every_variable_that_is_read_is_described_and_the_other_way_round():
    read: set[str] = set()
    for path in (source.ROOT / "src").rglob("*.py"):
        if path.name != "variables.py":
            read |= named(ast.parse(source.text(path)))
    described = variables.VARIABLES.keys() | OF_THE_SERVICE.keys()
    assert read - SETTINGS - variables.OWN == described
    assert read >= variables.OWN


def test_sabotage_a_variable_that_nobody_describes_is_found():
    assert named(ast.parse('os.environ.get("CRONBELL_NEW_THING")')) == {"CRONBELL_NEW_THING"}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CRONBELL_METRIC_TOKEN", "did you mean `CRONBELL_METRICS_TOKEN`?"),
        ("CRONBELL_LOGLEVEL", "did you mean `CRONBELL_LOG_LEVEL`?"),
        ("CRONBELL_Ä\n", "lists those that do something"),
    ],
)
def test_a_variable_that_does_nothing_is_told(name, hint):
    [fault] = variables.variable_faults({name: "secret words", "CRONBELL_DATA": "here"})
    assert (fault.file, fault.key) == ("the environment", name.replace("\n", "\\n"))
    assert hint in fault.hint
    assert "secret words" not in fault.message + fault.hint


@pytest.mark.parametrize(
    "name",
    [*variables.VARIABLES, *sorted(variables.OWN), "CRONBELL_TEST_RUN", "PATH", "CRON_SECRET_X"],
)
def test_what_does_something_or_is_another_s_is_not(name):
    assert variables.variable_faults({name: "1"}) == []
