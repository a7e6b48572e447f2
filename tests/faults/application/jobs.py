"""Jobs whose one effect is a row in the application's database, committed with their receipt."""

from __future__ import annotations

import random

from django.db import connection

from cronbell.endpoint import JobContext, JobResult, cron_job
from tests.faults.application.load import EFFECT_JOBS

LONGEST_SECONDS = 0.04


def leave_a_row(context: JobContext) -> JobResult:
    """Work for a moment, leave the run's key, work for another moment."""
    context.clock.sleep(random.uniform(0, LONGEST_SECONDS))
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO faults_effect (run_key) VALUES (%s)", [context.run_id])
    context.clock.sleep(random.uniform(0, LONGEST_SECONDS))
    return JobResult("one row")


for number in range(EFFECT_JOBS):
    cron_job(f"effect-{number}", max_duration=10, atomic=True)(leave_a_row)
