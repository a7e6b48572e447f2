"""``cronbell jobs``: what is configured, when it fires next, how it last went."""

from __future__ import annotations

from typing import Any

from cronbell.addresses import shown_address
from cronbell.cli.output import print_json, print_table
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log

MOST = 100_000


def jobs(json: JsonOption = False, data: DataOption = None) -> None:
    """List the jobs with their next fires."""
    open_run_log(data)
    from cronbell.clock import SYSTEM_CLOCK, iso
    from cronbell.runlog.queries import job_lines

    lines, _ = job_lines(SYSTEM_CLOCK.now(), limit=MOST)
    facts = [
        {
            "name": line.job.name,
            "path": shown_address(line.job.path),
            "schedule": line.job.schedule,
            "timezone": line.job.timezone,
            "method": line.job.method,
            "enabled": line.job.enabled,
            "paused": line.job.paused_at is not None,
            "pausedAt": iso(line.job.paused_at) if line.job.paused_at else None,
            "pauseReason": line.job.pause_reason,
            "pausedBy": line.job.paused_by,
            "nextFire": iso(line.next_fire) if line.next_fire else None,
            "lastStatus": line.last_run.status if line.last_run else None,
            "heartbeat": bool(line.job.spec.get("heartbeat")),
            "waitingSince": iso(line.waiting_since) if line.waiting_since else None,
            "fault": line.fault,
        }
        for line in lines
    ]
    if json:
        print_json({"jobs": facts})
        return
    print_table(
        ["job", "schedule", "timezone", "next fire", "last", "path"],
        [
            [
                str(fact["name"]),
                str(fact["schedule"]),
                str(fact["timezone"]),
                str(fact["fault"] or _paused(fact) or _waiting(fact) or fact["nextFire"] or "-"),
                str(fact["lastStatus"] or "-"),
                "pings (`cronbell pings`)" if fact["heartbeat"] else str(fact["path"]),
            ]
            for fact in facts
        ],
    )


def _paused(fact: dict[str, Any]) -> str:
    return f"paused: {fact['pauseReason']}" if fact["paused"] else ""


def _waiting(fact: dict[str, Any]) -> str:
    since = fact["waitingSince"]
    return f"waiting for its ping since {since}" if since else ""
