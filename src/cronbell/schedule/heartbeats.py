"""Which due instant a ping answers, and which have gone without one. Pure.

Each fire of a heartbeat has a window within which a ping counts for it. Windows never overlap, so
every instant lies in the window of one fire or of none, and which fire a ping answers does not
depend on what other pings came.

A window opens a little early: the clock of another machine may be some seconds behind, and a run
that begins at 08:59:58 is the one of 09:00. It closes when the grace is over, or when the window
of the next fire opens: a job that was away for an hour answers its newest fire, not its oldest.
"""

from __future__ import annotations

from typing import NamedTuple

from cronbell.schedule.cron import Schedule

MICROS = 1_000_000
# How early a ping may be; at most a quarter of the time since the fire before.
EARLY_SECONDS = 30
# A job started on the minute may take some moments to say so: only later than this is late.
ON_TIME_SECONDS = 60
# Closed longer ago than this and still not recorded: nobody was there to watch.
WATCHED_SECONDS = 60


class Window(NamedTuple):
    """When a ping counts for a fire; instants in microseconds.

    Attributes:
        fire: the due instant.
        opens: from here on.
        closes: up to here, exclusive.
    """

    fire: int
    opens: int
    closes: int

    def is_late(self, at: int) -> bool:
        """Say whether a ping within the window came late."""
        return at - self.fire > ON_TIME_SECONDS * MICROS


class Silent(NamedTuple):
    """Fires that nobody answered; instants in epoch seconds.

    Attributes:
        noticed: those whose window closed just now, one by one.
        first: the earliest of those that closed while nobody watched; None where there are none.
        last: the latest of them.
        unwatched: how many they are.
    """

    noticed: tuple[int, ...]
    first: int | None
    last: int | None
    unwatched: int


def window_of(schedule: Schedule, fire: int, grace: float) -> Window:
    """Return the window of a fire.

    Args:
        schedule: when pings are due.
        fire: the due instant, epoch seconds.
        grace: seconds after it within which a ping still counts.
    """
    closes = fire * MICROS + int(grace * MICROS)
    following = schedule.next(fire)
    if following is not None:
        closes = min(closes, _opens(schedule, following))
    return Window(fire * MICROS, _opens(schedule, fire), closes)


def _opens(schedule: Schedule, fire: int) -> int:
    before = schedule.previous(fire)
    early = EARLY_SECONDS if before is None else min(EARLY_SECONDS, (fire - before) // 4)
    return (fire - early) * MICROS


def window_at(schedule: Schedule, at: int, grace: float) -> Window | None:
    """Return the window an instant lies in; None between windows.

    Args:
        schedule: when pings are due.
        at: microseconds.
        grace: as for ``window_of``.
    """
    second = at // MICROS
    for fire in (schedule.next(second), schedule.previous(second + 1)):
        if fire is not None:
            window = window_of(schedule, fire, grace)
            if window.opens <= at < window.closes:
                return window
    return None


def silent(schedule: Schedule, cursor: int, now: int, grace: float) -> Silent | None:
    """Return the fires after the cursor that no ping can answer any more; None for none.

    Args:
        schedule: when pings are due.
        cursor: every fire up to here is accounted for, microseconds.
        now: microseconds.
        grace: as for ``window_of``.
    """
    after = cursor // MICROS
    last = last_closed(schedule, now, grace)
    if last is None or last <= after:
        return None
    old = last_closed(schedule, now - WATCHED_SECONDS * MICROS, grace)
    if old is None or old <= after:
        return Silent(tuple(schedule.fires(after, last)), None, None, 0)
    noticed = tuple(schedule.fires(old, last))
    return Silent(noticed, schedule.next(after), old, schedule.count(after, old))


def last_closed(schedule: Schedule, now: int, grace: float) -> int | None:
    """Return the newest fire whose window is over, epoch seconds; None where there is none.

    Args:
        schedule: when pings are due.
        now: microseconds.
        grace: as for ``window_of``.
    """
    fire = schedule.previous(now // MICROS + 1)
    if fire is not None and window_of(schedule, fire, grace).closes > now:
        # The one before closed when this one opened, if not earlier.
        return schedule.previous(fire)
    return fire
