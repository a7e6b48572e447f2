"""``cronbell doctor``: is everything in order here, and if not, what to do."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cronbell.cli.output import print_json
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log, point_at_data
from cronbell.cli.up import VERCEL_JSON, config_files
from cronbell.errors import CronbellError, StartError

if TYPE_CHECKING:
    from cronbell.server.diagnosis import Finding


def doctor(
    config: Annotated[
        Path, typer.Option("--config", help="The vercel.json with the crons.")
    ] = VERCEL_JSON,
    target: Annotated[
        str | None, typer.Option("--target", help="Base URL of the application to call.")
    ] = None,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Look at configuration, data, databases, runner, alerts and target; exit 1 if any ails."""
    from cronbell.server import diagnosis

    directory = point_at_data(data)
    findings = list(diagnosis.versions())
    try:
        vercel_json, toml = config_files(config)
        findings.append(diagnosis.configuration(vercel_json, toml, target))
    except StartError as error:
        findings.append(_trouble("configuration", error))
    findings += [diagnosis.environment(), diagnosis.data_directory(directory)]
    findings.append(diagnosis.secret(directory))
    try:
        open_run_log(data)
    except CronbellError as error:
        findings.append(_trouble("run log", error))
    else:
        from cronbell.clock import SYSTEM_CLOCK

        findings += diagnosis.run_log(SYSTEM_CLOCK)
    if target:
        findings.append(diagnosis.target_answers(target))
    fine = all(finding.ok for finding in findings)
    if json:
        print_json({"ok": fine, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            mark = "ok  " if finding.ok else "FAIL"
            sys.stdout.write(f"{mark} {finding.name}: {finding.detail}\n")
            if finding.remedy:
                sys.stdout.write(f"       {finding.remedy}\n")
    if not fine:
        raise typer.Exit(1)


def _trouble(name: str, error: CronbellError) -> Finding:
    from cronbell.server.diagnosis import Finding

    return Finding(name, ok=False, detail=error.message, remedy=error.hint)
