"""``cronbell runs``: the log, newest first."""

from __future__ import annotations

from typing import Annotated

import typer

from cronbell.cli.output import print_json, print_table
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log
from cronbell.states import Status


def runs(
    job: Annotated[str, typer.Option("--job", help="Only runs of this job.")] = "",
    status: Annotated[
        Status | None, typer.Option("--status", help="Only runs with this status.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List runs, newest first."""
    open_run_log(data)
    from cronbell.runlog.log_pages import log_page
    from cronbell.runlog.queries import LogFilter
    from cronbell.runlog.shape import log_row

    page = log_page(LogFilter(job_name=job, status=status), page=1, limit=limit)
    rows = [log_row(run) for run in page.runs]
    if json:
        print_json({"runs": rows})
        return
    print_table(
        ["id", "job", "time", "status", "details"],
        [
            [str(row["id"]), row["jobName"], row["executionTime"], row["status"], row["details"]]
            for row in rows
        ],
    )
