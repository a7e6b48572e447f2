"""One trace from the fire to what its endpoint does, over real HTTP; off, nothing of it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from tests.endpoint.support import Bench
from tests.endpoint.support import request as endpoint_request
from tests.engine.conftest import NOON, SECRET, running, until

from cronbell.clock import to_micros
from cronbell.domain import JobSpec, RetryPolicy
from cronbell.endpoint import JobResult
from cronbell.endpoint.auth import Gate
from cronbell.endpoint.call import Endpoint
from cronbell.endpoint.identify import Request
from cronbell.errors import StartError
from cronbell.runlog.models import Run
from cronbell.states import FINAL
from cronbell.tracing import (
    CallAbout,
    Tracing,
    configured,
    provider_with,
    trace_id_of,
    traceparent_of,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter):
    provider = provider_with()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider)


@pytest.fixture
def application(tmp_path, tracing):
    """Serve an endpoint over HTTP; ``headers`` are those of its calls, ``seen`` what a job got."""
    bench, headers, seen = Bench(tmp_path), [], []

    def work(context):
        seen.append(context.traceparent)
        if len(seen) < fails.value:
            raise ValueError("not yet")
        return JobResult("done")

    fails = SimpleNamespace(value=0)
    endpoint = Endpoint(
        store=bench.store,
        gate=Gate.of(SECRET),
        registry=registry_with(work),
        tracing=tracing,
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            headers.append({name.lower(): value for name, value in self.headers.items()})
            given = tuple((k.lower().encode(), v.encode()) for k, v in self.headers.items())
            answer = endpoint.call(Request("GET", "/api/cron/work", self.path, given))
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_given):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    base = f"http://127.0.0.1:{server.server_port}"
    try:
        yield SimpleNamespace(base_url=base, headers=headers, seen=seen, fails=fails)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def registry_with(work):
    from cronbell.endpoint.registry import Registry, cron_job

    made = Registry()
    cron_job("work", max_duration=60, registry=made)(work)
    return made


def spec_of(application, **changes) -> JobSpec:
    values = {
        "name": "work",
        "path": "/api/cron/work",
        "url": f"{application.base_url}/api/cron/work?token=hidden",
        "schedule": "* * * * *",
        "timeout": 20.0,
        "deadline": 60.0,
    }
    return JobSpec(**(values | changes))


def one_run(application, clock, tracing, **changes) -> Run:
    """Run a runner until one run of the job is over."""

    async def go() -> None:
        async with running([spec_of(application, **changes)], clock, application) as runner:
            runner.executor.tracing = tracing
            clock.show_second(59.8)
            await until(lambda: Run.objects.filter(status__in=FINAL).exists())

    asyncio.run(go())
    return Run.objects.order_by("id")[0]


def named(exporter) -> dict:
    found: dict = {}
    for span in exporter.get_finished_spans():
        found.setdefault(span.name, []).append(span)
    return found


def test_a_fire_its_call_and_its_job_are_one_trace(application, clock, tracing, exporter):
    run = one_run(application, clock, tracing)
    assert run.status == "success"
    spans = named(exporter)
    (whole,), (call,), (job,) = spans["run work"], spans["call work"], spans["job work"]
    assert {one.context.trace_id for one in (whole, call, job)} == {trace_id_of(run.key)}
    assert whole.parent is None
    assert call.parent.span_id == whole.context.span_id
    assert job.parent.span_id == call.context.span_id
    assert (call.kind, job.kind) == (SpanKind.CLIENT, SpanKind.SERVER)
    assert whole.start_time == to_micros(run.scheduled_at) * 1000
    assert whole.start_time <= call.start_time <= call.end_time == whole.end_time
    assert abs(call.end_time // 1000 - to_micros(run.finished_at)) < 1_000_000
    assert whole.attributes["cronbell.run"] == run.pk
    assert call.attributes["http.response.status_code"] == 200
    assert call.attributes["url.path"] == "/api/cron/work"
    assert "hidden" not in "".join(one.to_json() for one in (whole, call, job))
    (sent,) = application.headers
    ids = f"{trace_id_of(run.key):032x}-{call.context.span_id:016x}"
    expected = f"00-{ids}-{int(call.context.trace_flags):02x}"
    assert sent["traceparent"] == expected
    assert application.seen == [expected]


def test_attempts_of_a_run_are_one_trace_and_say_how_each_ended(
    application, clock, tracing, exporter
):
    application.fails.value = 2
    retry = RetryPolicy(max_attempts=2, backoff=0.1, max_backoff=0.1)
    run = one_run(application, clock, tracing, retry=retry)
    assert (run.status, run.attempt) == ("success", 2)
    spans = named(exporter)
    assert len(spans["run work"]) == len(spans["job work"]) == 2
    assert {one.context.trace_id for every in spans.values() for one in every} == {
        trace_id_of(run.key)
    }
    first, second = sorted(spans["run work"], key=lambda one: one.start_time)
    assert first.status.status_code is StatusCode.ERROR
    assert second.status.status_code is StatusCode.UNSET
    assert [one.attributes["cronbell.attempt"] for one in (first, second)] == [1, 2]


def test_off_nothing_is_sent_and_nothing_is_spanned(application, clock, exporter):
    run = one_run(application, clock, None)
    assert run.status == "success"
    (sent,) = application.headers
    assert "traceparent" not in sent
    assert [name for name in named(exporter) if name != "job work"] == []


def test_off_opentelemetry_is_not_even_loaded():
    program = """
