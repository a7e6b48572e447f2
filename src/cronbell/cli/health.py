"""``cronbell health``: what a container's health check runs, in the container, for its part."""

from __future__ import annotations

import http.client
import json as json_module
import socket
import sys
from typing import Annotated

import typer

from cronbell.cli.output import print_json
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log
from cronbell.cli.up import Part
from cronbell.errors import StartError

# Shorter than the time an engine gives a check.
SECONDS = 4.0
# More would be no answer of ours.
MOST_BYTES = 65_536


def health(
    only: Annotated[
        Part | None, typer.Option("--only", help="The part that was started alone, as in `up`.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address the web process listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port it listens on.")] = 8000,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Say whether what `cronbell up` started here is well; exit 1 if it is not.

    The web process is asked at /healthz, or at /healthz/ready where it is the only part; of a
    runner that is the only part, this machine's row in the run log is read.
    """
    checks = _runner(data) if only is Part.RUNNER else _ask(host, port, alone=only is Part.WEB)
    ok = all(checks.values())
    if json:
        print_json({"ok": ok, "checks": checks})
    else:
        for name, fine in checks.items():
            sys.stdout.write(f"{'ok  ' if fine else 'FAIL'} {name}\n")
    if not ok:
        raise typer.Exit(1)


def _ask(host: str, port: int, *, alone: bool) -> dict[str, bool]:
    """Ask the web process, by no proxy whatever the environment says.

    Raises:
        StartError: nobody answers as it would.
    """
    path = "/healthz/ready" if alone else "/healthz"
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        answer = json_module.loads(connection.getresponse().read(MOST_BYTES))
        return {str(name): fine is True for name, fine in answer["checks"].items()}
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
        raise StartError(
            f"http://{host}:{port}{path} does not answer as a web process of Cronbell: "
            f"{type(error).__name__}",
            hint="see that `cronbell up` runs here, or name its --host and --port",
        ) from error
    finally:
        connection.close()


def _runner(data: DataOption) -> dict[str, bool]:
    directory = open_run_log(data)
    from cronbell.clock import SYSTEM_CLOCK
    from cronbell.server.health import Check, troubles_of_runner

    wrong = troubles_of_runner(SYSTEM_CLOCK, directory, socket.gethostname())
    for trouble in wrong:
        sys.stderr.write(f"{trouble.text} {trouble.detail}\n       {trouble.remedy}\n")
    found = {trouble.check for trouble in wrong}
    return {check.value: check not in found for check in Check}
