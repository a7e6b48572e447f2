"""kill -9 while a run is going on: it ends, its effect happened once, no fire is lost or double."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest
from tests.support.processes import alive
from tests.support.waiting import wait_until

from cronbell.testing import ScriptedTarget, answers

ROOT = Path(__file__).resolve().parents[2]
ONE_JOB = json.dumps({"crons": [{"path": "/api/cron/append-line", "schedule": "0 0 1 1 *"}]})
TOML = """
[jobs.steady]
path = "/api/cron/steady"
every = "1s"
timeout = "5s"

[jobs.slow]
path = "/api/cron/slow"
every = "4s"
timeout = "20s"
"""


def child(service, module: str) -> int:
    """Return the process id of the supervisor's child that runs ``module``."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if module.encode() in words and int(parent) == service.process.pid:
            return int(entry.name)
    raise AssertionError(f"{module} is not running")


def rows(service, sql, *values):
    return service.query("runlog.sqlite3", sql, *values)


def test_a_runner_killed_in_mid_run_loses_and_doubles_nothing(up):
    effects: Counter[str] = Counter()
    with ScriptedTarget() as target:
        gate = threading.Event()
        target.script("/api/cron/steady", answers.ok())
        target.script("/api/cron/slow", answers.held(gate, answers.ok()), answers.ok())
        service = up("--target", target.base_url, files={"cronbell.toml": TOML})
        wait_until(lambda: target.requests_to("/api/cron/slow"), 20, what="the slow call")
        runner = child(service, "cronbell.engine")
        os.kill(runner, signal.SIGKILL)
        wait_until(lambda: not alive(runner), 5, what="the runner's end")
        gate.set()
        # The supervisor starts another; the lease of the dead one runs out.
        wait_until(
            lambda: len(target.requests_to("/api/cron/slow")) > 1, 60, what="the call sent again"
        )
        first, again = target.requests_to("/api/cron/slow")[:2]
        assert first.header("Idempotency-Key") == again.header("Idempotency-Key")
        wait_until(
            lambda: rows(
                service,
                "SELECT 1 FROM runlog_run WHERE status = 'success' AND lease_term > 1",
            ),
            30,
            what="the run's end",
        )
        service.process.signal(signal.SIGTERM)
        assert service.process.wait(60) == 0
        for request in target.requests_to("/api/cron/steady"):
            effects[request.header("Idempotency-Key")] += 1
    assert rows(service, "SELECT COUNT(*) FROM runlog_run WHERE status = 'running'") == [(0,)]
    fires_are_all_there_once(service, "steady", 1)
    fires_are_all_there_once(service, "slow", 4)


def fires_are_all_there_once(service, job: str, period: int) -> None:
    """Every instant between the first and the last row has exactly one row to account for it."""
    found = rows(
        service,
        "SELECT scheduled_at / 1000000, COALESCE(missed_first_at, scheduled_at) / 1000000,"
        " missed_count FROM runlog_run JOIN runlog_job job ON job.id = job_id"
        " WHERE job.name = ? ORDER BY 1",
        job,
    )
    covered: Counter[int] = Counter()
    for last, first, count in found:
        span = range(first, last + 1, period)
        assert len(span) == max(count, 1)
        covered.update(span)
    assert covered, f"{job} never fired"
    assert set(covered.values()) == {1}, "a fire is there twice"
    assert set(covered) == set(range(min(covered), max(covered) + 1, period)), "a fire is missing"


def test_the_effect_of_a_run_whose_runner_was_killed_happens_once(up, tmp_path):
    folder = tmp_path / "effects"
    folder.mkdir()
    service = up(
        files={"vercel.json": ONE_JOB},
        settings="tests.flow.effects.settings",
        env={"EFFECTS_FOLDER": str(folder), "PYTHONPATH": str(ROOT)},
    )
    code, run = service.command("run", "append-line")
    assert code == 0
    wait_until((folder / "begun").exists, 20, what="the job's start")
    runner = child(service, "cronbell.engine")
    os.kill(runner, signal.SIGKILL)
    wait_until(lambda: not alive(runner), 5, what="the runner's end")
    wait_until(
        lambda: rows(service, "SELECT 1 FROM runlog_run WHERE lease_term > 1"),
        60,
        what="the run in another runner's hands",
    )
    (folder / "go").touch()
    status = "SELECT status, details FROM runlog_run WHERE id = ?"
    wait_until(
        lambda: rows(service, status, run["id"]) == [("success", "a line")], 60, what="success"
    )
    assert (folder / "effects").read_text().splitlines() == (
        (folder / "begun").read_text().splitlines()
    )
    assert len((folder / "effects").read_text().splitlines()) == 1
    assert rows(service, "SELECT COUNT(*) FROM runlog_run") == [(1,)]


def test_children_end_when_the_supervisor_is_killed(up):
    with ScriptedTarget() as target:
        target.script("/api/cron/steady", answers.ok())
        target.script("/api/cron/slow", answers.ok())
        service = up("--target", target.base_url, files={"cronbell.toml": TOML})
        pids = [child(service, "cronbell.engine"), child(service, "cronbell.server.web")]
        service.process.kill()
        wait_until(lambda: not any(alive(pid) for pid in pids), 30, what="the children's end")


@pytest.mark.parametrize("name", ["cronbell.server.web", "cronbell.engine"])
def test_a_child_that_dies_is_started_again(up, name):
    with ScriptedTarget() as target:
        target.script("/api/cron/steady", answers.ok())
        target.script("/api/cron/slow", answers.ok())
        service = up("--target", target.base_url, files={"cronbell.toml": TOML})
        before = child(service, name)
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: not alive(before), 5, what="its end")

        def replaced() -> bool:
            try:
                return child(service, name) != before
            except AssertionError:
                return False

        wait_until(replaced, 30, what="another")
        service.process.signal(signal.SIGTERM)
        assert service.process.wait(60) == 0
