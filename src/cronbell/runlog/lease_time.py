"""Whose clock judges leases: the store's, which all its users share, never each one's own.

A lease is an instant that one process writes and another reads. If each used its own clock, a
runner 20 seconds ahead would take every run of another for abandoned and send it again, and one an
hour behind would leave a dead runner's runs alone for an hour. So both add to their own clock what
the store's is ahead of it, measured where the lease is written or judged.

Fires are a different matter: they are due by the runner's own clock. See decision 12.
"""

from __future__ import annotations

from typing import Protocol

from django.db import connections

from cronbell.clock import SYSTEM_CLOCK, Clock
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import fetch


class LeaseTime(Protocol):
    """Tells how far the clock that judges leases is ahead of one's own."""

    def ahead(self, clock: Clock, using: str = ALIAS) -> int:
        """Return microseconds to add to ``clock``; asks the store, if at all, on this thread."""
        ...


class StoreTime:
    """The store's clock: PostgreSQL's server, or the machine that an SQLite file is on."""

    def ahead(self, clock: Clock, using: str = ALIAS) -> int:
        """Ask the store; wrong by no more than the way there takes."""
        ((found,),) = fetch(connections[using], "store_ahead", [clock.micros()])
        return int(found)


class OwnTime:
    """One's own clock, right where only one clock is involved: a test's."""

    def ahead(self, clock: Clock, using: str = ALIAS) -> int:
        """Return 0."""
        del clock, using
        return 0


def lease_time_for(clock: Clock) -> LeaseTime:
    """Return the store's time for the machine's clock, its own for a clock that was made up."""
    return StoreTime() if clock is SYSTEM_CLOCK else OwnTime()
