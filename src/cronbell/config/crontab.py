"""A crontab, read into jobs: user and system format, as crontab(5) of Debian and cronie.

A line that calls one URL becomes a job; every other line is listed with the reason. Nothing is
dropped in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from cronbell.config.commands import Call, NotACallError, read_command
from cronbell.config.names import is_name, job_names
from cronbell.config.source import printable
from cronbell.config.urls import parse_base, parse_url
from cronbell.domain import Dialect, JobSpec, RetryPolicy
from cronbell.errors import ScheduleError
from cronbell.schedule import compile_schedule

NAME_COMMENT = "# job: "  # what an export writes above a line, so that the name comes back
_VARIABLE = re.compile(r"""([A-Za-z_]\w*|"[^"=]+"|'[^'=]+')\s*=\s*(.*)""", re.ASCII)
_FIELDS = 5
_BLANKS = re.compile(r"[ \t]+")
_FALLBACK = JobSpec(name="", path="", schedule="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One line about one line.

    Attributes:
        line: 1-based.
        text: the line, cut.
        reason: why it cannot be carried over, or what of it is not.
    """

    line: int
    text: str
    reason: str


@dataclass(slots=True)
class Imported:
    """What became of a crontab.

    Attributes:
        jobs: with absolute URLs.
        left_out: lines that cannot be carried over, each with the reason.
        notes: lines that became jobs, but not in every respect.
        target: the address that all jobs share; empty if they share none.
    """

    jobs: list[JobSpec] = field(default_factory=list)
    left_out: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)
    target: str = ""


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    schedule: str
    command: str
    zone: str
    name: str
    variables: dict[str, str]


def read_crontab(text: str, *, system: bool = False, timezone: str = "UTC") -> Imported:
    """Read a crontab.

    Args:
        text: its content.
        system: whether lines have a user after the schedule, as in ``/etc/crontab``.
        timezone: IANA name of the zone of lines that no ``CRON_TZ`` stands before; a crontab is
            read in the local zone of its machine.
    """
    result = Imported()
    found: list[tuple[_Line, Call]] = []
    for line in _lines(text, result, system=system, timezone=timezone):
        try:
            call = _call(line)
        except NotACallError as error:
            result.left_out.append(_remark(line.number, line.text, str(error)))
            continue
        except ScheduleError as error:
            reason = f"its schedule: {error}"
            result.left_out.append(_remark(line.number, line.text, reason))
            continue
        for note in call.notes:
            result.notes.append(_remark(line.number, line.text, note))
        found.append((line, call))
    origins = {_origin(call.url) for _, call in found}
    result.target = origins.pop() if len(origins) == 1 else ""
    result.jobs = _jobs(found, result)
    return result


def _remark(number: int, text: str, reason: str) -> Remark:
    return Remark(line=number, text=printable(text.strip(), 120), reason=reason)


def _lines(text: str, result: Imported, *, system: bool, timezone: str) -> Iterator[_Line]:
    """Give the lines that hold a job; take note of variables, zones and names on the way."""
    variables: dict[str, str] = {}
    zone, name = timezone, ""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip(" \t")
        if not line or line.startswith("#"):
            if line.startswith(NAME_COMMENT):
                name = line.removeprefix(NAME_COMMENT).strip()
            continue
        if assigned := _VARIABLE.fullmatch(line):
            key, value = (_unquoted(part) for part in assigned.groups())
            variables = {**variables, key: value}
            if key == "CRON_TZ":
                zone = value or timezone
            elif key == "TZ":
                reason = "TZ is the commands' zone, not the schedules'; write CRON_TZ for those"
                result.notes.append(_remark(number, line, reason))
            continue
        parts = _split(line, system=system)
        if parts is None:
            result.left_out.append(_remark(number, line, "is not a line of a crontab"))
        else:
            yield _Line(number, line, *parts, zone, name, variables)
        name = ""


def _unquoted(text: str) -> str:
    text = text.strip(" \t")
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _split(line: str, *, system: bool) -> tuple[str, str] | None:
    """Return schedule and command; None if there is not enough of them."""
    fields = 1 if line.startswith("@") else _FIELDS
    parts = _BLANKS.split(line, maxsplit=fields + system)
    if len(parts) <= fields + system:
        return None
    return " ".join(parts[:fields]), parts[-1]


def _call(line: _Line) -> Call:
    """Read one line.

    Raises:
        NotACallError: it is no call.
        ScheduleError: its schedule is refused.
    """
    if line.schedule.lower() == "@reboot":
        raise NotACallError("runs when the machine starts, not at a time")
    # To cron an unescaped % ends the command; what follows is the command's input.
    if re.search(r"(?<!\\)%", line.command):
        raise NotACallError(r"holds a % that cron takes for the end of the line (\% is meant?)")
    compile_schedule(line.schedule, dialect=Dialect.STANDARD, timezone=line.zone)
    return read_command(line.command.replace(r"\%", "%"), line.variables)


def _origin(url: str) -> str:
    parsed = parse_url(url)
    return parse_base(url[: len(parsed.text) - len(parsed.target)]).text


def _jobs(found: list[tuple[_Line, Call]], result: Imported) -> list[JobSpec]:
    """Make the jobs, named by their path; the same call at the same times is one."""
    distinct: dict[tuple[str, str], tuple[_Line, Call]] = {}
    for line, call in found:
        zone = "" if line.zone == "UTC" else f" {line.zone}"
        key = (_label(call), line.schedule + zone)
        first = distinct.setdefault(key, (line, call))[0]
        if first is not line:
            reason = f"is the same as line {first.number}"
            result.left_out.append(_remark(line.number, line.text, reason))
    kept = list(distinct.values())
    given: list[str] = []
    taken: set[str] = set()
    for line, _ in kept:
        given.append(line.name if is_name(line.name) and line.name not in taken else "")
        taken.add(line.name)
    open_keys = [key for key, name in zip(distinct, given, strict=True) if not name]
    made = iter(job_names(open_keys, taken=taken))
    return [
        _job(name or next(made), line, call) for name, (line, call) in zip(given, kept, strict=True)
    ]


def _label(call: Call) -> str:
    # Two methods are two jobs; the path comes last, since names are made from its end.
    parsed = parse_url(call.url)
    method = "" if call.method == "GET" else f"/{call.method}"
    return f"/{parsed.host_and_port}{method}{parsed.target}"


def _job(name: str, line: _Line, call: Call) -> JobSpec:
    retry = RetryPolicy(
        max_attempts=call.attempts,
        backoff=RetryPolicy().backoff if call.backoff is None else call.backoff,
    )
    return JobSpec(
        name=name,
        path=parse_url(call.url).target,
        url=call.url,
        schedule=line.schedule,
        dialect=Dialect.STANDARD,
        timezone=line.zone,
        method=call.method,
        timeout=_FALLBACK.timeout if call.timeout is None else call.timeout,
        retry=retry,
        source=f"crontab line {line.number}",
    )
