"""What a runner does about clocks that are apart: judge leases by the store's, and stand aside.

Which of two clocks is right cannot be known from inside. But two runners that plan by clocks an
hour apart would have every fire at the earlier one's time, so the one that is further from the
store's clock does nothing while one that is nearer is alive. One that is alone works by its own
clock: a store with a wrong clock must not stop it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from cronbell.clock import Clock, from_micros
from cronbell.runlog.lease_time import LeaseTime
from cronbell.runlog.models import Runner

log = logging.getLogger("cronbell.engine.clocks")

MICROS = 1_000_000
# Clocks that are kept in step differ by milliseconds; fires may be early or late by so much.
FAR_APART = 5 * MICROS


@dataclass(slots=True)
class Clocks:
    """One runner's clock beside the store's; measured on the writer's thread.

    Attributes:
        runner: its id.
        clock: its own.
        lease_time: tells how far the store's is ahead.
        lease_seconds: a runner not seen for so long is dead.
        ahead: microseconds the store is ahead, as last measured.
        aside: whether a runner with a better clock is to do the work.
    """

    runner: str
    clock: Clock
    lease_time: LeaseTime
    lease_seconds: float
    ahead: int = 0
    aside: bool = False

    def measure(self) -> int:
        """Compare the clocks; return the instant by which leases are judged now."""
        self.ahead = self.lease_time.ahead(self.clock)
        return self.now()

    def now(self) -> int:
        """Return the instant by which leases are judged, without asking the store again."""
        return self.clock.micros() + self.ahead

    def compare(self) -> None:
        """Decide whether to stand aside, after ``measure`` and in the same transaction."""
        better = abs(self.ahead) > FAR_APART and any(
            abs(other) + FAR_APART < abs(self.ahead) for other in self._others()
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

    def _others(self) -> list[int]:
        alive = Runner.objects.filter(
            stopped_at__isnull=True,
            seen_at__gte=from_micros(self.now() - int(self.lease_seconds * MICROS)),
        ).exclude(id=self.runner)
        return list(alive.values_list("clock_ahead", flat=True))

    def seen(self) -> dict[str, object]:
        """Return what the runner's row says: by the shared clock, so that all read it alike."""
        return {"seen_at": from_micros(self.now()), "clock_ahead": -self.ahead}
