"""What commands that read the run log do first: find the data, load Django."""

from __future__ import annotations

import atexit
import getpass
import os
import socket
from pathlib import Path
from typing import Annotated

import typer

from cronbell.errors import StartError, StorageError
from cronbell.server.environment import DATA_VARIABLE, RUNLOG_FILE, data_dir

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Data directory; CRONBELL_DATA or .cronbell in this folder by default."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def point_at_data(data: Path | None) -> Path:
    """Make settings use this data directory; return it, absolute."""
    if data is not None:
        os.environ[DATA_VARIABLE] = str(data.absolute())
    return data_dir()


def open_run_log(data: Path | None) -> Path:
    """Load Django on an existing run log; return the data directory.

    Raises:
        StartError: there is none; asking for a list must not make an empty one.
        StorageError: its database does not answer.
    """
    directory = point_at_data(data)
    if not os.environ.get("DATABASE_URL") and not (directory / RUNLOG_FILE).exists():
        raise StartError(
            f"there is no run log in {directory}",
            hint="start one here with `cronbell up`, or name its folder with --data",
        )
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cronbell.server.settings")
    import django

    django.setup()
    from django.db import connections

    # Or SQLite's files beside the database's would stay: nobody clears up after an ended command.
    atexit.register(connections.close_all)
    _require_tables(directory)
    from cronbell.runlog import audit

    audit.act_as(audit.Actor(getpass.getuser(), audit.Means.COMMAND, socket.gethostname()))
    return directory


def _require_tables(directory: Path) -> None:
    from django.db import DatabaseError, connections

    from cronbell.runlog.models import Run
    from cronbell.runlog.router import ALIAS

    connection = connections[ALIAS]
    try:
        there = Run._meta.db_table in connection.introspection.table_names()
    except DatabaseError as error:
        raise StorageError(
            f"the run log's database cannot be used: {error}",
            hint="see DATABASE_URL, and that the server is up",
        ) from error
    if not there:
        where = "DATABASE_URL's database" if os.environ.get("DATABASE_URL") else str(directory)
        raise StartError(f"there is no run log in {where}", hint="start one with `cronbell up`")
