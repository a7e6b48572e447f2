"""Jobs as a crontab, user or system format."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from cronbell.config.crontab import NAME_COMMENT
from cronbell.config.export.curl import SAID_ONCE, curl_arguments
from cronbell.config.export.fields import as_cron, fields_of, text_of
from cronbell.config.export.parts import Exported, Options, dst_loss, policy_losses
from cronbell.domain import DstGap, DstRepeat, JobSpec
from cronbell.schedule.grammar import Interval

FILE = "crontab"
_UP_TO_SUNDAY = re.compile(r"-(?:sun|0)\b", re.IGNORECASE)


def to_crontab(jobs: Sequence[JobSpec], options: Options) -> Exported:
    """Write a user's crontab; ``CRON_TZ`` is cronie's, which Debian's cron does not know.

    Args:
        jobs: with absolute URLs.
        options: ``header_file`` is the file with the secret's header.
    """
    result = Exported()
    lines = [
        "# Written by `cronbell export crontab`.",
        *(f"# {line}" for line in SAID_ONCE),
        f"# {options.header_file} holds one line: Authorization: Bearer …",
        "SHELL=/bin/sh",
    ]
    zone = ""
    for job in jobs:
        schedule = _schedule(job, result)
        if schedule is None:
            continue
        if job.timezone != zone:
            zone = job.timezone
            lines += ["", f"CRON_TZ={zone}"]
        if zone != "UTC":
            result.lose(job, "timezone", "CRON_TZ is read by cronie; Debian's cron ignores it")
        losses = [
            *dst_loss(job, DstGap.DEBIAN, DstRepeat.DEBIAN, "cron"),
            *policy_losses(job, window=False, jitter=False),
        ]
        for what, reason in losses:
            result.lose(job, what, reason)
        command = shlex.join(["curl", *curl_arguments(job, f"@{options.header_file}")])
        # To cron an unescaped % ends the command.
        lines += [f"{NAME_COMMENT}{job.name}", f"{schedule} {command.replace('%', chr(92) + '%')}"]
    result.files[FILE] = "\n".join(lines) + "\n"
    return result


def _schedule(job: JobSpec, result: Exported) -> str | None:
    if not job.enabled:
        result.leave_out(job, "it is switched off")
        return None
    fields = fields_of(job)
    if isinstance(fields, Interval):
        text = as_cron(fields, job)
        if text is None:
            result.leave_out(job, f"cron has no `{job.schedule}`")
        return text
    if fields.last_day or fields.nth:
        result.leave_out(job, f"cron has neither L nor d#n (`{job.schedule}`)")
        return None
    if _UP_TO_SUNDAY.search(job.schedule.split()[-1]) and not fields.both:
        return text_of(fields)
    return job.schedule
