"""Jobs as ``crons`` and ``schedules`` of a ``vercel.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cronbell.config.advice import MOST_ON_VERCEL
from cronbell.config.export.fields import plain_text
from cronbell.config.export.parts import Exported, Options, dst_loss
from cronbell.config.names import job_names
from cronbell.config.schedules import shortest_gap
from cronbell.config.urls import LONGEST_PATH
from cronbell.domain import Dialect, DstGap, DstRepeat, JobSpec
from cronbell.errors import ScheduleError
from cronbell.schedule import compile_schedule
from cronbell.schedule.grammar import parse

FILE = "vercel.json"
_SHORTEST, _LONGEST = 9, 256
_MOST_JITTER = 15
_MINUTE = 60
_BLANK = JobSpec(name="", path="", schedule="")
_METHODS = ("GET", "POST")


def to_vercel(jobs: Sequence[JobSpec], options: Options) -> Exported:
    """Write a ``vercel.json``: ``crons`` for what they can say, ``schedules`` for the rest.

    Args:
        jobs: those with a URL outside ``options.target`` are left out.
        options: ``target``.
    """
    result = Exported()
    crons: list[tuple[JobSpec, dict[str, Any]]] = []
    schedules: list[dict[str, Any]] = []
    for job in jobs:
        if job.url and job.url != options.target + job.path:
            result.leave_out(job, "Vercel calls its own deployment only")
            continue
        schedule = _schedule(job, result)
        if schedule is None:
            continue
        _say_losses(job, result)
        if _is_cron(job):
            crons.append((job, {"path": job.path, "schedule": schedule}))
        else:
            schedules.append(_scheduled(job, schedule, result))
    _say_names(crons, result)
    document: dict[str, Any] = {"$schema": "https://openapi.vercel.sh/vercel.json"}
    if crons or not schedules:
        document["crons"] = [entry for _, entry in crons]
    if schedules:
        document["schedules"] = schedules
    if len(crons) + len(schedules) > MOST_ON_VERCEL and jobs:
        reason = f"Vercel takes {MOST_ON_VERCEL} entries; there are {len(crons) + len(schedules)}"
        result.lose(jobs[-1], "crons", reason)
    result.files[FILE] = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return result


def _is_cron(job: JobSpec) -> bool:
    from_schedules = job.source.startswith("vercel.json schedules")
    return not (from_schedules or job.timezone != "UTC" or job.method != "GET" or job.jitter)


def _schedule(job: JobSpec, result: Exported) -> str | None:
    """Return the expression in Vercel's grammar, or say why there is none."""
    reason = ""
    if not job.enabled:
        reason = "it is switched off"
    elif job.method not in _METHODS:
        reason = f"Vercel calls by GET or POST, not {job.method}"
    elif not job.path.startswith("/") or len(job.path) > LONGEST_PATH:
        reason = f"a path has at most {LONGEST_PATH} characters"
    if reason:
        result.leave_out(job, reason)
        return None
    try:
        compile_schedule(job.schedule, dialect=Dialect.VERCEL)
        text: str | None = job.schedule
    except ScheduleError:
        text = plain_text(job)
    if text is None:
        result.leave_out(job, f"Vercel's grammar cannot say `{job.schedule}`")
        return None
    try:
        parse(text, Dialect.VERCEL)
    except ScheduleError as error:
        result.leave_out(job, str(error))
        return None
    if not _SHORTEST <= len(text) <= _LONGEST:
        result.leave_out(job, f"Vercel takes no expression of {len(text)} characters")
        return None
    return text


def _scheduled(job: JobSpec, schedule: str, result: Exported) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": job.name}
    if not job.name.isascii():
        del entry["name"]
        result.lose(job, "name", "Vercel's names are ASCII; one is made from the path")
    entry |= {"path": job.path, "schedule": schedule, "requestMethod": job.method}
    if job.timezone != "UTC":
        entry["timezone"] = job.timezone
    if job.jitter:
        minutes = min(
            max(1, round(job.jitter / _MINUTE)), shortest_gap(schedule, most=_MOST_JITTER)
        )
        entry["jitter"] = minutes
        if minutes * _MINUTE != job.jitter:
            result.lose(job, "jitter", f"{job.jitter:g} s becomes {minutes} min")
    for what, reason in dst_loss(job, DstGap.SKIP, DstRepeat.FIRST, "Vercel"):
        result.lose(job, what, reason)
    return entry


def _say_losses(job: JobSpec, result: Exported) -> None:
    if job.retry.max_attempts > 1:
        result.lose(job, "retry", "Vercel does not try again")
    if job.timeout != _BLANK.timeout:
        reason = f"set maxDuration of the function behind the path ({job.timeout:g} s here)"
        result.lose(job, "timeout", reason)
    if job.blackout:
        result.lose(job, "blackout", "fires due in its windows run like all others")
    if job.catch_up_window != _BLANK.catch_up_window:
        result.lose(job, "catch_up_window", "Vercel makes nothing up for missed fires")


def _say_names(crons: list[tuple[JobSpec, dict[str, Any]]], result: Exported) -> None:
    """Say which jobs of ``crons``, which have no names there, would be called otherwise."""
    keys = list(dict.fromkeys((entry["path"], entry["schedule"]) for _, entry in crons))
    names = dict(zip(keys, job_names(keys), strict=True))
    for job, entry in crons:
        name = names[entry["path"], entry["schedule"]]
        if name != job.name:
            result.lose(job, "name", f"`crons` have no names; read again it is `{name}`")
