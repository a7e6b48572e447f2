"""Lines that whoever sends a document chooses: what they say, and how long reading them takes."""

from __future__ import annotations

import resource

import pytest

from ideasgpt.verification.checks import Check, Found, check, labelled
from ideasgpt.verification.child import MOST_CHARACTERS
from ideasgpt.verification.suspicion import suspicions

SECONDS = 3.0  # of CPU for a whole text; what was mended took minutes


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Name: Kim", [("Name", "Kim")]),
        ("  - * name \t=\t Kim = Lee ", [("name", "Kim = Lee ")]),
        ("## 이름: 김", [("이름", "김")]),
        ("a:b\nc=d\r\ne", [("a", "b"), ("c", "d\r")]),
        (f"{'x' * 60}: {'y' * 301}", [("x" * 60, "y" * 301)]),
        (f"{'x' * 61}: y", []),
        (f"x: {'y' * 302}", []),
        ("x:", []),
        (": y", []),
        ("no label", []),
    ],
)
def test_a_line_that_names_a_field_is_read(line, found):
    assert list(labelled(line)) == found


@pytest.mark.parametrize(
    "piece", [" ", "\t", "<", "-", "*", "a ", "a: ", "ignore ", "system ", "위"]
)
def test_a_text_as_long_as_is_read_takes_no_time(piece):
    """C31: a signed-in user's upload must not keep the process from everything else."""
    text = (piece * MOST_CHARACTERS)[:MOST_CHARACTERS]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime

    assert check({"name": "Kim"}, text) == [Check("name", Found.MISSING)]
    suspicions(text)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < SECONDS
