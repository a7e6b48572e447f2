"""Statements of pages that PostgreSQL reads and plans once for each connection, not for each page.

A page of the log asks ten statements of which each runs for a few hundred microseconds; reading and
planning them took PostgreSQL longer than answering. Here go only statements whose best plan is the
same whatever the values: each step of theirs is into an index that the text itself leads to.

They are prepared in SQL under names made from their text, so that two connections which share one
of the server's, as behind a pooler, mean the same by a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from itertools import count
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from cronbell.runlog.statements import fetch, statement

POSTGRESQL = "postgresql"
# What PostgreSQL answers where a name is unknown, is taken, or stands for rows of another shape
# since a table was changed.
UNKNOWN, TAKEN, CHANGED = "26000", "42P05", "0A000"
_PLACE = re.compile("%s|%%")

Answer = TypeVar("Answer")


class _Text(NamedTuple):
    name: str
    prepare: str
    execute: str
    forget: str


# The names that each connection to the server knows.
_known: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


def read(
    connection: BaseDatabaseWrapper, name: str, parameters: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Run ``sql/NAME.sql``, which only reads, and return its rows; prepared where that helps.

    Args:
        connection: to the store.
        name: of a statement whose plan does not depend on its values.
        parameters: its values.
    """

    def rows(text: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(text, parameters)
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

    if connection.vendor != POSTGRESQL:
        return fetch(connection, name, parameters)
    return asked(connection, name, rows)


def asked(connection: BaseDatabaseWrapper, name: str, ask: Callable[[str], Answer]) -> Answer:
    """Call with the text that runs ``sql/NAME.sql``: its own, or one that runs it prepared.

    Args:
        connection: to the store.
        name: of a statement whose plan does not depend on its values, and that only reads.
        ask: runs a text with the statement's parameters; called once more where a prepared
            statement turns out not to be there.
    """
    plain = statement(name, connection.vendor)
    # In a transaction a name that is not there would end it.
    if connection.vendor != POSTGRESQL or connection.in_atomic_block:
        return ask(plain)
    text = _text(name)
    connection.ensure_connection()
    known = _known.setdefault(connection.connection, set())
    if text.name not in known:
        _prepare(connection, text)
        known.add(text.name)
    try:
        return ask(text.execute)
    except DatabaseError as error:
        if _code(error) not in {UNKNOWN, CHANGED}:
            raise
        known.discard(text.name)
        if _code(error) == CHANGED:
            with connection.cursor() as cursor:
                cursor.execute(text.forget)
        return ask(plain)


def _prepare(connection: BaseDatabaseWrapper, text: _Text) -> None:
    try:
        with connection.cursor() as cursor:
            # Without values: Django would look for places to put them.
            cursor.execute(text.prepare)
    except DatabaseError as error:
        if _code(error) != TAKEN:
            raise


def _code(error: DatabaseError) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


@cache
def _text(name: str) -> _Text:
    plain = statement(name, POSTGRESQL)
    numbers = count(1)
    numbered = _PLACE.sub(lambda found: f"${next(numbers)}" if found[0] == "%s" else "%", plain)
    own = f"cronbell_{name}_{sha256(plain.encode()).hexdigest()[:12]}"
    places = ", ".join(["%s"] * (next(numbers) - 1))
    values = f"({places})" if places else ""
    # Put together from a file and its name only.
    return _Text(own, f"PREPARE {own} AS {numbered}", f"EXECUTE {own}{values}", f"DEALLOCATE {own}")
