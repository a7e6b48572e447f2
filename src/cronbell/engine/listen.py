"""Hears what other machines say through PostgreSQL: there is something to do.

A connection of its own, on the runner's event loop. It may be lost, or end at a proxy that does
not pass notifications on: the poll each second stands behind it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.db import connections

from cronbell.clock import Clock
from cronbell.runlog.router import ALIAS
from cronbell.runlog.wakeup import LISTEN

log = logging.getLogger("cronbell.engine.listen")

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# A peer that is gone without a word is noticed within a minute.
KEEPALIVES = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10}
# Of Django's own connections; the classes are for blocking ones.
NOT_OURS = frozenset({"cursor_factory", "context"})


async def listen_forever(wake: Callable[[], None], clock: Clock) -> None:
    """Call ``wake`` at every notification, and after each connecting: something may be missed.

    Returns at once where the run log is not in PostgreSQL.

    Args:
        wake: called on the event loop.
        clock: paces the attempts to connect again.
    """
    if connections[ALIAS].vendor != "postgresql":
        return
    import psycopg  # noqa: PLC0415 - an extra, and needed here only

    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(
                **_parameters(), autocommit=True
            ) as connection:
                await connection.execute(LISTEN)
                pause = FIRST_PAUSE_SECONDS
                wake()
                async for _ in connection.notifies():
                    wake()
        except (psycopg.Error, OSError) as error:
            log.warning("not listening for other machines, trying again: %s", error)
        await clock.wait(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _parameters() -> dict[str, Any]:
    given = connections[ALIAS].get_connection_params()
    return KEEPALIVES | {name: value for name, value in given.items() if name not in NOT_OURS}
