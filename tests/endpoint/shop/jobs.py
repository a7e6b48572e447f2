from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.endpoint.shop.models import Effect

from cronbell.endpoint import JobContext, JobResult, cron_job


def work_slowly(context: JobContext) -> None:
    """Have the effect, then hang on while the file ``SHOP_HOLD`` is there."""
    Effect.objects.create(job=context.job, run=context.run_id)
    hold = Path(os.environ.get("SHOP_HOLD", "/nonexistent"))
    print(f"effect of {context.job}", flush=True)  # noqa: T201 - the test waits for this line
    while hold.exists() and not context.should_stop:
        context.clock.sleep(0.005)


@cron_job("work", max_duration=60)
def work(context: JobContext) -> JobResult:
    work_slowly(context)
    return JobResult("worked", {"runId": context.run_id})


@cron_job("pay", max_duration=60, atomic=True)
def pay(context: JobContext) -> dict[str, Any]:
    work_slowly(context)
    return {"message": "paid"}


@cron_job("pay-unguarded", max_duration=60)
def pay_unguarded(context: JobContext) -> None:
    work_slowly(context)
