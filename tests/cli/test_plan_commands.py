"""``plan``, ``apply`` and ``simulate`` against what is live."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
CRONBELL = BIN / "cronbell"


@pytest.fixture
def command(process, prepared, tmp_path):
    def call(*args: str) -> tuple[int, dict]:
        one = process(CRONBELL, *args, "--json", cwd=tmp_path, env=prepared)
        return one.wait(60), json.loads(one.output().strip().splitlines()[-1])

    return call


def write(folder: Path, *crons: tuple[str, str]) -> None:
    entries = [{"path": path, "schedule": schedule} for path, schedule in crons]
    (folder / "vercel.json").write_text(json.dumps({"crons": entries}))


TARGET = ("--target", "http://127.0.0.1:9")


def test_plan_changes_nothing_and_a_second_apply_changes_nothing(command, tmp_path):
    write(tmp_path, ("/api/cron/a", "0 0 * * *"), ("/api/cron/b", "0 1 * * *"))
    code, found = command("plan", *TARGET)
    assert (code, found["added"], found["paused"]) == (0, ["a", "b"], [])
    code, found = command("plan", *TARGET)
    assert found["added"] == ["a", "b"], "asking did not apply it"
    code, found = command("apply", *TARGET)
    assert (code, found["added"]) == (0, ["a", "b"])
    code, found = command("apply")
    nothing = {
        "added": [],
        "changed": [],
        "removed": [],
        "renamed": [],
        "retention": {},
        "alerts": {},
    }
    assert found == nothing | {"unchanged": 2}


def test_changes_removals_and_renames_are_told_apart(command, tmp_path):
    write(tmp_path, ("/api/cron/a", "0 0 * * *"), ("/api/cron/b", "0 1 * * *"))
    command("apply", *TARGET)
    write(tmp_path, ("/api/cron/a", "30 0 * * *"), ("/other/cron/a", "0 5 * * *"))
    code, found = command("plan")
    assert code == 0
    assert found["removed"] == ["b"] or "a" in found["removed"]
    assert found.pop("paused") == []
    _, applied = command("apply")
    assert applied == found
    _, jobs = command("jobs")
    assert len(jobs["jobs"]) == 2


def test_plan_names_what_was_paused_by_hand(command, process, prepared, tmp_path):
    write(tmp_path, ("/api/cron/a", "0 0 * * *"))
    command("apply", *TARGET)
    paused = process(CRONBELL, "pause", "a", "--reason", "maintenance", cwd=tmp_path, env=prepared)
    assert paused.wait(60) == 0, paused.output()
    code, found = command("plan")
    assert (code, found["paused"], found["changed"]) == (0, ["a"], [])


def test_a_bad_file_applies_nothing(command, tmp_path):
    write(tmp_path, ("/api/cron/a", "0 0 * * *"))
    command("apply", *TARGET)
    write(tmp_path, ("/api/cron/a", "99 0 * * *"))
    code, found = command("apply")
    assert code == 1
    assert "error" in found
    _, jobs = command("jobs")
    assert jobs["jobs"][0]["schedule"] == "0 0 * * *"


def test_simulate_tells_what_would_fire(command, tmp_path):
    write(tmp_path, ("/api/cron/a", "0 0 * * *"))
    command("apply", *TARGET)
    write(tmp_path, ("/api/cron/a", "0 12 * * *"), ("/api/cron/b", "0 * * * *"))
    code, found = command("simulate", "--days", "2")
    jobs = {job["name"]: job for job in found["jobs"]}
    assert code == 0
    assert (jobs["a"]["before"], jobs["a"]["after"], len(jobs["a"]["moved"])) == (4, 4, 4)
    assert (jobs["b"]["before"], jobs["b"]["after"]) == (0, 96)
    assert len(found["load"]) == 96


def test_plan_and_apply_tell_of_retention_that_changes(command, tmp_path):
    write(tmp_path, ("/api/cron/a", "0 0 * * *"))
    command("apply", *TARGET)
    (tmp_path / "cronbell.toml").write_text('[retention]\nsuccess = "7d"\nmissed = "forever"\n')
    expected = {
        "success": {"before": 30 * 86_400, "after": 7 * 86_400},
        "missed": {"before": 365 * 86_400, "after": "forever"},
    }
    assert command("plan", *TARGET)[1]["retention"] == expected
    assert command("apply", *TARGET)[1]["retention"] == expected
    assert command("plan", *TARGET)[1]["retention"] == {}
