"""``cronbell pause JOB`` and ``cronbell resume JOB``."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from cronbell.cli.output import print_json
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log

JobArgument = Annotated[
    str, typer.Argument(metavar="JOB", help="The job's name; see `cronbell jobs`.")
]


def pause(
    job: JobArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever finds the job paused.")],
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Skip a job's fires until it is resumed. It can still be run by hand."""
    open_run_log(data)
    from cronbell.clock import iso
    from cronbell.runlog.pausing import pause as pause_job

    paused = pause_job(job, reason=reason, actor=f"{getpass.getuser()} (command line)")
    since = iso(paused.paused_at) if paused.paused_at else None
    if json:
        print_json({"job": job, "paused": True, "since": since, "reason": paused.pause_reason})
        return
    sys.stdout.write(f"{job} is paused since {since}; `cronbell resume {job}` ends it\n")


def resume(job: JobArgument, json: JsonOption = False, data: DataOption = None) -> None:
    """Let a paused job fire again. What came due meanwhile stays skipped."""
    open_run_log(data)
    from cronbell.clock import iso
    from cronbell.runlog.pausing import resume as resume_job

    before = resume_job(job)
    since = iso(before.paused_at) if before.paused_at else None
    if json:
        print_json({"job": job, "paused": False, "since": since, "reason": before.pause_reason})
        return
    sys.stdout.write(f"{job} fires again; it was paused since {since}: {before.pause_reason}\n")
