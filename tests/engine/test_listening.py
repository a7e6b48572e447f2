"""A runner on another machine is woken through PostgreSQL, again after its connection was lost."""

from __future__ import annotations

import asyncio
import os

import pytest
from django.db import connections
from tests.engine.conftest import aside, until

from cronbell.clock import SYSTEM_CLOCK
from cronbell.engine.listen import listen_forever
from cronbell.runlog.wakeup import LISTEN, poke
from cronbell.testing.shifted import ShiftedClock

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "runlog"]),
    pytest.mark.skipif(
        os.environ.get("CRONBELL_TEST_STORE") != "postgresql", reason="PostgreSQL's own way"
    ),
]
LISTENERS = "SELECT pid FROM pg_stat_activity WHERE query = %s AND pid <> pg_backend_pid()"
END = "SELECT pg_terminate_backend(%s)"


class QuickClock(ShiftedClock):
    """Waits a tenth: a lost connection is made anew without the test waiting for it."""

    async def wait(self, seconds: float) -> None:
        await super().wait(seconds / 10)


def listeners() -> list[int]:
    with connections["runlog"].cursor() as cursor:
        cursor.execute(LISTENERS, [LISTEN])
        return [pid for (pid,) in cursor.fetchall()]


def end(pid: int) -> bool:
    with connections["runlog"].cursor() as cursor:
        cursor.execute(END, [pid])
        return True


def test_a_poke_reaches_a_listener_that_shares_no_folder_also_after_a_lost_connection(tmp_path):
    woken: list[float] = []

    async def go() -> None:
        hearing = asyncio.create_task(
            listen_forever(lambda: woken.append(SYSTEM_CLOCK.monotonic()), QuickClock())
        )
        try:
            await until(lambda: bool(woken) and bool(listeners()))
            before = len(woken)
            assert await aside(poke, tmp_path) == 0
            await until(lambda: len(woken) > before)
            (pid,) = await aside(listeners)
            before = len(woken)
            await aside(end, pid)
            await until(lambda: len(woken) > before and listeners() not in ([], [pid]))
            before = len(woken)
            await aside(poke, tmp_path)
            await until(lambda: len(woken) > before)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    asyncio.run(go())
