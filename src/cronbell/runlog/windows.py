"""A job's blackout windows as pages and command line speak of them."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from cronbell.clock import to_micros
from cronbell.errors import ScheduleError
from cronbell.runlog.jobs import spec_of
from cronbell.runlog.models import Job
from cronbell.runlog.reasons import window_text
from cronbell.schedule.blackout import blackouts_of, window_data

MICROS = 1_000_000


def run_now_word(job: Job, now: datetime) -> str:
    """Say that a blackout window is open, to whoever is about to run the job by hand.

    Returns:
        A sentence in the active language; empty where no window is open, or none can be read.
    """
    spec = spec_of(job)
    try:
        blackouts = blackouts_of(spec)
    except ScheduleError:
        return ""
    window = blackouts and blackouts.covering(to_micros(now) // MICROS)
    if not window:
        return ""
    data = window_data(window, spec.timezone)
    said = _(
        "The blackout window %(window)s is open: fires due now are skipped, a run by hand is not."
    )
    said %= {"window": window_text(data)}
    return f"{said} ({window.reason})" if window.reason else said
