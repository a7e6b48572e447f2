"""The evaluator's benchmark still runs, and still compares what it says it compares."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import evaluator
from cronbell.schedule import compile_schedule


def test_it_runs_small_and_prints_every_ratio():
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.evaluator", "--quick"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for words in ("Next fire", "A year of fires", "cronsim", "croniter", "tzdata", "500 jobs"):
        assert words in answer.stdout


def test_its_expressions_are_two_hundred_different_ones_from_frequent_to_rare():
    expressions = evaluator.mixed_expressions(evaluator.EXPRESSIONS)
    assert len(set(expressions)) == len(expressions) >= 200
    start = evaluator.START_SECOND
    counts = [compile_schedule(one).count(start, start + evaluator.YEAR) for one in expressions]
    assert min(counts) < 30
    assert max(counts) > 100_000


def test_sabotage_a_library_that_finds_other_fires_ends_it(monkeypatch):
    def one_late(expression, after):
        return (fire + 60 for fire in evaluator.cronsim_fires(expression, after))

    evaluator.check_agreement(["0 0 * * *"])
    monkeypatch.setitem(evaluator.LIBRARIES, "late", one_late)
    with pytest.raises(SystemExit, match="late finds other fires"):
        evaluator.check_agreement(["0 0 * * *"])


def test_sabotage_a_ratio_below_the_promise_is_seen(capsys):
    timings = evaluator.Timings()
    timings.add(evaluator.OURS, 1.0)
    timings.add(evaluator.CRONSIM, 14.9)
    assert not evaluator.report("Next fire", timings, evaluator.NEXT_LIMIT)
    timings.seconds[evaluator.CRONSIM] = [15.0]
    assert evaluator.report("Next fire", timings, evaluator.NEXT_LIMIT)
    assert "15.0 times cronsim" in capsys.readouterr().out
