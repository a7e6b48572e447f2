"""``cronbell import``: jobs of a crontab or a vercel.json, written as a cronbell.toml."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cronbell.cli.output import print_json
from cronbell.config.crontab import Imported, Remark, read_crontab
from cronbell.config.loader import load
from cronbell.config.source import MAX_BYTES, UnreadableError, decode, read_text
from cronbell.config.toml_text import write_toml
from cronbell.config.urls import UrlError, parse_base
from cronbell.domain import JobSpec
from cronbell.errors import CronbellError
from cronbell.schedule.zones import load_zone

app = typer.Typer(
    name="import",
    help="Write jobs of a crontab or a vercel.json as a cronbell.toml.",
    no_args_is_help=True,
)
_SYSTEM_FILE = "/etc/crontab"
_SYSTEM_FOLDER = "cron.d"
_OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write to this file, which must be new.")
]
_TargetOption = Annotated[
    str | None,
    typer.Option("--target", help="The application's address; its jobs are written by path."),
]
_JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("crontab")
def import_crontab(
    file: Annotated[str, typer.Argument(help="The crontab; - for standard input.")],
    system: Annotated[
        bool | None,
        typer.Option(
            "--system/--user",
            help="Whether lines have a user after the times; by default /etc/crontab and the "
            "files in cron.d do.",
        ),
    ] = None,
    timezone: Annotated[
        str, typer.Option(help="Zone of lines before any CRON_TZ: that of the crontab's machine.")
    ] = "UTC",
    target: _TargetOption = None,
    output: _OutputOption = None,
    as_json: _JsonOption = False,
) -> None:
    """Turn lines that call a URL by curl or wget into jobs; say why others cannot be.

    The TOML goes to standard output, the rest to standard error.
    """
    path = Path(file)
    if system is None:
        system = file == _SYSTEM_FILE or path.absolute().parent.name == _SYSTEM_FOLDER
    load_zone(timezone)
    text = _read(file)
    imported = read_crontab(text, system=system, timezone=timezone)
    shared = _base(target) if target else imported.target
    header = [f"From {'standard input' if file == '-' else path.name}."]
    toml = write_toml(imported.jobs, target=shared, header=header)
    if as_json:
        print_json({"toml": toml, **_facts(imported)})
    else:
        _say("cannot be carried over", imported.left_out)
        _say("carried over, but", imported.notes)
        _say_zone(imported.jobs, timezone)
        sys.stderr.write(f"{len(imported.jobs)} jobs, {len(imported.left_out)} lines left out\n")
    _write(toml, output, quiet=as_json)


@app.command("vercel")
def import_vercel(
    file: Annotated[Path, typer.Argument(help="The vercel.json.")] = Path("vercel.json"),
    target: _TargetOption = None,
    output: _OutputOption = None,
    as_json: _JsonOption = False,
) -> None:
    """Write the jobs of a vercel.json as a cronbell.toml, to do without the former.

    Cronbell reads vercel.json as it is; this is for leaving it behind.
    """
    config = load(file, None, target=target)
    toml = write_toml(config.jobs, target=config.target, header=[f"From {file.name}."])
    if as_json:
        warnings = [asdict(warning) for warning in config.warnings]
        print_json({"toml": toml, "jobs": _names(config.jobs), "warnings": warnings})
    else:
        for warning in config.warnings:
            sys.stderr.write(f"{warning.file}:{warning.line} {warning.key}: {warning.message}\n")
        sys.stderr.write(f"{len(config.jobs)} jobs\n")
    _write(toml, output, quiet=as_json)


def _read(file: str) -> str:
    """Return the content of a crontab.

    Raises:
        CronbellError: it cannot be read, or is no text.
    """
    try:
        if file == "-":
            return decode(sys.stdin.buffer.read(MAX_BYTES + 1))
        return read_text(Path(file))
    except UnreadableError as error:
        place = f"{file}:{error.line}" if error.line else file
        raise CronbellError(f"{place}: {error.message}", hint=error.hint) from None


def _base(target: str) -> str:
    try:
        return parse_base(target).text
    except UrlError as error:
        raise typer.BadParameter(f"the target {error.message}", param_hint="--target") from None


def _names(jobs: Iterable[JobSpec]) -> list[str]:
    return [job.name for job in jobs]


def _facts(imported: Imported) -> dict[str, Any]:
    return {
        "jobs": _names(imported.jobs),
        "left_out": [asdict(remark) for remark in imported.left_out],
        "notes": [asdict(remark) for remark in imported.notes],
    }


def _say(heading: str, remarks: Sequence[Remark]) -> None:
    for remark in remarks:
        sys.stderr.write(f"line {remark.line}: {heading}: {remark.reason}\n    {remark.text}\n")


def _say_zone(jobs: Sequence[JobSpec], timezone: str) -> None:
    if timezone == "UTC" and any(job.timezone == "UTC" for job in jobs):
        sys.stderr.write(
            "times without CRON_TZ are taken for UTC; if the machine's clock is local, give its "
            "zone: --timezone Europe/Berlin\n"
        )


def _write(text: str, output: Path | None, *, quiet: bool) -> None:
    """Write to a new file, or to standard output.

    Raises:
        CronbellError: the file is there already, or cannot be written.
    """
    if output is None:
        if not quiet:
            sys.stdout.write(text)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        message, hint = f"{output} exists", "name a new file; nothing was changed"
    except OSError as error:
        message, hint = f"{output} cannot be written: {error.strerror}", "check the path"
    else:
        return
    raise CronbellError(message, hint=hint)
