"""A job that pings, from its line in the file to its row in the log, with real processes."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

TOML = """
[jobs.backup]
heartbeat = true
schedule = "0 0 1 1 *"
"""


def test_a_ping_is_a_row_and_a_rotated_url_is_gone(up):
    service = up(files={"cronbell.toml": TOML})
    _, shown = service.command("pings", "--base", service.base)
    (url,) = [one["url"] for one in shown["pings"]]
    with urllib.request.urlopen(f"{url}/3", b"disk full", timeout=10) as answer:
        assert answer.read() == b"OK\n"
    found = service.query("runlog.sqlite3", "SELECT status, reason, details FROM runlog_run")
    assert found == [("error", "reported_failure", "disk full")]
    _, listed = service.command("jobs")
    assert [(one["heartbeat"], one["path"]) for one in listed["jobs"]] == [(True, "")]
    _, checked = service.command("check")
    assert [(one["heartbeat"], one["grace"]) for one in checked["jobs"]] == [(True, 300.0)]
    code, refused = service.command("run", "backup")
    assert code != 0
    assert "heartbeat" in str(refused)
    _, rotated = service.command("pings", "backup", "--rotate", "--base", service.base)
    assert rotated["pings"][0]["url"] != url
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(url, timeout=10)
