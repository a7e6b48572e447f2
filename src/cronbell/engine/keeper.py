"""Keeps this runner's leases and rescues what a dead one left: step functions on a short beat.

The rescuer is not itself a job: it runs in every runner, acts on lease times alone (never on
process ids or host names, which come back) and does nothing where nothing has expired.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace

from cronbell import __version__
from cronbell.clock import Clock, from_micros
from cronbell.engine.clocks import Clocks
from cronbell.engine.writer import Writer
from cronbell.runlog.lease_time import LeaseTime
from cronbell.runlog.models import Runner
from cronbell.runlog.store import Rescued, RunStore

log = logging.getLogger("cronbell.engine.keeper")

MICROS = 1_000_000


class Keeper:
    """Renews leases, shows that this runner is alive, rescues expired runs.

    Args:
        writer: the run log's writer; its store's owner is this runner's id.
        clock: what time it is.
        in_hand: terms by id of the runs claimed and not yet settled.
        drop: called with id and term of a run that is no longer this runner's: cancelled, or
            taken over by another runner.
        lease_seconds: how long a lease holds from each renewal.
        lease_time: whose clock judges leases.
    """

    def __init__(
        self,
        writer: Writer,
        clock: Clock,
        in_hand: Mapping[int, int],
        drop: Callable[[int, int], None],
        *,
        lease_seconds: float,
        lease_time: LeaseTime,
    ) -> None:
        self.writer = writer
        self.in_hand = in_hand
        self.drop = drop
        self.clock = clock
        self.lease_seconds = lease_seconds
        self.id = writer.store.owner
        self.clocks = Clocks(self.id, clock, lease_time, lease_seconds)
        # Microseconds the earliest fire has been due without a row; the planner's to say.
        self.behind: Callable[[], int] = lambda: 0

    async def register(self, jobs: int) -> None:
        """Make this runner known."""
        now = from_micros(self.clock.micros())

        def insert(_store: RunStore) -> None:
            self.clocks.measure()
            self.clocks.compare()
            Runner.objects.update_or_create(
                id=self.id,
                defaults={
                    "host": socket.gethostname(),
                    "pid": os.getpid(),
                    "version": __version__,
                    "started_at": now,
                    **self.clocks.seen(),
                    "stopped_at": None,
                    "jobs": jobs,
                    "config_fault": "",
                },
            )

        await self.writer.submit(insert)

    async def report_configuration(self, jobs: int | None, fault: str) -> None:
        """Show how many jobs are in force, or why a changed file was not taken over."""
        changes: dict[str, int | str] = {"config_fault": fault}
        if jobs is not None:
            changes["jobs"] = jobs
        await self.writer.submit(lambda _store: Runner.objects.filter(id=self.id).update(**changes))

    async def renew(self) -> None:
        """Keep leases and say "alive"; drop the calls of runs that are no longer this runner's."""
        behind = self.behind()

        def act(store: RunStore) -> tuple[dict[int, int], set[int]]:
            # Both asked here, where the store has been waited for: leases count from the write,
            # and a run taken while this waited is in hand too.
            lease_now, in_hand = self.clocks.measure(), dict(self.in_hand)
            Runner.objects.filter(id=self.id).update(**self.clocks.seen(), behind=behind)
            kept = store.renew(in_hand, lease_now + int(self.lease_seconds * MICROS))
            return in_hand, in_hand.keys() - kept

        self._drop_lost(*await self.writer.submit(act))

    def _drop_lost(self, in_hand: Mapping[int, int], lost: set[int]) -> None:
        for run_id in lost:
            # What was in hand when the store was asked may have ended since, and usually has.
            if self.in_hand.get(run_id) == in_hand[run_id]:
                self.drop(run_id, in_hand[run_id])

    async def rescue(self) -> Rescued:
        """End what was cancelled, give back what dead runners left, end calls of dead processes."""

        def act(store: RunStore) -> tuple[dict[int, int], set[int], Rescued]:
            now, lease_now, in_hand = self.clock.micros(), self.clocks.measure(), dict(self.in_hand)
            self.clocks.compare()
            ended = store.end_cancelled(now, lease_now)
            found = Rescued(runs=0, unknown=0, cancelled=0, calls=0)
            if store.expired(lease_now):
                # Its own leases first: a clock that jumped ahead must not make a runner take its
                # own running calls for a dead runner's.
                kept = store.renew(in_hand, lease_now + int(self.lease_seconds * MICROS))
                lost = in_hand.keys() - kept
                # One who stands aside has the wrong time to give a run back at.
                if not self.clocks.aside:
                    found = store.rescue(now, lease_now)
            else:
                lost = store.lost(in_hand)
            return in_hand, lost, replace(found, cancelled=found.cancelled + ended)

        in_hand, lost, rescued = await self.writer.submit(act)
        self._drop_lost(in_hand, lost)
        if rescued.cancelled:
            log.info("%d runs were cancelled", rescued.cancelled)
        if rescued.runs or rescued.unknown or rescued.calls:
            log.warning(
                "a runner died: %d runs will be sent again, %d may not and are unknown;"
                " ended %d calls whose process died",
                rescued.runs,
                rescued.unknown,
                rescued.calls,
            )
        return rescued

    async def leave(self) -> None:
        """Say that this runner has stopped."""
        now = from_micros(self.clocks.now())
        await self.writer.submit(
            lambda _store: Runner.objects.filter(id=self.id).update(seen_at=now, stopped_at=now)
        )
