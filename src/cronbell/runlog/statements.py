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
from typing import Any, NamedTuple

import msgspec
from django.db.backends.base.base import BaseDatabaseWrapper

DIALECT_WORDS: dict[str, dict[str, str]] = {
    "sqlite": {
        "{blocks}": (
            "{rows} CROSS JOIN runlog_logblock AS part"
            " WHERE part.level = CAST(rows.value ->> 0 AS SMALLINT)"
            " AND part.status = rows.value ->> 3"
            " AND part.block BETWEEN CAST(rows.value ->> 1 AS BIGINT)"
            " AND CAST(rows.value ->> 2 AS BIGINT)"
        ),
        "{rows}": "json_each(%s) AS rows",
        "{skip_locked}": "",
        # Without it SQLite joins the other way round, every running row with every row of the
        # batch: measured 330 µs a run, 15 to 60 with it.
        "{by_id}": "NOT INDEXED",
        # The rows of a span of ids. In this order in any case: CROSS keeps SQLite to it, and
        # PostgreSQL does not look behind an OFFSET.
        "{spanned}": "CROSS JOIN runlog_run AS run",
        # A batch's runs, each found by its id. ``run_locked``: nobody changes them meanwhile.
        "{run_locked}": "CROSS JOIN runlog_run AS run",
        "{among_held}": "IN (SELECT id FROM held)",
        "{run_if_any}": (
            "LEFT JOIN runlog_run AS run ON run.id = CAST(rows.value ->> 0 AS BIGINT)"
        ),
        "{active_locked}": "CROSS JOIN runlog_run AS run",
        "{object}": "json_object",
        "{groups}": "json_each(%s) AS groups",
        "{json}": "json",
        "{pairs}": "json_group_array(json_array(id, key))",
        "{now}": "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
    },
    "postgresql": {
        # Nor behind this one: it would go over all blocks, not knowing how few are meant.
        "{blocks}": (
            "{rows} CROSS JOIN LATERAL (SELECT * FROM runlog_logblock AS own"
            " WHERE own.level = CAST(rows.value ->> 0 AS SMALLINT)"
            " AND own.status = rows.value ->> 3"
            " AND own.block BETWEEN CAST(rows.value ->> 1 AS BIGINT)"
            " AND CAST(rows.value ->> 2 AS BIGINT) OFFSET 0) AS part"
        ),
        "{rows}": "jsonb_array_elements(CAST(%s AS jsonb)) AS rows (value)",
        "{skip_locked}": "FOR UPDATE SKIP LOCKED",
        "{by_id}": "",
        # Without it PostgreSQL, which cannot know how short the spans are, reads all runs.
        "{spanned}": (
            "CROSS JOIN LATERAL (SELECT * FROM runlog_run AS own"
            " WHERE own.id BETWEEN span.first AND span.last OFFSET 0) AS run"
        ),
        # By its id alone, which the OFFSET keeps apart: PostgreSQL, whose statistics say that next
        # to nothing is running, would compare each running row with the whole batch. Ten thousand
        # leases took ten seconds to renew.
        "{run_locked}": (
            "CROSS JOIN LATERAL (SELECT * FROM runlog_run AS own"
            " WHERE own.id = CAST(rows.value ->> 0 AS BIGINT) OFFSET 0 FOR UPDATE) AS run"
        ),
        # A join would leave it the same choice, the other way round.
        "{among_held}": "= ANY (ARRAY(SELECT id FROM held))",
        "{run_if_any}": (
            "LEFT JOIN LATERAL (SELECT * FROM runlog_run AS own"
            " WHERE own.id = CAST(rows.value ->> 0 AS BIGINT) OFFSET 0) AS run ON TRUE"
        ),
        "{active_locked}": (
            "CROSS JOIN LATERAL (SELECT * FROM runlog_run AS own"
            " WHERE own.job_id = CAST(rows.value ->> 0 AS BIGINT)"
            " AND own.status IN ('pending', 'running') OFFSET 0 FOR UPDATE) AS run"
        ),
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

ONLY_ON = re.compile(r" *-- only on (?P<store>sqlite|postgresql) \{")
END = "-- }"
# ``{values:N}`` stands for a batch's rows of N columns, bound one by one; SQLite only.
VALUES = re.compile(r"\{values:(?P<columns>\d+)\}")
# A batch is filled up to one of these with rows of nothing, so that there are few statements to
# prepare, and cut into as many of the largest as it takes.
SIZES = (8, 64, 512)

Row = Sequence[Any]


@cache
def silent(name: str, vendor: str, size: int = 1) -> str:
    """Return a statement without its RETURNING, which is its last clause."""
    return statement(name, vendor, size).rpartition("\nRETURNING ")[0]


@cache
def statement(name: str, vendor: str, size: int = 1) -> str:
    """Return the text of ``sql/NAME.sql`` for a store.

    Args:
        name: the file's name without its ending.
        vendor: Django's word for the store, ``sqlite`` or ``postgresql``.
        size: for how many rows there is a place, where they are bound one by one.
    """
    text = files("cronbell.runlog").joinpath("sql", f"{name}.sql").read_text("utf-8")
    text = "\n".join(_lines_for(vendor, text))
    for word, spelled in DIALECT_WORDS[vendor].items():
        text = text.replace(word, spelled)
    return VALUES.sub(lambda found: _places(int(found["columns"]), size), text)


def _places(columns: int, size: int) -> str:
    return ", ".join([f"({', '.join(['%s'] * columns)})"] * size)


def _lines_for(vendor: str, text: str) -> Iterator[str]:
    """Leave out comments, and what stands between ``-- only on STORE {`` and ``-- }``."""
    left_out = False
    for line in text.splitlines():
        if only := ONLY_ON.fullmatch(line):
            left_out = only["store"] != vendor
        elif line.strip() == END:
            left_out = False
        elif not left_out and not line.lstrip().startswith("--"):
            yield line


def rows_parameter(rows: Sequence[Row]) -> str:
    """Encode a batch as the JSON array that ``{rows}`` reads."""
    return msgspec.json.encode(rows).decode()


class Batch(NamedTuple):
    """Rows on their way into one statement.

    Attributes:
        parameters: the statement's first ones.
        size: for how many rows the statement needs a place.
        ids: of what the rows are about, each row's first column.
    """

    parameters: list[Any]
    size: int
    ids: list[int]


def batches(
    connection: BaseDatabaseWrapper, rows: Sequence[tuple[Any, ...]], own: int
) -> list[Batch]:
    """Make ready rows of which most say the same: what they share travels once, as JSON.

    Taking one value out of a JSON row costs SQLite 0.3 to 0.6 µs, a dozen of them more than the
    insert itself. What is each row's own travels to PostgreSQL in the same JSON, since its driver
    takes long for a parameter; to SQLite as parameters, a third less for the statement that ends
    runs (10.3 µs a run by JSON, 7.0 so; N = 8 × 14 batches of 500, by turns).

    Args:
        connection: to the store.
        rows: hashable values only.
        own: so many columns, the first ones, are each row's own.
    """
    if connection.vendor == "sqlite":
        most = SIZES[-1]
        return [_bound(rows[first : first + most], own) for first in range(0, len(rows), most)]
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        groups.setdefault(row[own:], []).append(row[:own])
    text = msgspec.json.encode([(mine, *shared) for shared, mine in groups.items()]).decode()
    return [Batch([text], 1, [row[0] for row in rows])]


def _bound(rows: Sequence[tuple[Any, ...]], own: int) -> Batch:
    numbers: dict[tuple[Any, ...], int] = {}
    size = next(size for size in SIZES if size >= len(rows))
    parameters: list[Any] = [""]
    last, number = None, 0
    for row in rows:
        shared = row[own:]
        if shared != last:  # to compare costs a third of what looking it up does
            last, number = shared, numbers.setdefault(shared, len(numbers))
        parameters.append(number)
        parameters += row[:own]
    # No number: joined with nothing.
    parameters += [None] * ((size - len(rows)) * (own + 1))
    parameters[0] = msgspec.json.encode([(None, *shared) for shared in numbers]).decode()
    return Batch(parameters, size, [row[0] for row in rows])


def execute(
    connection: BaseDatabaseWrapper, name: str, parameters: Sequence[Any], size: int = 1
) -> int:
    """Run a statement that gives nothing back; return how many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(statement(name, connection.vendor, size), parameters)
        return int(cursor.rowcount)


def changed(connection: BaseDatabaseWrapper, name: str, batch: Batch, *more: Any) -> set[int]:
    """Run a statement that usually touches all it is given; return the ids that it touched.

    SQLite's driver gives up the interpreter's lock for each row it fetches and has to wait for it
    again, behind the event loop: with a herd on, that was most of the writer's time. So the ids of
    what changed are asked for only where the number says that some did not.

    Args:
        connection: inside a transaction.
        name: the statement's; its RETURNING gives the ids, and it touches as many rows as there
            are in the batch, none twice, when none is missing.
        batch: its first parameters.
        more: the others.

    Returns:
        The ids of the rows that were touched.
    """
    parameters = [*batch.parameters, *more]
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT hot")
        cursor.execute(silent(name, connection.vendor, batch.size), parameters)
        number = cursor.rowcount
        if connection.vendor == "sqlite":
            # The driver counts only what begins with INSERT or UPDATE, not with WITH.
            cursor.execute("SELECT changes()")
            (number,) = cursor.fetchone()
        touched = set(batch.ids)
        if number != len(touched):
            cursor.execute("ROLLBACK TO SAVEPOINT hot")
            cursor.execute(statement(name, connection.vendor, batch.size), parameters)
            touched = {row[0] for row in cursor.fetchall()}
        cursor.execute("RELEASE SAVEPOINT hot")
        return touched


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
