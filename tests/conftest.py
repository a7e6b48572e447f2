"""Fixtures for every test: the store, real processes, and guards against leaving traces.

Tests that touch the databases say so at the top of their module::

    pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
"""

from __future__ import annotations

import os
import platform
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakSet

import django
import hypothesis
import pytest
from django.conf import settings
from django.utils import translation

from tests.support import failures, machine, postgres, processes, store
from tests.support.processes import Process
from tests.support.waiting import wait_until as _wait_until

pytest_plugins = ["tests.support.prepared"]
store.prepare()  # nothing left to do where Django's settings were read before
hypothesis.settings.register_profile(
    "cronbell",
    deadline=None,  # the machine's load is no fault of the code under test
    derandomize=machine.in_ci(),
    max_examples=100 if machine.in_ci() else 50,
    print_blob=True,
    database=None if machine.in_ci() else hypothesis.settings.default.database,
)
hypothesis.settings.load_profile("cronbell")

# What a child Python keeps for itself; it ends with the test process.
HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
# Playwright and asyncio set these while they run and are not ours to mend.
FREE_VARIABLES = {"PYTEST_CURRENT_TEST", "NODE_OPTIONS"}
SLOW = {"flow", "browser", "docs", "deploy", "drain"}  # folders
STORE_FIXTURES = {"db", "transactional_db", "live_server", "store_url"}
BEFORE: pytest.StashKey[tuple[dict[str, str], set[int]]] = pytest.StashKey()
JOB_SECONDS = 1.0
_waited_for: WeakSet[threading.Thread] = WeakSet()
_server: list[postgres.Server] = []
_versions: dict[str, str] = {}


def _start_server() -> postgres.Server:
    if not _server:
        programs = machine.require("postgresql")
        _server.append(postgres.Server(programs, store.plan()).__enter__())
        _versions["PostgreSQL"] = _server[0].version()
    return _server[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--store-dependent``."""
    parser.addoption(
        "--store-dependent",
        action="store_true",
        help="run only tests that use a database or start a process that does",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Share out the slow tests; under ``--store-dependent`` leave out what no store changes.

    On the second store tests of pages and documents are left out: what they ask of it has tests
    of its own.
    """
    if config.getoption("store_dependent"):
        left_out = [item for item in items if not _uses_store(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if _uses_store(item)]
    # Each process begins with an equal part of the list, and takes over others' last ones later:
    # so each part begins with its share of those that wait for minutes, processes or pages.
    parts = getattr(config, "workerinput", {"workercount": 1})["workercount"]
    slow = [item for item in items if SLOW.intersection(item.path.parts)]
    quick = [item for item in items if not SLOW.intersection(item.path.parts)]
    items[:] = [item for part in range(parts) for item in (*slow[part::parts], *quick[part::parts])]


def _uses_store(item: pytest.Item) -> bool:
    if item.get_closest_marker("browser") or item.get_closest_marker("any_store"):
        return False
    if "docs" in item.path.parts:
        return False
    marked = item.get_closest_marker("django_db") is not None
    return marked or bool(STORE_FIXTURES & set(getattr(item, "fixturenames", ())))


def pytest_configure(config: pytest.Config) -> None:
    """Refuse at once, rather than test by test, to test a store that is not there."""
    if store.chosen() == "postgresql" and machine.find("postgresql") is None:
        raise pytest.UsageError(f"no PostgreSQL here: {machine.INSTALL['postgresql']}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker, tell the process that prints what was tested on and what was not."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput.update(missing=dict(machine.missing), versions=_versions)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Add up what the workers tell; one that crashed tells nothing, and its test has failed."""
    told = getattr(node, "workeroutput", {})
    machine.missing.update(told.get("missing", {}))
    _versions.update(told.get("versions", {}))


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Iterator[dict[str, Any] | None]:
    """Send a worker's reports in letters that can be sent: half a pair would end the whole run."""
    return _sendable((yield))


def _sendable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {name: _sendable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_sendable, value))
    return value


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server, however the run ended."""
    while _server:
        _server.pop().stop()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Close with what was tested on, and what this machine was too small to test."""
    write = terminalreporter.write_line
    versions = {
        "Python": platform.python_version(),
        "Django": django.get_version(),
        "SQLite": sqlite3.sqlite_version,
        **_versions,
    }
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    write(f"store: {store.chosen()}; {named}")
    for name, count in sorted((+machine.missing).items()):
        write(f"NOT TESTED HERE: {count} for want of {name} ({machine.INSTALL[name]})", red=True)
    if sys.dont_write_bytecode:
        write("every process compiled every source anew: PYTHONDONTWRITEBYTECODE is set", red=True)
    if not processes.watchable():
        write("NOT TESTED HERE: stray processes can't be seen on this system", red=True)
    if at := os.environ.get(failures.VARIABLE):
        failed = [*terminalreporter.getreports("failed"), *terminalreporter.getreports("error")]
        failures.keep(Path(at), failed)


@pytest.fixture(scope="session")
def postgres_server() -> postgres.Server:
    """A throw-away PostgreSQL, started when the first test asks; skips where there is none."""
    return _start_server()


@pytest.fixture
def postgres_url(postgres_server: postgres.Server) -> Iterator[str]:
    """Lend the ``DATABASE_URL`` of an empty PostgreSQL database, whatever store is tested."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Have the server up before pytest-django makes its databases on it."""
    if store.chosen() == "postgresql":
        _start_server()


@pytest.fixture
def store_url(request: pytest.FixtureRequest) -> str:
    """Return a ``DATABASE_URL`` for a process under test; empty, for its own files, on SQLite."""
    if store.chosen() == "sqlite":
        return ""
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def free_port() -> int:
    """Return a loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Return the system's Chromium."""
    return machine.require("chromium")


@pytest.fixture(scope="session")
def nginx() -> Path:
    """Return the system's nginx."""
    return machine.require("nginx")


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., Any]:
    """Return ``tests.support.waiting.wait_until``."""
    return _wait_until


@pytest.fixture
def process(
    tmp_path: Path, store_url: str, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Process]]:
    """Start processes that are ended with the test; their output is shown where it fails.

    ``process(*args, env={…}, cwd=…)`` gives a ``Process``. Those of one test share a data folder
    and, where PostgreSQL is tested, a database, both new and both other than the test's own. A
    process that one of them leaves behind is killed by its id and fails the test.
    """
    started: list[Process] = []
    before = processes.strays()
    shared = {"CRONBELL_DATA": str(tmp_path / "data")}
    if store_url:
        shared["DATABASE_URL"] = store_url

    def start(*args: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None):
        log = tmp_path / f"process-{len(started)}.log"
        both = {**shared, **(env or {})}
        started.append(Process(args, log=log, env=both, cwd=cwd or tmp_path))
        return started[-1]

    yield start
    for one in reversed(started):
        one.end()
        request.node.add_report_section("call", str(one), one.output())
    _no_strays(before)


