"""All commands, registered; ``main`` loads this for every command but the one in a hurry."""

from __future__ import annotations

import typer

from cronbell.cli import next_fires
from cronbell.cli.again import backfill, backfills, replay, rerun
from cronbell.cli.alerts import app as alerts_app
from cronbell.cli.audit import audit
from cronbell.cli.backup import backup, restore
from cronbell.cli.cancel import cancel
from cronbell.cli.check import check
from cronbell.cli.doctor import doctor
from cronbell.cli.export_jobs import export_jobs
from cronbell.cli.health import health
from cronbell.cli.import_jobs import app as import_app
from cronbell.cli.jobs import jobs
from cronbell.cli.password import password
from cronbell.cli.pause import pause, resume
from cronbell.cli.pings import pings
from cronbell.cli.plan import apply, plan
from cronbell.cli.prepare import prepare
from cronbell.cli.rotate_secret import app as rotate_app
from cronbell.cli.run import run as run_job
from cronbell.cli.runs import runs
from cronbell.cli.simulate import simulate
from cronbell.cli.tokens import app as tokens_app
from cronbell.cli.up import up
from cronbell.cli.why import why

app = typer.Typer(
    name="cronbell",
    help="Rings your application's cron endpoints on time, once, and keeps the record.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up")(up)
app.command("prepare")(prepare)
app.command("check")(check)
app.command("plan")(plan)
app.command("apply")(apply)
app.command("simulate")(simulate)
app.command("run")(run_job)
app.command("runs")(runs)
app.command("jobs")(jobs)
app.command("pings")(pings)
app.command("cancel")(cancel)
app.command("why")(why)
app.command("rerun")(rerun)
app.command("replay")(replay)
app.command("backfill")(backfill)
app.command("backfills")(backfills)
app.command("pause")(pause)
app.command("resume")(resume)
app.command("export")(export_jobs)
app.add_typer(import_app, name="import")
app.add_typer(rotate_app, name="rotate-secret")
app.command("audit")(audit)
app.command("password")(password)
app.add_typer(tokens_app, name="tokens")
app.add_typer(alerts_app, name="alerts")
app.command("doctor")(doctor)
app.command("health")(health)
app.command("backup")(backup)
app.command("restore")(restore)


@app.command(
    "next",
    help=next_fires.SUMMARY,
    # Its arguments, --help included, are read in one place only: by the command itself.
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def next_(context: typer.Context) -> None:
    """Hand over to ``cronbell next``."""
    raise typer.Exit(next_fires.main(context.args))
