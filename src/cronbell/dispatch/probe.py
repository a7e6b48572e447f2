"""Does an endpoint take a secret? Asked without running its job.

An ``OPTIONS`` request with ``X-Cronbell-Probe``: endpoints written with ``cronbell.endpoint``
check its secret and answer ``{"probe": …}``. Any other application answers it as it answers every
``OPTIONS`` request, which by HTTP's rules does nothing; that tells nothing about its secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

import msgspec

from cronbell.dispatch.dispatcher import direct_hosts
from cronbell.dispatch.egress import Reach
from cronbell.dispatch.request import (
    USER_AGENT,
    BadRequestError,
    Request,
    authorization,
    canonical_url,
    parse_allowed,
)
from cronbell.dispatch.transport import Response, Transport
from cronbell.domain import JobSpec

HEADER = "X-Cronbell-Probe"
TIMEOUT = 10.0


class Verdict(StrEnum):
    """What an endpoint says about a secret."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNKNOWN = "unknown"  # it answered, and not to the probe
    UNREACHED = "unreached"  # it did not answer, or must not be called


@dataclass(frozen=True, slots=True)
class Probed:
    """What became of one probe.

    Attributes:
        job: the job's name.
        url: without its query, which may hold secrets.
        verdict: what was found.
        detail: why, where it is not ``TAKEN``.
    """

    job: str
    url: str
    verdict: Verdict
    detail: str = ""


async def probe(
    specs: Iterable[JobSpec],
    secret: str,
    allowed_hosts: Iterable[str],
    transport: Transport,
    *,
    target: str = "",
) -> Sequence[Probed]:
    """Ask each job's endpoint, one after the other; heartbeats have none.

    Args:
        specs: the jobs.
        secret: the one in question; sent to allowed hosts only.
        allowed_hosts: as ``Dispatcher`` takes them.
        transport: the HTTP client.
        target: likewise.
    """
    allowed = frozenset(parse_allowed(host) for host in allowed_hosts)
    direct = direct_hosts(allowed, target)
    return [
        await _probe_one(spec, secret, allowed, direct, transport)
        for spec in specs
        if not spec.heartbeat
    ]


async def _probe_one(
    spec: JobSpec,
    secret: str,
    allowed: frozenset[tuple[str, int | None]],
    direct: frozenset[str],
    transport: Transport,
) -> Probed:
    shown = spec.url.partition("?")[0]
    try:
        url, origin = canonical_url(spec.url)
    except BadRequestError as error:
        return Probed(spec.name, shown, Verdict.UNREACHED, error.message)
    if not origin.is_among(allowed):
        return Probed(spec.name, shown, Verdict.UNREACHED, "the host is not allowed")
    headers = (("User-Agent", USER_AGENT), *authorization(secret), (HEADER, "1"))
    reach = Reach.DIRECT if origin.host in direct else Reach.ALLOWED
    request = Request("OPTIONS", url, headers, origin)
    answer = await transport.send(request, timeout=TIMEOUT, reach=reach)
    if not isinstance(answer, Response):
        return Probed(spec.name, shown, Verdict.UNREACHED, answer.error or answer.reason.value)
    said = _said(answer.body)
    if said == Verdict.TAKEN and answer.status == HTTPStatus.OK:
        return Probed(spec.name, shown, Verdict.TAKEN)
    if said == Verdict.REFUSED:
        return Probed(spec.name, shown, Verdict.REFUSED, f"HTTP {answer.status}")
    return Probed(
        spec.name, shown, Verdict.UNKNOWN, f"HTTP {answer.status}, which says nothing about it"
    )


def _said(body: bytes) -> str:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    said = found.get("probe") if isinstance(found, dict) else None
    return said if isinstance(said, str) else ""
