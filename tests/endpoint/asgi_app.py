"""The second adapter as an application of its own and mounted, for a real ASGI server."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.routing import Mount

from cronbell.endpoint import JobContext, cron_job
from cronbell.endpoint.asgi import CronEndpoints
from cronbell.endpoint.sqlite_store import SqliteReceipts


@cron_job("work", max_duration=60)
def work(context: JobContext) -> dict[str, object]:
    return {"message": "worked", "runId": context.run_id}


endpoints = CronEndpoints(SqliteReceipts(os.environ["RECEIPTS"]))
mounted = Starlette(routes=[Mount("/api/cron", endpoints)])
