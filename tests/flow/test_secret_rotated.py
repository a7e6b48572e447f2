"""A running service gets another secret by command, without a restart and without a 401."""

from __future__ import annotations

import json

from tests.support.waiting import wait_until

VERCEL_JSON = json.dumps(
    {"crons": [{"path": "/api/cron/update-rankings", "schedule": "0 0 1 1 *"}]}
)


def run_now(service) -> str:
    _code, found = service.command("run", "update-rankings", "--wait")
    return found["status"]


def test_a_service_is_given_another_secret_while_it_runs(up):
    service = up(
        files={"vercel.json": VERCEL_JSON},
        settings="ideasgpt.settings",
        env={
            "CRON_SECRET": "",  # so that it makes one of its own
            "CRONBELL_LOG_FORMAT": "json",
            "CRONBELL_LOG_CALLS": "all",
        },
    )
    kept = service.data / "cron-secret"
    old = kept.read_text().strip()
    assert service.command("rotate-secret", "finish")[0] == 1
    assert service.command("rotate-secret", "start")[0] == 0
    new = (service.data / "cron-secret-next").read_text().strip()
    code, found = service.command("rotate-secret", "probe")
    assert (code, found["ok"]) == (0, True)
    assert [one["verdict"] for one in found["endpoints"]] == ["taken"]
    assert run_now(service) == "success"
    assert kept.read_text().strip() == old

    wait_until(lambda: _reported(service), 20, what="the runner to say which secret it sends")
    code, found = service.command("rotate-secret", "finish")
    assert (code, found["step"]) == (0, "idle")
    assert kept.read_text().strip() == new
    assert not (service.data / "cron-secret-previous").exists()
    assert run_now(service) == "success"
    said = service.process.output()
    assert "another secret is sent from now on" in said
    assert old not in said
    assert new not in said
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    by_kind = {
        kind: [one for one in events if one.get("event") == kind] for kind in ("call", "job")
    }
    assert len(by_kind["call"]) == len(by_kind["job"]) == 2
    assert {one["key"] for one in by_kind["call"]} == {one["key"] for one in by_kind["job"]}
    assert {one["job"] for one in events if "job" in one} == {"update-rankings"}
    runs = service.query("runlog.sqlite3", "SELECT http_status FROM runlog_run")
    assert {status for (status,) in runs} == {200}


def _reported(service) -> bool:
    rows = service.query("runlog.sqlite3", "SELECT secret_of FROM runlog_runner")
    return all(secret_of for (secret_of,) in rows)
