"""Statements of pages that PostgreSQL reads and plans once for each connection, not for each page.

A page of the log asks ten statements of which each runs for a few hundred microseconds; reading and
planning them took PostgreSQL longer than answering. Here go only statements whose best plan is the
same whatever the values: each step of theirs is into an index that the text itself leads to.

They are prepared in SQL under names made from their text, so that two connections which share one
of the server's, as behind a pooler, mean the same by a name.

And what a page is going to ask for is asked in one trip to the server (``ahead``): for most of
these statements the way there and back takes longer than the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from itertools import count
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from cronbell.runlog.statements import statement

POSTGRESQL = "postgresql"
# What PostgreSQL answers where a name is unknown, is taken, or stands for rows of another shape
# since a table was changed.
UNKNOWN, TAKEN, CHANGED = "26000", "42P05", "0A000"
_PLACE = re.compile("%s|%%")

Given = TypeVar("Given")


class Question(NamedTuple):
    """A statement that only reads, with its values.

    Attributes:
        name: of its file in ``sql/``.
        values: what it is asked with.
        prepared: whether its plan is the same whatever the values.
        named: whether its columns' names are wanted, too.
    """

    name: str
    values: tuple[Any, ...] = ()
    prepared: bool = True
    named: bool = False


class Answer(NamedTuple):
    """What a statement gave.

    Attributes:
        columns: the names of its columns, where they were wanted.
        rows: as the driver gives them.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class _Text(NamedTuple):
    name: str
    prepare: str
    execute: str
    forget: str


# The names that each connection to the server knows.
_known: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
# What was asked ahead and is not taken yet, for each connection that answers a page.
_kept: WeakKeyDictionary[BaseDatabaseWrapper, dict[Question, Answer]] = WeakKeyDictionary()


def read(
    connection: BaseDatabaseWrapper, name: str, parameters: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Run ``sql/NAME.sql``, which only reads, and return its rows; prepared where that helps.

    Args:
        connection: to the store.
        name: of a statement whose plan does not depend on its values.
        parameters: its values.
    """
    return answer(connection, Question(name, tuple(parameters))).rows


def answer(connection: BaseDatabaseWrapper, question: Question) -> Answer:
    """Return what a statement gave where it was asked ahead, else what it gives now.

    What was asked ahead is given once: who asks again wants to know what it is by then.
    """
    known = kept(connection, question)
    if known is not None:
        return known

    def given(text: str) -> Answer:
        with connection.cursor() as cursor:
            cursor.execute(text, question.values)
            return _answer(cursor, question)

    if question.prepared:
        return asked(connection, question.name, given)
    return given(statement(question.name, connection.vendor))


def kept(connection: BaseDatabaseWrapper, question: Question) -> Answer | None:
    """Return what a statement gave that was asked ahead, once; None where it was not."""
    known = _kept.get(connection)
    return known.pop(question, None) if known else None


@contextmanager
def page(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Keep what is asked ahead until what is inside has been done."""
    _kept[connection] = {}
    try:
        yield
    finally:
        _kept.pop(connection, None)


def ahead(connection: BaseDatabaseWrapper, questions: Sequence[Question]) -> None:
    """Have statements answered in one trip to the server, for ``read`` to give without asking.

    They are asked in their order, each as the store is at that moment. Nothing is done outside of
    a ``page``, in a transaction (which a name that is not there would end) and on SQLite, where
    there is no way to save.
    """
    known = _kept.get(connection)
    if (
        not questions
        or known is None
        or connection.vendor != POSTGRESQL
        or connection.in_atomic_block
    ):
        return
    texts = [
        _made_known(connection, question.name).execute
        if question.prepared
        else statement(question.name, POSTGRESQL)
        for question in questions
    ]
    values = [value for question in questions for value in question.values]
    with connection.cursor() as cursor:
        try:
            cursor.execute(_joined(texts), values)
        except DatabaseError as error:
            if _code(error) not in {UNKNOWN, CHANGED}:
                raise
            # Which of the names it was is found out where each is asked by itself.
            return
        for question in questions:
            known[question] = _answer(cursor, question)
            cursor.nextset()


def _joined(texts: Sequence[str]) -> str:
    # Of files and their names only.
    return ";\n".join(texts)


def _answer(cursor: Any, question: Question) -> Answer:
    # Making them takes psycopg as long as a few dozen rows.
    columns = tuple(column[0] for column in cursor.description) if question.named else ()
    return Answer(columns, cursor.fetchall())


def asked(connection: BaseDatabaseWrapper, name: str, ask: Callable[[str], Given]) -> Given:
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
    text = _made_known(connection, name)
    try:
        return ask(text.execute)
    except DatabaseError as error:
        if _code(error) not in {UNKNOWN, CHANGED}:
            raise
        _known[connection.connection].discard(text.name)
        if _code(error) == CHANGED:
            with connection.cursor() as cursor:
                cursor.execute(text.forget)
        return ask(plain)


def _made_known(connection: BaseDatabaseWrapper, name: str) -> _Text:
    text = _text(name)
    connection.ensure_connection()
    known = _known.setdefault(connection.connection, set())
    if text.name not in known:
        _prepare(connection, text)
        known.add(text.name)
    return text


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
