"""The only file that touches time zones; its rules come from the ``tzdata`` package alone.

System copies of the zone database are often stale (one hour off in Casablanca and Vancouver at
the time of writing), and ``zoneinfo`` prefers them. So the compiled files (TZif, RFC 9636) are
read straight from the pinned package, into the one thing the evaluator needs and ``zoneinfo``
does not give: the list of stretches during which a zone's offset stays the same.
"""

from __future__ import annotations

import pkgutil
import re
import struct
import zoneinfo
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from io import BytesIO

import tzdata  # type: ignore[import-untyped,unused-ignore]

from cronbell.errors import ScheduleError
from cronbell.schedule.days import (
    CYCLE_DAYS,
    CYCLE_YEARS,
    WEEK,
    first_day_of,
    is_leap,
    month_length,
    year_of,
)

DAY = 86_400
CYCLE = CYCLE_DAYS * DAY
FIRST_INSTANT = -62_135_596_800  # 0001-01-01T00:00:00Z and
LAST_INSTANT = 253_402_300_799  # 9999-12-31T23:59:59Z: what a datetime can hold
FOREVER = 1 << 62  # seconds; further than any instant asked for
_MINUTE = 60
# Debian cron takes a jump of the clock for daylight saving up to three hours, and for a
# correction beyond (cron.c, 3 * MINUTE_COUNT). It counts minutes woken up to, hence the
# asymmetry: three hours back are still a repeat, three hours forward no longer a gap.
_DEBIAN_LONGEST_GAP = 179 * _MINUTE
_DEBIAN_LONGEST_REPEAT = 180 * _MINUTE
_HEADER = struct.Struct(">4s1s15x6l")
_FIRST_VERSION = b"\0"
_SHORT_TIME = 4
_LONG_TIME = 8
_LAST_WEEK = 5
_LONGEST_NAME = 64
_TIME = r"[-+]?\d+(?::\d+){0,2}"
_NAME = r"(?:<[^>]+>|[A-Za-z]+)"
_FOOTER = re.compile(rf"{_NAME}({_TIME})(?:{_NAME}({_TIME})?,([^,]+),([^,]+))?")
_RULE = re.compile(rf"(?:M(\d+)\.(\d)\.(\d)|(J?)(\d+))(?:/({_TIME}))?")


class Reach(Enum):
    """Which jumps of the clock a policy applies to."""

    NONE = 0  # none: follow real time
    DEBIAN = 1  # those that Debian cron takes for daylight saving
    ALL = 2  # every one, a day dropped from the calendar included


