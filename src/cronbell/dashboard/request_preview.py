"""The request a run sends, built by the very code that sends it; only secrets are masked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime

import msgspec

from cronbell.addresses import shown_address
from cronbell.dispatch.request import AttemptCall, Request, build_request, in_order
from cronbell.runlog.jobs import spec_of
from cronbell.runlog.models import Job

MASK = "********"


def preview(
    job: Job,
    *,
    key: str,
    scheduled_at: datetime,
    attempt: int,
    dry_run: bool,
    parameters: Mapping[str, str] | None = None,
) -> Request:
    """Return what the runner sends for a run of ``job``, as the job is defined now.

    Args:
        job: the job's row.
        key: the run's idempotency key.
        scheduled_at: when it is due, aware.
        attempt: which attempt, from 1.
        dry_run: whether the endpoint is asked to change nothing.
        parameters: what was chosen for the run; None for nothing.

    Raises:
        BadRequestError: the request can't be built; the run would end the same way.
    """
    call = AttemptCall(
        key=key,
        scheduled_at=scheduled_at,
        attempt=attempt,
        dry_run=dry_run,
        parameters=in_order(parameters or {}),
    )
    # Where no secret is set none is sent, and the page must not pretend otherwise.
    secret = MASK if os.environ.get("CRON_SECRET") else None
    request = build_request(spec_of(job), call, secret=secret)
    return msgspec.structs.replace(request, url=shown_address(request.url))
