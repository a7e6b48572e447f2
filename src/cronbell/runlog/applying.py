"""Brings the jobs table in line with the configuration, keeping every job's history.

A configuration may hold a hundred thousand jobs: rows are read a page at a time and compared as
they come, what is to change is written a thousand rows a statement, and of what stays the same
nothing is kept but id and cursor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from django.db import connections, transaction
from django.db.models import F

from cronbell.clock import SYSTEM_CLOCK, Clock, to_micros
from cronbell.config.alerts import Alerts
from cronbell.config.plan import Difference, PlainSpec, compare, plain_spec
from cronbell.config.retention import Retention
from cronbell.domain import JobSpec
from cronbell.runlog import audit
from cronbell.runlog.early import take_back
from cronbell.runlog.models import Configuration
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import execute, fetch, rows_parameter

BATCH = 1000
COLUMNS = ("name", "path", "schedule", "dialect", "timezone", "method", "enabled")
# What decides when a job fires: a change of any makes its schedule take effect now.
TIMING = frozenset(
    {"schedule", "dialect", "timezone", "dst_gap", "dst_repeat", "enabled", "heartbeat"}
)
WHO_LENGTH = 150


class InForce(NamedTuple):
    """A job's row, as far as a runner needs it: its id and its cursor in microseconds."""

    id: int
    cursor: int


@dataclass(slots=True)
class _Found:
    """The table against a configuration.

    Attributes:
        difference: between the two.
        live: rows of the jobs in force by name.
        gone: names that rows of removed jobs hold.
    """

    difference: Difference
    live: dict[str, InForce] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)


