"""``cronbell.toml``: what ``vercel.json`` cannot say, read into plain settings.

Each value is judged where it stands; what depends on both files (is there such a job, is a host
allowed) is the loader's. A key is known only once what it does is built.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cronbell.config.alert_keys import KEY as ALERTS
from cronbell.config.alert_keys import read_alerts, read_rule
from cronbell.config.alerts import NO_ALERTS, Alerts
from cronbell.config.blackout import KEY as BLACKOUT
from cronbell.config.blackout import read_blackout
from cronbell.config.lines import toml_lines
from cronbell.config.names import LONGEST_NAME, is_name
from cronbell.config.parameters import KEY as PARAMETERS
from cronbell.config.parameters import read_parameters
from cronbell.config.retention import RETENTION_KEYS, Retention
from cronbell.config.source import Place, Source, UnreadableError, printable, read_text, similar
from cronbell.config.urls import UrlError, parse_allowed, parse_base
from cronbell.config.values import (
    JOB_KEYS,
    LATER_KEYS,
    RETRY_KEYS,
    SHARED_KEYS,
    Reader,
    RefusedError,
    kind,
    text,
    whole,
)

DEFAULT_CONCURRENCY = 100
_MOST_CONCURRENCY = 10_000
TOP_KEYS = ("target", "allowed_hosts", "defaults", "runner", "retention", ALERTS, "jobs")
RUNNER_KEYS: dict[str, Reader] = {"concurrency": whole(1, _MOST_CONCURRENCY)}
_TABLES = ("retry", BLACKOUT, PARAMETERS, ALERTS)  # of a job, beside its plain keys
_AT_LINE = re.compile(r" \(at line (\d+), column (\d+)\)$")


@dataclass(slots=True)
class CronbellToml:
    """What was read; faulty values are left out.

    Attributes:
        source: the file and its faults.
        target: the application's address, without a slash at its end; empty if not given.
        allowed_hosts: ``host`` or ``host:port``.
        concurrency: how many runs go on at once at most.
        retention: how long ended runs are kept.
        alerts: who is told, about what.
        defaults: values for all jobs, by key.
        jobs: values by job and key.
    """

    source: Source
    target: str = ""
    allowed_hosts: frozenset[str] = frozenset()
    concurrency: int = DEFAULT_CONCURRENCY
    retention: Retention = field(default_factory=Retention)
    alerts: Alerts = NO_ALERTS
    defaults: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)


def read(path: Path) -> CronbellToml:
    """Read a ``cronbell.toml``; what is wrong with it is in its ``source``.

    Raises:
        UnreadableError: it is not text, or not TOML.
    """
    content = read_text(path)
    document = _parse(content)
    result = CronbellToml(Source(str(path), content, toml_lines))
    _top(result, document)
    defaults = _table(result.source, ("defaults",), document.get("defaults", {}))
    result.defaults = _settings(result.source, ("defaults",), defaults, SHARED_KEYS)
    runner = _table(result.source, ("runner",), document.get("runner", {}))
    settings = _settings(result.source, ("runner",), runner, RUNNER_KEYS, with_retry=False)
    result.concurrency = settings.get("concurrency", DEFAULT_CONCURRENCY)
    kept = _table(result.source, ("retention",), document.get("retention", {}))
    ages = _settings(result.source, ("retention",), kept, RETENTION_KEYS, with_retry=False)
    result.retention = Retention.from_settings(ages)
    jobs = _table(result.source, ("jobs",), document.get("jobs", {}))
    rules: dict[str, dict[str, Any]] = {}
    for name, value in jobs.items():
        _job(result, name, value, rules)
    result.alerts = read_alerts(result.source, document.get(ALERTS, {}), rules)
    return result


def _parse(content: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = _AT_LINE.search(message)
        line = int(found[1]) if found else content.count("\n") + 1
        where = f" at column {found[2]}" if found else ""
        raise UnreadableError(
            f"is not valid TOML: {_AT_LINE.sub('', message).removesuffix(' (at end of document)')}"
            f"{where}",
            "check quotes, brackets, and that no key is given twice",
            line,
        ) from None
    except RecursionError:
        raise UnreadableError("is nested too deeply", "flatten it") from None
    except ValueError as error:
        raise UnreadableError(f"is not valid TOML: {error}", "correct the number") from None


def _top(result: CronbellToml, document: dict[str, Any]) -> None:
    source = result.source
    for key, value in document.items():
        if key == "target":
            target = _read(source, ("target",), value, _target)
            result.target = target or ""
        elif key == "allowed_hosts":
            result.allowed_hosts = frozenset(_hosts(source, value))
        elif key not in TOP_KEYS:
            _unknown(source, (key,), TOP_KEYS)


def _target(value: Any) -> str:
    try:
        return parse_base(text(value)).text
    except UrlError as error:
        raise RefusedError(error.message, error.hint) from None


def _hosts(source: Source, value: Any) -> Iterable[str]:
    if not isinstance(value, list):
        source.error(
            ("allowed_hosts",),
            f"`allowed_hosts` must be a list, not {kind(value)}",
            'write ["example.com", "example.com:8443"]',
        )
        return
    for host in value:
        read = _read(source, ("allowed_hosts",), host, _host)
        if read is not None:
            yield read


def _host(value: Any) -> str:
    try:
        return parse_allowed(text(value))
    except UrlError as error:
        raise RefusedError(error.message, error.hint) from None


def _job(result: CronbellToml, name: str, value: Any, rules: dict[str, dict[str, Any]]) -> None:
    source, place = result.source, ("jobs", name)
    if not is_name(name):
        source.error(
            place,
            f"`{printable(name)}` cannot be a job's name",
            f"use at most {LONGEST_NAME} letters, digits, - _ and ., a letter or digit first",
        )
        return
    if not isinstance(value, dict):
        source.error(
            place, f"`jobs.{name}` must be a table, not {kind(value)}", f"write [jobs.{name}]"
        )
        return
    # Beside its definition, not part of it: who is told of a job changes nothing of the job.
    settings = {key: each for key, each in value.items() if key != ALERTS}
    result.jobs[name] = _settings(source, place, settings, SHARED_KEYS | JOB_KEYS)
    if ALERTS in value:
        rules[name] = read_rule(source, (*place, ALERTS), value[ALERTS])


def _table(source: Source, place: Place, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    key = ".".join(map(str, place))
    source.error(place, f"`{key}` must be a table, not {kind(value)}", f"write [{key}]")
    return {}


def _settings(
    source: Source,
    place: Place,
    table: Mapping[str, Any],
    known: Mapping[str, Reader],
    *,
    with_retry: bool = True,
) -> dict[str, Any]:
    """Read the known keys of a table; report the rest."""
    result: dict[str, Any] = {}
    for key, value in table.items():
        if key == "retry" and with_retry:
            retry = _table(source, (*place, key), value)
            result[key] = _settings(source, (*place, key), retry, RETRY_KEYS, with_retry=False)
        elif key == BLACKOUT and with_retry:
            windows = read_blackout(source, (*place, key), value)
            if windows is not None:
                result[key] = windows
        elif key == PARAMETERS and place[0] == "jobs" and with_retry:
            parameters = read_parameters(source, (*place, key), value)
            if parameters is not None:
                result[key] = parameters
        elif key in known:
            read = _read(source, (*place, key), value, known[key])
            if read is not None:
                result[key] = read
        else:
            _unknown(source, (*place, key), (*known, *_TABLES) if with_retry else tuple(known))
    return result


def _read(source: Source, place: Place, value: Any, reader: Reader) -> Any:
    try:
        return reader(value)
    except RefusedError as error:
        source.error(place, f"`{place[-1]}`: {error.message}", error.hint)
        return None


def _unknown(source: Source, place: Place, known: Iterable[str]) -> None:
    key = str(place[-1])
    if place[0] == "defaults" and key == ALERTS:
        source.error(place, "`alerts` for all jobs has a table of its own", "write [alerts]")
        return
    if place[0] == "defaults" and key in {*JOB_KEYS, PARAMETERS}:
        message = f"`{key}` belongs to one job, not to all"
        source.error(place, message, f"write it under [jobs.NAME]: {key} = …")
        return
    message = f"`{printable(key)}` is not known"
    if key in LATER_KEYS:
        message += " to this version of Cronbell"
    hint = similar(key, known) or "known here are " + ", ".join(known)
    source.error(place, message, "remove it" if key in LATER_KEYS else hint)
