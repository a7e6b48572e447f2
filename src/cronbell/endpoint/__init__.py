"""Request ─► job ─► answer: the receiving side of a cron call.

A call goes through named steps, in this order (``call.py``): authenticate, identify, claim the
receipt, run, settle, answer. Nothing in this package but ``django.py`` and ``receipts/`` knows a
web framework, and storage is a small protocol (``receipt.py``).

Example:
    >>> @cron_job("update-rankings", max_duration=300)
    ... def update_rankings(context: JobContext) -> JobResult:
    ...     return JobResult("12 scores changed", {"changed": 12})
"""

from __future__ import annotations

from cronbell.endpoint.context import JobContext, JobResult
from cronbell.endpoint.registry import JobDefinitionError, cron_job

__all__ = ["JobContext", "JobDefinitionError", "JobResult", "cron_job"]
