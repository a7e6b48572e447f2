"""``cronbell next``: what an expression means, and when it fires.

Asked often and by scripts, so it starts fast: it reads its arguments with ``argparse``, since the
library that serves the other commands takes longer to load than the answer takes to find.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import islice
from typing import Any

from cronbell.clock import EPOCH, SYSTEM_CLOCK, from_micros, iso
from cronbell.domain import Dialect, DstGap, DstRepeat
from cronbell.schedule.cron import Schedule, compile_schedule
from cronbell.schedule.explain import dst_notes, explain
from cronbell.schedule.zones import LAST_INSTANT, zone_info

SUMMARY = "Say what a schedule expression means, and list its next fires."
_DESCRIPTION = f"{SUMMARY} Exit code 1 if the expression is refused."
_MICROS = 1_000_000
_MOST = 100_000
_SECOND = timedelta(seconds=1)
_NOTES_AHEAD = 366 * 86_400  # each change of the clocks that a year brings


def main(arguments: Sequence[str]) -> int:
    """Run the command.

    Args:
        arguments: what follows ``cronbell next``.

    Returns:
        The exit code.

    Raises:
        ScheduleError: the expression, the zone or a policy is refused.
        SystemExit: with code 2 for wrong usage, 0 for ``--help``.
    """
    asked = parser().parse_args(arguments)
    schedule = compile_schedule(
        asked.expression,
        dialect=asked.dialect,
        timezone=asked.timezone,
        dst_gap=asked.dst_gap,
        dst_repeat=asked.dst_repeat,
    )
    zone = zone_info(asked.timezone)
    moment = asked.start or SYSTEM_CLOCK.now()
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    start = (moment - EPOCH) // _SECOND
    answer = _answer(schedule, start, asked.count, asked.language)
    if asked.json:
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(_page(answer, zone, padded=sys.stdout.isatty()))
    return 0


def _answer(schedule: Schedule, start: int, count: int, language: str) -> dict[str, Any]:
    fires = islice(schedule.fires(start, LAST_INSTANT), count)
    return {
        "expression": schedule.expression,
        "timezone": schedule.timezone,
        "explanation": explain(schedule, language=language),
        "fires": [iso(from_micros(fire * _MICROS)) for fire in fires],
        "notes": dst_notes(schedule, start, start + _NOTES_AHEAD, language),
    }


def _page(answer: dict[str, Any], zone: tzinfo, *, padded: bool) -> str:
    """Write the answer for people: columns on a terminal, tabs where another program reads."""
    name = answer["timezone"]
    lines = [f"{answer['explanation']} ({name})"]
    if name == "UTC":
        rows = [["UTC"], *([fire] for fire in answer["fires"])]
    else:
        rows = [[name, "UTC"], *([_local(fire, zone), fire] for fire in answer["fires"])]
    width = max(len(row[0]) for row in rows)
    for first, *rest in rows:
        first_cell = first.ljust(width + 2) if padded and rest else first
        lines.append(("" if padded else "\t").join([first_cell, *rest]))
    lines += [f"! {note}" for note in answer["notes"]]
    return "\n".join(lines) + "\n"


def _local(fire: str, zone: tzinfo) -> str:
    try:
        return datetime.fromisoformat(fire).astimezone(zone).isoformat(" ")
    except OverflowError:  # the last evening of 9999 is in the year 10000 further east
        return ""


def parser() -> argparse.ArgumentParser:
    """Return what reads the arguments."""
    korean = os.environ.get("LANGUAGE_CODE", "").startswith("ko")
    # Usage names the command as it was typed: another package may have one of its own.
    program = f"{os.path.basename(sys.argv[0]) or 'cronbell'} next"  # noqa: PTH119 - pathlib is slow to load
    reader = argparse.ArgumentParser(prog=program, description=_DESCRIPTION, allow_abbrev=False)
    add = reader.add_argument
    add("expression", metavar="EXPR", help='for example "0 9 * * 1-5" or "every 30s"')
    add("--timezone", metavar="Z", default="UTC", help="IANA time zone of the expression")
    add(
        "--from",
        dest="start",
        metavar="ISO",
        type=_moment,
        help="list fires after this moment, now if not given; without an offset it is local to "
        "--timezone",
    )
    add("--count", metavar="N", type=_count, default=5, help="how many fires (default: 5)")
    add(
        "--dialect",
        choices=[*Dialect],
        type=str,
        default=Dialect.STANDARD,
        help="vercel: as in vercel.json; standard: as in cronbell.toml (default)",
    )
    add(
        "--dst-gap",
        choices=[*DstGap],
        default=DstGap.DEBIAN,
        help="a local time that does not exist (default: debian)",
    )
    add(
        "--dst-repeat",
        choices=[*DstRepeat],
        default=DstRepeat.DEBIAN,
        help="a local time that comes twice (default: debian)",
    )
    add(
        "--language",
        choices=["en", "ko"],
        default="ko" if korean else "en",
        help="of the sentence and the notes (default: ko where LANGUAGE_CODE is ko, else en)",
    )
    add("--json", action="store_true", help="print JSON")
    return reader


def _count(text: str) -> int:
    count = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_MOST)) else 0
    if not 1 <= count <= _MOST:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number from 1 to {_MOST}")
    return count


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} is not a moment: write 2026-11-22T00:00:00Z or 2026-11-22"
        ) from None
