"""A moment as a person writes it ─► the minutes it may mean; pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronbell.errors import CronbellError
from cronbell.schedule.zones import zone_info

MINUTE = 60
# Years whose instants stay datetimes in every time zone.
FIRST_YEAR, LAST_YEAR = 1970, 9998
_LONGEST = 64
_TIME_OF_DAY = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_HINT = "write 2026-11-22T09:00, 2026-11-22T00:00:00Z, or 09:00 for today"


class MomentError(CronbellError):
    """A text that names no moment, or one that never was."""

    code = "moment"


class LeptOverError(MomentError):
    """A local time that the clocks leap over.

    Attributes:
        instead: what the clocks show in its place, ``HH:MM``.
    """

    def __init__(self, message: str, *, instead: str) -> None:
        hint = f"ask for {instead}, which the clocks show instead, or write the moment in UTC"
        super().__init__(message, hint=hint)
        self.instead = instead


def read_moment(text: str, timezone: str, now: int) -> tuple[int, ...]:
    """Return the instants at which the minutes begin that a text may mean, ascending.

    Args:
        text: ISO 8601 with an offset or without, or ``HH:MM`` for today.
        timezone: of a text without an offset, and of today.
        now: epoch seconds.

    Returns:
        One instant; two for a local time that comes twice.

    Raises:
        MomentError: it is no moment, or a local time that the clocks left out.
        ScheduleError: there is no such zone.
    """
    zone = zone_info(timezone)
    moment = _parse(text.strip(), datetime.fromtimestamp(now, zone))
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise MomentError(f"{text[:_LONGEST]!r} is out of range", hint="write a year from 1970 on")
    if moment.tzinfo is not None:
        return (int(moment.timestamp()) // MINUTE * MINUTE,)
    instants = sorted({_instant(moment, zone, fold) for fold in (0, 1)})
    there = [
        instant
        for instant in instants
        if datetime.fromtimestamp(instant, zone).replace(tzinfo=None, fold=0) == moment
    ]
    if not there:
        after = datetime.fromtimestamp(instants[-1], zone).strftime("%H:%M")
        raise LeptOverError(
            f"in {timezone} there is no {moment:%H:%M} on {moment:%Y-%m-%d}: the clocks leap over"
            " it",
            instead=after,
        )
    return tuple(instant // MINUTE * MINUTE for instant in there)


def local_text(second: int, timezone: str) -> str:
    """Write an instant as a zone's clock shows it, with the offset that tells two hours apart."""
    local = datetime.fromtimestamp(second, UTC).astimezone(zone_info(timezone))
    return local.isoformat(sep=" ", timespec="seconds" if local.second else "minutes")


def _parse(text: str, today: datetime) -> datetime:
    clock = _TIME_OF_DAY.fullmatch(text)
    if clock:
        naive = today.replace(tzinfo=None, second=0, microsecond=0, fold=0)
        return naive.replace(hour=int(clock[1]), minute=int(clock[2]))
    if _DATE.fullmatch(text):
        raise MomentError(f"{text} names a day, not a minute of it", hint=f"write {text}T09:00")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MomentError(f"{text[:_LONGEST]!r} is no moment", hint=_HINT) from None
    return moment.replace(second=0, microsecond=0)


def _instant(moment: datetime, zone: ZoneInfo, fold: int) -> int:
    return int(moment.replace(tzinfo=zone, fold=fold).timestamp())
