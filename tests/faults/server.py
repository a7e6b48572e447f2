"""A PostgreSQL that keeps its word at each commit, and can be restarted in the middle of one."""

from __future__ import annotations

import contextlib
import secrets
import signal
from collections.abc import Iterator

from psycopg import sql

from tests.faults.ports import free_port
from tests.support import machine, processes
from tests.support.postgres import Server
from tests.support.store import Plan

# A restart at once must lose nothing that was committed. The operating system lives on, so its
# own cache is safe enough without fsync.
DURABLE = {"synchronous_commit": "on", "full_page_writes": "on", "max_connections": "200"}
HOW = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class FaultServer(Server):
    """The tests' server, made durable."""

    @classmethod
    def start_new(cls) -> FaultServer:
        """Start one on a free port.

        Raises:
            RuntimeError: PostgreSQL is not on this machine.
        """
        programs = machine.find("postgresql")
        if programs is None:
            raise RuntimeError(f"no PostgreSQL here: {machine.INSTALL['postgresql']}")
        plan = Plan(port=free_port(), password=secrets.token_hex(16))
        server = cls(programs, plan, settings=DURABLE)
        server.__enter__()
        return server

    @contextlib.contextmanager
    def database(self, *, template: str = "template1") -> Iterator[str]:
        """Lend a copy of a database; it is dropped, connections and all."""
        name = f"lent_{secrets.token_hex(6)}"
        with self._connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        yield self.plan.url(name)
        with self._connect() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def restart(self, how: str) -> None:
        """Stop it (``fast``: clients are thrown out; ``immediate``: as a crash) and start it."""
        assert self._process is not None
        processes.lasting.discard(self._process.pid)
        processes.end(self._process, first=HOW[how])
        self._launch()
