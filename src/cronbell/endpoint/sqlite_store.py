"""Receipts in one SQLite file of their own, for applications without Django."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from cronbell.clock import SYSTEM_CLOCK, Clock, from_micros, to_micros
from cronbell.endpoint.receipt import Claim, Full, Hold, Receipt, Settlement, Start, Want, decide
from cronbell.errors import StorageError
from cronbell.states import Status

VERSION = 1  # of the tables below, kept in the file's user_version
BEGIN_WITHIN = 5.0  # seconds to wait for the file's write lock
# SQLite's own back-off starves a waiter beside a busy writer for seconds; asking again each
# millisecond does not.
BEGIN_EVERY = 0.001

SCHEMA = """
CREATE TABLE receipt (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL,
    dry_run INTEGER NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    owner TEXT NOT NULL,
    term INTEGER NOT NULL,
    lease_expires_at INTEGER,
    http_status INTEGER,
    answer TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE UNIQUE INDEX receipt_key ON receipt (job, dry_run, key);
CREATE UNIQUE INDEX receipt_one_running ON receipt (job, dry_run) WHERE state = 'running';
CREATE INDEX receipt_finished ON receipt (finished_at);
"""
COLUMNS = "id, key, state, attempt, owner, term, lease_expires_at, http_status, answer"
BY_KEY = f"SELECT {COLUMNS} FROM receipt WHERE job = ? AND dry_run = ? AND key = ?"  # noqa: S608
OTHER = (
    f"SELECT {COLUMNS} FROM receipt"  # noqa: S608 - COLUMNS is the constant above
    " WHERE job = ? AND dry_run = ? AND state = 'running' AND key <> ?"
)
BY_ID = f"SELECT {COLUMNS} FROM receipt WHERE id = ?"  # noqa: S608
ABANDON = (
    "UPDATE receipt SET state = 'unknown', lease_expires_at = NULL, finished_at = ?"
    " WHERE id = ? AND owner = ? AND term = ? AND state = 'running'"
)
INSERT = (
    "INSERT INTO receipt (job, dry_run, key, state, attempt, owner, term, lease_expires_at,"
    " created_at, started_at) VALUES (?, ?, ?, 'running', ?, ?, ?, ?, ?, ?)"
)
RESTART = (
    "UPDATE receipt SET state = 'running', attempt = ?, owner = ?, term = ?,"
    " lease_expires_at = ?, started_at = ?, finished_at = NULL, http_status = NULL, answer = ''"
    " WHERE id = ?"
)
RENEW = (
    "UPDATE receipt SET lease_expires_at = ?"
    " WHERE id = ? AND owner = ? AND term = ? AND state = 'running'"
)
SETTLE = (
    "UPDATE receipt SET state = ?, http_status = ?, answer = ?, finished_at = ?,"
    " lease_expires_at = NULL WHERE id = ? AND owner = ? AND term = ? AND state = 'running'"
)
PRUNE = (
    "DELETE FROM receipt WHERE id IN (SELECT id FROM receipt WHERE finished_at < ?"
    " AND state <> 'running' ORDER BY finished_at LIMIT ?)"
)


class SqliteReceipts:
    """A receipt store in one SQLite file, for any number of threads and processes of a machine.

    It has no transaction to share: the application's data is elsewhere, so ``atomic`` jobs are
    refused.

    Args:
        path: the file; made if missing, its folder is not.
        clock: paces the wait for the file's write lock.

    Raises:
        StorageError: the file cannot be opened, is no database, or is of another version.
    """

    transactional = False

    def __init__(self, path: str | Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._path = str(path)
        self._clock = clock
        with self._connected() as connection:
            # Kept in the file: readers and the writer do not wait for each other.
            connection.execute("PRAGMA journal_mode = WAL")
        with self._writing() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in filter(str.strip, SCHEMA.split(";")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise StorageError(
                    f"{self._path} holds receipts of version {version}; this is version {VERSION}",
                    hint="use the cronbell that wrote it, or another file",
                )

    def claim(self, want: Want) -> Claim:
        """Decide and carry out, in one immediate transaction."""
        lane = (want.job, want.dry_run, want.key)
        with self._writing() as connection:
            own = _receipt(connection.execute(BY_KEY, lane).fetchone())
            other = _receipt(connection.execute(OTHER, lane).fetchone())
            plan = decide(want, own, other)
            if not isinstance(plan, Start):
                return plan
            # Nobody else is deciding: the transaction holds the file's only write lock.
            return _start(connection, want, plan) if want.reserve() else Full()

    def renew(self, hold: Hold, expires_at: datetime) -> bool:
        """Move the lease's end; False when the hold is no longer ours."""
        return self._change(RENEW, to_micros(expires_at), hold.id, hold.owner, hold.term)

    def settle(self, hold: Hold, settlement: Settlement) -> bool:
        """Store the end; False, and nothing changed, when the hold is no longer ours."""
        return self._change(
            SETTLE,
            str(settlement.state),
            settlement.http_status,
            settlement.answer,
            to_micros(settlement.finished_at),
            hold.id,
            hold.owner,
            hold.term,
        )

    def read(self, hold: Hold) -> Receipt | None:
        """Return the receipt as it is now."""
        with self._connected() as connection:
            return _receipt(connection.execute(BY_ID, (hold.id,)).fetchone())

    def prune(self, before: datetime, most: int) -> int:
        """Delete receipts that ended before an instant, at most so many; return how many."""
        with self._writing() as connection:
            return connection.execute(PRUNE, (to_micros(before), most)).rowcount

    def transaction(self) -> NoReturn:
        """Refuse: see the class."""
        raise StorageError(f"{self._path} shares no transaction with the application's data")

    def session(self) -> nullcontext[None]:
        """Surround nothing: each statement opens and closes its own connection."""
        return nullcontext()

    def _change(self, statement: str, *values: object) -> bool:
        with self._writing() as connection:
            return connection.execute(statement, values).rowcount == 1

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        # Opened for each use: a few calls a minute, and nothing to go stale across forks.
        try:
            with closing(sqlite3.connect(self._path, BEGIN_WITHIN, isolation_level=None)) as one:
                one.execute("PRAGMA synchronous = FULL")
                yield one
        except (sqlite3.Error, OSError) as error:
            raise StorageError(
                f"{self._path}: {error}", hint="check the file, its folder and the free space"
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._connected() as connection:
            self._begin(connection)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _begin(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA busy_timeout = 0")
        until = self._clock.monotonic() + BEGIN_WITHIN
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or self._clock.monotonic() >= until:
                    raise
                self._clock.sleep(BEGIN_EVERY)
            else:
                return


def _start(connection: sqlite3.Connection, want: Want, plan: Start) -> Hold:
    now, expires = to_micros(want.now), to_micros(want.expires_at)
    if dead := plan.abandoned:
        connection.execute(ABANDON, (now, dead.id, dead.owner, dead.term))
    if plan.own is None:
        cursor = connection.execute(
            INSERT,
            (
                want.job,
                want.dry_run,
                want.key,
                plan.attempt,
                want.owner,
                plan.term,
                expires,
                now,
                now,
            ),
        )
        row_id = int(cursor.lastrowid or 0)
    else:
        row_id = plan.own.id
        connection.execute(RESTART, (plan.attempt, want.owner, plan.term, expires, now, row_id))
    return Hold(row_id, want.owner, plan.term, plan.attempt)


def _receipt(row: tuple[Any, ...] | None) -> Receipt | None:
    if row is None:
        return None
    row_id, key, state, attempt, owner, term, lease, http_status, answer = row
    return Receipt(
        id=row_id,
        key=key,
        state=Status(state),
        attempt=attempt,
        owner=owner,
        term=term,
        lease_expires_at=None if lease is None else from_micros(lease),
        http_status=http_status,
        answer=answer,
    )
