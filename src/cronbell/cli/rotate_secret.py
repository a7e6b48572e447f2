"""``cronbell rotate-secret``: another CRON_SECRET without a refused call, step by step."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cronbell.cli.output import print_json, print_table
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log, point_at_data
from cronbell.cli.up import VERCEL_JSON, config_files
from cronbell.clock import SYSTEM_CLOCK
from cronbell.config import rotation
from cronbell.config.loader import load
from cronbell.config.rotation import Step
from cronbell.dispatch import PyreqwestTransport
from cronbell.dispatch.probe import Probed, Verdict, probe
from cronbell.errors import SecretError

app = typer.Typer(
    name="rotate-secret",
    help="Exchange CRON_SECRET without a refused call: start, probe, finish (or abort).",
    no_args_is_help=True,
)
# A runner looks at the files twice a second and reports with its next write.
PATIENCE_SECONDS = 30.0
# After the last runner sends the new secret: what it sent before has arrived by then.
ARRIVED_SECONDS = 2.0

ConfigOption = Annotated[Path, typer.Option("--config", help="The vercel.json with the crons.")]
TargetOption = Annotated[
    str | None, typer.Option("--target", help="Base URL of the application; the live one's.")
]


@app.command("start")
def start(json: JsonOption = False, data: DataOption = None) -> None:
    """Make a new secret, which is accepted from now on beside the old one."""
    folder = _folder(data)
    rotation.start(folder)
    _say(
        folder,
        json,
        f"the new secret is in {folder / rotation.NEXT} and accepted here from now on",
        "give it to applications elsewhere, beside the old one (CRON_SECRET_PREVIOUS), then:"
        " cronbell rotate-secret probe",
    )


@app.command("status")
def status(json: JsonOption = False, data: DataOption = None) -> None:
    """Say how far a rotation is."""
    folder = _folder(data)
    words = {
        Step.IDLE: "no rotation is going on",
        Step.STARTED: "the new secret is accepted, the old one is sent",
        Step.SWITCHED: "the new secret is sent, the old one is still accepted",
    }
    _say(folder, json, words[rotation.step_of(folder)])


@app.command("probe")
def probe_endpoints(
    config: ConfigOption = VERCEL_JSON,
    target: TargetOption = None,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Ask each endpoint whether it takes the new secret; runs no job. Exit 1 unless all do."""
    folder = open_run_log(data)
    found = _probed(folder, config, target)
    _show(found, json=json)
    if any(one.verdict is not Verdict.TAKEN for one in found):
        raise typer.Exit(1)


@app.command("finish")
def finish(
    config: ConfigOption = VERCEL_JSON,
    target: TargetOption = None,
    unprobed: Annotated[
        bool,
        typer.Option("--unprobed", help="Go on though some endpoints can't be asked by a probe."),
    ] = False,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Send the new secret, wait until every runner does, and accept the old one no longer."""
    _folder(data)
    folder = open_run_log(data)
    rotation.next_secret(folder)  # or there is nothing to finish
    if rotation.step_of(folder) is Step.STARTED:
        _require_taken(_probed(folder, config, target), unprobed=unprobed)
        _require_followers(folder)
        rotation.switch(folder)
    _wait_for_runners(folder)
    rotation.forget_previous(folder)
    _say(folder, json, "done: the new secret is sent, the old one is accepted no longer")


@app.command("abort")
def abort(json: JsonOption = False, data: DataOption = None) -> None:
    """Forget the new secret, as long as it is not sent."""
    folder = _folder(data)
    rotation.abort(folder)
    _say(folder, json, "the new secret is forgotten; the old one stays")


def _folder(data: Path | None) -> Path:
    if os.environ.get("CRON_SECRET"):
        raise SecretError(
            "CRON_SECRET is set in this environment, which goes before the data directory's",
            hint="docs/howto/rotate-the-secret.md says how to exchange one by hand",
        )
    return point_at_data(data)


def _probed(folder: Path, config: Path, target: str | None) -> Sequence[Probed]:
    from cronbell.runlog.jobs import live_configuration, live_jobs, spec_of

    secret = os.environ.get("CRON_SECRET_NEXT") or rotation.next_secret(folder)
    live = live_configuration()
    files = config_files(config)
    known = load(*files, target=target or (live.target if live else None) or None)
    specs = [spec_of(job) for _, job in sorted(live_jobs().items())]

    async def ask() -> Sequence[Probed]:
        transport = PyreqwestTransport()
        try:
            return await probe(specs, secret, known.allowed_hosts, transport, target=known.target)
        finally:
            await transport.close()

    return asyncio.run(ask())


def _require_taken(found: Sequence[Probed], *, unprobed: bool) -> None:
    counted = Counter(one.verdict for one in found)
    refused = [one for one in found if one.verdict in {Verdict.REFUSED, Verdict.UNREACHED}]
    if refused:
        raise SecretError(
            f"{len(refused)} of {len(found)} endpoints do not take the new secret;"
            f" {refused[0].job}: {refused[0].detail}",
            hint="nothing was changed; `cronbell rotate-secret probe` lists them",
        )
    if counted[Verdict.UNKNOWN] and not unprobed:
        raise SecretError(
            f"{counted[Verdict.UNKNOWN]} of {len(found)} endpoints can't be asked by a probe",
            hint="see by hand that they take the new secret, then add --unprobed",
        )


def _senders() -> dict[str, int]:
    """Return by live runner which secret it sends: see ``Runner.secret_of``."""
    from cronbell.runlog.models import Runner
    from cronbell.runlog.queries import RUNNER_STALE

    since = SYSTEM_CLOCK.now() - RUNNER_STALE
    alive = Runner.objects.filter(stopped_at__isnull=True, seen_at__gte=since)
    return dict(alive.values_list("pk", "secret_of"))


def _require_followers(folder: Path) -> None:
    """See that every live runner looks at this directory's files: else it would not follow.

    Raises:
        SecretError: one does not.
    """
    written_at = (folder / rotation.CURRENT).stat().st_mtime_ns
    others = [name for name, sent in _senders().items() if sent != written_at]
    if others:
        raise SecretError(
            f"the runner {others[0]} has its secret from elsewhere: its environment, or another"
            " data directory",
            hint="docs/howto/rotate-the-secret.md says how to exchange one by hand; one that has"
            " only just started says in a moment what it sends",
        )


def _wait_for_runners(folder: Path) -> None:
    written_at = (folder / rotation.CURRENT).stat().st_mtime_ns
    give_up = SYSTEM_CLOCK.monotonic() + PATIENCE_SECONDS
    while behind := [name for name, sent in _senders().items() if sent != written_at]:
        if SYSTEM_CLOCK.monotonic() >= give_up:
            raise SecretError(
                f"the runner {behind[0]} still sends the old secret, which stays accepted",
                hint="see its log and whether it has the same data directory; then finish again",
            )
        SYSTEM_CLOCK.sleep(0.2)
    SYSTEM_CLOCK.sleep(ARRIVED_SECONDS)


def _show(found: Sequence[Probed], *, json: bool) -> None:
    if json:
        fine = all(one.verdict is Verdict.TAKEN for one in found)
        print_json({"ok": fine, "endpoints": [asdict(one) for one in found]})
    elif found:
        rows = [[one.job, one.url, one.verdict.value, one.detail] for one in found]
        print_table(["job", "endpoint", "the new secret is", "because"], rows)
    else:
        sys.stdout.write("there are no endpoints to ask\n")


def _say(folder: Path, json: bool, *lines: str) -> None:
    if json:
        print_json({"step": rotation.step_of(folder).value, "message": lines[0]})
    else:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
