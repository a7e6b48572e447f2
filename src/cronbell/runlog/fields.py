"""A column type for instants that SQLite and PostgreSQL order and compare alike."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models

from cronbell.clock import from_micros, to_micros

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    _Set = TypeVar("_Set", default=datetime | int)
    _Get = TypeVar("_Get", default=datetime)

    class _Column(models.Field[_Set, _Get]):
        """What the type checker sees: a field of datetimes."""

else:
    _Set = _Get = Any

    class _Column(models.BigIntegerField):
        """What runs: a 64-bit integer column."""

        def __class_getitem__(cls, _types: object) -> type[models.Field]:
            return cls


class InstantField(_Column[_Set, _Get]):
    """An aware datetime kept as whole microseconds since the epoch, in a 64-bit integer.

    SQLite has no instants and Django writes them as text of varying length; an integer compares
    the same everywhere, costs nothing to write and is what the engine's statements work with.
    """

    def get_internal_type(self) -> str:
        """Use the column of a big integer."""
        return "BigIntegerField"

    def from_db_value(self, value: int | None, *_args: Any) -> datetime | None:
        """Give the aware UTC datetime."""
        return None if value is None else from_micros(value)

    def to_python(self, value: Any) -> Any:
        """Accept what forms and fixtures hold: a datetime or its microseconds."""
        return from_micros(value) if isinstance(value, int) else value

    def get_prep_value(self, value: Any) -> int | None:
        """Take an aware datetime (or the integer itself, in look-ups)."""
        if value is None or isinstance(value, int):
            return value
        return to_micros(value)


# The same field where the column may be empty; give it null=True. One class at run time.
OptionalInstantField = InstantField[datetime | int | None, datetime | None]
