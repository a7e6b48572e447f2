"""Keeps the run log in shape while the runner works: a bounded piece at a time, with rests.

Fires come first: each piece is one short transaction of the writer, and between two of them
whatever else waits to be written is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cronbell.clock import Clock
from cronbell.config.retention import Retention
from cronbell.engine.writer import Writer
from cronbell.runlog.retention import Pruner
from cronbell.runlog.rollups import Roller
from cronbell.runlog.store import RunStore
from cronbell.runlog.totals import Row

REST_SECONDS = 0.02
# While runs wait to be sent the pieces wait, but not for ever: a runner that is never done with
# its runs must not let the run log grow without end.
LONGEST_WAIT_SECONDS = 2.0
LOOK_SECONDS = 0.1
# What is kept for a month need not go to the minute; a look at every job is no small thing.
PRUNE_SECONDS = 600.0


class Housekeeping:
    """Rolls up what has ended, removes what is old.

    Args:
        writer: the run log's writer.
        clock: what time it is, and for the rests.
        retention: how long ended runs are kept; may be exchanged at any time.
        note: told of runs that ended, in the transaction that counts them.
        behind: says whether runs wait to be sent, which have the writer before housekeeping has.
    """

    def __init__(
        self,
        writer: Writer,
        clock: Clock,
        retention: Retention,
        *,
        note: Callable[[Sequence[Row]], None] = lambda _rows: None,
        behind: Callable[[], bool] = lambda: False,
    ) -> None:
        self.writer = writer
        self.clock = clock
        self.retention = retention
        self.behind = behind
        self.roller = Roller(note)
        self.pruner = Pruner(clock)

    async def roll_up(self) -> None:
        """Roll up all there is now; then have the store put its journal away."""
        await self.piece_by_piece(lambda _store: self.roller.step(self.clock.micros()))
        self.writer.tidy_up()

    async def prune(self) -> None:
        """Remove all that is old now, once it is rolled up."""
        await self.roll_up()
        await self.piece_by_piece(lambda _store: self.pruner.step(self.retention))

    async def piece_by_piece(self, step: Callable[[RunStore], bool]) -> None:
        """Do a step until it says that nothing is left, resting in between."""
        await self._let_pass()
        # Not durable: a power cut takes the piece away as a whole, and it is done again.
        while await self.writer.submit(step, durable=False):
            await self.clock.wait(REST_SECONDS)
            await self._let_pass()

    async def _let_pass(self) -> None:
        """Wait while runs wait to be sent."""
        give_up = self.clock.monotonic() + LONGEST_WAIT_SECONDS
        while self.behind() and self.clock.monotonic() < give_up:
            await self.clock.wait(LOOK_SECONDS)
