"""What ``cronbell doctor`` looks at: each finding says whether it is fine and what to do."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cronbell import __version__
from cronbell.clock import Clock, from_micros, iso
from cronbell.config.loader import check_files
from cronbell.config.secrets import secrets_from_env
from cronbell.config.variables import variable_faults
from cronbell.errors import CronbellError
from cronbell.schedule.zones import tzdata_version

CONNECT_SECONDS = 3.0
MICROS = 1_000_000
MOST_RECORDED_AHEAD = 60 * MICROS
LEAST_FREE = 256 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: what was looked at.
        ok: whether it is fine.
        detail: what was found.
        remedy: what to do where it is not fine.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def versions() -> Iterator[Finding]:
    """Name the versions that decide how Cronbell behaves; ``tzdata`` decides when jobs fire."""
    yield Finding("cronbell", ok=True, detail=__version__)
    yield Finding("python", ok=True, detail=platform.python_version())
    yield Finding("sqlite", ok=True, detail=sqlite3.sqlite_version)
    yield Finding("tzdata", ok=True, detail=tzdata_version())


def configuration(vercel_json: Path | None, toml: Path | None, target: str | None) -> Finding:
    """Judge the configuration files."""
    errors, warnings, jobs = check_files(vercel_json, toml, target=target)
    if errors:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        return Finding(
            "configuration",
            ok=False,
            detail=f"{first.key}: {first.message}{more}",
            remedy="`cronbell check` lists every fault with its remedy",
        )
    warned = f", {len(warnings)} warnings" if warnings else ""
    return Finding("configuration", ok=True, detail=f"{len(jobs)} jobs{warned}")


def environment() -> Finding:
    """See that each variable that looks like one of Cronbell's is one."""
    faults = variable_faults(os.environ)
    return Finding(
        "environment",
        ok=not faults,
        detail="; ".join(fault.message for fault in faults) or "no variable without effect",
        remedy="; ".join(f"{fault.key}: {fault.hint}" for fault in faults),
    )


def data_directory(directory: Path) -> Finding:
    """See that the data is there, the owner's alone, and has room to grow."""
    name = "data directory"
    if not directory.is_dir():
        return Finding(
            name, ok=False, detail=f"{directory} is not there", remedy="`cronbell up` makes it"
        )
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & 0o077:
        return Finding(
            name,
            ok=False,
            detail=f"{directory} is open to others (mode {mode:04o})",
            remedy=f"chmod 700 {directory}",
        )
    free = shutil.disk_usage(directory).free
    if free < LEAST_FREE:
        return Finding(
            name,
            ok=False,
            detail=f"only {free // 2**20} MB free at {directory}",
            remedy="make room: without it runs can't be recorded and are not sent",
        )
    return Finding(name, ok=True, detail=f"{directory}, {free // 2**30} GB free")


def secret(directory: Path) -> Finding:
    """See that there is a CRON_SECRET, and that it and the one before can be sent in a header."""
    value = os.environ.get("CRON_SECRET", "")
    source = "environment"
    path = directory / "cron-secret"
    if not value and path.is_file():
        value, source = path.read_text("ascii", "replace").strip(), str(path)
    if not value:
        return Finding(
            "CRON_SECRET",
            ok=False,
            detail="not set",
            remedy="set it to 16 or more random characters; `cronbell up` makes one",
        )
    try:
        secrets_from_env({**os.environ, "CRON_SECRET": value})
    except CronbellError as error:
        return Finding("CRON_SECRET", ok=False, detail=error.message, remedy=error.hint)
    return Finding("CRON_SECRET", ok=True, detail=f"from {source}")


