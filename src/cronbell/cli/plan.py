"""``cronbell plan`` and ``apply``: what the files would change in what is live, and changing it."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cronbell.addresses import shown_address
from cronbell.cli.output import print_json
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log
from cronbell.cli.up import VERCEL_JSON, config_files

if TYPE_CHECKING:
    from cronbell.config.loader import Config
    from cronbell.config.plan import Difference

ConfigOption = Annotated[
    Path, typer.Option("--config", help="The vercel.json; a cronbell.toml beside it is read too.")
]
TargetOption = Annotated[
    str | None,
    typer.Option("--target", help="Base URL of the application; the live one by default."),
]

Changes = dict[str, tuple[Any, Any]]


def plan(
    config: ConfigOption = VERCEL_JSON,
    target: TargetOption = None,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show what the files would change in what is live: jobs added, changed, removed."""
    open_run_log(data)
    from cronbell.runlog.applying import difference_to_live
    from cronbell.runlog.jobs import paused_jobs

    wanted = read_files(config, target)
    difference = difference_to_live(wanted.jobs)
    paused = paused_jobs()
    kept, told = retention_changes(wanted), alert_changes(wanted)
    if json:
        print_json(as_dict(difference, kept, told) | {"paused": paused})
    else:
        _print(difference, kept, told)
    if paused and not json:
        sys.stdout.write(f"paused by hand, and not by these files: {', '.join(paused)}\n")


def apply(
    config: ConfigOption = VERCEL_JSON,
    target: TargetOption = None,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Bring the files into force in one step; runners take them over within two seconds."""
    directory = open_run_log(data)
    from cronbell.clock import SYSTEM_CLOCK
    from cronbell.runlog.applying import bring_into_force, difference_to_live
    from cronbell.runlog.wakeup import poke

    wanted = read_files(config, target)
    difference = difference_to_live(wanted.jobs)
    kept, told = retention_changes(wanted), alert_changes(wanted)
    who = f"{getpass.getuser()} (command line)"
    bring_into_force(
        wanted.jobs,
        SYSTEM_CLOCK.now(),
        target=wanted.target,
        applied_by=who,
        retention=wanted.retention,
        alerts=wanted.alerts,
    )
    poke(directory)
    print_json(as_dict(difference, kept, told)) if json else _print(difference, kept, told)


def read_files(config: Path, target: str | None) -> Config:
    """Read the configuration; without a target of its own it gets the live one.

    Raises:
        ConfigError: the files are at fault.
        StartError: there are none.
    """
    from cronbell.config.loader import load
    from cronbell.runlog.jobs import live_configuration

    vercel_json, toml = config_files(config)
    loaded = load(vercel_json, toml, target=target)
    live = live_configuration()
    if not loaded.target and live is not None and live.target:
        loaded = load(vercel_json, toml, target=live.target)
    return loaded


def retention_changes(wanted: Config) -> Changes:
    """Return (before, after) by key of ``[retention]``, only those that differ."""
    from cronbell.runlog.jobs import live_retention

    live, plain = live_retention().plain(), wanted.retention.plain()
    return {key: (live[key], after) for key, after in plain.items() if live[key] != after}


def alert_changes(wanted: Config) -> Changes:
    """Return (before, after) by key of ``[alerts]``, only those that differ; None is not there."""
    from cronbell.runlog.jobs import live_alerts

    live, plain = _flat(live_alerts().plain()), _flat(wanted.alerts.plain())
    return {
        key: (live.get(key), plain.get(key))
        for key in sorted(live.keys() | plain.keys())
        if live.get(key) != plain.get(key)
    }


def _flat(plain: Mapping[str, Any]) -> dict[str, Any]:
    named = {
        f"{table}.{name}": value
        for table in ("channels", "jobs")
        for name, value in plain[table].items()
    }
    rest = {key: plain[key] for key in ("rule", "runner_down", "link")}
    return named | rest


def as_dict(difference: Difference, retention: Changes, alerts: Changes) -> dict[str, Any]:
    """Return a difference as JSON shows it."""
    return {
        "added": list(difference.added),
        "changed": [
            {
                "name": change.name,
                "fields": {
                    field: {"before": _shown(field, before), "after": _shown(field, after)}
                    for field, (before, after) in change.fields.items()
                },
            }
            for change in difference.changed
        ],
        "removed": list(difference.removed),
        "renamed": [{"before": old, "after": new} for old, new in difference.renamed],
        "unchanged": difference.unchanged,
        "retention": {
            key: {"before": before, "after": after} for key, (before, after) in retention.items()
        },
        "alerts": {
            key: {"before": before, "after": after} for key, (before, after) in alerts.items()
        },
    }


def _shown(field: str, value: Any) -> Any:
    """Return a value as it may be shown; a secret that alone has changed is seen to have."""
    return shown_address(value) if field in {"path", "url"} and isinstance(value, str) else value


def _print(difference: Difference, retention: Changes, alerts: Changes) -> None:
    lines = [f"+ {name}" for name in difference.added]
    for change in difference.changed:
        lines.append(f"~ {change.name}")
        lines += [
            f"    {field}: {_shown(field, before)!r} → {_shown(field, after)!r}"
            for field, (before, after) in change.fields.items()
        ]
    lines += [f"- {name}  (its history is kept)" for name in difference.removed]
    lines += [f"> {old} is called {new} now" for old, new in difference.renamed]
    lines += [
        f"~ retention.{key}: {before!r} → {after!r}" for key, (before, after) in retention.items()
    ]
    lines += [
        f"{'+' if before is None else '-' if after is None else '~'} alerts.{key}"
        for key, (before, after) in alerts.items()
    ]
    if difference.empty and not retention and not alerts:
        lines.append(f"nothing to change: {difference.unchanged} jobs are as the files say")
    sys.stdout.write("\n".join(lines) + "\n")
