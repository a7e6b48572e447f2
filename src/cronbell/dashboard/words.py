"""What a run says of itself, in words: shared by pages and API."""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from cronbell.errors import CronbellError
from cronbell.runlog.jobs import spec_of
from cronbell.runlog.models import Job, Run
from cronbell.runlog.reasons import explain
from cronbell.runlog.shape import details_text
from cronbell.schedule.explain import explain as in_words


def reason_text(run: Run) -> str:
    """Return why the run has its status, where the status alone does not say."""
    return explain(run.reason, run.reason_data)


def failure_text(run: Run) -> str:
    """Return the one sentence that says why a run failed."""
    return reason_text(run) or run.details or _("Unknown error")


def not_run_here(job_name: str) -> str:
    """Say why a heartbeat cannot be run now."""
    return _(
        "%(job)s is a heartbeat: it runs elsewhere and Cronbell waits for its pings, so it cannot"
        " be run from here."
    ) % {"job": job_name}


def schedule_sentence(job: Job) -> str:
    """Return in the viewer's language when a job fires; empty where that can't be read."""
    if not job.schedule:
        return ""
    try:
        return in_words(spec_of(job), language=get_language() or "en")
    except (CronbellError, KeyError, TypeError, ValueError):
        return ""


def details_value(run: Run) -> Any:
    """Return the endpoint's answer: parsed where it is JSON, else as text, else the details."""
    if not run.body:
        return details_text(run)
    try:
        return json.loads(run.body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return run.body


def _refuse_constant(name: str) -> Any:
    # Python reads NaN and Infinity; they are no JSON and must not get into ours.
    raise ValueError(name)
