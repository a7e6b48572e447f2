"""``cronbell check``: judge the configuration files without running anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cronbell.addresses import shown_address
from cronbell.cli.output import print_json, print_table
from cronbell.clock import SYSTEM_CLOCK, from_micros, iso, to_micros
from cronbell.config.advice import PLANS
from cronbell.config.loader import check_files
from cronbell.config.secrets import secret_faults
from cronbell.config.variables import variable_faults
from cronbell.domain import Fault, JobSpec
from cronbell.schedule import schedule_of
from cronbell.schedule.blackout import window_data

_VERCEL_JSON = "vercel.json"
_CRONBELL_TOML = "cronbell.toml"
_MICROS = 1_000_000


def check(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="vercel.json (a cronbell.toml beside it is read too), or a cronbell.toml."
        ),
    ] = None,
    plan: Annotated[
        str,
        typer.Option(help="Vercel plan to warn for: hobby, pro or enterprise.", metavar="PLAN"),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check vercel.json and cronbell.toml: every fault with its line, and the jobs.

    Exit code 0 if there is nothing wrong, 1 if there is.
    """
    if plan and plan not in PLANS:
        raise typer.BadParameter(f"known are {', '.join(PLANS)}", param_hint="--plan")
    vercel_json, cronbell_toml = config_files(file)
    errors, warnings, jobs = check_files(vercel_json, cronbell_toml, plan=plan)
    if jobs:
        warnings += secret_faults(os.environ) + variable_faults(os.environ)
    now = to_micros(SYSTEM_CLOCK.now()) // _MICROS
    if as_json:
        print_json(
            {
                "ok": not errors,
                "errors": [_fault(fault) for fault in errors],
                "warnings": [_fault(fault) for fault in warnings],
                "jobs": [_job(job, now) for job in jobs],
            }
        )
    else:
        _print(errors, warnings, jobs, now)
    raise typer.Exit(1 if errors else 0)


def config_files(file: Path | None) -> tuple[Path | None, Path | None]:
    """Find the two files; one that is named is always read, so that its absence is a fault."""
    vercel_json, cronbell_toml = Path(_VERCEL_JSON), Path(_CRONBELL_TOML)
    if file is None:
        named = not cronbell_toml.exists()
    elif file.suffix == cronbell_toml.suffix:
        vercel_json, cronbell_toml = file.parent / _VERCEL_JSON, file
        return (vercel_json if vercel_json.exists() else None), cronbell_toml
    else:
        vercel_json, cronbell_toml, named = file, file.parent / _CRONBELL_TOML, True
    return (
        vercel_json if named or vercel_json.exists() else None,
        cronbell_toml if cronbell_toml.exists() else None,
    )


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "file": fault.file,
        "line": fault.line,
        "key": fault.key,
        "message": fault.message,
        "hint": fault.hint,
    }


def _job(job: JobSpec, now: int) -> dict[str, Any]:
    return {
        "name": job.name,
        "path": shown_address(job.path),
        "url": shown_address(job.url),
        "schedule": job.schedule,
        "dialect": job.dialect.value,
        "timezone": job.timezone,
        "dst_gap": job.dst_gap.value,
        "dst_repeat": job.dst_repeat.value,
        "method": job.method,
        "timeout": job.timeout,
        "deadline": job.deadline,
        "overlap": job.overlap.value,
        "catch_up": job.catch_up.value,
        "catch_up_window": job.catch_up_window,
        "delivery": job.delivery.value,
        "retry": {
            "max_attempts": job.retry.max_attempts,
            "backoff": job.retry.backoff,
            "max_backoff": job.retry.max_backoff,
            "retry_on": list(job.retry.retry_on),
        },
        "jitter": job.jitter,
        "blackout": [window_data(window, job.timezone) for window in job.blackout],
        "enabled": job.enabled,
        "dry_run": job.dry_run,
        "parameters": [
            {
                "name": each.name,
                "label": each.label,
                "choices": list(each.choices),
                "required": each.required,
            }
            for each in job.parameters
        ],
        "heartbeat": job.heartbeat,
        "grace": job.grace if job.heartbeat else None,
        "source": job.source,
        "next_fire": _next_fire(job, now),
    }


def _next_fire(job: JobSpec, now: int) -> str | None:
    """Return the next fire as ISO 8601 in UTC; None for a job that is switched off."""
    if not job.enabled:
        return None
    schedule = schedule_of(job)
    fire = schedule.next(now)
    return None if fire is None else iso(from_micros(fire * _MICROS))


def _print(
    errors: Sequence[Fault], warnings: Sequence[Fault], jobs: Sequence[JobSpec], now: int
) -> None:
    for label, faults in (("error", errors), ("warning", warnings)):
        for fault in faults:
            place = f"{fault.file}:{fault.line}" if fault.line else fault.file
            key = f" {fault.key}" if fault.key else ""
            hint = f" → {fault.hint}" if fault.hint else ""
            sys.stdout.write(f"{label}: {place}{key}: {fault.message}{hint}\n")
    if jobs:
        print_table(
            ("JOB", "SCHEDULE", "ZONE", "METHOD", "TIMEOUT", "NEXT FIRE"),
            [
                (
                    job.name,
                    job.schedule,
                    job.timezone,
                    "pings" if job.heartbeat else job.method,
                    f"{job.timeout:g} s",
                    _next_fire(job, now) or "disabled",
                )
                for job in jobs
            ],
        )
    counts = [_counted(len(errors), "error"), _counted(len(warnings), "warning")]
    verdict = "not fine" if errors else "fine"
    sys.stdout.write(f"{verdict}: {_counted(len(jobs), 'job')}, {', '.join(counts)}\n")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
