"""Cronbell's own health: is a runner alive, are the clocks right, is there room, can it be written?

The same four questions for ``/healthz``, for the bar of every page and for ``cronbell doctor``.
What cannot be looked at for want of a database is a trouble of the database.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections, transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cronbell.clock import SYSTEM_CLOCK, Clock, from_micros
from cronbell.dashboard.models import ApplicationProbe
from cronbell.runlog.counters import RunLogProbe
from cronbell.runlog.lease_time import StoreTime
from cronbell.runlog.queries import clocks_of_runners, runner_state
from cronbell.runlog.router import ALIAS
from cronbell.server.diagnosis import LEAST_FREE
from cronbell.server.sqlite.base import DatabaseWrapper as OurSqlite

log = logging.getLogger("cronbell.health")

MICROS = 1_000_000
MOST_APART = 2 * MICROS
# How long a writer may hold a database before that counts as "cannot be written". A job's chunk
# holds it for 10 ms.
PATIENCE_SECONDS = 2.0
# Anybody may ask /healthz, and each look is a write: no more than one in this time.
FRESH = timedelta(seconds=5)
PROBES: dict[str, type[RunLogProbe | ApplicationProbe]] = {
    ALIAS: RunLogProbe,
    DEFAULT_DB_ALIAS: ApplicationProbe,
}
BROKEN = (DatabaseError, InterfaceError)


# Found once and shown in any language.
Words: TypeAlias = "str | Promise"

_NO_WRITING = _("%(name)s cannot be written.")
_SEE_TO_THE_DATABASE = _(
    "See that the disk has room, the files are yours and DATABASE_URL is right."
)


class Check(StrEnum):
    """What is looked at."""

    DATABASE = "database"
    DISK = "disk"
    RUNNER = "runner"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong.

    Attributes:
        check: what was looked at.
        words: what is wrong, with places for ``data``.
        remedy: what to do about it.
        detail: what a database or a clock said; for administrators only.
        data: what goes into the words.
    """

    check: Check
    words: Words
    remedy: Words
    detail: str = ""
    data: Mapping[str, object] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What is wrong, in the language that is active."""
        return str(self.words) % {name: str(value) for name, value in self.data.items()}


def troubles(clock: Clock, directory: Path) -> list[Trouble]:
    """Look at everything now; empty where all is well."""
    found = list(_databases(clock))
    if not any(trouble.check is Check.DATABASE for trouble in found):
        try:
            found += [*_runner(clock), *_clocks(clock)]
        except BROKEN as error:
            found.append(_unreadable(str(error)))
    return [*found, *_disk(directory)]


def troubles_of_runner(clock: Clock, directory: Path, host: str) -> list[Trouble]:
    """Look at what the runner of one machine needs, and whether it is alive; no other's matter.

    Args:
        clock: what time it is.
        directory: the data directory.
        host: the machine's name, as its runner has written it down.
    """
    found = list(_databases(clock))
    if not found:
        try:
            found += [*_runner_of(clock, host), *_own_clock(clock)]
        except BROKEN as error:
            found.append(_unreadable(str(error)))
    return [*found, *_disk(directory)]


class Watch:
    """Remembers the last look for a few seconds, so that asking often costs little.

    Args:
        clock: tells how old the last look is.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._found: Sequence[Trouble] | None = None

    def troubles(self) -> Sequence[Trouble]:
        """Return what is wrong, as of at most ``FRESH`` ago.

        While one thread looks, which may take as long as a database is locked, the others get what
        was found before.
        """
        if self._found is not None and not self._stale():
            return self._found
        if not self._lock.acquire(blocking=self._found is None):
            return () if self._found is None else self._found
        try:
            if self._found is None or self._stale():
                self._found = troubles(self.clock, Path(settings.CRONBELL_DATA_DIR))
                self._looked_at = self.clock.monotonic()
            return self._found
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Look anew the next time."""
        self._found = None

    def _stale(self) -> bool:
        return self.clock.monotonic() - self._looked_at >= FRESH.total_seconds()


watch = Watch(SYSTEM_CLOCK)


def write_fault(alias: str, clock: Clock) -> str:
    """Write one row for good; return why that failed, empty where it did not.

    A transaction that is rolled back would not notice a full disk: SQLite writes at the commit.
    """
    try:
        with _impatient(alias), transaction.atomic(using=alias):
            PROBES[alias].objects.using(alias).update_or_create(pk=1, defaults={"at": clock.now()})
    except BROKEN as error:
        return str(error) or type(error).__name__
    return ""


@contextmanager
def _impatient(alias: str) -> Iterator[None]:
    """Give up on a lock soon, on this thread's connection and for this transaction alone."""
    connection = connections[alias]
    connection.ensure_connection()
    if isinstance(connection, OurSqlite):
        patience, connection.begin_wait = connection.begin_wait, PATIENCE_SECONDS
        try:
            yield
        finally:
            connection.begin_wait = patience
            if connection.connection is not None:
                connection.connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
        return
    with transaction.atomic(using=alias):
        with connection.cursor() as cursor:
            limit = f"{int(PATIENCE_SECONDS * 1000)}ms"
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [limit])
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [limit])
        yield


