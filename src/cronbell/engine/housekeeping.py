"""Keeps the run log in shape while the runner works: a bounded piece at a time, with rests.

Fires come first: each piece is one short transaction of the writer, and between two of them
whatever else waits to be written is.
"""

from __future__ import annotations

from cronbell.clock import Clock
from cronbell.config.retention import Retention
from cronbell.engine.writer import Writer
from cronbell.runlog.retention import Pruner
from cronbell.runlog.rollups import Roller

REST_SECONDS = 0.02
# What is kept for a month need not go to the minute; a look at every job is no small thing.
PRUNE_SECONDS = 600.0


class Housekeeping:
    """Rolls up what has ended, removes what is old.

    Args:
        writer: the run log's writer.
        clock: what time it is, and for the rests.
        retention: how long ended runs are kept; may be exchanged at any time.
    """

    def __init__(self, writer: Writer, clock: Clock, retention: Retention) -> None:
        self.writer = writer
        self.clock = clock
        self.retention = retention
        self.roller = Roller()
        self.pruner = Pruner(clock)

    async def roll_up(self) -> None:
        """Roll up all there is now."""
        # Not durable: a power cut takes the piece away as a whole, and it is done again.
        while await self.writer.submit(lambda _store: self.roller.step(), durable=False):
            await self.clock.wait(REST_SECONDS)

    async def prune(self) -> None:
        """Remove all that is old now, once it is rolled up."""
        await self.roll_up()
        while await self.writer.submit(
            lambda _store: self.pruner.step(self.retention), durable=False
        ):
            await self.clock.wait(REST_SECONDS)
