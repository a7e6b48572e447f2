"""What a runner knows of the others: who is alive, and whose clock is apart from the store's.

Which of two clocks is right cannot be known from inside. But two runners that plan by clocks an
hour apart would have every fire at the earlier one's time, so the one that is further from the
store's clock does nothing while one that is nearer is alive. One that is alone works by its own
clock: a store with a wrong clock must not stop it.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from cronbell.clock import Clock, from_micros
from cronbell.runlog.lease_time import LeaseTime
from cronbell.runlog.models import Runner

log = logging.getLogger("cronbell.engine.clocks")

MICROS = 1_000_000
# Clocks that are kept in step differ by milliseconds; fires may be early or late by so much.
FAR_APART = 5 * MICROS


class Place(NamedTuple):
    """Which of so many runners, in the order of their ids; the first is 0."""

    number: int = 0
    of: int = 1


ALONE = Place()


@dataclass(slots=True)
class Clocks:
    """One runner's clock beside the store's and the others'; measured on the writer's thread.

    Attributes:
        runner: its id.
        clock: its own.
        lease_time: tells how far the store's is ahead.
        lease_seconds: a runner not seen for so long is dead.
        ahead: microseconds the store is ahead, as last measured.
        aside: whether a runner with a better clock is to do the work.
        place: this runner's among those alive, as last compared.
        place_here: likewise among those on this machine.
    """

    runner: str
    clock: Clock
    lease_time: LeaseTime
    lease_seconds: float
    ahead: int = 0
    aside: bool = False
    place: Place = ALONE
    place_here: Place = ALONE

    def measure(self) -> int:
        """Compare the clocks; return the instant by which leases are judged now."""
        self.ahead = self.lease_time.ahead(self.clock)
        return self.now()

    def now(self) -> int:
        """Return the instant by which leases are judged, without asking the store again."""
        return self.clock.micros() + self.ahead

    def compare(self) -> None:
        """Find out who else is alive, and whether to stand aside.

        After ``measure`` and in the same transaction.
        """
        others = self._others()
        here = socket.gethostname()
        self.place = self._place(runner for runner, _, _ in others)
        self.place_here = self._place(runner for runner, host, _ in others if host == here)
        better = abs(self.ahead) > FAR_APART and any(
            abs(ahead) + FAR_APART < abs(self.ahead) for _, _, ahead in others
        )
        if better and not self.aside:
            log.error(
                "this machine's clock is %+.1f s from the database's and another runner's is"
                " nearer: nothing is planned or sent from here; see to its time synchronisation",
                -self.ahead / MICROS,
            )
        elif self.aside and not better:
            log.warning("this runner plans and sends again")
        self.aside = better

    def _others(self) -> list[tuple[str, str, int]]:
        alive = Runner.objects.filter(
            stopped_at__isnull=True,
            seen_at__gte=from_micros(self.now() - int(self.lease_seconds * MICROS)),
        ).exclude(id=self.runner)
        return list(alive.values_list("id", "host", "clock_ahead"))

    def _place(self, others: Iterable[str]) -> Place:
        ids = sorted({self.runner, *others})
        return Place(ids.index(self.runner), len(ids))

    def seen(self) -> dict[str, object]:
        """Return what the runner's row says: by the shared clock, so that all read it alike."""
        return {"seen_at": from_micros(self.now()), "clock_ahead": -self.ahead}
