"""How a run looks outside: the same fields in the JSON API and on the command line."""

from __future__ import annotations

from typing import Any

from django.utils.translation import ngettext

from cronbell.clock import iso
from cronbell.domain import cost_text
from cronbell.runlog.log_rows import ListedRun
from cronbell.runlog.models import Item, Run
from cronbell.runlog.reasons import explain
from cronbell.states import Reason


def details_text(run: Run | ListedRun) -> str:
    """Return what the endpoint said of the run, else why it has its status; may be empty."""
    if run.details:
        return run.details
    if run.reason == Reason.OUTAGE and run.missed_count > 1:
        return ngettext(
            "%(n)s fire missed: no runner was up", "%(n)s fires missed: no runner was up",
            run.missed_count,
        ) % {"n": f"{run.missed_count:,}"}  # fmt: skip
    return explain(run.reason, run.reason_data)


def item_row(item: Item) -> dict[str, Any]:
    """Return an item as the API shows it, with the run it belongs to."""
    run = item.run
    return {
        "id": item.pk,
        "runId": run.pk,
        "jobName": run.job.name,
        "executionTime": iso(run.started_at or run.scheduled_at),
        "recordId": item.record_id,
        "ok": item.ok,
        "httpStatus": item.http_status,
        "error": item.error,
        "body": item.body,
        "attempts": item.attempts,
        "seconds": None if item.microseconds is None else item.microseconds / 1_000_000,
        "tokens": item.tokens,
        "cost": cost_text(item.micromoney),
    }


def log_row(run: Run) -> dict[str, Any]:
    """Return a run as API and command line show it; instants are ISO 8601 in UTC."""
    return {
        "id": run.pk,
        "jobName": run.job.name,
        "executionTime": iso(run.started_at or run.scheduled_at),
        "status": run.status,
        "details": details_text(run),
        "createdAt": iso(run.queued_at),
        "kind": run.kind,
        "scheduledAt": iso(run.scheduled_at),
        "startedAt": iso(run.started_at) if run.started_at else None,
        "finishedAt": iso(run.finished_at) if run.finished_at else None,
        "reason": run.reason,
        "httpStatus": run.http_status,
        "attempts": run.attempt,
        "itemsTotal": run.items_total,
        "itemsFailed": run.items_failed,
        "tokens": run.tokens,
        "cost": cost_text(run.micromoney),
        "dryRun": run.dry_run,
        "parameters": run.parameters or {},
        "actor": run.actor,
        "rerunOf": run.origin_id,
        "backfill": run.backfill_id,
    }
