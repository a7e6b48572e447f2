"""Tells runners that there is something to do, so that they need not poll hard.

On this machine by a datagram on a Unix socket in the data directory, one socket a runner; on any
other by NOTIFY, where the run log is in PostgreSQL. Neither carries anything: the work is in the
database, and a runner looks there each second anyway. So every failure here is harmless and
swallowed.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from django.db import DatabaseError, connections

from cronbell.runlog.router import ALIAS

CHANNEL = "cronbell_wake"
LISTEN = "LISTEN cronbell_wake"
PATTERN = "runner-*.sock"
# The kernel's limit for a socket's path is 108 bytes; past it runners simply poll.
MAX_PATH_BYTES = 104


def poke(directory: Path) -> int:
    """Wake every runner that listens in ``directory``; return how many were reached.

    On PostgreSQL also those of other machines; inside a transaction, when it commits.
    """
    _notify()
    reached = 0
    for path in directory.glob(PATTERN):
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        ):
            sender.settimeout(0)
            sender.sendto(b"!", str(path))
            reached += 1
    return reached


def _notify() -> None:
    connection = connections[ALIAS]
    if connection.vendor == "postgresql":
        with contextlib.suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def listen(directory: Path) -> tuple[socket.socket, Path] | None:
    """Open this process's socket, or None where its path would be too long.

    Sockets of runners that died are cleared away: nobody answers there.
    """
    path = directory / f"runner-{os.getpid()}.sock"
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        return None
    for stale in directory.glob(PATTERN):
        if not _answers(stale):
            stale.unlink(missing_ok=True)
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.settimeout(0)
    receiver.bind(str(path))
    path.chmod(0o600)
    return receiver, path


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
