"""A job that waits until told and then leaves one line in a file."""

from __future__ import annotations

import os
from pathlib import Path

from cronbell.endpoint import JobContext, JobResult, cron_job

FOLDER = "EFFECTS_FOLDER"


@cron_job("append-line", max_duration=60)
def append_line(context: JobContext) -> JobResult:
    folder = Path(os.environ[FOLDER])
    with (folder / "begun").open("a") as file:
        file.write(context.run_id + "\n")
    while not (folder / "go").exists() and not context.should_stop:
        context.clock.sleep(0.02)
    with (folder / "effects").open("a") as file:
        file.write(context.run_id + "\n")
    return JobResult("a line")
