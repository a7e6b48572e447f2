"""The drill: back up under load, kill, restore; everything up to the backup is there."""

from __future__ import annotations

import json
import os
import signal
import stat

import pytest
from tests.flow.conftest import CRONBELL
from tests.flow.test_killed_runner import child
from tests.support import store
from tests.support.waiting import wait_until

from cronbell.testing import ScriptedTarget, answers

pytestmark = pytest.mark.skipif(
    store.chosen() != "sqlite", reason="PostgreSQL has programs of its own for it"
)
LOAD = "\n".join(
    f'[jobs.steady-{n}]\npath = "/api/cron/steady"\nevery = "1s"\noverlap = "allow"'
    for n in range(20)
)
KEPT = "SELECT id, job_id, key, kind, scheduled_at FROM runlog_run WHERE id <= ? ORDER BY id"


def test_a_backup_under_load_brings_back_every_row_up_to_it(up, tmp_path):
    file, doctor = tmp_path / "backup", ("doctor", "--target")
    with ScriptedTarget() as target:
        target.script("/api/cron/steady", answers.ok())
        service = up("--target", target.base_url, files={"cronbell.toml": LOAD})
        wait_until(lambda: len(target.requests_to("/api/cron/steady")) >= 40, 30, what="load")
        before = service.query("runlog.sqlite3", "SELECT MAX(id) FROM runlog_run")[0][0]
        code, kept = service.command("backup", str(file))
        assert code == 0
        assert kept["newest"] >= before
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        wait_until(
            lambda: (
                service.query("runlog.sqlite3", "SELECT MAX(id) FROM runlog_run")[0][0]
                > kept["newest"] + 20
            ),
            30,
            what="rows after the backup",
        )
        rows = service.query("runlog.sqlite3", KEPT, kept["newest"])
        children = [child(service, name) for name in ("cronbell.engine", "cronbell.server.web")]
        refused = service.start(CRONBELL, "restore", str(file), cwd=service.folder, env=service.env)
        assert refused.wait(60) == 1
        assert "still runs" in refused.output()
        # The supervisor first: it would start the others again.
        for pid in [service.process.pid, *children]:
            os.kill(pid, signal.SIGKILL)
        restore = (CRONBELL, "restore", str(file))
        wait_until(
            lambda: service.start(*restore, cwd=service.folder, env=service.env).wait(60) == 0,
            60,
            what="its children's end",
        )
        assert service.query("runlog.sqlite3", KEPT, 1 << 62) == rows
        assert len(rows) == kept["runs"]
        assert stat.S_IMODE(service.data.stat().st_mode) == 0o700
        again = up("--target", target.base_url, files={})
        wait_until(
            lambda: (
                again.query("runlog.sqlite3", "SELECT MAX(id) FROM runlog_run")[0][0]
                > kept["newest"]
            ),
            30,
            what="it goes on",
        )
        code, found = again.command(*doctor, target.base_url)
        assert (code, found["ok"]) == (0, True), json.dumps(found)
