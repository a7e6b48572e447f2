"""``blackout`` of ``cronbell.toml``: a list of windows, each fault of each at its own line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from cronbell.config.source import Place, Source, printable, similar
from cronbell.config.tables import read_keys
from cronbell.config.values import RefusedError, kind, text, zone
from cronbell.domain import Blackout
from cronbell.errors import ScheduleError
from cronbell.schedule.blackout import WEEKDAYS, compile_window

KEY = "blackout"
_MOST_WINDOWS = 100
_LONGEST_REASON = 500
_EXAMPLE = 'write [{ days = ["sat", "sun"], from = "22:00", to = "06:00" }]'


def read_blackout(
    source: Source, place: Place, value: Any, *, key: str = KEY
) -> tuple[Blackout, ...] | None:
    """Read a list of windows.

    Args:
        source: takes the faults.
        place: where the list is.
        value: as the TOML parser gives it.
        key: what the list is called there.

    Returns:
        The windows; None where any of them is at fault.
    """
    if not isinstance(value, list):
        source.error(place, f"`{key}` must be a list of tables, not {kind(value)}", _EXAMPLE)
        return None
    if len(value) > _MOST_WINDOWS:
        source.error(
            place,
            f"`{key}` has {len(value)} windows; the limit is {_MOST_WINDOWS}",
            "a window can come back on several days",
        )
        return None
    found = [_window(source, (*place, index), each) for index, each in enumerate(value)]
    windows = tuple(window for window in found if window is not None)
    return windows if len(windows) == len(found) else None


def _window(source: Source, place: Place, value: Any) -> Blackout | None:
    if not isinstance(value, dict):
        source.error(place, f"a window must be a table, not {kind(value)}", _EXAMPLE)
        return None
    read = read_keys(source, place, value, READERS)
    return _whole(source, place, read) if len(read) == len(value) else None


def _whole(source: Source, place: Place, read: Mapping[str, Any]) -> Blackout | None:
    """Judge keys that are good by themselves together."""
    missing = [key for key in ("from", "to") if key not in read]
    if len(missing) == 1 or (missing and "days" not in read):
        message = f"a window needs `{missing[0]}`"
        hint = 'add it, as "22:00" or 2026-12-24'
        if len(missing) > 1:
            message, hint = "a window needs `from` and `to`, or `days`", _EXAMPLE
        source.error(place, message, hint)
        return None
    window = Blackout(
        days=read.get("days", ()),
        start=read.get("from", "00:00"),
        end=read.get("to", "24:00"),
        timezone=read.get("timezone", ""),
        reason=read.get("reason", ""),
    )
    try:
        compile_window(window)
    except ScheduleError as error:
        at = (*place, error.field) if error.field in read else place
        source.error(at, f"`{error.field}`: {error.message}", error.hint)
        return None
    if window.timezone and "Z" in _offsets(window):
        source.error(
            (*place, "timezone"),
            "`timezone` has no meaning beside moments that name their offset",
            "remove it, or the offsets",
        )
        return None
    return window


def _offsets(window: Blackout) -> str:
    """Return ``Z`` for a window between two instants."""
    if not window.start[:4].isdigit():
        return ""
    moment = datetime.fromisoformat(window.start)
    return "Z" if moment.tzinfo is not None else ""


def _days(value: Any) -> tuple[str, ...]:
    listed = "[" + ", ".join(f'"{day}"' for day in WEEKDAYS) + "]"
    if not isinstance(value, list):
        raise RefusedError(f"must be a list, not {kind(value)}", f"choose from {listed}")
    if not value:
        raise RefusedError("is empty", "remove the key for every day")
    for day in value:
        if day not in WEEKDAYS:
            shown = printable(str(day))
            hint = similar(str(day).lower()[:3], WEEKDAYS) or f"choose from {listed}"
            raise RefusedError(f"`{shown}` is no day", hint)
    return tuple(day for day in WEEKDAYS if day in value)


def _moment(value: Any) -> str:
    """Read a time of day, a date, a local time or an instant, as TOML has them or as text."""
    if isinstance(value, time):
        if value.second or value.microsecond:
            raise RefusedError("has seconds", "write whole minutes: 22:00:00")
        return value.strftime("%H:%M")
    if isinstance(value, datetime):
        if value.microsecond:
            raise RefusedError("has fractions of a second", "write whole seconds")
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str):
        raise RefusedError(
            f"must be a time, a date or a moment, not {kind(value)}",
            'write "22:00", 2026-12-24 or 2026-12-24T18:00:00Z',
        )
    return text(value).strip()


def _reason(value: Any) -> str:
    words = text(value).strip()
    if len(words) > _LONGEST_REASON or not words.isprintable():
        raise RefusedError(
            "must be one line of text", f"write at most {_LONGEST_REASON} characters"
        )
    return words


READERS = {"days": _days, "from": _moment, "to": _moment, "timezone": zone, "reason": _reason}
