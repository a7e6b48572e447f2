"""``cronbell cancel RUN``: end a run that waits or goes on."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from cronbell.cli.output import print_json
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log


def cancel(
    run: Annotated[
        int, typer.Argument(metavar="RUN", help="The run's number; see `cronbell runs`.")
    ],
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Cancel a run: at once if it waits; if it goes on, its call is dropped within a second."""
    open_run_log(data)
    from cronbell.runlog.cancelling import cancel as cancel_run
    from cronbell.runlog.shape import log_row
    from cronbell.states import Status

    found = cancel_run(run, actor=f"{getpass.getuser()} (command line)")
    if json:
        print_json(log_row(found) | {"cancelRequested": True})
    elif found.status == Status.CANCELLED:
        sys.stdout.write(f"run {run} of {found.job.name} is cancelled\n")
    else:
        sys.stdout.write(
            f"run {run} of {found.job.name} is being cancelled: its runner drops the call;"
            " the endpoint may still be at work\n"
        )
