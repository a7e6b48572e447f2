"""Brings the jobs table in line with the configuration, keeping every job's history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from cronbell.config.plan import Difference, PlainSpec, compare, plain_spec
from cronbell.config.retention import Retention
from cronbell.domain import (
    Blackout,
    CatchUp,
    Delivery,
    Dialect,
    DstGap,
    DstRepeat,
    JobSpec,
    Overlap,
    RetryPolicy,
)
from cronbell.runlog.models import Configuration, Job, JobVersion
from cronbell.runlog.router import ALIAS

BATCH = 1000
COLUMNS = ("path", "schedule", "dialect", "timezone", "method", "enabled")
FIELDS = ["name", *COLUMNS, "spec", "cursor_at", "removed_at"]
# What decides when a job fires: a change of any makes its schedule take effect now.
TIMING = frozenset(
    {"schedule", "dialect", "timezone", "dst_gap", "dst_repeat", "enabled", "heartbeat"}
)


def sync_jobs(
    specs: Sequence[JobSpec],
    now: datetime,
    *,
    target: str = "",
    applied_by: str = "",
    retention: Retention | None = None,
) -> dict[str, Job]:
    """Make the table say what the configuration says; a second call changes nothing.

    A job that is new, back again or differently timed starts at ``now``: no fire in the past is
    made up for it. One that left keeps its row and runs. One whose name had to change (a new
    entry took the short form) keeps its row under the new name.

    Args:
        specs: every job of the configuration.
        now: the moment the configuration takes effect.
        target: the application's address, kept so that ``plan`` can compare with it.
        applied_by: who brought it into force, for the record.
        retention: how long ended runs are kept; None to leave it as it is.

    Returns:
        The configured jobs' rows by name.
    """
    with transaction.atomic(using=ALIAS):
        configuration = _configuration(now)
        rows = {job.name: job for job in Job.objects.select_for_update()}
        difference = compare(_live(rows), specs)
        for before, after in difference.renamed:
            rows[after] = rows.pop(before)
            rows[after].name = after
        touched = _bring_in_line(rows, {spec.name: spec for spec in specs}, difference, now)
        new = [job for job in touched if job.pk is None]
        old = [job for job in touched if job.pk is not None]
        Job.objects.bulk_create(new, batch_size=BATCH)
        Job.objects.bulk_update(old, FIELDS, batch_size=BATCH)
        _keep_versions(touched, now, applied_by[:150])
        kept = configuration.retention if retention is None else retention.plain()
        changed = target not in {"", configuration.target} or kept != configuration.retention
        if changed or not difference.empty:
            Configuration.objects.filter(pk=configuration.pk).update(
                generation=F("generation") + 1,
                target=target or configuration.target,
                applied_at=now,
                applied_by=applied_by[:150],
                retention=kept,
            )
    return {spec.name: rows[spec.name] for spec in specs}


def difference_to_live(specs: Sequence[JobSpec]) -> Difference:
    """Say what ``sync_jobs`` would change, and change nothing."""
    return compare(_live({job.name: job for job in Job.objects.all()}), specs)


def live_jobs() -> dict[str, Job]:
    """Return the jobs in force by name."""
    return {job.name: job for job in Job.objects.filter(removed_at__isnull=True)}


def paused_jobs() -> list[str]:
    """Return the names of jobs in force that somebody paused; the files do not know of it."""
    paused = Job.objects.filter(removed_at__isnull=True, paused_at__isnull=False)
    return list(paused.order_by("name").values_list("name", flat=True))


def live_configuration() -> Configuration | None:
    """Return what is in force and since when; None before the first runner started."""
    return Configuration.objects.first()


def live_retention() -> Retention:
    """Return how long ended runs are kept by what is in force."""
    configuration = live_configuration()
    return Retention.from_settings({} if configuration is None else configuration.retention)


def spec_of(job: Job) -> JobSpec:
    """Return the definition a job's row was last given."""
    return spec_from(job.spec)


def spec_from(plain: PlainSpec) -> JobSpec:
    """Return the definition that ``plain_spec`` made plain."""
    data = dict(plain)
    retry = dict(data.pop("retry", {}))
    windows = data.pop("blackout", ())
    retry["retry_on"] = tuple(retry.get("retry_on", RetryPolicy().retry_on))
    return JobSpec(
        **{
            **data,
            "retry": RetryPolicy(**retry),
            "blackout": tuple(
                Blackout(**{**window, "days": tuple(window["days"])}) for window in windows
            ),
            "dialect": Dialect(data["dialect"]),
            "dst_gap": DstGap(data["dst_gap"]),
            "dst_repeat": DstRepeat(data["dst_repeat"]),
            "overlap": Overlap(data["overlap"]),
            "catch_up": CatchUp(data["catch_up"]),
            "delivery": Delivery(data["delivery"]),
        }
    )


def _configuration(now: datetime) -> Configuration:
    return Configuration.objects.select_for_update().get_or_create(
        pk=1, defaults={"applied_at": now}
    )[0]


def _live(rows: dict[str, Job]) -> dict[str, dict[str, Any]]:
    return {name: job.spec for name, job in rows.items() if job.removed_at is None}


def _bring_in_line(
    rows: dict[str, Job], specs: dict[str, JobSpec], difference: Difference, now: datetime
) -> list[Job]:
    """Change the rows as the difference says; return those that changed, new ones without a key."""
    touched: dict[str, Job] = {}
    for name in difference.added:
        job = rows.setdefault(name, Job(name=name, created_at=now))
        job.cursor_at, job.removed_at = now, None
        touched[name] = job
    for change in difference.changed:
        job = rows[change.name]
        if TIMING & change.fields.keys():
            job.cursor_at = now
        touched[change.name] = job
    for _, name in difference.renamed:
        touched[name] = rows[name]
    for name, job in touched.items():
        _fill(job, specs[name])
    for name in difference.removed:
        rows[name].removed_at = now
        touched[name] = rows[name]
    return list(touched.values())


def _keep_versions(touched: list[Job], now: datetime, applied_by: str) -> None:
    versions = [
        JobVersion(
            job=job,
            name=job.name,
            at=now,
            spec=job.spec if job.removed_at is None else None,
            applied_by=applied_by,
        )
        for job in touched
    ]
    JobVersion.objects.bulk_create(versions, batch_size=BATCH)


def _fill(job: Job, spec: JobSpec) -> None:
    job.spec = plain_spec(spec)
    for column in COLUMNS:
        setattr(job, column, job.spec[column])
