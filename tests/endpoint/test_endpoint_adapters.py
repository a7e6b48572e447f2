"""What is each adapter's own: settings, discovery and the run log; scopes, mounts and lifespan."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest
from django.test import Client, override_settings
from tests.endpoint.support import SECRET, Bench, keyed

from cronbell.endpoint import django as adapter
from cronbell.endpoint.asgi import CronEndpoints
from cronbell.endpoint.auth import Gate
from cronbell.endpoint.receipts.apps import import_jobs
from cronbell.endpoint.receipts.checks import check_transaction_mode
from cronbell.endpoint.receipts.store import DjangoReceipts
from cronbell.endpoint.recorder import NullRecorder
from cronbell.errors import ConfigError
from cronbell.runlog.models import Run
from cronbell.runlog.recorder import RunLogRecorder

BEARER = {"Authorization": f"Bearer {SECRET}"}
DATABASES = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


@pytest.fixture
def fresh():
    """Forget this process's own endpoint before and after."""
    adapter.process_endpoint.cache_clear()
    yield
    adapter.process_endpoint.cache_clear()


@pytest.fixture
def served(tmp_path):
    """A bench on Django's store and run log, behind Django's URLs and whole middleware."""
    bench = Bench(tmp_path, store=DjangoReceipts(), recorder=RunLogRecorder())
    with override_settings(ROOT_URLCONF=tuple(adapter.cron_urls(bench.endpoint))):
        yield bench


@pytest.mark.parametrize(
    "module",
    ["auth", "call", "receipt", "registry", "context", "identify", "asgi", "sqlite_store"],
)
def test_the_core_imports_no_web_framework(module):
    script = (
        f"import sys, cronbell.endpoint.{module};"
        "print([name for name in ('django', 'starlette', 'fastapi') if name in sys.modules])"
    )

    found = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert found.stdout.strip() == b"[]"


@DATABASES
@pytest.mark.parametrize("headers", [{}, {"x-vercel-cron-schedule": "0 0 * * *"}], ids=repr)
def test_whoever_calls_the_run_is_in_the_run_log_once(served, headers):
    client = Client(headers={**BEARER, **headers, "Idempotency-Key": "cb1-k"})

    first, second = client.get("/api/cron/work"), client.get("/api/cron/work")

    assert first.status_code == second.status_code == 200
    assert second.headers["Idempotency-Replayed"] == "true"
    run = Run.objects.get()
    assert (run.status, run.key) == ("success", "cb1-k")


@DATABASES
def test_a_header_that_is_not_ascii_is_401(served):
    for value in ("Bearer é", "Bearer 비밀", "Bearer \udcff"):
        assert Client().get("/api/cron/work", headers={"Authorization": value}).status_code == 401


@DATABASES
def test_no_csrf_token_and_no_sign_in_is_asked_of_a_machine(served, settings):
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]

    answer = Client(enforce_csrf_checks=True, headers=BEARER).post("/api/cron/work")

    assert answer.status_code == 200


@DATABASES
def test_the_query_is_part_of_what_identifies_a_fire(served):
    headers = {**BEARER, "x-vercel-cron-schedule": "0 0 * * *"}

    for query in ("?team=a", "?team=b", "?team=a"):
        assert Client(headers=headers).get(f"/api/cron/work{query}").status_code == 200

    assert served.work.runs == 2


@pytest.mark.parametrize(
    ("chosen", "word"),
    [
        ({"THREAD": 4}, "'THREAD'"),
        ({"THREADS": 0}, "threads"),
        ({"LEASE_SECONDS": "30"}, "lease_seconds"),
    ],
)
def test_a_setting_that_is_unknown_or_impossible_stops_the_endpoint(fresh, settings, chosen, word):
    settings.CRONBELL_ENDPOINT = chosen

    with pytest.raises(ConfigError, match=word):
        adapter.process_endpoint()


def test_the_run_log_is_used_where_it_is_installed(fresh, settings):
    assert isinstance(adapter.process_endpoint()._recorder, RunLogRecorder)
    adapter.process_endpoint.cache_clear()
    settings.CRONBELL_ENDPOINT = {"RECORDER": "cronbell.endpoint.recorder.NullRecorder"}
    assert isinstance(adapter.process_endpoint()._recorder, NullRecorder)


