"""``cronbell backup`` and ``cronbell restore``: the data directory as one file, and back."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cronbell.cli.output import print_json
from cronbell.cli.setting_up import DataOption, JsonOption, point_at_data
from cronbell.clock import SYSTEM_CLOCK
from cronbell.errors import StartError

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


def backup(file: FileArgument, json: JsonOption = False, data: DataOption = None) -> None:
    """Write both databases and the secrets to FILE, while everything goes on; check what it is."""
    _require_files("pg_dump --format=custom --file=FILE")
    from cronbell.server.backup import back_up

    kept = back_up(point_at_data(data), file, SYSTEM_CLOCK.now())
    if json:
        print_json({"file": str(file), **asdict(kept)})
        return
    size = file.stat().st_size / 2**20
    sys.stdout.write(f"{file}: {kept.runs:,} runs, {size:,.1f} MB, read again and whole\n")
    sys.stdout.write("It holds the secrets too: keep it where nobody else can read it.\n")


def restore(file: FileArgument, json: JsonOption = False, data: DataOption = None) -> None:
    """Put a backup in place of the data directory; what was there is moved aside."""
    _require_files("pg_restore --clean --dbname=DATABASE_URL FILE")
    directory = point_at_data(data)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cronbell.server.settings")
    # A file of the settings would be made in a data directory that is not there yet.
    os.environ.setdefault("DJANGO_SECRET_KEY", "not used while restoring")
    import django
    from django.db.migrations.loader import MigrationLoader

    django.setup()
    from cronbell.server import backup as backups

    known = frozenset(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)
    aside = backups.restore(file, directory, known, SYSTEM_CLOCK.now())
    before = None if aside == directory else str(aside)
    if json:
        print_json({"data": str(directory), "before": before})
        return
    sys.stdout.write(f"{directory} is as {file} has it; `cronbell up` starts it\n")
    if before:
        sys.stdout.write(f"what was there is in {before}\n")


def _require_files(instead: str) -> None:
    """Refuse where the data is in PostgreSQL, whose own programs do this.

    Raises:
        StartError: it is.
    """
    if os.environ.get("DATABASE_URL"):
        raise StartError(
            "the databases are in PostgreSQL, and this command is for SQLite's files",
            hint=f"use PostgreSQL's own: {instead}",
        )
