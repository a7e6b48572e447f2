"""What gathers for the writer, and what does not wait for what comes after it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cronbell.engine.writer import Writer
from cronbell.runlog.store import RunStore
from cronbell.testing.clock import FakeClock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


class Counted(RunStore):
    """A run log that says which transaction it is in."""

    number = 0

    def transaction(self, *, durable=True):
        """Count it."""
        self.number += 1
        return super().transaction(durable=durable)


@pytest.mark.parametrize(("closing", "transactions"), [(True, [2, 3]), (False, [2, 2])])
def test_a_transaction_ends_with_what_closes_it_and_else_takes_all(closing, transactions):
    async def go() -> list[int]:
        store, held, begun = Counted("somebody"), threading.Event(), threading.Event()
        writer = Writer(store, FakeClock())
        writer.start()
        first = writer.submit(lambda _store: (begun.set(), held.wait(10)))
        await asyncio.to_thread(begun.wait, 10)
        both = [writer.submit(lambda store: store.number, closing=closing) for _ in range(2)]
        held.set()
        found = list(await asyncio.gather(*both))
        await first
        await writer.stop()
        return found

    assert asyncio.run(go()) == transactions
