"""Jobs written as a ``cronbell.toml``, with nothing in it that goes without saying."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from cronbell.config.loader import shortest_deadline
from cronbell.config.urls import parse_url
from cronbell.config.values import seconds_text
from cronbell.domain import Blackout, JobSpec, Parameter, RetryPolicy

_BLANK = JobSpec(name="", path="", schedule="")
_NO_RETRY = RetryPolicy()
_BARE = re.compile(r"[\w-]+", re.ASCII)
_SECONDS = ("timeout", "catch_up_window", "jitter")


def write_toml(jobs: Sequence[JobSpec], *, target: str = "", header: Iterable[str] = ()) -> str:
    """Write jobs as TOML; reading it gives the same jobs.

    Args:
        jobs: with absolute URLs, or with paths on ``target``.
        target: the application's address; jobs on it are written by their path.
        header: lines of comment at the top.
    """
    others = {
        parse_url(job.url).host_and_port for job in jobs if job.url and job.url != target + job.path
    }
    lines = [f"# {line}" for line in header]
    if target:
        lines.append(f"target = {quoted(target)}")
    if others:
        lines.append(f"allowed_hosts = [{', '.join(map(quoted, sorted(others)))}]")
    for job in jobs:
        lines += ["", *_job(job, target)]
    return "\n".join(lines).lstrip("\n") + "\n"


def quoted(text: str) -> str:
    """Write a TOML basic string; JSON's escapes are among TOML's, but for U+007F."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _job(job: JobSpec, target: str) -> Iterable[str]:
    yield f"[jobs.{job.name if _BARE.fullmatch(job.name) else quoted(job.name)}]"
    if job.url and job.url != target + job.path:
        yield f"url = {quoted(job.url)}"
    else:
        yield f"path = {quoted(job.path)}"
    if job.schedule.startswith("every "):
        yield f"every = {quoted(job.schedule.removeprefix('every '))}"
    else:
        yield f"schedule = {quoted(job.schedule)}"
    for key in ("timezone", "dst_gap", "dst_repeat", "method", "overlap", "catch_up", "delivery"):
        value = getattr(job, key)
        if value != getattr(_BLANK, key):
            yield f"{key} = {quoted(value)}"
    for key in _SECONDS:
        value = getattr(job, key)
        if value != getattr(_BLANK, key):
            yield f"{key} = {seconds_text(value)}"
    if job.deadline and job.deadline != shortest_deadline(job.timeout, job.retry):
        yield f"deadline = {seconds_text(job.deadline)}"
    for key in ("enabled", "dry_run"):
        value = getattr(job, key)
        if value != getattr(_BLANK, key):
            yield f"{key} = {str(value).lower()}"
    yield from _tables(job)


def _tables(job: JobSpec) -> Iterable[str]:
    if job.blackout:
        yield f"blackout = [{', '.join(map(_window, job.blackout))}]"
    if job.parameters:
        yield f"parameters = [{', '.join(map(_parameter, job.parameters))}]"
    retry = ", ".join(_retry(job.retry))
    if retry:
        yield f"retry = {{ {retry} }}"


def _window(window: Blackout) -> str:
    parts = [f"days = [{', '.join(map(quoted, window.days))}]"] if window.days else []
    parts += [f"from = {quoted(window.start)}", f"to = {quoted(window.end)}"]
    for key in ("timezone", "reason"):
        if getattr(window, key):
            parts.append(f"{key} = {quoted(getattr(window, key))}")
    return f"{{ {', '.join(parts)} }}"


def _parameter(parameter: Parameter) -> str:
    parts = [f"name = {quoted(parameter.name)}"]
    if parameter.label:
        parts.append(f"label = {quoted(parameter.label)}")
    if parameter.choices:
        parts.append(f"choices = [{', '.join(map(quoted, parameter.choices))}]")
    if parameter.required:
        parts.append("required = true")
    return f"{{ {', '.join(parts)} }}"


def _retry(retry: RetryPolicy) -> Iterable[str]:
    for key in ("max_attempts", "backoff", "max_backoff"):
        value = getattr(retry, key)
        if value != getattr(_NO_RETRY, key):
            yield f"{key} = {seconds_text(value)}"
    if retry.retry_on != _NO_RETRY.retry_on:
        yield f"retry_on = [{', '.join(map(quoted, retry.retry_on))}]"
