"""SIGTERM from outside: told once, a running call may end; told twice, everything ends at once."""

from __future__ import annotations

import signal
import sqlite3
import sys
import threading
from collections import Counter
from pathlib import Path

import psycopg
from tests.support.waiting import wait_until

from cronbell.clock import SYSTEM_CLOCK
from cronbell.testing import ScriptedTarget, answers

# The first call of each is held, so that its later fires are skipped.
TOML = """
[jobs.slow]
path = "/api/cron/slow"
every = "1s"
overlap = "skip"
timeout = "60s"

[jobs.once]
path = "/api/cron/once"
every = "1s"
overlap = "skip"
delivery = "at_most_once"
timeout = "60s"
"""
GRACE = 60  # a test that takes so long did not end at once
ENDED = (
    "SELECT job.name, run.status, run.lease_term, run.attempt FROM runlog_run run"
    " JOIN runlog_job job ON job.id = run.job_id WHERE run.key = ?"
)


def held_calls(target, gate) -> None:
    for name in ("slow", "once"):
        target.script(f"/api/cron/{name}", answers.held(gate, answers.ok()), answers.ok())


def keys(target, count: int = 1) -> dict[str, str]:
    """Wait until each job was called so often; return the key of each one's first call."""
    paths = {name: f"/api/cron/{name}" for name in ("slow", "once")}
    for path in paths.values():
        wait_until(lambda path=path: len(target.requests_to(path)) >= count, 30, what=path)
    return {
        name: target.requests_to(path)[0].header("Idempotency-Key") for name, path in paths.items()
    }


def test_told_once_the_calls_under_way_end_and_are_recorded_and_no_other_begins(up):
    with ScriptedTarget() as target:
        gate = threading.Event()
        held_calls(target, gate)
        service = up("--target", target.base_url, files={"cronbell.toml": TOML})
        first = keys(target)
        service.process.signal(signal.SIGTERM)
        service.process.wait_for("2 calls are under way")
        assert service.process.running
        gate.set()
        assert service.process.wait(30) == 0
        assert len(target.requests) == 2, "a call began after the signal"
    for name, key in first.items():
        assert service.query("runlog.sqlite3", ENDED, key) == [(name, "success", 1, 1)]
    still = "SELECT COUNT(*) FROM runlog_run WHERE status IN ('pending', 'running')"
    assert service.query("runlog.sqlite3", still) == [(0,)]
    assert service.query("runlog.sqlite3", "SELECT COUNT(stopped_at) FROM runlog_runner") == [(1,)]


def test_told_twice_it_ends_at_once_and_says_so(up):
    with ScriptedTarget() as target:
        gate = threading.Event()
        held_calls(target, gate)
        service = up("--target", target.base_url, files={"cronbell.toml": TOML})
        keys(target)
        service.process.signal(signal.SIGTERM)
        service.process.wait_for("2 calls are under way")
        began = SYSTEM_CLOCK.monotonic()
        service.process.signal(signal.SIGTERM)
        assert service.process.wait(20) == 1
        assert SYSTEM_CLOCK.monotonic() - began < 10, "the grace is 30 s"
        gate.set()
    still = "SELECT COUNT(*) FROM runlog_run WHERE status = 'running'"
    assert service.query("runlog.sqlite3", still) == [(2,)], "for another runner to rescue"


def test_what_a_runner_told_twice_had_in_hand_ends_by_its_delivery(prepared, process, tmp_path):
    data = Path(prepared["CRONBELL_DATA"])

    def row(key: str) -> tuple:
        if url := prepared.get("DATABASE_URL"):
            with psycopg.connect(url) as postgresql:
                return postgresql.execute(ENDED.replace("?", "%s"), [key]).fetchone()
        connection = sqlite3.connect(f"file:{data / 'runlog.sqlite3'}?mode=ro", uri=True)
        try:
            return connection.execute(ENDED, [key]).fetchone()
        finally:
            connection.close()

    with ScriptedTarget() as target:
        gate = threading.Event()
        held_calls(target, gate)
        toml = tmp_path / "cronbell.toml"
        toml.write_text(f'target = "{target.base_url}"\n{TOML}')
        env = {
            "DJANGO_SETTINGS_MODULE": "cronbell.server.settings",
            "CRON_SECRET": "s" * 20,
            **prepared,
        }
        engine = (
            sys.executable, "-m", "cronbell.engine", "--toml", toml, "--lease", "1",
            "--grace", str(GRACE),
        )  # fmt: skip
        runner = process(*engine, env=env)
        first = keys(target)
        runner.signal(signal.SIGTERM)
        runner.wait_for("2 calls are under way")
        runner.signal(signal.SIGTERM)
        assert runner.wait(10) == 130
        assert row(first["slow"]) == ("slow", "running", 1, 1)
        gate.set()
        another = process(*engine, env=env)
        wait_until(lambda: row(first["slow"])[1] == "success", 30, what="the call made again")
        wait_until(lambda: row(first["once"])[1] == "unknown", 30, what="the one not to be made")
        another.signal(signal.SIGTERM)
        assert another.wait(30) == 0
        calls = Counter(request.header("Idempotency-Key") for request in target.requests)
    assert row(first["slow"]) == ("slow", "success", 2, 1)
    assert (calls[first["slow"]], calls[first["once"]]) == (2, 1)
