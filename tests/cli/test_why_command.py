"""``cronbell why`` and ``cronbell run`` as a shell calls them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
CRONBELL = BIN / "cronbell"
PREPARE = """
import os, pathlib
os.environ["DJANGO_SETTINGS_MODULE"] = "cronbell.server.settings"
from cronbell.server.prepare import prepare
prepare(pathlib.Path(os.environ["CRONBELL_DATA"]))
from datetime import datetime, UTC
from cronbell.domain import Blackout, JobSpec
from cronbell.runlog.jobs import sync_jobs
spec = JobSpec(
    name="nightly", path="/api/cron/nightly", url="http://127.0.0.1:9/api/cron/nightly",
    schedule="0 0 * * *", deadline=60.0, timezone="America/New_York",
    blackout=(Blackout(start="00:00", end="24:00", reason="moving house"),),
)
sync_jobs([spec], datetime(2026, 11, 22, tzinfo=UTC))
"""


@pytest.fixture
def command(process):
    prepared = process(sys.executable, "-c", PREPARE)
    assert prepared.wait(60) == 0, prepared.output()

    def call(*args: str) -> tuple[int, str]:
        one = process(CRONBELL, *args)
        return one.wait(60), one.output()

    return call


def test_an_answer_in_words_and_as_json(command):
    code, output = command("why", "nightly", "2100-01-01T00:00")
    assert code == 0
    place, *said = output.splitlines()
    assert place == "nightly, 2100-01-01 00:00-05:00 (America/New_York)"
    assert "will be skipped: it is in the blackout window" in said[0]
    code, output = command("why", "nightly", "2099-11-01T01:30", "--json")
    assert code == 0
    found = [moment["verdict"] for moment in json.loads(output)["moments"]]
    assert found == ["not_due", "not_due"], "asked for both hours"


def test_wrong_use_is_a_sentence_and_an_exit_code(command):
    for args, code, said in [
        (["nigtly", "09:00", "--json"], 1, '"hint": "did you mean `nightly`?"'),
        (["nightly"], 2, "TIME"),
        (["nightly", "soon"], 2, "is no moment"),
        (["nightly", "09:00", "--timezone", "Asia/Soul"], 2, "Asia/Seoul"),
    ]:
        found, output = command("why", *args)
        assert (found, said in output) == (code, True), output
        assert "Traceback" not in output


def test_run_now_says_that_a_window_is_open_and_runs_all_the_same(command):
    code, output = command("run", "nightly")
    assert code == 0
    assert "The blackout window 00:00 – 24:00 (America/New_York) is open" in output
    assert "of nightly is queued" in output
