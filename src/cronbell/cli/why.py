"""``cronbell why JOB TIME``: what became of a job at a minute, and why."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cronbell.cli.output import print_json
from cronbell.cli.pause import JobArgument
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log


def why(
    job: JobArgument,
    time: Annotated[
        str,
        typer.Argument(
            metavar="TIME",
            help="2026-11-22T09:00, with an offset or without, or 09:00 for today.",
        ),
    ],
    timezone: Annotated[
        str, typer.Option("--timezone", help="Of TIME and of the answer; the job's by default.")
    ] = "",
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Say whether a job ran at a minute, and if not, why not."""
    open_run_log(data)
    from cronbell.clock import SYSTEM_CLOCK
    from cronbell.errors import ScheduleError
    from cronbell.runlog.why import why as find_out
    from cronbell.runlog.why_words import as_dict, sentences
    from cronbell.schedule.moments import MomentError, local_text

    try:
        answer = find_out(job, time, SYSTEM_CLOCK.now(), timezone=timezone)
    except (MomentError, ScheduleError) as error:
        raise typer.BadParameter(str(error)) from None
    if json:
        print_json(as_dict(answer))
        return
    for moment in answer.moments:
        place = f"{answer.job.name}, {local_text(moment.start, answer.timezone)}"
        lines = sentences(moment, answer.timezone)
        sys.stdout.write("\n".join([f"{place} ({answer.timezone})", *lines]) + "\n")
