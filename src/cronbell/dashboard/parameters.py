"""The query string of the log, read alike by page and API: anything doubtful is refused.

A value that can't be what it should be is an error that names the parameter; it never reaches the
database (a fault of the described system).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from django.utils.translation import gettext as _
from ninja import Schema
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from cronbell.errors import CronbellError
from cronbell.runlog.queries import LogFilter, storable
from cronbell.states import Status

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_PAGE = 1_000_000
MAX_ID = (1 << 63) - 1
LONGEST_TEXT = 200
# Years whose instants stay datetimes in every time zone.
FIRST_YEAR, LAST_YEAR = 1970, 9998
Parameters = TypeVar("Parameters", bound=Schema)
_WHOLE = re.compile(r"[0-9]{1,19}", re.ASCII)


class BadParameterError(CronbellError):
    """One or more parameters of a query string that are refused.

    Attributes:
        problems: what is wrong, by parameter.
    """

    code = "bad-parameter"

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in problems.items()))
        self.problems = dict(problems)


def _whole(value: Any) -> Any:
    # int() and pydantic take "１", "1_000", " 1 " and "1.0"; a page number is digits.
    if isinstance(value, str) and not _WHOLE.fullmatch(value):
        raise ValueError("not a whole number")
    return value


def _instant(value: Any) -> Any:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("not a date")  # noqa: TRY004 - pydantic wants a ValueError
    instant = datetime.fromisoformat(value)
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise ValueError("year out of range")
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)


def _text(value: str) -> str:
    if not storable(value):
        raise ValueError("not text")
    return value


def _optional(value: Any) -> Any:
    return None if value == "" else value


def _word(value: Any) -> Any:
    return value if isinstance(value, str) else ""


# A text, empty where something else was sent: what is said about that is one message.
Word = Annotated[str, BeforeValidator(_word)]
Page = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=MAX_PAGE)]
Limit = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=MAX_LIMIT)]
Instant = Annotated[datetime | None, BeforeValidator(_instant)]
ChosenStatus = Annotated[Status | None, BeforeValidator(_optional)]
SearchText = Annotated[str, AfterValidator(_text), Field(max_length=LONGEST_TEXT)]
# Read from the right: an empty value is none at all, anything else has to be a whole number.
RowId = Annotated[
    Annotated[int, Field(ge=1, le=MAX_ID)] | None,
    BeforeValidator(_whole),
    BeforeValidator(_optional),
]


class LogParameters(Schema):
    """What may stand in the query string of the log."""

    page: Page = Field(1, description="1-based; past the end it is empty")
    limit: Limit = Field(DEFAULT_LIMIT, description="rows per page")
    job_name: str = Field("", description="only this job; an unknown one gives an empty list")
    status: ChosenStatus = Field(None, description="only this status")
    since: Instant = Field(None, description="began or was due then or later; UTC if no offset")
    until: Instant = Field(None, description="began or was due before then; UTC if no offset")
    cursor: RowId = Field(
        None, description="id of the last row you have: gives the rows after it, however deep"
    )
    text: Annotated[str, AfterValidator(_text)] = Field(
        "", max_length=LONGEST_TEXT, description="found in details or job name, or the row's id"
    )

    def wanted(self) -> LogFilter:
        """Return the filter these parameters ask for."""
        return LogFilter(
            job_name=self.job_name,
            status=self.status,
            since=self.since,
            until=self.until,
            text=self.text.strip(),
        )


def read_parameters(query: Mapping[str, Any]) -> LogParameters:
    """Read a query string.

    Raises:
        BadParameterError: some parameters can't be what they should be; each is named.
    """
    return read_query(LogParameters, query)


def read_query(schema: type[Parameters], query: Mapping[str, Any]) -> Parameters:
    """Read a query string by a schema; a parameter it does not name is left alone.

    Raises:
        BadParameterError: some parameters can't be what they should be; each is named.
    """
    try:
        return schema.model_validate(dict(query))
    except ValidationError as error:
        raise BadParameterError(problems(error.errors())) from None


def problems(errors: list[Any]) -> dict[str, str]:
    """Turn pydantic's errors into one sentence per parameter, in the active language."""
    found = {}
    for error in errors:
        name = str(error["loc"][-1]) if error["loc"] else "query"
        # A union names its members behind the parameter's own name.
        name = next((str(part) for part in error["loc"] if str(part) in _known()), name)
        found[name] = _known().get(name) or _("not what it should be")
    return found


def _known() -> dict[str, str]:
    return {
        "page": _("must be a whole number from 1 to %(most)s") % {"most": f"{MAX_PAGE:,}"},
        "limit": _("must be a whole number from 1 to %(most)s") % {"most": MAX_LIMIT},
        "cursor": _("must be the id of a row"),
        "status": _("must be one of %(values)s") % {"values": ", ".join(Status)},
        "since": _("must be a date or time such as 2026-11-22T09:00:00Z"),
        "until": _("must be a date or time such as 2026-11-22T09:00:00Z"),
        "text": _("must be text of at most %(most)s characters") % {"most": LONGEST_TEXT},
        "job_name": _("must be a job's name"),
        "job": _("must be a job's name"),
        "at": _("must be a date or time such as 2026-11-22T09:00:00Z"),
        "timezone": _("must be a time zone such as Asia/Seoul"),
        "state": _("must be one of those the page offers"),
        "result": _("must be one of those the page offers"),
    }
