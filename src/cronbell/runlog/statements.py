"""Loads the statements in ``sql/`` and runs them on the store at hand.

A statement is the same text on SQLite and PostgreSQL but for a few words that each store spells in
its own way, and a few lines that only one of them needs; both are settled once, when the file is
read. Values only ever travel as parameters,
whole batches as one JSON text (a Python list per row costs PostgreSQL's driver twenty microseconds
a run, one JSON text three).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from django.db.backends.base.base import BaseDatabaseWrapper

DIALECT_WORDS: dict[str, dict[str, str]] = {
    "sqlite": {
        "{rows}": "json_each(%s) AS rows",
        "{skip_locked}": "",
        # Without it SQLite joins the other way round, every running row with every row of the
        # batch: measured 330 µs a run, 15 to 60 with it.
        "{by_id}": "NOT INDEXED",
        "{object}": "json_object",
        "{groups}": "json_each(%s) AS groups",
        "{members}": "json_each(shared.members) AS members",
        "{json}": "json",
        "{pairs}": "json_group_array(json_array(id, key))",
        "{now}": "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
    },
    "postgresql": {
        "{rows}": "jsonb_array_elements(CAST(%s AS jsonb)) AS rows (value)",
        "{skip_locked}": "FOR UPDATE SKIP LOCKED",
        "{by_id}": "",
        "{object}": "jsonb_build_object",
        "{groups}": "jsonb_array_elements(CAST(%s AS jsonb)) AS groups (value)",
        "{members}": "jsonb_array_elements(shared.members) AS members (value)",
        "{json}": "jsonb",
        "{pairs}": "json_agg(json_build_array(id, key))",
        "{now}": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
    },
}

# One planner at a time on PostgreSQL, as BEGIN IMMEDIATE gives on SQLite: whether a run of the
# job is going on must not change between looking and recording. Any number, the same everywhere.
PLAN_LOCK = 0x63726F6E

ONLY_ON = re.compile(r"-- only on (?P<store>sqlite|postgresql) \{")
END = "-- }"

Row = Sequence[Any]


@cache
def silent(name: str, vendor: str) -> str:
    """Return a statement without its RETURNING, which is its last clause."""
    return statement(name, vendor).rpartition("\nRETURNING ")[0]


@cache
def statement(name: str, vendor: str) -> str:
    """Return the text of ``sql/NAME.sql`` for a store.

    Args:
        name: the file's name without its ending.
        vendor: Django's word for the store, ``sqlite`` or ``postgresql``.
    """
    text = files("cronbell.runlog").joinpath("sql", f"{name}.sql").read_text("utf-8")
    text = "\n".join(_lines_for(vendor, text))
    for word, spelled in DIALECT_WORDS[vendor].items():
        text = text.replace(word, spelled)
    return text


def _lines_for(vendor: str, text: str) -> Iterator[str]:
    """Leave out comments, and what stands between ``-- only on STORE {`` and ``-- }``."""
    left_out = False
    for line in text.splitlines():
        if only := ONLY_ON.fullmatch(line):
            left_out = only["store"] != vendor
        elif line == END:
            left_out = False
        elif not left_out and not line.lstrip().startswith("--"):
            yield line


def rows_parameter(rows: Sequence[Row]) -> str:
    """Encode a batch as the JSON array that ``{rows}`` reads."""
    return msgspec.json.encode(rows).decode()


def groups_parameter(rows: Sequence[tuple[Any, ...]], own: int) -> str:
    """Encode a batch of which most rows say the same: ``[[members, shared, …], …]``.

    Taking one value out of a JSON row costs SQLite 0.6 µs, a dozen of them more than the insert
    itself; what rows share is taken out once for all of them.

    Args:
        rows: hashable values only.
        own: so many columns, the first ones, are each row's own.
    """
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        groups.setdefault(row[own:], []).append(row[:own])
    return msgspec.json.encode([(mine, *shared) for shared, mine in groups.items()]).decode()


def execute(connection: BaseDatabaseWrapper, name: str, parameters: Sequence[Any]) -> int:
    """Run a statement that gives nothing back; return how many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(statement(name, connection.vendor), parameters)
        return int(cursor.rowcount)


def changed(
    connection: BaseDatabaseWrapper, name: str, parameters: Sequence[Any], expected: int
) -> set[int] | None:
    """Run a statement that usually touches all it is given; return the ids only where it did not.

    SQLite's driver gives up the interpreter's lock for each row it fetches and has to wait for it
    again, behind the event loop: with a herd on, that was most of the writer's time. So the ids of
    what changed are asked for only where the number says that some did not.

    Args:
        connection: inside a transaction.
        name: the statement's; its RETURNING gives the ids.
        parameters: for it.
        expected: how many rows it touches when none is missing.

    Returns:
        None if all were touched, else the ids of those that were.
    """
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT hot")
        cursor.execute(silent(name, connection.vendor), parameters)
        number = cursor.rowcount
        if connection.vendor == "sqlite":
            # The driver counts only what begins with INSERT or UPDATE, not with WITH.
            cursor.execute("SELECT changes()")
            (number,) = cursor.fetchone()
        found = None
        if number != expected:
            cursor.execute("ROLLBACK TO SAVEPOINT hot")
            cursor.execute(statement(name, connection.vendor), parameters)
            found = {row[0] for row in cursor.fetchall()}
        cursor.execute("RELEASE SAVEPOINT hot")
        return found


def fetch(
    connection: BaseDatabaseWrapper, name: str, parameters: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Run a statement with RETURNING (or a SELECT) and return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement(name, connection.vendor), parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def lock_planning(connection: BaseDatabaseWrapper) -> None:
    """Hold other planners off until this transaction ends."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PLAN_LOCK])
