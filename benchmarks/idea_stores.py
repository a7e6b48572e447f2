"""Where the ideas of a benchmark are kept, and what working on them costs there."""

from __future__ import annotations

import os
import platform
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import machine, postgres, store

STORES = ("sqlite", "postgresql")
# Nothing of what keeps data safe is off, and the tables need not be read from disk.
SERVER = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
}
TICK = os.sysconf("SC_CLK_TCK")


def on_each(module: str, arguments: list[str]) -> int:
    """Run a benchmark once for each store, in a process of its own; return 1 if one fails."""
    codes = []
    for name in STORES:
        words = [sys.executable, "-m", module, *arguments, "--store", name]
        codes.append(subprocess.run(words, check=False).returncode)
        print(flush=True)
    return max(codes)


@contextmanager
def kept_on(name: str) -> Iterator[Path]:
    """Point Django's settings at an empty store of this name; lend a folder."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "ideasgpt.settings"
    os.environ.pop("DATABASE_URL", None)
    with tempfile.TemporaryDirectory(prefix="cronbell-ideas-") as folder:
        os.environ["CRONBELL_DATA"] = folder
        if name == "sqlite":
            yield Path(folder)
            return
        programs = machine.find("postgresql")
        if programs is None:
            sys.exit(f"this benchmark needs PostgreSQL ({machine.INSTALL['postgresql']})")
        with (
            postgres.Server(programs, store.plan(), settings=SERVER) as server,
            server.database() as url,
        ):
            os.environ["DATABASE_URL"] = url
            yield Path(folder)
            _disconnect()


def versions() -> str:
    """Return what the figures were measured with."""
    from django.db import connection

    words = f"Python {platform.python_version()}, "
    if connection.vendor == "sqlite":
        return f"{words}SQLite {sqlite3.sqlite_version}"
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return f"{words}PostgreSQL {cursor.fetchone()[0]}"


def settle() -> None:
    """Do what the store would do by itself sooner or later, before something is measured."""
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def processor_seconds() -> float:
    """Return the processor time of this process, and of the one that serves it on PostgreSQL."""
    from django.db import connection

    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = used.ru_utime + used.ru_stime
    if connection.vendor == "sqlite":
        return seconds
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        status = Path(f"/proc/{cursor.fetchone()[0]}/stat").read_text()
    # After the name, which may hold blanks: fields 14 and 15 are user and system time.
    fields = status.rpartition(")")[2].split()
    return seconds + (int(fields[11]) + int(fields[12])) / TICK


def measuring() -> Callable[[], float]:
    """Begin to measure processor time; what is returned ends it."""
    before = processor_seconds()
    return lambda: processor_seconds() - before


def _disconnect() -> None:
    from django.db import connections

    connections.close_all()
