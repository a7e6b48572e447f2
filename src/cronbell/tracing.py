"""Traces by OpenTelemetry, from a fire to its endpoint; off unless ``CRONBELL_TRACES=1``.

A run's trace id is made of its idempotency key, so that its attempts, by whichever runner and
however many crashes apart, and what its endpoint does, are one trace without anything being
stored. ``traceparent`` goes along with the call (https://www.w3.org/TR/trace-context/).

What is sent where is OpenTelemetry's to say: ``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_SERVICE_NAME``
and its other variables. Needs the extra ``cronbell[otel]``.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cronbell import __version__
from cronbell.domain import JobSpec, Outcome
from cronbell.errors import StartError
from cronbell.states import Status

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

VARIABLE = "CRONBELL_TRACES"
ON, OFF = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})
NANOS = 1_000
# A fire that was recorded later than this after its instant (a backfill, an outage) begins its
# span when it was recorded: a span of a year tells nobody anything.
LATE_MICROS = 60 * 1_000_000
FINE = frozenset({Status.SUCCESS, Status.PARTIAL, Status.SKIPPED})

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_key: ContextVar[str] = ContextVar("cronbell_trace_key", default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAbout:
    """One attempt at a run, as its span tells it; instants in microseconds."""

    run_id: int
    key: str
    attempt: int
    scheduled_at: int
    queued_at: int
    started_at: int


class CallSpan:
    """An attempt's span while its call is under way.

    Attributes:
        traceparent: to be sent with the call.
        ended_at: nanoseconds; None where it was cut off.
    """

    def __init__(self, run: Span, call: Span) -> None:
        self._run = run
        self._call = call
        self.ended_at: int | None = None
        context = call.get_span_context()
        self.traceparent = (
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
        )

    def ended(self, outcome: Outcome, at: int) -> None:
        """Say what came of it, and when by the runner's clock, in microseconds."""
        self.ended_at = at * NANOS
        if outcome.http_status:
            self._call.set_attribute("http.response.status_code", outcome.http_status)
        for span in (self._run, self._call):
            _judge(span, outcome)


class Tracing:
    """Makes the spans.

    Args:
        provider: whose ids for spans without a parent must be ``provider_with``'s.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self.provider = provider
        self._tracer = provider.get_tracer("cronbell", __version__)

    @contextmanager
    def call(self, about: CallAbout, spec: JobSpec | None) -> Iterator[CallSpan]:
        """Span an attempt: from the fire, or from the attempt's start, to the outcome."""
        from opentelemetry.context import Context  # noqa: PLC0415 - an optional extra
        from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415

        name = spec.name if spec else "?"
        token = _key.set(about.key)
        try:
            run = self._tracer.start_span(
                f"run {name}",
                Context(),
                start_time=_begin(about) * NANOS,
                attributes={
                    "cronbell.job": name,
                    "cronbell.run": about.run_id,
                    "cronbell.key": about.key,
                    "cronbell.attempt": about.attempt,
                    "cronbell.lateness_seconds": (about.started_at - about.scheduled_at) / 1e6,
                },
            )
        finally:
            _key.reset(token)
        attributes = {} if spec is None else _http_attributes(spec)
        call = self._tracer.start_span(
            f"call {name}",
            set_span_in_context(run),
            kind=SpanKind.CLIENT,
            start_time=about.started_at * NANOS,
            attributes=attributes,
        )
        span = CallSpan(run, call)
        try:
            yield span
        finally:
            call.end(span.ended_at)
            run.end(span.ended_at)

    @contextmanager
    def job(self, name: str, key: str, traceparent: str) -> Iterator[JobSpan]:
        """Span a job at its endpoint, below the call that asked for it if that said so.

        It is the current span meanwhile, so that what the job traces itself comes below it.
        """
        from opentelemetry.context import Context  # noqa: PLC0415
        from opentelemetry.trace import SpanKind, use_span  # noqa: PLC0415

        token = _key.set(key)
        try:
            span = self._tracer.start_span(
                f"job {name}",
                _parent(traceparent) or Context(),
                kind=SpanKind.SERVER,
                attributes={"cronbell.job": name, "cronbell.key": key},
            )
        finally:
            _key.reset(token)
        with use_span(span, end_on_exit=True):
            yield JobSpan(span)


