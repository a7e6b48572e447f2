"""``cronbell export``: the jobs in another scheduler's words."""

from __future__ import annotations

import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cronbell.cli.check import config_files
from cronbell.cli.output import print_json
from cronbell.config.export import EXPORTS, Exported, Options
from cronbell.config.loader import Config, load
from cronbell.errors import CronbellError


class Format(StrEnum):
    """What can be written."""

    CRONTAB = "crontab"
    VERCEL = "vercel"
    KUBERNETES = "kubernetes"
    SYSTEMD = "systemd"


_USUAL = Options()


def export_jobs(
    to: Annotated[Format, typer.Argument(help="What to write.", metavar="FORMAT")],
    file: Annotated[
        Path | None, typer.Argument(help="vercel.json or cronbell.toml, as for `check`.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="The application's address.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write files into this folder.")
    ] = None,
    header_file: Annotated[
        str,
        typer.Option(help="crontab, systemd: a file with the line `Authorization: Bearer …`."),
    ] = _USUAL.header_file,
    secret: Annotated[
        str, typer.Option(help="kubernetes: the Secret with the key CRON_SECRET.")
    ] = _USUAL.secret,
    image: Annotated[str, typer.Option(help="kubernetes: the image with curl.")] = _USUAL.image,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the jobs as crontab, vercel.json, Kubernetes CronJobs or systemd timers.

    The files go to standard output, or into --output; what cannot be carried over is said on
    standard error. Exit code 1 if a whole job had to be left out.
    """
    config = load(*config_files(file), target=target)
    if to != Format.VERCEL:
        _require_urls(config)
    options = Options(header_file=header_file, secret=secret, image=image, target=config.target)
    exported = EXPORTS[to](config.jobs, options)
    if output is not None:
        _write(exported, output)
    if as_json:
        losses = [asdict(loss) for loss in exported.losses]
        print_json({"files": exported.files, "losses": losses})
    else:
        for loss in exported.losses:
            sys.stderr.write(f"{loss.job}: {loss.what}: {loss.reason}\n")
        if output is None:
            _print(exported)
    raise typer.Exit(1 if any(loss.what == "job" for loss in exported.losses) else 0)


def _require_urls(config: Config) -> None:
    """Refuse to write calls of nobody knows whom.

    Raises:
        CronbellError: a job has a path, and there is no target.
    """
    for job in config.jobs:
        if not job.url and not job.heartbeat:
            raise CronbellError(
                f"no target: nobody says which application {job.path} is a path of",
                hint="name it with --target https://example.com, or as target in cronbell.toml",
            )


def _print(exported: Exported) -> None:
    for name, text in exported.files.items():
        if len(exported.files) > 1:
            sys.stdout.write(f"# ==> {name}\n")
        sys.stdout.write(text)


def _write(exported: Exported, folder: Path) -> None:
    """Write the files; none is written if one of them is there already.

    Raises:
        CronbellError: a file exists, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = [name for name in exported.files if (folder / name).exists()]
        if present:
            raise CronbellError(
                f"{folder / present[0]} exists", hint="name a new folder; nothing was written"
            )
        for name, text in exported.files.items():
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise CronbellError(
            f"{folder} cannot be written: {error.strerror}", hint="check the path"
        ) from None
