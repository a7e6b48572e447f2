"""A throw-away PostgreSQL from the machine's own programs, for as long as a test run lasts.

It listens on loopback with a password made for this run, keeps nothing safe (``fsync=off``) and is
gone with its folder at the end, or, on Linux, when the test process dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql
from tests.support import processes
from tests.support.store import Plan
from tests.support.waiting import wait_until

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "listen_addresses": "127.0.0.1",
    # Each of a web process's 48 threads may hold two.
    "max_connections": "200",
    "shared_buffers": "32MB",
    "timezone": "UTC",
    "log_min_messages": "warning",
}
UNPRIVILEGED = ("postgres", "nobody")
PR_SET_PDEATHSIG = 1
AT_ONCE = signal.SIGQUIT  # PostgreSQL's word for "no need to save anything"


class Server:
    """One PostgreSQL server; use it as a context manager.

    Args:
        programs: the folder of its programs.
        plan: where it listens.
        settings: in place of those of ``SETTINGS`` or beside them.
    """

    def __init__(
        self, programs: Path, plan: Plan, *, settings: Mapping[str, str] | None = None
    ) -> None:
        self.programs = programs
        self.plan = plan
        self.settings = {**SETTINGS, **(settings or {})}
        self.folder = Path(tempfile.mkdtemp(prefix="cronbell-pg-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Make the cluster, start it and wait until it takes connections."""
        try:
            self._make()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop it and remove what it wrote."""
        self.stop()

    def _make(self) -> None:
        password = self.folder / "password"
        password.write_text(self.plan.password, encoding="ascii")
        identity = _unprivileged()
        if identity:
            for path in (self.folder, password):
                os.chown(path, identity["user"], identity["group"])
        subprocess.run(
            [
                self.programs / "initdb",
                f"--pgdata={self.folder / 'data'}",
                "--username=cronbell",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **identity,
        )

    def _start(self) -> None:
        self._launch()
        self.create("cronbell")

    def _launch(self) -> None:
        options = [
            part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self.programs / "postgres",
                    "-D",
                    self.folder / "data",
                    "-p",
                    str(self.plan.port),
                    "-k",
                    self.folder,
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
                **_unprivileged(),
            )
        processes.lasting.add(self._process.pid)
        wait_until(self._answers, 30, what="PostgreSQL to start")

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            log = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"PostgreSQL did not start:\n{log}")
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.plan.url("postgres"), autocommit=True, connect_timeout=5)

    def create(self, name: str, *, template: str = "template1") -> str:
        """Create a database, empty unless a template says otherwise, and return its URL."""
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with self._connect() as connection:
            connection.execute(made.format(sql.Identifier(name), sql.Identifier(template)))
        return self.plan.url(name)

    @contextlib.contextmanager
    def database(self, *, like: str = "") -> Iterator[str]:
        """Lend a database of an unused name; it is dropped, connections and all.

        Args:
            like: the URL of a database that nobody is connected to, to be copied; without one the
                database is empty.
        """
        name = f"lent_{secrets.token_hex(6)}"
        yield self.create(name, template=like.rpartition("/")[2] or "template1")
        with self._connect() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def version(self) -> str:
        """Return the server's version."""
        with self._connect() as connection:
            return str(connection.execute("SHOW server_version").fetchone()[0])

    def stop(self) -> None:
        """Stop the server by its process id, quickly, and remove its folder; safe to call twice."""
        if self._process is not None:
            processes.end(self._process, first=AT_ONCE)
            processes.lasting.discard(self._process.pid)
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)


def _unprivileged() -> dict[str, Any]:
    """Return whom to run as: PostgreSQL refuses root, so root lends it another user."""
    if os.geteuid() != 0:
        return {}
    for name in UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError(f"root needs one of the users {', '.join(UNPRIVILEGED)} to run PostgreSQL")


def _die_with_parent() -> None:
    # A killed test run must not leave a server behind.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, AT_ONCE)
