"""``cronbell cancel RUN``: end a run that waits or goes on; or a whole backfill."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from cronbell.cli.output import print_json
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log


def cancel(
    run: Annotated[
        int | None, typer.Argument(metavar="[RUN]", help="The run's number; see `cronbell runs`.")
    ] = None,
    backfill: Annotated[
        int | None,
        typer.Option("--backfill", metavar="ID", help="All that is left of this backfill instead."),
    ] = None,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Cancel a run: at once if it waits; if it goes on, its call is dropped within a second."""
    open_run_log(data)
    from cronbell.runlog import backfilling
    from cronbell.runlog.cancelling import CancelError
    from cronbell.runlog.cancelling import cancel as cancel_run
    from cronbell.runlog.shape import log_row
    from cronbell.states import Status

    actor = f"{getpass.getuser()} (command line)"
    if backfill is not None and run is None:
        ended = backfilling.shape(backfilling.cancel(backfill, actor=actor))
        print_json(ended) if json else sys.stdout.write(f"backfill {backfill} is cancelled\n")
        return
    if run is None or backfill is not None:
        raise CancelError("say what to cancel", hint="a run's number, or --backfill ID")
    found = cancel_run(run, actor=actor)
    if json:
        print_json(log_row(found) | {"cancelRequested": True})
    elif found.status == Status.CANCELLED:
        sys.stdout.write(f"run {run} of {found.job.name} is cancelled\n")
    else:
        sys.stdout.write(
            f"run {run} of {found.job.name} is being cancelled: its runner drops the call;"
            " the endpoint may still be at work\n"
        )
