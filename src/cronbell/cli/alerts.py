"""``cronbell alerts``: what is wrong and who was told; a look from outside; a test message."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cronbell.cli.output import print_json, print_table
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log
from cronbell.errors import StartError

if TYPE_CHECKING:
    from cronbell.alerts.listing import Standing
    from cronbell.config.alerts import Alerts

app = typer.Typer(help="Who is told when something is wrong.", no_args_is_help=True)


@app.command("list")
def list_alerts(json: JsonOption = False, data: DataOption = None) -> None:
    """Show the channels, what is wrong now, and the last messages."""
    open_run_log(data)
    _, found = _standing()
    from cronbell.alerts.listing import as_dict

    if json:
        print_json(as_dict(found))
        return
    print_table(
        ["channel", "type", "where", "told of", "last message"],
        [
            [
                line.channel.name,
                line.channel.type.value,
                line.where,
                ", ".join(line.channel.on),
                _last(line.last),
            ]
            for line in found.channels
        ],
    )
    _print_faults(found)
    _print_incidents(found)


@app.command("check")
def check(json: JsonOption = False, data: DataOption = None) -> None:
    """Look once, send what is due; exit 1 if anything is wrong. For a cron outside of Cronbell."""
    open_run_log(data)
    from cronbell.alerts.listing import as_dict
    from cronbell.alerts.standin import StandIn
    from cronbell.clock import SYSTEM_CLOCK
    from cronbell.runlog.jobs import live_alerts
    from cronbell.runlog.judging import somebody_runs

    alerts = live_alerts()
    sent = StandIn(SYSTEM_CLOCK).look(alerts) if alerts.channels else 0
    _, found = _standing()
    alive = somebody_runs(SYSTEM_CLOCK.now())
    if json:
        print_json({"ok": alive and not found.incidents, "runner": alive, "sent": sent}
                   | as_dict(found))  # fmt: skip
    else:
        sys.stdout.write("a runner is alive\n" if alive else "no runner is alive\n")
        if not alerts.channels:
            sys.stdout.write("no channel is configured: nobody is told\n")
        _print_faults(found)
        _print_incidents(found)
    if not alive or found.incidents:
        raise typer.Exit(1)


@app.command("test")
def send_test(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name.")],
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Send a test message to CHANNEL now; exit 1 unless it arrives."""
    open_run_log(data)
    from cronbell.alerts.listing import delivery_dict
    from cronbell.alerts.standin import StandIn
    from cronbell.alerts.words import why_not
    from cronbell.clock import SYSTEM_CLOCK
    from cronbell.runlog.jobs import live_alerts

    alerts = live_alerts()
    if channel not in alerts.channels:
        known = ", ".join(alerts.channels) or "none"
        raise StartError(
            f"there is no channel {channel!r}", hint=f"in force are: {known}; see `cronbell plan`"
        )
    one = StandIn(SYSTEM_CLOCK).test(alerts, alerts.channels[channel])
    words = why_not(one)
    if json:
        print_json(delivery_dict(one, words))
    elif one.sent:
        sys.stdout.write(f"{channel}: sent{f'; {words}' if words else ''}\n")
    else:
        sys.stdout.write(f"{channel}: not sent: {words}\n")
    if not one.sent:
        raise typer.Exit(1)


def _standing() -> tuple[Alerts, Standing]:
    from cronbell.alerts.listing import standing
    from cronbell.clock import SYSTEM_CLOCK
    from cronbell.runlog.jobs import live_alerts

    alerts = live_alerts()
    return alerts, standing(alerts, SYSTEM_CLOCK.now())


def _last(one: Any) -> str:
    if one is None:
        return "-"
    if one.finished_at is None:
        return f"not sent yet, {one.attempts} attempts"
    return "sent" if one.sent else "not sent"


def _print_faults(found: Standing) -> None:
    for line in found.channels:
        if line.fault:
            sys.stdout.write(f"{line.channel.name}: {line.fault}\n")


def _print_incidents(found: Standing) -> None:
    for line in found.incidents:
        one = line.incident
        whose = one.job.name if one.job else one.subject or "runner"
        sys.stdout.write(f"{one.condition}: {whose}: {line.text}\n")
    if found.more:
        sys.stdout.write(f"and {found.more} more\n")
    if not found.incidents:
        sys.stdout.write("nothing is wrong that channels are told of\n")
