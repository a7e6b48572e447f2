"""The secret part of a heartbeat's address: derived, so that it can be shown again and is not kept.

``12-5f0c…``: the job's number, which finds its row without a search, and 128 bits of an HMAC of
its name and how often its URL was replaced. The key is the server's, so that neither the run log
nor a backup of it holds anything one could ping with, and a token is compared, never looked up.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import F

from cronbell.config.secrets import check_secret
from cronbell.errors import CronbellError, SecretError, UnknownJobError
from cronbell.runlog import audit
from cronbell.runlog.models import Job
from cronbell.runlog.queries import configured_job
from cronbell.runlog.router import ALIAS
from cronbell.server.secrets import secret_from_file

VARIABLE = "CRONBELL_PING_SECRET"
FILE = "ping-secret"
DIGITS = 32
_TOKEN = re.compile(rf"([0-9]{{1,18}})-([0-9a-f]{{{DIGITS}}})", re.ASCII)


class NoHeartbeatError(CronbellError):
    """A job that Cronbell calls was taken for one that pings."""

    code = "no-heartbeat"


def ping_secret() -> str:
    """Return the key tokens are derived with: from the environment, or a file made once.

    Raises:
        SecretError: it is too short, or others can read its file.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return secret_from_file(Path(settings.CRONBELL_DATA_DIR) / FILE, variable=VARIABLE)
    try:
        check_secret(given)
    except SecretError as error:
        raise SecretError(f"{VARIABLE}: {error.message}", hint=error.hint) from None
    return given


def token_of(job: Job) -> str:
    """Return the token of a heartbeat's ping URL."""
    return f"{job.pk}-{_digest(job.name, job.ping_rotation)}"


def heartbeat_of(token: str) -> int | None:
    """Return the id of the heartbeat a token belongs to; None for every other text."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    job = (
        Job.objects.filter(pk=int(match[1]), removed_at__isnull=True, spec__heartbeat=True)
        .only("name", "ping_rotation")
        .first()
    )
    # A number nobody has costs the same comparison as a wrong digest.
    wanted = _digest(job.name, job.ping_rotation) if job else _digest("", 0)
    right = hmac.compare_digest(wanted, match[2])
    return job.pk if job is not None and right else None


def rotate(job_name: str) -> Job:
    """Replace a heartbeat's ping URL; the old one answers 404 from now on.

    Raises:
        UnknownJobError: no such job.
        NoHeartbeatError: Cronbell calls it itself.
    """
    with transaction.atomic(using=ALIAS):
        job = heartbeat_named(job_name)
        Job.objects.filter(pk=job.pk).update(ping_rotation=F("ping_rotation") + 1)
        job.refresh_from_db()
        audit.record(audit.Action.PING_URL, "job", job.name)
    return job


def heartbeat_named(name: str) -> Job:
    """Return the heartbeat of that name.

    Raises:
        UnknownJobError: no such job.
        NoHeartbeatError: Cronbell calls it itself.
    """
    job = configured_job(name)
    if job is None:
        raise UnknownJobError(
            f"there is no job {name!r}", hint="`cronbell jobs` lists the jobs there are"
        )
    if not job.spec.get("heartbeat"):
        raise NoHeartbeatError(
            f"the job {name!r} does not ping: Cronbell calls it",
            hint=f"[jobs.{name}] heartbeat = true in cronbell.toml makes a job one that pings",
        )
    return job


def _digest(name: str, rotation: int) -> str:
    message = f"cronbell ping\0{name}\0{rotation}"
    found = hmac.new(ping_secret().encode(), message.encode(), hashlib.sha256)
    return found.hexdigest()[:DIGITS]
