"""The Django adapter: ``urlpatterns = [*cron_urls(), …]``.

Settings, all optional::

    CRONBELL_ENDPOINT = {
        "DATABASE": "default",   # the alias the receipts live in
        "RECORDER": "cronbell.runlog.recorder.RunLogRecorder",  # where that app is installed
        "THREADS": 16, "LEASE_SECONDS": 30, "GRACE_SECONDS": 3,
        "KEEP_DAYS": 31,  # receipts, after their end
    }
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DEFAULT_DB_ALIAS, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_exempt

from cronbell.endpoint.answer import Answer
from cronbell.endpoint.auth import gate_of
from cronbell.endpoint.call import Endpoint, Limits
from cronbell.endpoint.identify import Request
from cronbell.endpoint.receipts.store import DjangoReceipts
from cronbell.endpoint.recorder import NullRecorder, RunRecorder
from cronbell.endpoint.registry import REGISTRY, Job
from cronbell.errors import ConfigError
from cronbell.tracing import of_this_process

SETTING = "CRONBELL_ENDPOINT"
LIMITS = frozenset({"THREADS", "LEASE_SECONDS", "GRACE_SECONDS", "KEEP_DAYS"})
KEYS = LIMITS | {"DATABASE", "RECORDER"}
RUN_LOG = "cronbell.runlog"
RUN_LOG_RECORDER = "cronbell.runlog.recorder.RunLogRecorder"


def cron_urls(endpoint: Endpoint | None = None) -> list[URLPattern | URLResolver]:
    """Return one URL pattern for each published job.

    Args:
        endpoint: the one to serve; by default this process's own (``process_endpoint``), built
            at its first call.
    """
    jobs = REGISTRY if endpoint is None else endpoint.registry
    return [_pattern(job, endpoint) for job in jobs]


@cache
def process_endpoint() -> Endpoint:
    """Build this process's endpoint from Django's settings and the environment, once.

    Raises:
        ConfigError: ``CRONBELL_ENDPOINT`` has an unknown key or an impossible value.
    """
    chosen: Mapping[str, Any] = getattr(settings, SETTING, {})
    if unknown := sorted(set(chosen) - KEYS):
        raise ConfigError(
            f"{SETTING} has the unknown key {unknown[0]!r}",
            hint=f"known are {', '.join(sorted(KEYS))}",
        )
    limits = {key.lower(): chosen[key] for key in LIMITS if key in chosen}
    return Endpoint(
        store=DjangoReceipts(chosen.get("DATABASE", DEFAULT_DB_ALIAS)),
        gate=gate_of(os.environ),
        recorder=_recorder(chosen.get("RECORDER")),
        limits=Limits(**limits),
        tracing=of_this_process("cronbell-web"),
    )


def _recorder(name: str | None) -> RunRecorder:
    if name is None:
        if not apps.is_installed(RUN_LOG):
            return NullRecorder()
        name = RUN_LOG_RECORDER
    recorder: RunRecorder = import_string(name)()
    return recorder


def _pattern(job: Job, endpoint: Endpoint | None) -> URLPattern:
    # The job's thread begins transactions of its own, so ATOMIC_REQUESTS must not wrap the call;
    # and the caller is a machine with a secret, so neither CSRF nor a sign-in applies.
    @csrf_exempt
    @login_not_required
    @transaction.non_atomic_requests
    def ring(request: HttpRequest) -> HttpResponse:
        serving = endpoint or process_endpoint()
        return _response(serving.call(_request(request, job)))

    return path(job.path.removeprefix("/"), ring, name=f"cron-{job.name}")


def _request(request: HttpRequest, job: Job) -> Request:
    query = request.META.get("QUERY_STRING", "")
    prefix = request.META.get("SCRIPT_NAME", "").rstrip("/")
    return Request(
        method=request.method or "",
        path=job.path,
        target=f"{prefix}{job.path}{'?' if query else ''}{query}",
        headers=tuple(
            (name.lower().encode(), _bytes(value)) for name, value in request.headers.items()
        ),
    )


def _bytes(value: str) -> bytes:
    # WSGI hands a header's bytes over as Latin-1 text; a test client may hand over any text.
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")


def _response(answer: Answer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status, content_type="application/json")
    # A cached answer would count as a run that never took place.
    response["Cache-Control"] = "no-store"
    for name, value in answer.headers:
        response[name] = value
    return response