import sys
import cronbell.engine.loop, cronbell.endpoint.call, cronbell.dispatch, cronbell.tracing
assert cronbell.tracing.of_this_process("x") is None
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))
"""
    env = {
        "PYTHONPATH": ":".join(sys.path),
        "DJANGO_SETTINGS_MODULE": "cronbell.server.settings",
        "DJANGO_SECRET_KEY": "only-for-this-test",
    }
    setup = "import django; django.setup()\n"
    done = subprocess.run(
        [sys.executable, "-c", setup + program], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_fire_recorded_long_after_its_instant_begins_when_it_was_recorded(tracing, exporter):
    due = to_micros(NOON)
    late = due + int(timedelta(days=400).total_seconds()) * 1_000_000
    about = {"run_id": 1, "key": "k", "scheduled_at": due}
    given = [
        CallAbout(**about, attempt=1, queued_at=late, started_at=late + 5),
        CallAbout(**about, attempt=1, queued_at=due + 2, started_at=due + 3),
        CallAbout(**about, attempt=2, queued_at=due + 2, started_at=due + 9),
        CallAbout(**about, attempt=1, queued_at=due - 9, started_at=due - 3),  # clock set back
    ]
    for each in given:
        with tracing.call(each, None):
            pass
    starts = [one.start_time // 1000 for one in named(exporter)["run ?"]]
    assert starts == [late, due, due + 9, due - 3]


GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([GOOD], GOOD),
        ([f" {GOOD}\t"], GOOD),
        ([GOOD.replace("00-", "cc-", 1) + "-what-the-future-brings"], None),
        ([], ""),
        ([GOOD, GOOD], ""),
        ([GOOD + "-more"], ""),
        ([GOOD.upper()], ""),
        (["ff" + GOOD[2:]], ""),
        ([f"00-{'0' * 32}-b7ad6b7169203331-01"], ""),
        ([f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01"], ""),
        ([GOOD[:-1]], ""),
        (["\u00e9" * 55], ""),
        (["x" * 100_000], ""),
    ],
)
def test_a_traceparent_is_taken_as_the_standard_says(values, found):
    given = tuple(value.encode("latin-1") for value in values)
    assert traceparent_of(given) == (values[0] if found is None else found)


def test_a_job_is_told_its_trace_whether_or_not_it_is_traced(tmp_path):
    seen = []

    def work(context):
        seen.append(context.traceparent)

    bench = Bench(tmp_path)
    endpoint = Endpoint(store=bench.store, gate=bench.endpoint._gate, registry=registry_with(work))
    assert endpoint.call(endpoint_request(traceparent=GOOD)).status == 200
    assert endpoint.call(endpoint_request(traceparent="nonsense")).status == 200
    assert seen == [GOOD, ""]


@pytest.mark.parametrize("value", ["", "0", "off", "No"])
def test_it_is_off_unless_asked_for(value):
    assert configured({"CRONBELL_TRACES": value}, "x") is None


def test_a_wrong_value_or_a_missing_extra_stops_the_start(monkeypatch):
    with pytest.raises(StartError, match="CRONBELL_TRACES is 'maybe'"):
        configured({"CRONBELL_TRACES": "maybe"}, "x")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(StartError) as refused:
        configured({"CRONBELL_TRACES": "1"}, "x")
    assert re.search(r"cronbell\[otel\]", refused.value.hint)


def test_spans_reach_a_collector_over_http(monkeypatch):
    """The exporter that is configured, against a server that takes what it sends."""
    got = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_given):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    try:
        made = configured({"CRONBELL_TRACES": "1"}, "cronbell-runner")
        with made.job("work", "key-of-the-run", ""):
            pass
        made.provider.shutdown()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    ((path, body),) = got
    assert path == "/v1/traces"
    assert b"job work" in body
    assert b"cronbell-runner" in body
    assert trace_id_of("key-of-the-run").to_bytes(16) in body
