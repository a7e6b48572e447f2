"""The call of a job as a curl command."""

from __future__ import annotations

import math

from cronbell.config.commands import OWN_HEADERS, USER_AGENT
from cronbell.config.export.fields import is_vercels
from cronbell.config.values import seconds_text
from cronbell.domain import JobSpec

SAID_ONCE = (
    "Not carried over from any job: overlap and deadlines as Cronbell keeps them, its run log,",
    "and the Idempotency-Key: after a lost answer an endpoint may work twice for one fire.",
)


def curl_arguments(job: JobSpec, authorization: str) -> list[str]:
    """Return the arguments that make a job's call.

    Args:
        job: with an absolute URL.
        authorization: what follows ``--header`` for the secret: a file, or the header itself.
    """
    arguments = ["--fail", "--silent", "--show-error", "--globoff"]
    arguments += ["--max-time", seconds_text(job.timeout)]
    if job.method == "HEAD":
        arguments.append("--head")
    elif job.method != "GET":
        arguments += ["--request", job.method]
    if job.retry.max_attempts > 1:
        arguments += ["--retry", str(job.retry.max_attempts - 1)]
        # curl takes whole seconds, and 0 for a back-off of its own.
        arguments += ["--retry-delay", str(max(1, math.ceil(job.retry.backoff)))]
        arguments.append("--retry-connrefused")
    arguments += ["--user-agent", USER_AGENT, "--header", authorization]
    if is_vercels(job):
        # By this header the endpoint library knows the fire, and works once for it.
        arguments += ["--header", f"{OWN_HEADERS[0]}: {job.schedule}"]
    return [*arguments, job.url]
