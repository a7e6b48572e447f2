"""Claims pending runs and keeps a bounded number of them going.

Runs are claimed a chunk at a time and worked off a deque by coroutines that live as long as there
is work. How far claims run ahead of free workers follows the rate at which runs end, so that a
herd of quick runs is claimed hundreds at a time and a slow target's runs are claimed only when
there is a worker to send them: a claimed run that waits is one no other runner can take.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque

from cronbell.clock import Clock
from cronbell.engine.clocks import Clocks
from cronbell.engine.executors.embedded import EmbeddedExecutor
from cronbell.engine.settle import Settler, cut_off, unsent
from cronbell.engine.writer import Writer
from cronbell.runlog.store import Claimed, RunStore

log = logging.getLogger("cronbell.engine.pool")

MICROS = 1_000_000
# Claimed ahead at most, and by one statement: what a commit costs is shared by as many.
LARGEST_CHUNK = 2_000
# Enough claimed ahead to bridge a few commits of a slow disk at the rate runs end just now.
AHEAD_SECONDS = 0.25
MEASURE_SECONDS = 0.05


class Pool:
    """A bounded pool of coroutines that execute claimed runs.

    Args:
        writer: claims through it.
        settler: takes what became of each run.
        executor: does one run.
        in_hand: terms by id of the runs claimed and not yet settled; claimed ones are put in.
        clock: what time it is.
        concurrency: how many runs go on at once at most.
        lease_seconds: for how long a claim holds unless renewed.
        clocks: by which leases are judged; says, too, when this runner is to claim nothing.
    """

    def __init__(
        self,
        writer: Writer,
        settler: Settler,
        executor: EmbeddedExecutor,
        clock: Clock,
        in_hand: dict[int, int],
        *,
        concurrency: int,
        lease_seconds: float,
        clocks: Clocks,
    ) -> None:
        self.writer = writer
        self.settler = settler
        self.executor = executor
        self.clock = clock
        self.in_hand = in_hand
        self.concurrency = concurrency
        self.lease_seconds = lease_seconds
        self.clocks = clocks
        self.going: dict[asyncio.Task[None], Claimed | None] = {}
        self._waiting: deque[Claimed] = deque()
        self.expected = 0  # runs that are being recorded as this runner's
        self._dropped: set[tuple[int, int]] = set()
        self._wake = asyncio.Event()
        self._roomy = asyncio.Event()
        # Workers with a run in hand. A task that has just ended is still in ``going``: counting
        # those, the last of a batch would find no room, and nobody would be left to tell.
        self._busy = 0
        self._stopping = False
        self._ended = 0
        self._measured_at = clock.monotonic()
        self._measured_ended = 0
        self._rate = 0.0
        self._low_water = 0
        self._maybe_more = False

    @property
    def busy(self) -> int:
        """How many runs are being executed now."""
        return self._busy

    def wake(self) -> None:
        """Say that there may be pending runs."""
        self._wake.set()

    def room(self) -> int:
        """Return how many more runs can be taken now without making them wait long."""
        if self._stopping or self.clocks.aside:
            return 0
        return self.concurrency + self._ahead() - self._taken()

    def roomy(self) -> bool:
        """Say whether a third of what can be taken is free: enough to be worth a commit."""
        if self._stopping or self.clocks.aside:
            return False
        most = self.concurrency + self._ahead()
        return (most - self._taken()) * 3 >= most

    def _taken(self) -> int:
        return self._busy + len(self._waiting) + self.expected

    def behind(self) -> bool:
        """Say whether runs wait for a worker, or will in a moment."""
        return bool(self._waiting) or self.expected > 0

    async def wait_for_room(self, seconds: float) -> None:
        """Wait until there is room worth a commit, for at most so long."""
        self._roomy.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._roomy.wait(), seconds)

    def take(self, runs: list[Claimed]) -> None:
        """Execute runs that are this runner's."""
        self.in_hand.update((run.id, run.term) for run in runs)
        self.begin(runs)

    def begin(self, runs: list[Claimed]) -> None:
        """Execute runs that are in hand already."""
        self._waiting.extend(runs)
        self._start_workers()

    async def claim_forever(self) -> None:
        """Claim whenever woken and there is room, until stopped."""
        while not self._stopping:
            await self._wake.wait()
            self._wake.clear()
            while not self._stopping and await self._claim_once():
                pass

    async def _claim_once(self) -> bool:
        """Claim a chunk; say whether it was full, so that there may be more."""
        room = self.room()
        if room <= 0:
            self._maybe_more = True
            return False
        limit = min(room, LARGEST_CHUNK)

        def claim(store: RunStore) -> list[Claimed]:
            # Asked here, where the store has been waited for: the lease counts from the write.
            expires = self.clocks.now() + int(self.lease_seconds * MICROS)
            return store.claim(limit, self.clock.micros(), expires)

        try:
            claimed = await self.writer.submit(claim)
        except Exception:
            log.exception("pending runs could not be claimed")
            return False
        self.take(claimed)
        self._maybe_more = len(claimed) == limit
        return self._maybe_more and len(self._waiting) <= self._low_water

    def _ahead(self) -> int:
        now = self.clock.monotonic()
        span, ended = now - self._measured_at, self._ended - self._measured_ended
        # Or as soon as all workers came round: the first of a herd must not creep for so long.
        if span >= MEASURE_SECONDS or (ended >= self.concurrency and span > 0):
            self._rate = ended / span
            self._measured_at, self._measured_ended = now, self._ended
            # Half of it is worked off while the next is being committed.
            self._low_water = min(LARGEST_CHUNK, int(self._rate * AHEAD_SECONDS)) // 2
        return min(LARGEST_CHUNK, int(self._rate * AHEAD_SECONDS))

    def _start_workers(self) -> None:
        for _ in range(min(self.concurrency - len(self.going), len(self._waiting))):
            task = asyncio.create_task(self._work())
            self.going[task] = None
            task.add_done_callback(self.going.pop)

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - runs as a task
        while self._waiting:
            run = self._waiting.popleft()
            self.going[task] = run
            self._busy += 1
            try:
                self.settler.settle(await self.executor.execute(run))
            except asyncio.CancelledError:
                if (run.id, run.term) not in self._dropped:
                    raise
                # Only this call was to end: the worker goes on with the next run.
                self._dropped.discard((run.id, run.term))
                task.uncancel()
                self.in_hand.pop(run.id, None)
                log.warning(
                    "run %d is no longer this runner's; its call was dropped",
                    run.id,
                    extra={"run": run.id, "key": run.key},
                )
            except Exception:
                # A bug of ours: its lease is kept no longer, so that the run is rescued when
                # it runs out; the other runs go on.
                log.exception(
                    "run %d could not be executed", run.id, extra={"run": run.id, "key": run.key}
                )
                self.in_hand.pop(run.id, None)
            finally:
                self._busy -= 1
            self._ended += 1
            # Asked by every eighth, and by the last ones: it looks at the clock.
            if len(self._waiting) <= self._low_water and not (self._ended & 7 and self._waiting):
                if self._maybe_more:
                    self._wake.set()
                if not self._roomy.is_set() and self.roomy():
                    self._roomy.set()

    def drop(self, run_id: int, term: int) -> None:
        """Let go of a run that was ended or taken by somebody else: end its call, settle nothing.

        Args:
            run_id: the run.
            term: of the lease that is lost; a later claim of the same run is left alone.
        """
        for task, run in self.going.items():
            if run is not None and (run.id, run.term) == (run_id, term):
                if (run_id, term) not in self._dropped:
                    self._dropped.add((run_id, term))
                    task.cancel()
                return
        for run in self._waiting:
            if (run.id, run.term) == (run_id, term):
                self._waiting.remove(run)
                self.in_hand.pop(run_id, None)
                return

    def give_back(self) -> None:
        """Give back what waits beyond what is likely to be begun soon: others may have room."""
        now = self.clock.micros()
        for _ in range(min(-self.room(), len(self._waiting))):
            self.settler.settle(unsent(self._waiting.pop(), now))

    async def stop(self, grace: float) -> None:
        """Claim nothing more, give back what was not sent, let the rest end within ``grace``.

        What has not ended by then is given back too, to be sent again with the same key; a run
        that is delivered at most once ends as unknown.

        Args:
            grace: seconds.
        """
        self._stopping = True
        self._wake.set()
        now = self.clock.micros()
        while self._waiting:
            self.settler.settle(unsent(self._waiting.popleft(), now))
        give_up = self.clock.monotonic() + grace
        while self.going and self.clock.monotonic() < give_up:
            await self.clock.wait(0.05)
        cut = [run for run in self.going.values() if run is not None]
        for task in list(self.going):
            task.cancel()
        await asyncio.gather(*self.going, return_exceptions=True)
        now = self.clock.micros()
        for run in cut:
            log.warning(
                "run %d was cut off by the shutdown", run.id, extra={"run": run.id, "key": run.key}
            )
            self.settler.settle(cut_off(run, now))
        await self.settler.drain()
