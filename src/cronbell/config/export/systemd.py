"""Jobs as systemd services with a timer each."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from cronbell.config.export.curl import SAID_ONCE, curl_arguments
from cronbell.config.export.fields import Fields, fields_of, ranges
from cronbell.config.export.parts import Exported, Options, dst_loss, policy_losses
from cronbell.config.values import seconds_text
from cronbell.domain import CatchUp, DstGap, DstRepeat, JobSpec
from cronbell.schedule.grammar import Interval

_WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_ODD = re.compile(r"[^A-Za-z0-9:_.-]")
_SERVICE = """\
# Written by `cronbell export systemd`.
{said}
[Unit]
Description=Cronbell job {name}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
DynamicUser=yes
# One line: Authorization: Bearer … (owner root, mode 0600)
LoadCredential=authorization:{header_file}
TimeoutStartSec={deadline}
ExecStart=/usr/bin/curl {arguments}
"""
_TIMER = """\
# Written by `cronbell export systemd`.
[Unit]
Description=Times of Cronbell job {name}

[Timer]
{calendar}
AccuracySec=1us
# After an outage one missed fire is made up, however long ago it was.
Persistent={persistent}
{spread}
[Install]
WantedBy=timers.target
"""


def to_systemd(jobs: Sequence[JobSpec], options: Options) -> Exported:
    """Write a ``.service`` and a ``.timer`` for each job; they need systemd 250 or newer.

    Args:
        jobs: with absolute URLs.
        options: ``header_file`` is the file with the secret's header.
    """
    result = Exported()
    for job in jobs:
        calendar = calendars(job)
        if not calendar:
            result.leave_out(job, f"systemd's calendar has no `{job.schedule}`")
            continue
        for what, reason in _losses(job):
            result.lose(job, what, reason)
        unit = f"cronbell-{_ODD.sub(_escaped, job.name)}"
        result.files[f"{unit}.service"] = _service(job, options)
        result.files[f"{unit}.timer"] = _timer(job, calendar)
    return result


def _losses(job: JobSpec) -> Iterator[tuple[str, str]]:
    if not job.enabled:
        yield "enabled", "it is switched off: do not enable its timer"
    yield from dst_loss(job, DstGap.SKIP, DstRepeat.FIRST, "systemd")
    yield from policy_losses(job, window=False, jitter=True)


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in found[0].encode())


def _service(job: JobSpec, options: Options) -> str:
    arguments = curl_arguments(job, "@%d/authorization")
    return _SERVICE.format(
        said="\n".join(f"# {line}" for line in SAID_ONCE),
        name=job.name.replace("%", "%%"),
        header_file=options.header_file.replace("%", "%%"),
        deadline=math.ceil(job.deadline or job.timeout),
        arguments=" ".join(
            unit_word(word, specifiers=word == "@%d/authorization") for word in arguments
        ),
    )


def unit_word(word: str, *, specifiers: bool = False) -> str:
    """Write one argument of ``ExecStart`` so that systemd reads it as it is.

    Args:
        word: the argument.
        specifiers: whether ``%d`` and the like in it are meant.
    """
    if not specifiers:
        word = word.replace("%", "%%")
    word = word.replace("$", "$$")
    if re.fullmatch(r"[A-Za-z0-9@%+=:,./_$-]+", word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _timer(job: JobSpec, calendar: Sequence[str]) -> str:
    spread = ""
    if job.jitter:
        # The same amount for a unit each time, which is what jitter means here.
        spread = f"RandomizedDelaySec={seconds_text(job.jitter)}\nFixedRandomDelay=true\n"
    return _TIMER.format(
        name=job.name.replace("%", "%%"),
        calendar="\n".join(f"OnCalendar={line}" for line in calendar),
        persistent=str(job.catch_up is not CatchUp.NONE).lower(),
        spread=spread,
    )


def calendars(job: JobSpec) -> list[str]:
    """Return the ``OnCalendar`` lines that together name a job's fires; empty if none can.

    Raises:
        ScheduleError: the schedule is refused.
    """
    fields = fields_of(job)
    if isinstance(fields, Interval):
        return _interval(fields.seconds)
    if fields.both and fields.nth and not fields.any_day:
        return []  # the nth weekday if it falls on one of some days: no calendar says that
    time = f"{_list(fields.hours, 24)}:{_list(fields.minutes, 60)}:00"
    return [f"{days} {time} {job.timezone}" for days in _days(fields)]


def _interval(seconds: int) -> list[str]:
    """Write an interval that divides a minute, an hour or a day; others have no calendar."""
    if seconds == 1:
        return ["*-*-* *:*:* UTC"]
    if _MINUTE % seconds == 0 and seconds < _MINUTE:
        return [f"*-*-* *:*:00/{seconds} UTC"]
    if seconds in {_HOUR, _DAY}:  # a step as long as its field is refused
        return ["*-*-* *:00:00 UTC" if seconds == _HOUR else "*-*-* 00:00:00 UTC"]
    if seconds % _MINUTE == 0 and _HOUR % seconds == 0:
        return [f"*-*-* *:00/{seconds // _MINUTE}:00 UTC"]
    if seconds % _HOUR == 0 and _DAY % seconds == 0:
        return [f"*-*-* 00/{seconds // _HOUR}:00:00 UTC"]
    return []


def _days(fields: Fields) -> Iterator[str]:
    """Give the date part of each line; several lines mean any of them."""
    months = "*" if len(fields.months) == 12 else _list(fields.months, 13)  # noqa: PLR2004
    weekdays = ",".join(_WEEKDAYS[day] for day in fields.weekdays)
    days = "*" if fields.any_day else _list(fields.days, 32)
    if fields.both or fields.any_weekday or fields.any_day:
        yield from _both(fields, months, weekdays, days)
        return
    if fields.days:
        yield f"*-{months}-{days}"
    if fields.last_day:
        yield f"*-{months}~01"
    if fields.weekdays:
        yield f"{weekdays} *-{months}-*"
    yield from _nth(fields, months)


def _both(fields: Fields, months: str, weekdays: str, days: str) -> Iterator[str]:
    """Write day of month and day of week that must both match; a star matches any."""
    dates = [f"*-{months}-{days}"] if fields.days else []
    dates += [f"*-{months}~01"] if fields.last_day and not fields.any_day else []
    if fields.any_weekday:
        yield from dates
        return
    if fields.weekdays:
        yield from (f"{weekdays} {date}" for date in dates)
    if fields.any_day:
        yield from _nth(fields, months)


def _nth(fields: Fields, months: str) -> Iterator[str]:
    for weekday, which in fields.nth:
        first = 7 * (which - 1) + 1
        yield f"{_WEEKDAYS[weekday]} *-{months}-{first:02d}..{min(first + 6, 31):02d}"


def _list(values: Sequence[int], most: int) -> str:
    if len(values) == most:
        return "*"
    return ranges(tuple(values), "..")
