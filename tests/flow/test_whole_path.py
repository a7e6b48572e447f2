"""One walk through every hop of docs/FLOW.md, on real processes and real HTTP; prints the hops."""

from __future__ import annotations

import json
import urllib.request
from datetime import timedelta

from tests.flow.conftest import IDEAS_SETTINGS, SECRET
from tests.support.waiting import wait_until

from cronbell.clock import SYSTEM_CLOCK
from cronbell.domain import fire_key

VERCEL_JSON = json.dumps(
    {
        "crons": [
            {"path": "/api/cron/update-rankings", "schedule": "0 0 * * *"},
            {"path": "/api/cron/clean-data", "schedule": "0 3 * * 0"},
        ]
    }
)
TOML = """
[jobs.ticking]
path = "/api/cron/update-rankings?from=ticking"
every = "2s"
"""
SCORES = "SELECT id, ranking_score FROM ideas_idea ORDER BY id"
STALE = (
    "SELECT COUNT(*) FROM ideas_idea i WHERE i.is_temporary"
    " AND i.created_at < ?"
    " AND NOT EXISTS (SELECT 1 FROM ideas_purchase p WHERE p.idea_id = i.id)"
    " AND NOT EXISTS (SELECT 1 FROM ideas_claim c WHERE c.idea_id = i.id)"
)


def hop(number: int, what: str, found: object) -> None:
    print(f"hop {number:2}: {what}: {found}")


def test_from_vercel_json_to_a_recorded_run_on_a_page(up_at_first):
    service = up_at_first(
        files={"vercel.json": VERCEL_JSON, "cronbell.toml": TOML},
        settings=IDEAS_SETTINGS,
        env={"IDEASGPT_SAMPLE": "1"},
    )

    code, checked = service.command("check")
    assert (code, checked["ok"]) == (0, True)
    hop(1, "files → jobs", [job["name"] for job in checked["jobs"]])

    _, found = service.command("next", "0 0 * * *", "--count", "2")
    hop(2, "schedule → fires", found["fires"])

    wait_until(lambda: ticks(service, "success"), 30, what="a fire of the ticking job")
    scheduled, key, status, started, finished, details = ticks(service, "success")[0]
    assert key == fire_key("/api/cron/update-rankings?from=ticking", "every 2s", _at(scheduled))
    hop(3, "fire → row, claim, request, answer", (status, key))
    hop(4, "row → page", details)
    assert scheduled % 2_000_000 == 0
    assert scheduled <= started <= finished
    assert details

    before = dict(service.query("app.sqlite3", SCORES))
    month_ago = (SYSTEM_CLOCK.now() - timedelta(days=30)).strftime("%Y-%m-%d %H:%M:%S")
    assert service.query("app.sqlite3", STALE, month_ago)[0][0] > 0
    code, run = service.command("run", "clean-data", "--wait")
    assert (code, run["status"]) == (0, "success"), run
    assert service.query("app.sqlite3", STALE, month_ago)[0][0] == 0
    hop(5, "run now → effect", run["details"])

    receipts = service.query(
        "app.sqlite3", "SELECT COUNT(*), COUNT(DISTINCT key) FROM receipts_receipt"
    )
    hop(6, "receipts", receipts)
    assert receipts[0][0] == receipts[0][1]

    keys = service.query("runlog.sqlite3", "SELECT key, COUNT(*) FROM runlog_run GROUP BY key")
    assert all(count == 1 for _, count in keys)
    hop(7, "each run once in the log", len(keys))

    assert before, "the sample is there"
    for path, wanted in (("/api/admin/cron-logs", 401), ("/api/cron/clean-data", 401)):
        assert status_of(service.base + path) == wanted
    assert status_of(service.base + "/api/cron/clean-data", f"Bearer {SECRET}x") == 401
    hop(8, "signed out and without the secret", 401)


def ticks(service, status):
    return service.query(
        "runlog.sqlite3",
        "SELECT scheduled_at, key, status, started_at, finished_at, details FROM runlog_run"
        " WHERE kind = 'schedule' AND status = ? ORDER BY id",
        status,
    )


def _at(micros):
    from cronbell.clock import from_micros

    return from_micros(micros)


def status_of(url: str, authorization: str = "") -> int:
    request = urllib.request.Request(url)
    if authorization:
        request.add_header("Authorization", authorization)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
