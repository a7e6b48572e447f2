"""``cronbell run JOB``: ask for a run by hand, wait for it if told to."""

from __future__ import annotations

import getpass
import secrets
import sys
from typing import Annotated, Any

import typer

from cronbell.cli.output import print_json
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log

LONGEST_WAIT_SECONDS = 24 * 3600.0


def run(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's name; see `cronbell jobs`.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the run is over.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask what would be done; nothing is done.")
    ] = False,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A parameter of the job; may be repeated."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0, help="With --wait: seconds to wait at most.")
    ] = LONGEST_WAIT_SECONDS,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Run a job now. With --wait, exit 1 unless it ended in success."""
    open_run_log(data)
    from cronbell.runlog.models import Run
    from cronbell.runlog.requests import request_run, wait_for
    from cronbell.runlog.shape import log_row
    from cronbell.states import Status

    parameters = _parameters(param or [])
    actor = f"{getpass.getuser()} (command line)"
    run_id = request_run(
        job,
        nonce=secrets.token_hex(16),
        actor=actor,
        dry_run=dry_run,
        parameters=parameters,
    )
    _warn_of_window(job)
    if not wait:
        row = Run.objects.select_related("job").get(pk=run_id)
        print_json(log_row(row)) if json else sys.stdout.write(f"run {run_id} of {job} is queued\n")
        return
    _warn_if_nobody_runs()
    found = log_row(wait_for(run_id, timeout))
    print_json(found) if json else _tell(found)
    if found["status"] != Status.SUCCESS:
        raise typer.Exit(1)


def _parameters(given: list[str]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name or name in parameters:
            message = f"{each!r} is not NAME=VALUE, or the name is there twice"
            raise typer.BadParameter(message, param_hint="--param")
        parameters[name] = value
    return parameters


def _warn_of_window(job: str) -> None:
    from cronbell.clock import SYSTEM_CLOCK
    from cronbell.runlog.queries import configured_job
    from cronbell.runlog.windows import run_now_word

    row = configured_job(job)
    word = run_now_word(row, SYSTEM_CLOCK.now()) if row else ""
    if word:
        sys.stderr.write(f"{word}\n")


def _warn_if_nobody_runs() -> None:
    from cronbell.clock import SYSTEM_CLOCK
    from cronbell.runlog.queries import runner_state

    if not runner_state(SYSTEM_CLOCK.now()).alive:
        sys.stderr.write("no runner is up: the run waits until `cronbell up` is started\n")


def _tell(row: dict[str, Any]) -> None:
    sys.stdout.write(f"run {row['id']} of {row['jobName']}: {row['status']}\n")
    if row["details"]:
        sys.stdout.write(f"{row['details']}\n")