def test_secrets_are_read_once_for_a_process(fresh, monkeypatch):
    monkeypatch.setenv("CRON_SECRET", SECRET)
    first = adapter.process_endpoint()
    monkeypatch.setenv("CRON_SECRET", "another-secret-long-enough")

    assert adapter.process_endpoint() is first
    assert first._gate == Gate.of(SECRET)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package ``some_jobs`` with a module; the test may add to it."""
    folder = tmp_path / "some_jobs"
    (folder / "inner").mkdir(parents=True)
    for file in ("__init__.py", "inner/__init__.py"):
        (folder / file).touch()
    (folder / "inner" / "deep.py").write_text("FOUND = True")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "some_jobs"]:
        del sys.modules[name]


def test_every_module_of_a_jobs_package_is_imported(package):
    import_jobs("some_jobs")

    assert sys.modules["some_jobs.inner.deep"].FOUND


@pytest.mark.parametrize("fault", ["import there_is_no_such_module", "1 / 0", "def broken(:"])
def test_an_error_in_a_jobs_module_stops_the_start(package, fault):
    (package / "broken.py").write_text(fault)

    with pytest.raises((ImportError, ZeroDivisionError, SyntaxError)):
        import_jobs("some_jobs")


def test_an_error_deep_in_a_jobs_package_stops_the_start_too(package):
    (package / "inner" / "__init__.py").write_text("import there_is_no_such_module")

    with pytest.raises(ImportError):
        import_jobs("some_jobs")


def test_a_sqlite_that_begins_as_a_reader_is_warned_about(monkeypatch):
    from django.db import connections

    options = connections["default"].settings_dict["OPTIONS"]
    if connections["default"].vendor == "sqlite":
        assert check_transaction_mode(databases=["default"]) == []
        monkeypatch.setitem(options, "transaction_mode", "DEFERRED")
        (warning,) = check_transaction_mode(databases=["default"])
        assert warning.id == "cronbell.W001"
    else:
        assert check_transaction_mode(databases=["default"]) == []


# ASGI


def drive(app, scope, *messages):
    """Run the app on one connection; return what it sent."""
    sent, left = [], list(messages)

    async def receive():
        return left.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def scope(path, root="", query=b""):
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "root_path": root,
        "query_string": query,
        "headers": [
            (b"authorization", f"Bearer {SECRET}".encode()),
            (b"x-vercel-cron-schedule", b"0 0 * * *"),
        ],
    }


@pytest.fixture
def asgi(tmp_path):
    bench = Bench(tmp_path)
    app = CronEndpoints(
        bench.store, registry=bench.registry, gate=Gate.of(SECRET), clock=bench.clock
    )
    app.bench = bench
    return app


@pytest.mark.parametrize(
    ("path", "root", "status"),
    [
        ("/api/cron/work", "", 200),
        ("/api/cron/work", "/api/cron", 200),
        ("/work", "/api/cron", 200),
        ("/service/api/cron/work", "/service", 200),
        ("/api/cron/work", "/service", 200),
        ("/work", "", 404),
        ("", "", 404),
    ],
)
def test_a_job_is_found_however_the_framework_hands_a_mount_over(asgi, path, root, status):
    start, _ = drive(asgi, scope(path, root))

    assert start["status"] == status


def test_two_authorization_headers_are_401(asgi):
    twice = scope("/api/cron/work")
    twice["headers"].append(twice["headers"][0])

    start, body = drive(asgi, twice)

    assert start["status"] == 401
    assert json.loads(body["body"]) == {"error": "Unauthorized"}


def test_a_caller_who_hangs_up_stops_neither_the_job_nor_its_receipt(asgi):
    bench = asgi.bench
    bench.work.go.clear()

    async def hang_up():
        async def nothing(*_):
            raise AssertionError("a cancelled call neither reads nor sends")

        call = asyncio.create_task(asgi(scope("/api/cron/work"), nothing, nothing))
        await asyncio.to_thread(bench.work.wait_started)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(hang_up())
    bench.release(asgi.endpoint)
    start, _ = drive(asgi, scope("/api/cron/work"))

    assert (b"idempotency-replayed", b"true") in start["headers"]
    assert bench.work.runs == 1


def test_the_lifespan_is_answered_and_its_end_tells_the_jobs_to_stop(asgi):
    bench = asgi.bench
    bench.hold(keyed("k"), asgi.endpoint)

    sent = drive(
        asgi, {"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}
    )

    assert [one["type"] for one in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert bench.work.contexts[0].should_stop
    bench.release(asgi.endpoint)


def test_a_websocket_is_closed(asgi):
    (sent,) = drive(asgi, {"type": "websocket"}, {"type": "websocket.connect"})

    assert sent["type"] == "websocket.close"
