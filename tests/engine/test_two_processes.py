"""Two runner processes on one store: work is shared, nothing doubled, a lost one's work taken over.

What one runner does to another's runs is shown with statements in ``tests/runlog`` and in one
process beside this; here are the processes themselves, stopped, continued and killed.
"""

from __future__ import annotations

import re
import signal
import sqlite3
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.support.processes import stop_between_commits
from tests.support.waiting import wait_until

from cronbell.clock import SYSTEM_CLOCK
from cronbell.testing import ScriptedTarget, answers

LEASE = 2.0
BUSY = 6
REFUSED = re.compile("no longer this runner's|after their lease was lost")
TOML = "".join(
    f'[jobs.busy-{n}]\npath = "/api/cron/busy-{n}"\nevery = "1s"\n' for n in range(BUSY)
) + "".join(
    f'[jobs.{name}]\npath = "/api/cron/{name}"\nevery = "{every}s"\ntimeout = "60s"\n'
    for name, every in (("stopped", 3), ("killed", 3))
)


@dataclass
class Pair:
    """Two runners, and the log they share."""

    runners: list[Any]
    data: Path
    database_url: str

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        if self.database_url:
            with psycopg.connect(self.database_url) as postgresql:
                return postgresql.execute(sql.replace("?", "%s"), values).fetchall()
        connection = sqlite3.connect(f"file:{self.data / 'runlog.sqlite3'}?mode=ro", uri=True)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def run(self, key: str) -> tuple[Any, ...]:
        (found,) = self.rows(
            "SELECT status, lease_owner, lease_term, finished_at FROM runlog_run WHERE key = ?", key
        )
        return found

    def holder(self, key: str) -> Any:
        """Return the process that holds a run, which its owner's name says."""
        pid = int(self.run(key)[1].split(":")[1])
        (found,) = [one for one in self.runners if one.pid == pid]
        return found


@pytest.fixture
def pair(prepared, process, tmp_path):
    def start(target: str) -> Pair:
        toml = tmp_path / "cronbell.toml"
        toml.write_text(f'target = "{target}"\n{TOML}')
        env = {
            "DJANGO_SETTINGS_MODULE": "cronbell.server.settings",
            "CRON_SECRET": "s" * 20,
            **prepared,
        }
        engine = [sys.executable, "-m", "cronbell.engine", "--toml", toml, "--lease", str(LEASE)]
        runners = [process(*engine, env=env) for _ in range(2)]
        for one in runners:
            one.wait_for("is up with", 60)
        data = Path(prepared["CRONBELL_DATA"])
        return Pair(runners, data, prepared.get("DATABASE_URL", ""))

    return start


def held_call(target, path: str) -> tuple[threading.Event, str]:
    """Have the next call of a job wait; return what lets it go on, and its key once it is there."""
    gate = threading.Event()
    target.script(path, answers.held(gate, answers.ok()), answers.ok())
    before = len(target.requests_to(path))
    wait_until(lambda: len(target.requests_to(path)) > before, 30, what=f"a call of {path}")
    return gate, target.requests_to(path)[before].header("Idempotency-Key")


def takeover(pair, key: str) -> float:
    """Wait until the other runner has ended a run; return the seconds that took."""
    began = SYSTEM_CLOCK.monotonic()
    wait_until(lambda: pair.run(key)[0] == "success", 30, what="the takeover")
    return SYSTEM_CLOCK.monotonic() - began


def test_two_runners_share_stop_return_and_die(pair):
    with ScriptedTarget() as target:
        for n in range(BUSY):
            target.script(f"/api/cron/busy-{n}", answers.ok())
        for name in ("stopped", "killed"):
            target.script(f"/api/cron/{name}", answers.ok())
        both = pair(target.base_url)
        owners = "SELECT COUNT(DISTINCT lease_owner) FROM runlog_run WHERE status = 'success'"
        wait_until(lambda: both.rows(owners) == [(2,)], 30, what="work by both")

        gate, key = held_call(target, "/api/cron/stopped")
        first = both.holder(key)
        try:
            file = None if both.database_url else both.data / "runlog.sqlite3"
            stop_between_commits(first, file)
            assert takeover(both, key) < LEASE + 5
            ended = both.run(key)
            assert ended[2] == 2
            gate.set()
        finally:
            first.signal(signal.SIGCONT)
        wait_until(lambda: REFUSED.search(first.output()), 30, what="the fence")
        assert both.run(key) == ended, "the one that came back changed nothing"

        gate, lost = held_call(target, "/api/cron/killed")
        both.holder(lost).kill()
        assert takeover(both, lost) < LEASE + 5
        gate.set()
        survivor = next(one for one in both.runners if one.running)
        survivor.signal(signal.SIGTERM)
        assert survivor.wait(60) == 0
        calls = Counter(request.header("Idempotency-Key") for request in target.requests)
    assert both.rows("SELECT COUNT(*) FROM runlog_run WHERE status = 'running'") == [(0,)]
    doubled = "SELECT job_id, scheduled_at FROM runlog_run GROUP BY 1, 2 HAVING COUNT(*) > 1"
    assert both.rows(doubled) == []
    # Only a run that lost its runner is sent twice; those that were on their way in that moment.
    terms = dict(both.rows("SELECT key, lease_term FROM runlog_run"))
    assert {key: count for key, count in calls.items() if count > terms[key]} == {}
    assert calls[key] == calls[lost] == 2