def run_log(clock: Clock) -> Iterator[Finding]:
    """See that both databases can be read and written, and that a runner is alive."""
    from django.db import DatabaseError, connections  # noqa: PLC0415 - after django.setup()
    from django.db.migrations.executor import MigrationExecutor  # noqa: PLC0415

    from cronbell.runlog.queries import runner_state  # noqa: PLC0415
    from cronbell.runlog.router import ALIAS, APP  # noqa: PLC0415
    from cronbell.server.health import write_fault  # noqa: PLC0415

    for alias in ("default", ALIAS):
        connection = connections[alias]
        try:
            executor = MigrationExecutor(connection)
            own = [
                node
                for node in executor.loader.graph.leaf_nodes()
                if (node[0] == APP) == (alias == ALIAS)
            ]
            waiting = len(executor.migration_plan(own))
        except DatabaseError as error:
            yield Finding(
                f"database {alias}",
                ok=False,
                detail=str(error),
                remedy="see DATABASE_URL and the files' owner",
            )
            return
        if waiting:
            yield Finding(
                f"database {alias}",
                ok=False,
                detail=f"{waiting} migrations to apply",
                remedy="`cronbell up` applies them",
            )
            return
        fault = write_fault(alias, clock)
        yield Finding(
            f"database {alias}",
            ok=not fault,
            detail=f"it cannot be written: {fault}" if fault else f"{connection.vendor}, writable",
            remedy="see that the disk has room, the files are yours, and nobody holds a lock for"
            " longer than moments"
            if fault
            else "",
        )
    yield _clocks(clock)
    yield _cursors(clock)
    state = runner_state(clock.now())
    seen = iso(state.seen_at) if state.seen_at else "never"
    yield Finding(
        "runner",
        ok=state.alive,
        detail=f"last seen {seen}",
        remedy="" if state.alive else "start one with `cronbell up`",
    )
    yield _alerts()


def _alerts() -> Finding:
    """See that every channel's secrets are there, and that its last message arrived."""
    from cronbell.alerts.listing import standing  # noqa: PLC0415 - after django.setup()
    from cronbell.clock import SYSTEM_CLOCK  # noqa: PLC0415
    from cronbell.runlog.jobs import live_alerts  # noqa: PLC0415

    channels = standing(live_alerts(), SYSTEM_CLOCK.now()).channels
    if not channels:
        return Finding("alerts", ok=True, detail="no channel: nobody is told of anything")
    wrong = [f"{line.channel.name}: {line.fault}" for line in channels if line.fault]
    wrong += [
        f"{line.channel.name}: its last message did not arrive"
        for line in channels
        if line.last is not None and line.last.attempts and not line.last.sent
    ]
    return Finding(
        "alerts",
        ok=not wrong,
        detail="; ".join(wrong) or ", ".join(line.channel.name for line in channels),
        remedy="see `cronbell alerts list`; `cronbell alerts test CHANNEL` tries one"
        if wrong
        else "",
    )


def _clocks(clock: Clock) -> Finding:
    """See that this machine's clock and the runners' agree with the store's."""
    from cronbell.server.health import clocks_apart  # noqa: PLC0415 - after django.setup()

    compared, wrong = clocks_apart(clock)
    return Finding(
        "clocks",
        ok=not wrong,
        detail=wrong or f"{compared} compared with the database's, none apart",
        remedy="keep the clocks in step (chrony, systemd-timesyncd): of two runners that differ by"
        " more than 5 s the one further from the database's clock stands aside"
        if wrong
        else "",
    )


def _cursors(clock: Clock) -> Finding:
    """See that no job is recorded further than now: it would stand still until then."""
    from cronbell.runlog.rewinding import ahead_of  # noqa: PLC0415 - after django.setup()

    ahead = ahead_of(clock.micros(), MOST_RECORDED_AHEAD)
    if not ahead:
        return Finding("recorded", ok=True, detail="no job further than now")
    name, cursor = ahead[0]
    return Finding(
        "recorded",
        ok=False,
        detail=f"{len(ahead)} jobs further than now; {name} up to {iso(from_micros(cursor))}",
        remedy="a clock was ahead, or this machine's is behind: see to its time synchronisation;"
        " a running runner lets jobs fire again as far as nothing ran early",
    )


def target_answers(target: str) -> Finding:
    """See that something listens at the target; nothing is sent there."""
    parts = urlsplit(target)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), CONNECT_SECONDS):
            return Finding("target", ok=True, detail=target)
    except OSError as error:
        return Finding(
            "target",
            ok=False,
            detail=f"{target}: {error.strerror or error}",
            remedy="start the application, or name the right one with --target",
        )
