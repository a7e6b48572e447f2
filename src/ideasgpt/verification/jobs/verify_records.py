"""``verify-records``: sends what waits to the verifier's API, each record by itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from django.utils.translation import gettext_lazy as _

from cronbell.drain.budget import Usage
from cronbell.drain.claim import Hold
from cronbell.drain.drain import Drain
from cronbell.drain.registry import draining
from cronbell.drain.settings import batch_size
from cronbell.drain.target import HttpTarget, Reply
from cronbell.endpoint import JobContext, JobResult, cron_job
from ideasgpt.ideas.jobs.words import service_text_later
from ideasgpt.verification import service, standing
from ideasgpt.verification.sweep import sweep

NAME = "verify-records"
BATCH = "VERIFY_BATCH_SIZE"
CALL_SECONDS = 150.0
CONCURRENCY = 4

service.check_settings()  # refused at the start, not in the middle of a night


def _send(hold: Hold, seconds: float) -> Reply:
    return _target(service.address(), service.service_token())(hold, seconds)


@cache
def _target(url: str, token: str) -> HttpTarget:
    return HttpTarget(url, token=token, usage=_usage)


def _usage(body: Any) -> Usage:
    told = body.get("usage") if isinstance(body, Mapping) else None
    if not isinstance(told, Mapping):
        return Usage()
    return Usage(calls=1, tokens=int(told["tokens"]), money=Decimal(str(told["cost"] or 0)))


drain = Drain(
    name=NAME,
    qualifying=standing.waiting,
    call=_send,
    again=standing.wait_again,
    batch=batch_size(os.environ, BATCH),
    concurrency=CONCURRENCY,
    timeout=CALL_SECONDS,
)


@cron_job(
    NAME,
    max_duration=300,
    dry_run=True,
    failure_message=service_text_later(_("An error occurred while verifying records.")),
)
@draining(drain)
def verify_records(context: JobContext) -> JobResult:
    """Have a batch of waiting records verified, the oldest first.

    Raises:
        ConfigError: it is not known where the verifier is.
        SecretError: the service token cannot be used.
    """
    service.address()
    service.service_token()
    if not context.dry_run:
        standing.give_back_abandoned(context.clock.now())
        standing.close_decided(context.clock.now())
    result = drain.run(context)
    if not context.dry_run:
        standing.set_aside_failed(context.clock.now())
        sweep(context.clock.now())
    return result