@dataclass(slots=True)
class Stretches:
    """A zone's life cut where its offset changes, with what a policy makes of each change.

    Stretch ``i`` lasts for ``starts[i] <= instant < starts[i + 1]``; ``starts`` has one entry more
    than the rest. Where the zone changes its clocks for ever, the last 400 years of the table
    repeat: the stretch after the last is stretch ``repeat_from``, ``CYCLE`` seconds later.

    Attributes:
        starts: instants, epoch seconds.
        offsets: seconds to add to an instant to get the zone's local time.
        gaps: local times; fires from here up to the stretch's own start are made up for at its
            start. Equal to the local start where there are none.
        floors: local times; before it the stretch repeats what has already been.
        repeat_from: index, or -1 where the last stretch has no end.
        recent: (first, end, offset) of the stretch that was asked for last: between the two
            instants every local match is a fire. A cache, replaced as a whole.
    """

    starts: array[int]
    offsets: array[int]
    gaps: array[int]
    floors: array[int]
    repeat_from: int
    recent: tuple[int, int, int] = (0, 0, 0)

    def fold(self, instant: int) -> tuple[int, int]:
        """Move an instant into the table: (instant within it, seconds it was moved by)."""
        beyond = instant - self.starts[-1]
        if beyond < 0:
            return instant, 0
        moved = (beyond // CYCLE + 1) * CYCLE
        return instant - moved, moved

    def remember(self, index: int) -> None:
        """Make a stretch the recent one, cut to the years that a datetime can hold."""
        offset = self.offsets[index]
        first = max(self.starts[index], self.floors[index] - offset, FIRST_INSTANT)
        self.recent = (first, min(self.starts[index + 1], LAST_INSTANT + 1), offset)


@dataclass(frozen=True, slots=True)
class Zone:
    """When a zone's offset changes.

    Attributes:
        starts: instants of the changes, epoch seconds, ascending; one more than ``offsets``: the
            last is where the table ends.
        offsets: seconds east of UTC from each of them on; the first ``starts`` is before all time.
        repeat_from: see ``Stretches``.
    """

    starts: tuple[int, ...]
    offsets: tuple[int, ...]
    repeat_from: int


def tzdata_version() -> str:
    """Return the version of the zone rules in use, as IANA names it: ``2026f``."""
    return str(tzdata.IANA_VERSION)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Return all zone names the rules know."""
    return frozenset((pkgutil.get_data("tzdata", "zones") or b"").decode().split())


def pin_zoneinfo() -> None:
    """Make every ``zoneinfo.ZoneInfo`` of this process read the ``tzdata`` package too.

    For processes that show local times (Django does, through ``zoneinfo``): they must not
    contradict the fires computed here.
    """
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()


@lru_cache(maxsize=1024)
def zone_info(name: str) -> zoneinfo.ZoneInfo:
    """Return a zone for showing and reading local times, made of the same rules.

    Raises:
        ScheduleError: there is no such zone.
    """
    return zoneinfo.ZoneInfo.from_file(BytesIO(_read(name)), key=name)


@lru_cache(maxsize=1024)
def load_zone(name: str) -> Zone:
    """Return when a zone's offset changes.

    Args:
        name: an IANA name, ``Asia/Seoul``; upper and lower case matter.

    Raises:
        ScheduleError: there is no such zone.
    """
    times, offsets, footer = _parse(_read(name))
    starts = [-FOREVER]
    kept = offsets[:1]
    for time, offset in zip(times, offsets[1:], strict=True):
        if offset != kept[-1]:  # a change of name or of the daylight flag alone moves no clock
            starts.append(time)
            kept.append(offset)
    last_year = year_of(times[-1] // DAY) if times else year_of(0)
    rule = _yearly_changes(footer, last_year)
    if not rule:
        return Zone((*starts, FOREVER), tuple(kept), -1)
    after = times[-1] if times else -FOREVER
    for time, offset in rule:
        if time > after and offset != kept[-1]:
            starts.append(time)
            kept.append(offset)
    # The last change marks the end of the table; what follows it is 400 years earlier, too.
    kept.pop()
    return Zone(tuple(starts), tuple(kept), starts.index(starts[-1] - CYCLE))


@lru_cache(maxsize=1024)
def stretches(name: str, gap: Reach, repeat: Reach) -> Stretches:
    """Return a zone's stretches under a policy.

    Args:
        name: an IANA name.
        gap: for which jumps forward the fires left out are made up for.
        repeat: for which jumps back fires are left out the second time.

    Raises:
        ScheduleError: there is no such zone.
    """
    zone = load_zone(name)
    gaps, floors = array("q"), array("q")
    for local, reached in _reached(zone):
        gaps.append(min(local, reached[gap]))
        floors.append(max(local, reached[repeat]))
    return Stretches(
        array("q", zone.starts), array("q", zone.offsets), gaps, floors, zone.repeat_from
    )


def _reached(zone: Zone) -> Iterator[tuple[int, dict[Reach, int]]]:
    """Yield, for each stretch, its local start and the local time its zone had got to before.

    Debian cron's "virtual time": it stands still while the clock repeats an hour, so the later
    of all earlier local times counts, not just the one before the change.
    """
    local = zone.starts[0] + zone.offsets[0]
    reached = debian = local
    yield local, dict.fromkeys(Reach, local)
    for index in range(1, len(zone.offsets)):
        start, before = zone.starts[index], zone.offsets[index - 1]
        local = start + zone.offsets[index]
        reached = max(reached, start + before)
        debian = max(debian, start + before)
        if not -_DEBIAN_LONGEST_REPEAT <= local - debian <= _DEBIAN_LONGEST_GAP:
            debian = local
        yield local, {Reach.NONE: local, Reach.DEBIAN: debian, Reach.ALL: reached}


def _read(name: str) -> bytes:
    """Return a zone's compiled file; only names in the package's own list are ever opened."""
    if name not in zone_names():
        shown = name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "…"
        raise ScheduleError(
            f"timezone: there is no time zone {shown!r}", hint=_similar(name), field="timezone"
        )
    return pkgutil.get_data("tzdata", f"zoneinfo/{name}") or b""


def _similar(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - slow to import, and only used here

    general = "use an IANA name such as Asia/Seoul, Europe/Berlin or UTC"
    if not name or len(name) > _LONGEST_NAME:
        return general
    wanted = name.strip().replace(" ", "_").casefold()
    names = sorted(zone_names())
    for known in names:
        if wanted in (known.casefold(), known.rpartition("/")[2].casefold()):
            return f"did you mean {known}?"
    folded = {known.casefold(): known for known in names}
    close = get_close_matches(wanted, folded, n=1, cutoff=0.7)
    return f"did you mean {folded[close[0]]}?" if close else general


def _parse(data: bytes) -> tuple[list[int], list[int], str]:
    """Read a TZif file: its changes, the offsets before, between and after them, its footer."""
    magic, version, *counts = _HEADER.unpack_from(data)
    position, size = _HEADER.size, _SHORT_TIME
    if version != _FIRST_VERSION:  # the 32-bit block comes first, for readers of another age
        position += _block_length(counts, size)
        magic, version, *counts = _HEADER.unpack_from(data, position)
        position, size = position + _HEADER.size, _LONG_TIME
    if magic != b"TZif":
        raise ScheduleError("timezone: the tzdata package is damaged", hint="install it again")
    end = position + _block_length(counts, size)
    _, _, _, changes, kinds, _ = counts
    times = list(
        struct.unpack_from(f">{changes}{'q' if size == _LONG_TIME else 'l'}", data, position)
    )
    position += changes * size
    indexes = data[position : position + changes]
    position += changes
    offsets = [struct.unpack_from(">l", data, position + 6 * kind)[0] for kind in range(kinds)]
    footer = data[end + 1 :].partition(b"\n")[0].decode("ascii")
    return times, [offsets[0], *(offsets[index] for index in indexes)], footer


def _block_length(counts: list[int], size: int) -> int:
    ut_flags, standard_flags, leaps, changes, kinds, letters = counts
    return (
        changes * (size + 1) + kinds * 6 + letters + leaps * (size + 4) + standard_flags + ut_flags
    )


def _yearly_changes(footer: str, first_year: int) -> list[tuple[int, int]]:
    """Return (instant, new offset) of 402 years of a footer's rule, ascending; empty if none.

    Args:
        footer: a POSIX TZ string as RFC 9636 extends it: ``EST5EDT,M3.2.0,M11.1.0``.
        first_year: the year to begin with.
    """
    match = _FOOTER.fullmatch(footer)
    if match is None or match[3] is None:
        return []
    standard = -_seconds(match[1])  # POSIX counts west as positive
    summer = -_seconds(match[2]) if match[2] else standard + 3600
    begin, end = _RULE.fullmatch(match[3]), _RULE.fullmatch(match[4])
    if begin is None or end is None:
        return []
    changes = []
    for year in range(first_year, first_year + CYCLE_YEARS + 2):
        changes.append((_rule_second(begin, year) - standard, summer))
        changes.append((_rule_second(end, year) - summer, standard))
    return sorted(changes)


def _rule_second(rule: re.Match[str], year: int) -> int:
    """Return the local second since the epoch at which a footer's rule falls in a year."""
    month, week, weekday, julian, number, time = rule.groups()
    second = _seconds(time) if time else 2 * 3600
    first, leap = first_day_of(year), is_leap(year)
    if number is not None:
        day = int(number)
        if julian:  # J60 is 1 March in every year; a plain number counts 29 February
            day += -1 + (leap and day >= 60)  # noqa: PLR2004
        return (first + day) * DAY + second
    first += sum(month_length(earlier, leap=leap) for earlier in range(1, int(month)))
    thursday = 4  # 1970-01-01
    day = first + (int(weekday) - thursday - first) % WEEK + WEEK * (int(week) - 1)
    if int(week) == _LAST_WEEK and day >= first + month_length(int(month), leap=leap):
        day -= WEEK
    return day * DAY + second


def _seconds(text: str) -> int:
    """Read ``[-+]hh[:mm[:ss]]`` of a footer."""
    parts = [int(part) for part in text.lstrip("+-").split(":")]
    total = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    return -total if text.startswith("-") else total
