"""``cronbell check``: what it prints and how it exits."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from cronbell.cli.check import check

GOOD = '{"crons": [{"path": "/api/cron/clean", "schedule": "0 3 * * 0"}]}'
BAD = '{"crons": [\n{"path": "api/x", "schedule": "0 3 * * sun"}]}'
app = typer.Typer()
app.command()(check)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CRON_SECRET", raising=False)
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_a_good_file_is_fine_and_its_jobs_are_listed(run, tmp_path):
    (tmp_path / "vercel.json").write_text(GOOD)
    result = run("--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert (answer["ok"], answer["errors"], answer["warnings"]) == (True, [], [])
    (job,) = answer["jobs"]
    expected = {
        "name": "clean", "path": "/api/cron/clean", "schedule": "0 3 * * 0",
        "timezone": "UTC", "method": "GET", "timeout": 300.0, "deadline": 600.0,
    }  # fmt: skip
    assert {key: job[key] for key in expected} == expected
    assert job["next_fire"].endswith("T03:00:00Z")


def test_a_variable_that_does_nothing_is_warned_of(run, tmp_path, monkeypatch):
    (tmp_path / "vercel.json").write_text(GOOD)
    monkeypatch.setenv("CRONBELL_ORIGIN", "https://cron.example.com")
    result = run("--json")
    assert result.exit_code == 0
    (warning,) = json.loads(result.stdout)["warnings"]
    assert (warning["file"], warning["key"]) == ("the environment", "CRONBELL_ORIGIN")
    assert warning["hint"] == "did you mean `CRONBELL_ORIGINS`?"


def test_a_bad_file_exits_1_with_file_key_message_and_hint(run, tmp_path):
    (tmp_path / "vercel.json").write_text(BAD)
    result = run("--json")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert answer["ok"] is False
    first, second = answer["errors"]
    assert first["file"] == "vercel.json"
    assert (first["line"], first["key"]) == (2, "crons[0].path")
    assert "should match pattern" in first["message"]
    assert first["hint"]
    assert second["key"] == "crons[0].schedule"
    assert answer["jobs"] == []


def test_people_read_file_line_key_message_and_hint(run, tmp_path):
    (tmp_path / "vercel.json").write_text(BAD)
    result = run()
    assert result.exit_code == 1
    assert (
        "error: vercel.json:2 crons[0].path: Invalid vercel.json - `crons[0].path`" in result.stdout
    )
    assert "→ write `0`" in result.stdout
    assert result.stdout.endswith("not fine: 0 jobs, 2 errors, 0 warnings\n")


def test_people_read_the_jobs_with_their_next_fire(run, tmp_path):
    (tmp_path / "vercel.json").write_text(GOOD)
    (tmp_path / "cronbell.toml").write_text(
        '[jobs.own]\npath = "/own"\nevery = 60\nenabled = false\n'
    )
    result = run()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[1].split("\t")[:4] == ["clean", "0 3 * * 0", "UTC", "GET"]
    assert lines[2].split("\t")[-1] == "disabled"
    assert lines[-1] == "fine: 2 jobs, 0 errors, 0 warnings"


def test_the_toml_beside_a_named_file_is_read(run, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "vercel.json").write_text(GOOD)
    (folder / "cronbell.toml").write_text("[jobs.clean]\ntimeout = 0\n")
    answer = json.loads(run("project/vercel.json", "--json").stdout)
    assert [error["file"] for error in answer["errors"]] == ["project/cronbell.toml"]


def test_a_toml_can_be_named_itself(run, tmp_path):
    (tmp_path / "cronbell.toml").write_text('[jobs.own]\npath = "/own"\nevery = 60\n')
    for arguments in (["cronbell.toml", "--json"], ["--json"]):
        answer = json.loads(run(*arguments).stdout)
        assert [job["name"] for job in answer["jobs"]] == ["own"]


@pytest.mark.parametrize("arguments", [[], ["missing.json"], ["missing.toml"], ["."]])
def test_a_missing_file_is_not_fine(run, arguments):
    result = run(*arguments, "--json")
    assert result.exit_code == 1
    (error,) = json.loads(result.stdout)["errors"]
    assert "no such file" in error["message"] or "is not a file" in error["message"]
    assert error["hint"]


def test_warnings_alone_are_fine(run, tmp_path):
    entry = '{"schedule": "0 0 * * *", "topic": "t"}'
    (tmp_path / "vercel.json").write_text(f'{{"schedules": [{entry}]}}')
    result = run("--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["warnings"][0]["key"] == "schedules[0].topic"
    assert "warning: vercel.json:1 schedules[0].topic:" in run().stdout


def test_the_hobby_plans_limit_is_warned_of_when_asked_for(run, tmp_path):
    (tmp_path / "vercel.json").write_text(
        '{"crons": [{"path": "/a", "schedule": "*/10 * * * *"},'
        '{"path": "/b", "schedule": "5 4 * * *"}]}'
    )
    assert json.loads(run("--json").stdout)["warnings"] == []
    assert json.loads(run("--plan", "pro", "--json").stdout)["warnings"] == []
    (warning,) = json.loads(run("--plan", "hobby", "--json").stdout)["warnings"]
    assert warning["key"] == "crons[0].schedule"
    assert "(`*/10 * * * *`) would run more than once per day" in warning["message"]
    assert run("--plan", "hoby").exit_code == 2


@pytest.mark.parametrize("secret", ["short", "sixteen characters and a line\n", "é" * 16])
def test_a_secret_that_cannot_be_used_is_warned_of_and_never_shown(
    run, tmp_path, monkeypatch, secret
):
    (tmp_path / "vercel.json").write_text(GOOD)
    monkeypatch.setenv("CRON_SECRET", secret)
    result = run("--json")
    assert [warning["key"] for warning in json.loads(result.stdout)["warnings"]] == ["CRON_SECRET"]
    assert secret.strip() not in result.stdout
    monkeypatch.setenv("CRON_SECRET", "0123456789abcdef")
    assert json.loads(run("--json").stdout)["warnings"] == []


def test_wrong_usage_exits_2(run):
    assert run("--nonsense").exit_code == 2
    assert run("a", "b").exit_code == 2


def test_no_web_framework_is_loaded_to_check_a_file():
    program = "import sys, cronbell.cli.check; print('django' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout.strip() == "False"
