"""``cronbell pings``: the addresses at which heartbeats say how they are."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cronbell.cli.output import print_json, print_table
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log

USUAL_BASE = "http://127.0.0.1:8000"


def pings(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="One heartbeat; all without it.")
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Give JOB a new URL; the old one stops working.")
    ] = False,
    base: Annotated[
        str, typer.Option("--base", help="Where Cronbell is reached from the watched job.")
    ] = USUAL_BASE,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show the ping URL of each heartbeat. Whoever has the URL can ping: treat it as a secret."""
    if rotate and job is None:
        raise typer.BadParameter("name the JOB whose URL is to be replaced", param_hint="--rotate")
    open_run_log(data)
    from cronbell.runlog import ping_tokens
    from cronbell.runlog.jobs import live_jobs

    if job is None:
        found = [one for _, one in sorted(live_jobs().items()) if one.spec.get("heartbeat")]
    elif rotate:
        found = [ping_tokens.rotate(job)]
    else:
        found = [ping_tokens.heartbeat_named(job)]
    urls = [(one.name, f"{base.rstrip('/')}/ping/{ping_tokens.token_of(one)}") for one in found]
    if json:
        print_json({"pings": [{"name": name, "url": url} for name, url in urls]})
    elif urls:
        print_table(["heartbeat", "ping URL"], [list(pair) for pair in urls])
    else:
        sys.stdout.write("no job is a heartbeat: [jobs.NAME] heartbeat = true makes one\n")
