"""What is in force: the jobs, their definitions, the configuration."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from cronbell.config.alerts import Alerts
from cronbell.config.plan import PlainSpec
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
    Parameter,
    RetryPolicy,
)
from cronbell.runlog.applying import bring_into_force
from cronbell.runlog.models import Configuration, Job


def sync_jobs(
    specs: Sequence[JobSpec],
    now: datetime,
    *,
    target: str = "",
    applied_by: str = "",
    retention: Retention | None = None,
) -> dict[str, Job]:
    """Bring a configuration into force (``bring_into_force``) and return its rows by name.

    For a few jobs: a runner, which may have a hundred thousand, does without the rows.
    """
    in_force = bring_into_force(
        specs, now, target=target, applied_by=applied_by, retention=retention
    )
    rows = live_jobs()
    return {name: rows[name] for name in in_force}


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


def live_alerts() -> Alerts:
    """Return who is told about what, by what is in force."""
    configuration = live_configuration()
    return Alerts.from_plain({} if configuration is None else configuration.alerts)


def spec_of(job: Job) -> JobSpec:
    """Return the definition a job's row was last given."""
    return spec_from(job.spec)


def spec_from(plain: PlainSpec) -> JobSpec:
    """Return the definition that ``plain_spec`` made plain."""
    data = dict(plain)
    retry = dict(data.pop("retry", {}))
    windows = data.pop("blackout", ())
    parameters = data.pop("parameters", ())
    retry["retry_on"] = tuple(retry.get("retry_on", RetryPolicy().retry_on))
    for name in ("timezone", "method"):
        # Of a hundred thousand jobs nearly all have the same; read from the store, each its own.
        data[name] = sys.intern(data[name])
    return JobSpec(
        **{
            **data,
            "retry": _shared(RetryPolicy(**retry)),
            "blackout": tuple(
                Blackout(**{**window, "days": tuple(window["days"])}) for window in windows
            ),
            "parameters": tuple(
                Parameter(**{**each, "choices": tuple(each["choices"])}) for each in parameters
            ),
            "dialect": Dialect(data["dialect"]),
            "dst_gap": DstGap(data["dst_gap"]),
            "dst_repeat": DstRepeat(data["dst_repeat"]),
            "overlap": Overlap(data["overlap"]),
            "catch_up": CatchUp(data["catch_up"]),
            "delivery": Delivery(data["delivery"]),
        }
    )


@lru_cache(maxsize=256)
def _shared(policy: RetryPolicy) -> RetryPolicy:
    """Return the one object for all policies that say the same."""
    return policy
