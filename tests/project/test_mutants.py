"""``make mutants``: what it changes, and that its page is what it found (C44)."""

from __future__ import annotations

import re
import sys

import pytest
from tests.support import source

sys.path.insert(0, str(source.ROOT / "scripts"))
from mutate import EXPLAINED, MODULES, PAGE, Mutant, Score, mutants, page

sys.path.pop(0)


def changed(text: str) -> set[str]:
    return {one.source for one in mutants(text)}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a == b", {"a != b"}),
        ("a < b <= c", {"a <= b <= c", "a < b < c"}),
        ("x not in y", {"x in y"}),
        ("a and b", {"a or b"}),
        ("not a", {"not not a"}),
        ("{A, B}", {"{A}", "{B}"}),
        ("limit = 3", {"limit = 4"}),
        ("on = True", {"on = False"}),
        ("if a:\n    b", {"if True:\n    b", "if False:\n    b"}),
        ("def f():\n    return x", {"def f():\n    return None"}),
        ("if a:\n    raise E", {"if True:\n    raise E", "if False:\n    raise E",
                                "if a:\n    pass"}),
        ("def f():\n    check(x)", {"def f():\n    pass"}),
        ('"""What it is."""\nlog.info("said")', set()),
    ],
)  # fmt: skip
def test_one_thing_is_changed_at_a_time(text: str, wanted: set[str]):
    assert changed(text) == wanted


def test_every_module_of_the_table_is_there_with_its_tests():
    for module, tests in MODULES.items():
        assert (source.SRC / module).is_file()
        assert all((source.ROOT / "tests" / name).is_file() for name in tests)
        assert sum(1 for _ in mutants(source.text(source.SRC / module))) > 5


def test_every_explanation_is_of_a_mutant_there_is():
    for module, line in EXPLAINED:
        assert line in {one.what for one in mutants(source.text(source.SRC / module))}


def test_the_page_has_every_module_and_no_survivor():
    rows = re.findall(
        r"^\| `(\S+)` \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", source.text(PAGE), re.MULTILINE
    )
    assert [row[0] for row in rows] == list(MODULES)
    for _module, made, noticed, explained, survived in rows:
        assert int(made) == int(noticed) + int(explained) > 0
        assert survived == "0"


def test_the_page_is_what_was_found():
    one = Mutant(7, "x = 2", "")
    text = page({"a.py": Score(10, 8, [one], [one])})
    assert "8 of 10 mutants" in text
    assert "| `a.py` | 10 | 8 | 1 | 1 |" in text
