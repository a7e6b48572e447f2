"""Jobs from the rows of a statement of our own."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

from django.db import connections

from cronbell.runlog.models import Job
from cronbell.runlog.prepared import Answer
from cronbell.runlog.router import ALIAS

Converter = Callable[[Any], Any]


class _Shape(NamedTuple):
    """Which columns are a job's, in the order of its fields; how they are read; which are not."""

    names: list[str]
    places: list[int]
    converted: list[tuple[int, Converter]]
    more: list[tuple[int, str]]


def jobs_of(found: Answer) -> list[Any]:
    """Return jobs from rows that have all columns of a job, whatever their order.

    Django's ``raw`` does the same; half of its time is spent on finding out what is which.

    Returns:
        Jobs, each with an attribute for each column that is not a job's.
    """
    names, places, converted, more = _shape(found.columns, connections[ALIAS].vendor)
    jobs: list[Any] = []
    for row in found.rows:
        values = [row[place] for place in places]
        for at, convert in converted:
            values[at] = convert(values[at])
        job = Job.from_db(ALIAS, names, values)
        for place, name in more:
            setattr(job, name, row[place])
        jobs.append(job)
    return jobs


@lru_cache(maxsize=16)
def _shape(columns: tuple[str, ...], vendor: str) -> _Shape:  # noqa: ARG001 - part of the key
    fields = Job._meta.concrete_fields
    own = {field.column for field in fields}
    converted = [(at, convert) for at, field in enumerate(fields) for convert in _converters(field)]
    return _Shape(
        [field.attname for field in fields],
        [columns.index(field.column) for field in fields],
        converted,
        [(place, name) for place, name in enumerate(columns) if name not in own],
    )


def _converters(field: Any) -> list[Converter]:
    """Return what makes a value of a field of what the driver gives, in their order."""
    connection = connections[ALIAS]
    column = field.get_col(Job._meta.db_table)
    found = connection.ops.get_db_converters(column) + column.get_db_converters(connection)
    # They may ask the connection what kind it is, which is the same for all threads.
    return [partial(_converted, one, column, connection) for one in found]


def _converted(convert: Callable[..., Any], column: Any, connection: Any, value: Any) -> Any:
    return convert(value, column, connection)
