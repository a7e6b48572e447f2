"""The repository's own ``vercel.json`` and ``cronbell.toml`` pass the product's own check."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support import source

PROGRAM = "from cronbell.cli.main import run; run()"


def check(folder) -> tuple[int, dict]:
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, "check", "vercel.json", "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return answer.returncode, json.loads(answer.stdout)


def test_our_files_are_valid_and_hold_the_jobs_with_their_schedules():
    code, answer = check(source.ROOT)
    assert (code, answer["ok"], answer["errors"]) == (0, True, [])
    schedules = {job["name"]: (job["schedule"], job["timezone"]) for job in answer["jobs"]}
    assert schedules == {
        "update-rankings": ("0 0 * * *", "UTC"),
        "clean-data": ("0 3 * * 0", "UTC"),
        "generate-ideas": ("0 12 * * 1,4", "UTC"),
        "verify-records": ("*/5 * * * *", "UTC"),
    }


def test_our_vercel_json_holds_nothing_vercel_would_refuse():
    crons = json.loads(source.text(source.ROOT / "vercel.json"))["crons"]
    assert all(set(cron) == {"path", "schedule"} for cron in crons)


def test_sabotage_a_broken_file_is_refused(tmp_path):
    (tmp_path / "vercel.json").write_text('{"crons": [{"path": "x", "schedule": "0 25 * * *"}]}')
    code, answer = check(tmp_path)
    assert code == 1
    assert not answer["ok"]
    assert answer["errors"]
