"""``kill -9`` in mid-drain, of the job, of the verifier, of both; ``kills.py`` says how."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 120  # as long as a test may wait; half of it on two processors of one's own


@pytest.fixture
def kill(process, store_url):
    def start(*words):
        store = ("--store", store_url) if store_url else ()
        return process(
            *(sys.executable, "-m", "tests.ideasgpt.verification.kills", *words, *store),
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        )

    return start


@pytest.mark.faults
def test_killed_at_random_moments_every_record_has_one_verdict(kill):
    running = kill("--kills", "10", "--seed", "7")
    assert running.wait(PATIENCE_SECONDS) == 0, running.output()
    report = json.loads(running.output().splitlines()[-1])
    assert report["records"] == 60
    assert report["kills"] >= 5
    assert report["unsettled"] > 0  # else nothing was killed in the middle of a record


@pytest.mark.faults
def test_sabotage_what_a_dead_verifier_held_is_found_stuck(kill):
    running = kill("--kills", "2", "--seed", "7", "--sabotage")
    assert running.wait(PATIENCE_SECONDS) == 1, running.output()
    assert "is submitted, stuck or lost" in running.output()