def clocks_apart(clock: Clock) -> tuple[int, str]:
    """Compare this machine's clock and the live runners' with the store's.

    Returns:
        How many were compared, and which are off by how much; empty where none is.
    """
    store_ahead = StoreTime().ahead(clock)
    apart = {"this machine": -store_ahead}
    apart |= clocks_of_runners(from_micros(clock.micros() + store_ahead))
    wrong = [_apart(name, ahead) for name, ahead in apart.items() if abs(ahead) > MOST_APART]
    return len(apart), "; ".join(wrong)


def _databases(clock: Clock) -> Iterator[Trouble]:
    names = {ALIAS: _("The run log"), DEFAULT_DB_ALIAS: _("The application's database")}
    for alias, name in names.items():
        fault = write_fault(alias, clock)
        if fault:
            log.error("%s cannot be written: %s", alias, fault)
            yield Trouble(
                Check.DATABASE,
                _NO_WRITING,
                _SEE_TO_THE_DATABASE,
                fault,
                {"name": name},
            )


def _unreadable(detail: str) -> Trouble:
    return Trouble(
        Check.DATABASE,
        _("The run log cannot be read."),
        _SEE_TO_THE_DATABASE,
        detail,
    )


def _disk(directory: Path) -> Iterator[Trouble]:
    try:
        free = shutil.disk_usage(directory).free
    except OSError as error:
        yield Trouble(
            Check.DISK, _("The data directory is gone."), _("See to its disk."), str(error)
        )
        return
    if free < LEAST_FREE:
        yield Trouble(
            Check.DISK,
            _("The disk is nearly full: %(free)s MB are free."),
            _("Make room: without it runs can't be recorded and are not sent."),
            str(directory),
            {"free": free >> 20},
        )


def _runner(clock: Clock) -> Iterator[Trouble]:
    if not runner_state(clock.now()).alive:
        yield Trouble(
            Check.RUNNER,
            _("No runner is alive: nothing will be run."),
            _("Start one with `cronbell up`."),
        )


def _runner_of(clock: Clock, host: str) -> Iterator[Trouble]:
    if not runner_state(clock.now(), host).alive:
        yield Trouble(
            Check.RUNNER,
            _("No runner is alive on %(host)s."),
            _("Start one with `cronbell up`."),
            data={"host": host},
        )


def _clocks(clock: Clock) -> Iterator[Trouble]:
    _compared, wrong = clocks_apart(clock)
    if wrong:
        yield _clock_is_off(wrong)


def _own_clock(clock: Clock) -> Iterator[Trouble]:
    store_ahead = StoreTime().ahead(clock)
    if abs(store_ahead) > MOST_APART:
        yield _clock_is_off(_apart("this machine", -store_ahead))


def _clock_is_off(detail: str) -> Trouble:
    return Trouble(
        Check.CLOCK,
        _("A clock is off: it differs from the database's by more than 2 seconds."),
        _("Keep the clocks in step (chrony, systemd-timesyncd)."),
        detail,
    )


def _apart(name: str, ahead: int) -> str:
    direction = "ahead of" if ahead > 0 else "behind"
    return f"{name}: {abs(ahead) / MICROS:.1f} s {direction} the database"
