"""What an experiment changes in a child process: a safeguard taken away, a clock that is stepped.

Chosen by environment variables that only ``tests.faults.application`` reads; nothing in ``src``
knows of them.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

SABOTAGE = "CRONBELL_FAULTS_SABOTAGE"
CLOCK = "CRONBELL_FAULTS_CLOCK"
SHIFT = struct.Struct("q")  # microseconds


def apply() -> None:
    """Change this process as its environment says."""
    if os.environ.get(CLOCK):
        _step_clock(Path(os.environ[CLOCK]))
    if os.environ.get(SABOTAGE):
        SABOTAGES[os.environ[SABOTAGE]]()


def _step_clock(path: Path) -> None:
    """Add what a shared file holds to the wall clock, at each look; monotonic time is real."""
    from cronbell.clock import SystemClock

    with path.open("r+b") as file:
        shared = mmap.mmap(file.fileno(), SHIFT.size)
    real_now, real_micros = SystemClock.now, SystemClock.micros

    def shift() -> int:
        return int(SHIFT.unpack_from(shared)[0])

    SystemClock.micros = lambda self: real_micros(self) + shift()
    SystemClock.now = lambda self: real_now(self) + timedelta(microseconds=shift())


def set_clock(path: Path, seconds: float) -> None:
    """Step the clock of every process that reads ``path``."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), SHIFT.size) as shared:
        SHIFT.pack_into(shared, 0, int(seconds * 1_000_000))


def _rewrite(changes: dict[str, list[tuple[str, str]]]) -> None:
    """Have statements of the run log run with other words; each must have been there."""
    from cronbell.runlog import statements

    real = statements.statement

    def changed(name: str, vendor: str, size: int = 1) -> str:
        text = real(name, vendor, size)
        for old, new in changes.get(name, ()):
            assert old in text, f"{name}.sql no longer says {old!r}: mend the sabotage"
            text = text.replace(old, new)
        return text

    for name, pairs in changes.items():
        for vendor in statements.DIALECT_WORDS:
            for old, _ in pairs:
                assert old in real(name, vendor), f"{name}.sql: {old!r}"
    statements.statement = changed


def without_fencing() -> None:
    """A finish, and a lease's renewal, ask neither who holds the lease nor whether it is over."""
    fence = " runlog_run.status = 'running'\n  AND runlog_run.lease_owner = %s"
    term = "\n  AND runlog_run.lease_term = "
    # The parameter stays, so that the statement still takes what it is given.
    nothing = " %s <> ''"
    held = (
        " run.status = 'running'\n      AND run.lease_owner = %s"
        "\n      AND run.lease_term = CAST(rows.value ->> 1 AS BIGINT)"
    )
    lost = (
        "run.id IS NULL OR run.status <> 'running' OR run.lease_owner <> %s"
        "\n    OR run.lease_term <> CAST(rows.value ->> 1 AS BIGINT)"
    )
    _rewrite({
        "finish": [(f"{fence}{term}excluded.lease_term", nothing)],
        "renew": [(held, nothing)],
        "lost": [(lost, "%s = ''")],
    })  # fmt: skip


def without_the_mark() -> None:
    """A runner's death is treated alike whatever the job's delivery."""
    _rewrite({
        "rescue": [(" AND NOT at_most_once", "")],
        "rescue_once": [(" AND at_most_once", " AND FALSE")],
    })  # fmt: skip


def without_rescue() -> None:
    """Nobody looks after what a dead runner left."""
    from cronbell.runlog.store import Rescued, RunStore

    RunStore.rescue = lambda _self, _now, _lease_now: Rescued(0, 0, 0, 0)


def without_immediate() -> None:
    """SQLite's transactions begin as readers and become writers when they must."""
    from cronbell.server.sqlite.base import DatabaseWrapper

    def begin(self: Any) -> None:
        self.cursor().execute("BEGIN DEFERRED")

    DatabaseWrapper._start_transaction_under_autocommit = begin


def without_deadline() -> None:
    """A call may last as long as it likes."""
    from cronbell.dispatch import PyreqwestTransport

    # Where the client is told of it, whether the request is put together ahead or when it is sent.
    real = PyreqwestTransport._built

    def patient(self: Any, client: Any, request: Any, timeout: float) -> Any:
        return real(self, client, request, timeout + 3600)

    PyreqwestTransport._built = patient


def without_receipts() -> None:
    """An endpoint that keeps no receipts: each call works."""
    from cronbell.endpoint.receipt import Hold
    from cronbell.endpoint.receipts.store import DjangoReceipts

    DjangoReceipts.claim = lambda _self, want: Hold(0, want.owner, 1, want.attempt)
    DjangoReceipts.renew = lambda _self, _hold, _expires_at: True
    DjangoReceipts.settle = lambda _self, _hold, _settlement: True


SABOTAGES: dict[str, Callable[[], None]] = {
    "fencing": without_fencing,
    "mark": without_the_mark,
    "rescue": without_rescue,
    "immediate": without_immediate,
    "deadline": without_deadline,
    "receipts": without_receipts,
}
