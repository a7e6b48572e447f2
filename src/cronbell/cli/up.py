"""``cronbell up``: dashboard, API, the application's endpoints and the runner, by one command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cronbell.cli.setting_up import DataOption, point_at_data
from cronbell.clock import SYSTEM_CLOCK
from cronbell.config.loader import Config, load
from cronbell.config.variables import variable_faults
from cronbell.domain import Fault
from cronbell.errors import StartError
from cronbell.tracing import wanted

GRACE_SECONDS = 30.0
VERCEL_JSON = Path("vercel.json")
CRONBELL_TOML = "cronbell.toml"


class Part(StrEnum):
    """A part of the service that one process group may be alone."""

    WEB = "web"
    RUNNER = "runner"


def up(
    config: Annotated[
        Path, typer.Option("--config", help="The vercel.json with the crons.")
    ] = VERCEL_JSON,
    target: Annotated[
        str | None, typer.Option("--target", help="Base URL of the application to call.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    data: DataOption = None,
    grace: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds running calls have to end at a stop.")
    ] = GRACE_SECONDS,
    only: Annotated[
        Part | None,
        typer.Option("--only", help="Start this part alone, the other elsewhere on its database."),
    ] = None,
) -> None:
    """Serve dashboard and API, and run the crons of vercel.json and cronbell.toml."""
    directory = point_at_data(data)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cronbell.server.settings")
    from cronbell.server.prepare import prepare, prepare_directory, provide_cron_secret
    from cronbell.server.supervisor import WEB, Child, Supervisor, check_port, web_command

    wanted(os.environ)  # refused here, and not by each process when it starts
    files = None if only is Part.WEB else config_files(config)
    if only is not Part.RUNNER:
        check_port(host, port)
    prepare_directory(directory)
    secret_source = provide_cron_secret(directory)
    password = prepare(directory)
    own = None if only is Part.RUNNER else _own_address(host, port)
    if own:  # for jobs that call their own service
        os.environ.setdefault("CRONBELL_OWN_URL", own)
    children: list[Child] = []
    lines: list[str] = []
    warnings: Sequence[Fault] = variable_faults(os.environ)
    if only is not Part.RUNNER:
        children.append(Child(WEB, web_command(host, port)))
        lines += _addresses(host, port)
    if files:
        loaded = load(*files, target=target or os.environ.get("CRONBELL_TARGET") or own)
        _require_target(loaded)
        children.append(Child("runner", _engine(config, loaded.target, grace)))
        lines.append(_target_line(loaded))
        warnings = [*loaded.warnings, *warnings]
    _announce([*lines, f"  CRON_SECRET   from {secret_source}"], password, warnings)
    raise typer.Exit(Supervisor(children, SYSTEM_CLOCK, grace_seconds=grace).run(host, port))


def _engine(config: Path, target: str, grace: float) -> list[str]:
    command = [sys.executable, "-m", "cronbell.engine", "--grace", str(grace)]
    if target:
        command += ["--target", target]
    # Both places, though one of the files may not be there yet: they are watched.
    command += ["--config", str(config.absolute())]
    return [*command, "--toml", str((config.parent / CRONBELL_TOML).absolute())]


def config_files(config: Path) -> tuple[Path | None, Path | None]:
    """Return vercel.json and the cronbell.toml beside it, each None where there is none.

    Raises:
        StartError: there is neither.
    """
    toml = config.parent / CRONBELL_TOML
    found = (config if config.exists() else None, toml if toml.exists() else None)
    if found == (None, None):
        raise StartError(
            f"there is no {config} and no {toml}",
            hint="run this in your project's folder, or name the file with --config",
        )
    if found[0] is None and config != VERCEL_JSON:
        raise StartError(f"there is no {config}", hint="see that --config names the file")
    return found


def _require_target(config: Config) -> None:
    """Refuse to start with jobs that nobody could call.

    Raises:
        StartError: a job has a path, and there is no target the path could belong to.
    """
    for job in config.jobs:
        if not job.url and not job.heartbeat:
            raise StartError(
                f"no target: nobody says which application {job.path} is a path of",
                hint="name it with --target http://127.0.0.1:3000, or as target in cronbell.toml",
            )


def _own_address(host: str, port: int) -> str | None:
    """Return this service's own address where the application's endpoints are part of it."""
    from cronbell.endpoint.registry import REGISTRY

    if not len(REGISTRY):
        return None
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)  # noqa: S104 - compared only
    return f"http://{reachable}:{port}"


def _addresses(host: str, port: int) -> list[str]:
    shown = f"[{host}]" if ":" in host else host
    return [
        f"  Cronbell      http://{shown}:{port}/",
        f"  Cron logs     http://{shown}:{port}/admin/cron-logs",
    ]


def _target_line(config: Config) -> str:
    jobs = "1 job" if len(config.jobs) == 1 else f"{len(config.jobs):,} jobs"
    return f"  Target        {config.target}  ({jobs})"


def _announce(lines: list[str], password: str | None, warnings: Sequence[Fault]) -> None:
    shown = ["", *lines, *sign_in_lines(password), "", "  Ctrl-C stops; running calls may end.", ""]
    sys.stdout.write("\n".join(shown) + "\n")
    for warning in warnings:
        hint = f" ({warning.hint})" if warning.hint else ""
        sys.stdout.write(f"  warning: {warning.file} {warning.key}: {warning.message}{hint}\n")
    sys.stdout.flush()


def sign_in_lines(password: str | None) -> list[str]:
    """Return what tells the new administrator's password; nothing where there was one before."""
    if password is None:
        return []
    return ["", "  Sign in as    admin", f"  Password      {password}   (shown this once)"]
