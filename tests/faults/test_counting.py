"""The counting behind ``make faults``: what must be counted is, and a document keeps its words."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.faults import audit, report
from tests.faults.audit import Ledger, Row
from tests.faults.report import BEGIN, END, Finding

S = 1_000_000


def row(second: int, *, status="success", reason="", first=None, count=0, key="", job="job") -> Row:
    first_at = None if first is None else first * S
    key = key or f"k{second}"
    return Row(job, key, status, reason, second * S, second * S, second * S, first_at, count)


@pytest.mark.parametrize(
    ("rows", "counted"),
    [
        ([row(1), row(2), row(3)], (0, 0)),
        ([row(1), row(3)], (1, 0)),
        ([row(1), row(2), row(2)], (0, 1)),
        ([row(1), row(4, status="missed", first=2, count=3), row(5)], (0, 0)),
        ([row(1), row(4, status="missed", first=3, count=2), row(4)], (1, 1)),
        ([row(at, job="job-2s") for at in (2, 4, 6)], (0, 0)),
        ([row(at, job="job-2s") for at in (2, 6, 6)], (1, 1)),
    ],
    ids=[
        "whole",
        "a gap",
        "a double",
        "an outage",
        "an outage that leaves one out and takes two",
        "every two seconds",
        "one of those left out, one double",
    ],
)
def test_fires_are_counted_by_what_accounts_for_them(rows, counted):
    assert audit.fires(rows) == counted


def test_a_run_that_ended_otherwise_is_lost():
    assert audit.lost([row(1), row(2, status="skipped", reason="overlap")]) == 0
    assert audit.lost([row(1, status="error", reason="reset"), row(2, status="unknown")]) == 2


def test_a_success_that_nobody_heard_of_is_unfounded():
    rows = [row(1, key="heard"), row(2, key="done"), row(3, key="neither")]
    assert audit.unfounded(Ledger(rows, Counter(["heard"]), Counter(["done"]))) == 1


def test_a_nought_is_told_with_its_bound_and_a_count_breaks_the_promise():
    found = Finding("x")
    found.promise("lost", 0)
    assert (found.verdict, found.figures) == ("holds", {"lost": 0})
    found.promise("stuck", 2)
    assert (found.verdict, found.broken) == ("BROKEN", ["stuck: 2"])
    assert report.upper_bound(1000) == "≤ 0.30 % (95 %)"


def test_figures_are_put_between_their_marks_and_again_in_their_place(tmp_path):
    document = tmp_path / "r.md"
    document.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    for title in ("first", "second"):
        section = report.markdown([Finding("a | b", "3")], title=title, facts={}, seconds=60)
        report.write_into(document, section)
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert ("## second" in text, "## first" in text) == (True, False)
    assert "| a \\| b | 3 |" in text


def test_a_document_without_marks_is_left_alone(tmp_path):
    document = tmp_path / "r.md"
    document.write_text("words")
    with pytest.raises(ValueError, match="figures"):
        report.write_into(document, "section")
    assert document.read_text() == "words"
