"""The web process of ``cronbell up``: granian in front of the WSGI application."""

from __future__ import annotations

import argparse
import os

from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings

from cronbell.server.lifeline import SUPERVISED, end_with_parent

# Cron endpoints run in threads of their own (16 at most); these serve pages and wait for those.
THREADS = 48
# Connections, busy or not. Were there as many as threads, 48 clients that connect and say nothing
# would shut everybody else out (measured); a process may have 1024 files open on most systems.
CONNECTIONS = 512
# Milliseconds in which a request's head has to be there once it has begun.
HEAD_MILLIS = 10_000
# Without it granian waits for ever for a request that never ends.
KILL_SECONDS = 10


def serve(host: str, port: int) -> None:
    """Serve until told to stop.

    Args:
        host: address to listen on.
        port: port to listen on.
    """
    Granian(
        "cronbell.server.wsgi:application",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=THREADS,
        backpressure=CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_MILLIS),
        websockets=False,
        workers_kill_timeout=KILL_SECONDS,
        log_enabled=False,
        respawn_failed_workers=True,
    ).serve()


def main() -> None:
    """Read the supervisor's arguments and serve."""
    parser = argparse.ArgumentParser(prog="cronbell web")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    if os.environ.get(SUPERVISED):
        end_with_parent()
    serve(arguments.host, arguments.port)


if __name__ == "__main__":
    main()