class JobSpan:
    """A job's span while it works."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def ended(self, outcome: Outcome) -> None:
        """Say how it ended."""
        _judge(self._span, outcome)


def traceparent_of(values: tuple[bytes, ...]) -> str:
    """Return a call's ``traceparent``; empty for none, several, or one that is malformed."""
    if len(values) != 1:
        return ""
    text = values[0].decode("latin-1").strip(" \t")
    found = _TRACEPARENT.fullmatch(text)
    if found is None or not int(found[2], 16) or not int(found[3], 16):
        return ""
    # Version 00 ends with the flags; a later one may say more.
    return "" if found[1] == "00" and found[5] else text


def provider_with(**options: Any) -> TracerProvider:
    """Return a provider whose traces are named by the key of the run they begin with."""
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415

    class KeyedIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            key = _key.get()
            return trace_id_of(key) if key else super().generate_trace_id()

    return TracerProvider(id_generator=KeyedIds(), **options)


def trace_id_of(key: str) -> int:
    """Return the trace id of a run."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:16]) or 1


def wanted(env: Mapping[str, str]) -> bool:
    """Say whether the environment asks for traces.

    Args:
        env: the environment.

    Raises:
        StartError: the extra is not installed, or the variable is neither 1 nor 0.
    """
    given = env.get(VARIABLE, "").strip().lower()
    if given in OFF:
        return False
    if given not in ON:
        raise StartError(f"{VARIABLE} is {given!r}", hint=f"set {VARIABLE} to 1 or 0")
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter  # noqa: PLC0415
        import opentelemetry.sdk  # noqa: F401, PLC0415
    except ImportError as error:
        raise StartError(
            f"{VARIABLE} is set, and OpenTelemetry is not installed",
            hint="pip install 'cronbell[otel]', or unset it",
        ) from error
    return True


def configured(env: Mapping[str, str], service: str) -> Tracing | None:
    """Return the tracing that the environment asks for; None where it asks for none.

    Args:
        env: the environment.
        service: the process's name where ``OTEL_SERVICE_NAME`` gives none.

    Raises:
        StartError: as ``wanted``.
    """
    if not wanted(env):
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    name = env.get("OTEL_SERVICE_NAME") or service
    resource = Resource.create({"service.name": name, "service.version": __version__})
    provider = provider_with(resource=resource)
    # Exports in a thread of its own; what it can't get rid of it drops, and never waits.
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


def of_this_process(service: str) -> Tracing | None:
    """Return what ``configured`` says of this process's own environment."""
    return configured(os.environ, service)


def _begin(about: CallAbout) -> int:
    if about.attempt > 1:
        return about.started_at
    recorded_late = about.queued_at - about.scheduled_at > LATE_MICROS
    return min(about.started_at, about.queued_at if recorded_late else about.scheduled_at)


def _http_attributes(spec: JobSpec) -> dict[str, str]:
    # Without the query, which may hold a token.
    scheme, _, rest = spec.url.partition("://")
    host, _, path = rest.partition("?")[0].partition("/")
    return {
        "http.request.method": spec.method,
        "url.scheme": scheme,
        "server.address": host.rpartition("@")[2],
        "url.path": f"/{path}",
    }


def _judge(span: Span, outcome: Outcome) -> None:
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    span.set_attribute("cronbell.status", outcome.status.value)
    if outcome.reason:
        span.set_attribute("cronbell.reason", outcome.reason.value)
    if outcome.status not in FINE:
        span.set_status(StatusCode.ERROR, outcome.reason.value if outcome.reason else "")


def _parent(traceparent: str) -> Any:
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    from opentelemetry.context import Context  # noqa: PLC0415
    from opentelemetry.trace import (  # noqa: PLC0415
        NonRecordingSpan,
        SpanContext,
        TraceFlags,
        set_span_in_context,
    )

    context = SpanContext(
        int(found[2], 16),
        int(found[3], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(found[4], 16)),
    )
    return set_span_in_context(NonRecordingSpan(context), Context())
