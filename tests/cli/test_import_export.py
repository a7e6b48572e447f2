"""``cronbell import`` and ``cronbell export``: what they print, write and refuse."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from cronbell.cli.check import check
from cronbell.cli.export_jobs import export_jobs
from cronbell.cli.import_jobs import app as import_app
from cronbell.errors import ConfigError, CronbellError

CRONTAB = """0 3 * * 0 curl -fsS https://app.example/api/cron/clean
0 4 * * * /usr/local/bin/backup.sh
"""
VERCEL = {"crons": [{"path": "/api/cron/clean", "schedule": "0 3 * * 0"}]}
app = typer.Typer()
app.add_typer(import_app, name="import")
app.command("export")(export_jobs)
app.command("check")(check)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, **options: CliRunner().invoke(app, arguments, **options)


def test_a_crontab_becomes_a_toml_that_is_fine_and_the_rest_is_said(run, tmp_path):
    (tmp_path / "mine").write_text(CRONTAB)
    result = run("import", "crontab", "mine", "-o", "cronbell.toml")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "line 2: cannot be carried over: runs a command" in result.stderr
    assert "1 jobs, 1 lines left out" in result.stderr
    assert "--timezone" in result.stderr
    answer = json.loads(run("check", "cronbell.toml", "--json").stdout)
    assert answer["ok"]
    assert [job["url"] for job in answer["jobs"]] == ["https://app.example/api/cron/clean"]


def test_a_crontab_is_read_from_standard_input(run):
    result = run("import", "crontab", "-", "--timezone", "Asia/Seoul", input=CRONTAB)
    assert 'timezone = "Asia/Seoul"' in result.stdout
    assert 'target = "https://app.example"' in result.stdout
    answer = json.loads(run("import", "crontab", "-", "--json", input=CRONTAB).stdout)
    assert answer["jobs"] == ["clean"]
    assert [remark["line"] for remark in answer["left_out"]] == [2]


def test_files_of_cron_d_have_a_user_unless_told_otherwise(run, tmp_path):
    (tmp_path / "cron.d").mkdir()
    (tmp_path / "cron.d" / "site").write_text("0 0 * * * root curl https://app.example/x\n")
    assert '"/x"' in run("import", "crontab", "cron.d/site").stdout
    assert '"/x"' not in run("import", "crontab", "cron.d/site", "--user").stdout


@pytest.mark.parametrize(
    ("arguments", "content"),
    [
        (["import", "crontab", "missing"], b""),
        (["import", "crontab", "."], b""),
        (["import", "crontab", "-"], b"\xff\xfe"),
        (["import", "crontab", "-"], b"0 0 * * * curl \0"),
        (["import", "crontab", "-"], b"#" * (16 * 1024 * 1024 + 1)),
        (["import", "crontab", "-", "--timezone", "Mars/Base"], b""),
        (["import", "vercel", "missing.json"], b""),
        (["export", "crontab", "missing.json"], b""),
    ],
)
def test_what_cannot_be_read_is_a_clear_error(run, arguments, content):
    error = run(*arguments, input=content).exception
    assert isinstance(error, CronbellError)
    assert error.hint


def test_no_file_is_ever_overwritten(run, tmp_path):
    (tmp_path / "mine").write_text(CRONTAB)
    (tmp_path / "vercel.json").write_text(json.dumps(VERCEL))
    (tmp_path / "kept").write_text("kept")
    for arguments in (["import", "crontab", "mine"], ["import", "vercel"]):
        assert "kept exists" in str(run(*arguments, "-o", "kept").exception)
    units = ["export", "systemd", "--target", "https://app.example", "-o", "units"]
    assert run(*units).exit_code == 0
    (tmp_path / "units" / "cronbell-clean.service").unlink()
    assert "cronbell-clean.timer exists" in str(run(*units).exception)
    assert not (tmp_path / "units" / "cronbell-clean.service").exists()
    assert "cannot be written" in str(run(*units[:-1], "kept/units").exception)
    assert (tmp_path / "kept").read_text() == "kept"


def test_a_vercel_json_becomes_a_toml_with_the_same_jobs(run, tmp_path):
    entry = {"path": "/s", "schedule": "30 2 * * *", "timezone": "Asia/Seoul", "jitter": 5}
    topic = {"topic": "t", "schedule": "30 2 * * *"}
    functions = {"api/cron/clean.ts": {"maxDuration": 60}}
    content = {**VERCEL, "schedules": [entry, topic], "functions": functions}
    (tmp_path / "vercel.json").write_text(json.dumps(content))
    result = run("import", "vercel", "-o", "cronbell.toml")
    assert result.exit_code == 0
    assert "schedules[1].topic" in result.stderr
    before = json.loads(run("check", "vercel.json", "--json").stdout)["jobs"]
    (tmp_path / "vercel.json").rename(tmp_path / "old.json")
    after = json.loads(run("check", "cronbell.toml", "--json").stdout)["jobs"]
    for job in (*before, *after):
        del job["dialect"], job["source"]
    assert after == before
    assert len(after) == 2


def test_a_faulty_vercel_json_is_refused_with_every_fault(run, tmp_path):
    (tmp_path / "vercel.json").write_text('{"crons": [{"path": "x", "schedule": "x"}]}')
    error = run("import", "vercel").exception
    assert isinstance(error, ConfigError)
    assert len(error.faults) == 2


@pytest.mark.parametrize(
    ("to", "part"),
    [
        ("crontab", "0 3 * * 0 curl "),
        ("vercel", '"path": "/api/cron/clean"'),
        ("kubernetes", "kind: CronJob"),
        ("systemd", "OnCalendar=Sun *-*-* 3:0:00 UTC"),
    ],
)
def test_every_export_goes_to_standard_output(run, tmp_path, to, part):
    (tmp_path / "vercel.json").write_text(json.dumps(VERCEL))
    result = run("export", to, "--target", "https://app.example")
    assert result.exit_code == 0
    assert part in result.stdout
    answer = json.loads(run("export", to, "--target", "https://app.example", "--json").stdout)
    assert answer["losses"] == []
    assert part in "".join(answer["files"].values())


def test_a_job_left_out_is_said_and_exits_1(run, tmp_path):
    (tmp_path / "cronbell.toml").write_text('[jobs.last]\npath = "/x"\nschedule = "0 0 L * *"\n')
    result = run("export", "vercel")
    assert result.exit_code == 1
    assert "last: job: left out: Vercel's grammar cannot say `0 0 L * *`" in result.stderr
    assert json.loads(result.stdout)["crons"] == []


def test_calls_of_nobody_knows_whom_are_not_written(run, tmp_path):
    (tmp_path / "vercel.json").write_text(json.dumps(VERCEL))
    error = run("export", "crontab").exception
    assert isinstance(error, CronbellError)
    assert "--target" in error.hint


def test_wrong_usage_exits_2(run):
    assert run("export", "launchd").exit_code == 2
    assert run("import", "nothing").exit_code == 2
    assert run("import", "crontab", "-", "--target", "x", input="").exit_code == 2


def test_no_web_framework_is_loaded():
    program = (
        "import sys, cronbell.cli.import_jobs, cronbell.cli.export_jobs; "
        "print('django' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout.strip() == "False"