def _no_strays(before: set[int]) -> None:
    left = processes.strays() - before
    words = [processes.describe(pid) for pid in left]
    for pid in left:
        os.kill(pid, 9)
    assert not left, f"left running by what the test started: {'; '.join(words)}"


@pytest.fixture(autouse=True)
def _note_traces(request: pytest.FixtureRequest) -> None:
    """Note what is there before the test: after the fixtures of wider scope, before its own."""
    request.node.stash[BEFORE] = (dict(os.environ), processes.children())


@pytest.fixture(autouse=True)
def _no_language_of_another_test() -> None:
    """Forget the language that a page of an earlier test was answered in."""
    if settings.configured:
        translation.deactivate()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Fail a test that leaves a child process or a changed environment behind.

    Looked at only when every fixture of the test has cleaned up after itself.
    """
    _let_jobs_end()
    outcome = yield
    if BEFORE in item.stash:
        environment, children = item.stash[BEFORE]
        _no_children(children)
        _no_variables(environment)
    return outcome


def _let_jobs_end() -> None:
    """Wait for jobs' threads while there is a database: after its answer one removes old receipts.

    Each is waited for once: a test may leave one at work for ever.
    """
    for thread in threading.enumerate():
        if thread.name.startswith("job-") and thread not in _waited_for:
            _waited_for.add(thread)
            thread.join(JOB_SECONDS)


def _no_children(before: set[int]) -> None:
    left = [
        words
        for words in map(processes.describe, processes.children() - before)
        if not any(helper in words for helper in HELPERS)
    ]
    assert not left, f"the test left a process behind: {'; '.join(left)}"


def _no_variables(before: dict[str, str]) -> None:
    now = dict(os.environ)
    changed = {
        name
        for name in (before.keys() | now.keys()) - FREE_VARIABLES
        if before.get(name) != now.get(name)
    }
    for name in changed:
        os.environ.pop(name, None)
        if name in before:
            os.environ[name] = before[name]
    assert not changed, f"the test left os.environ changed: {', '.join(sorted(changed))}"
