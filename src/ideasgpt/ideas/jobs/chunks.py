"""How a job writes beside everybody else: short turns with the write lock, and rests between.

DESIGN, "Writers": a chunk holds the lock for 10 ms or less, then rests at least 5 ms. How many rows
that is differs by machine, by table and by the minute, so it is measured and not configured. What
was measured may not hold for the next turn: one that comes upon dearer rows ends when its time is
up, and the next begins with what it left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from types import TracebackType
from typing import Self

from django.db import connection, transaction

from cronbell.clock import Clock

AIM_SECONDS = 0.007  # below the limit of 10 ms, so that an unlucky turn hardly passes it
LONGEST_SECONDS = 0.008  # a turn that has lasted so long begins no further piece
REST_SECONDS = 0.005
PIECE_ROWS = 25  # the clock is looked at between pieces
FIRST_ROWS = 100
FEWEST_ROWS = 20  # fewer would not make a turn shorter: beginning and committing take their time
MOST_ROWS = 5000
MOST_GROWTH, MOST_SHRINKING = 1.5, 0.5
# A turn may be long because the machine was busy elsewhere, and then says nothing about its rows.
# The middle of so many takes no notice of one or two such turns, and follows after the third.
REMEMBERED = 5
# Each checkpoint waits for the disk, and writes again what the one before wrote: the fewer the
# better. But what the log holds by then is moved by whoever else commits: that must not take long.
TURNS_PER_CHECKPOINT = 16
# SQLite's log begins anew only if all of it has been moved when somebody begins to write. Beside a
# writer that commits during each checkpoint it grew past a gigabyte, and who then began it anew cut
# the file down to its limit (64 MB) with the write lock held: 0.2 to 0.6 s. Where it has half of
# that, its last pages are moved with the lock held.
LONG_LOG_PAGES = 8_192
SYNCHRONOUS = {
    "0": "PRAGMA synchronous = OFF",
    "1": "PRAGMA synchronous = NORMAL",
    "3": "PRAGMA synchronous = EXTRA",
}


class Turns:
    """Write transactions that take turns with other writers; a context manager.

    Within it a commit does not wait for the disk: the wait would be spent holding the lock. What a
    power cut could then undo is whole turns at the end, which the job's next run does again; and
    nothing that is committed later, such as the run's receipt, can survive without them.

    Args:
        clock: measures how long each turn held the lock, and rests.

    Attributes:
        rows: how many rows the next turn should write.
        longest: seconds the longest turn so far held the lock.
        count: turns taken.
        left: how many of the last turn's ids its time did not suffice for.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.rows = FIRST_ROWS
        self.longest = 0.0
        self.count = 0
        self.left = 0
        self._unmoved = 0  # turns since the last checkpoint
        self._begun = 0.0
        self._free_at: float | None = None
        self._costs: deque[float] = deque(maxlen=REMEMBERED)  # seconds a row, turn by turn
        self._sqlite = connection.vendor == "sqlite"
        self._before = ""

    def __enter__(self) -> Self:
        with connection.cursor() as cursor:
            if self._sqlite:
                cursor.execute("PRAGMA synchronous")
                self._before = str(cursor.fetchone()[0])
                cursor.execute("PRAGMA synchronous = NORMAL")
                # Our own checkpoints, between turns: SQLite's would come with a commit, and be
                # taken for time that the lock was held.
                cursor.execute("PRAGMA wal_autocheckpoint = 0")
            else:
                cursor.execute("SELECT current_setting('synchronous_commit')")
                self._before = str(cursor.fetchone()[0])
                cursor.execute("SELECT set_config('synchronous_commit', 'off', false)")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with connection.cursor() as cursor:
            if not self._sqlite:
                cursor.execute("SELECT set_config('synchronous_commit', %s, false)", [self._before])
                return
            # A pragma takes no parameters.
            cursor.execute(SYNCHRONOUS.get(self._before, "PRAGMA synchronous = FULL"))
            cursor.execute("PRAGMA wal_autocheckpoint = 1000")  # SQLite's default
            if self.count:
                cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def portions(self, ids: Sequence[int]) -> Iterator[Sequence[int]]:
        """Cut ids into what one turn should write, asking anew for each.

        A rest of less than half a turn goes along with the last, 10.5 ms, instead of taking a turn
        and an idle rest of its own.
        """
        start = 0
        while start < len(ids):
            most = self.rows + self.rows // 2
            fits = len(ids) - start <= most
            portion = ids[start : start + (most if fits else self.rows)]
            self.left = 0
            yield portion
            start += len(portion) - self.left

    def pieces(self, ids: Sequence[int]) -> Iterator[Sequence[int]]:
        """Cut a turn's ids into pieces, until all are yielded or the turn has lasted too long.

        What is left over is the beginning of the next of ``portions``.
        """
        for start in range(0, len(ids), PIECE_ROWS):
            if start and self.clock.monotonic() - self._begun >= LONGEST_SECONDS:
                self.left = len(ids) - start
                return
            yield ids[start : start + PIECE_ROWS]

    @contextmanager
    def turn(self, rows: int) -> Iterator[None]:
        """Hold the write lock for the block, which writes ``rows`` rows; rest first if need be.

        The waiting for others is not counted: what is measured is how long others waited for us.
        """
        self._rest()
        self.left = 0
        with transaction.atomic():
            self._begun = self.clock.monotonic()
            yield
        self._free_at = self.clock.monotonic()
        self._learn(self._free_at - self._begun, rows - self.left)

    def _rest(self) -> None:
        if self._free_at is None:
            return
        if self._sqlite and self._unmoved >= TURNS_PER_CHECKPOINT and _checkpoint():
            self._unmoved = 0
        rested = self.clock.monotonic() - self._free_at
        if rested < REST_SECONDS:
            self.clock.sleep(REST_SECONDS - rested)

    def _learn(self, held: float, rows: int) -> None:
        self.count += 1
        self._unmoved += 1
        self.longest = max(self.longest, held)
        if rows < self.rows and held <= AIM_SECONDS:
            return  # a turn that was neither full nor long says nothing about a full one
        self._costs.append(held / max(rows, 1))
        cost = median(self._costs)
        fitting = AIM_SECONDS / cost if cost else float(MOST_ROWS)
        if fitting < self.rows:
            self.rows = max(FEWEST_ROWS, int(max(fitting, self.rows * MOST_SHRINKING)))
        elif rows >= self.rows:
            self.rows = min(MOST_ROWS, int(min(fitting, self.rows * MOST_GROWTH)) + 1)


def _checkpoint() -> bool:
    """Move SQLite's log into the database; return False where it should be tried again.

    A long log is moved to its last page, so that whoever writes next begins it anew. For the few
    pages that were written meanwhile the write lock is held, if nobody else has it now: without
    waiting, neither for that nor, with the lock held, for those who still read from the log.
    """
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
        busy, pages, _moved = cursor.fetchone()
        if busy or pages < LONG_LOG_PAGES:
            return not busy  # busy: somebody else is moving it
        cursor.execute("PRAGMA busy_timeout")
        (patience,) = cursor.fetchone()
        cursor.execute("PRAGMA busy_timeout = 0")
        try:
            cursor.execute("PRAGMA wal_checkpoint(RESTART)")
            return not cursor.fetchone()[0]
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {int(patience)}")
