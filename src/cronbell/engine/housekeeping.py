"""Keeps the run log in shape while the runner works: a bounded piece at a time, with rests.

Fires come first: each piece is one short transaction of the writer, and between two of them
whatever else waits to be written is.
"""

from __future__ import annotations

from cronbell.clock import Clock
from cronbell.engine.writer import Writer
from cronbell.runlog.rollups import Roller

REST_SECONDS = 0.02


class Housekeeping:
    """Rolls up what has ended.

    Args:
        writer: the run log's writer.
        clock: for the rests.
    """

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self.writer = writer
        self.clock = clock
        self.roller = Roller()

    async def beat(self) -> None:
        """Do all there is to do now."""
        # Not durable: a power cut takes the piece away as a whole, and it is done again.
        while await self.writer.submit(lambda _store: self.roller.step(), durable=False):
            await self.clock.wait(REST_SECONDS)
