"""Which job works through which backlog: how pages and API find the drains of an application.

A job whose function is a drain's own ``run`` is found by itself. One that does more around it
names its drain with ``draining``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cronbell.drain.drain import Drain
from cronbell.endpoint.registry import REGISTRY, Job, JobFunction, Registry

Function = TypeVar("Function", bound=JobFunction)
_ATTRIBUTE = "cronbell_drain"


def draining(drain: Drain) -> Callable[[Function], Function]:
    """Name the drain that a job's function runs; put it under ``@cron_job``.

    Returns:
        A decorator that returns the function unchanged.
    """

    def mark(function: Function) -> Function:
        setattr(function, _ATTRIBUTE, drain)
        return function

    return mark


def drain_of(job: Job) -> Drain | None:
    """Return the drain a job runs, None where it is no drain."""
    drain = getattr(job.function, "__self__", None) or getattr(job.function, _ATTRIBUTE, None)
    return drain if isinstance(drain, Drain) else None


def drains(registry: Registry = REGISTRY) -> dict[str, tuple[Job, Drain]]:
    """Return the drains of this application with their jobs, by the job's name."""
    found = ((job, drain_of(job)) for job in registry)
    return {job.name: (job, drain) for job, drain in found if drain is not None}