def bring_into_force(
    specs: Sequence[JobSpec],
    now: datetime,
    *,
    target: str = "",
    applied_by: str = "",
    retention: Retention | None = None,
    alerts: Alerts | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> dict[str, InForce]:
    """Make the table say what the configuration says; a second call changes nothing.

    A job that is new, back again or differently timed starts at ``now``: no fire in the past is
    made up for it. One that left keeps its row and runs. One whose name had to change (a new
    entry took the short form) keeps its row under the new name; a removed job that holds that
    name gives it up.

    Args:
        specs: every job of the configuration.
        now: the moment the configuration takes effect.
        target: the application's address, kept so that ``plan`` can compare with it.
        applied_by: who brought it into force, for the record.
        retention: how long ended runs are kept; None to leave it as it is.
        alerts: who is told, about what; None to leave it as it is.
        clock: what time it is once the run log is had, for fires recorded early.

    Returns:
        The configured jobs' rows by name.
    """
    who = applied_by[:WHO_LENGTH]
    with transaction.atomic(using=ALIAS):
        configuration = _configuration(now)
        found = _find(specs)
        _take_back(found, clock)
        _write(found, {spec.name: spec for spec in specs}, to_micros(now), who)
        kept = configuration.retention if retention is None else retention.plain()
        told = configuration.alerts if alerts is None else alerts.plain()
        changed = (
            target not in {"", configuration.target}
            or kept != configuration.retention
            or told != configuration.alerts
        )
        if changed or not found.difference.empty:
            Configuration.objects.filter(pk=configuration.pk).update(
                generation=F("generation") + 1,
                target=target or configuration.target,
                applied_at=now,
                applied_by=who,
                retention=kept,
                alerts=told,
            )
            _note(found.difference, kept != configuration.retention, target, who)
    return found.live


def _note(difference: Difference, retention: bool, target: str, who: str) -> None:
    details = {
        "added": list(difference.added),
        "changed": [change.name for change in difference.changed],
        "renamed": [f"{before} → {after}" for before, after in difference.renamed],
        "removed": list(difference.removed),
        "retention": retention,
    }
    said = {name: value for name, value in details.items() if value}
    audit.record(audit.Action.APPLY, "configuration", target, said, by=who)


def difference_to_live(specs: Sequence[JobSpec]) -> Difference:
    """Say what ``bring_into_force`` would change, and change nothing."""
    return _find(specs).difference


def let_go_of_pages() -> None:
    """Free what reading the whole table has put into the store's cache in this process.

    On SQLite that is up to 32 MB, of which the runs to come need little.
    """
    connection = connections[ALIAS]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA shrink_memory")


def rows_in_force() -> Iterator[tuple[InForce, PlainSpec]]:
    """Yield the jobs in force with their definitions, made plain, in the order of their ids."""
    for job, _, in_force, text in _rows():
        if in_force:
            yield job, msgspec.json.decode(text)


def _rows() -> Iterator[tuple[InForce, str, bool, str]]:
    after = 0
    while page := fetch(connections[ALIAS], "jobs_page", [after, BATCH]):
        for job_id, name, cursor, in_force, text in page:
            yield InForce(job_id, cursor), name, in_force, text
        after = page[-1][0]


def _configuration(now: datetime) -> Configuration:
    # Locked: of two that bring a configuration into force, the second sees what the first did.
    return Configuration.objects.select_for_update().get_or_create(
        pk=1, defaults={"applied_at": now}
    )[0]


def _find(specs: Sequence[JobSpec]) -> _Found:
    wanted = {spec.name: spec for spec in specs}
    live: dict[str, InForce] = {}
    gone: set[str] = set()
    different: dict[str, PlainSpec] = {}
    for job, name, in_force, text in _rows():
        if not in_force:
            gone.add(name)
            continue
        live[name] = job
        plain = msgspec.json.decode(text)
        spec = wanted.get(name)
        if spec is not None:
            # Where a job is defined is no part of what it is: one more entry at the top of a
            # file moves all the others.
            plain["source"] = spec.source
        if spec is None or plain != plain_spec(spec):
            different[name] = plain
    same = live.keys() - different.keys()
    difference = compare(different, [spec for spec in specs if spec.name not in same])
    difference = replace(difference, unchanged=difference.unchanged + len(same))
    return _Found(difference, live, gone)


def _take_back(found: _Found, clock: Clock) -> None:
    """Take back what was recorded early of jobs that are about to change, or to go."""
    difference = found.difference
    names = {*difference.removed, *(before for before, _ in difference.renamed)}
    names.update(change.name for change in difference.changed)
    if names:
        take_back([found.live[name].id for name in names if name in found.live], clock)


def _write(found: _Found, specs: dict[str, JobSpec], now: int, who: str) -> None:
    """Change the rows as the difference says, and ``found.live`` with them."""
    connection, live, difference = connections[ALIAS], found.live, found.difference
    taken = [(after,) for _, after in difference.renamed if after in found.gone]
    for names in _batches(taken):
        execute(connection, "give_way", [rows_parameter(names)])
    removed = [(live.pop(name).id,) for name in difference.removed]
    for ids in _batches(removed):
        execute(connection, "remove_jobs", [rows_parameter(ids), now])
    for before, after in difference.renamed:
        live[after] = live.pop(before)
    anew = {change.name: bool(TIMING & change.fields.keys()) for change in difference.changed}
    changed = list(dict.fromkeys([*anew, *(after for _, after in difference.renamed)]))
    touched = [*removed, *((live[name].id,) for name in changed)]
    for batch in _batches(changed):
        rows = [(*_row(specs[name]), live[name].id, anew.get(name, False)) for name in batch]
        for job_id, name, cursor in fetch(connection, "change_jobs", [rows_parameter(rows), now]):
            live[name] = InForce(job_id, cursor)
    for batch in _batches(difference.added):
        rows = [_row(specs[name]) for name in batch]
        for job_id, name in fetch(connection, "add_jobs", [now, now, rows_parameter(rows)]):
            live[name] = InForce(job_id, now)
            touched.append((job_id,))
    for ids in _batches(touched):
        execute(connection, "keep_versions", [now, who, rows_parameter(ids)])


def _row(spec: JobSpec) -> tuple[Any, ...]:
    plain = plain_spec(spec)
    return (*(plain[column] for column in COLUMNS), plain)


def _batches(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]
