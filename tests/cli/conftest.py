"""A prepared store for commands: made once by the product itself, then copied for each test."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support import store
from tests.support.processes import Process

CRONBELL = Path(sys.executable).parent / "cronbell"
PREPARE = """
import os, pathlib
os.environ["DJANGO_SETTINGS_MODULE"] = "cronbell.server.settings"
from cronbell.server.prepare import prepare
prepare(pathlib.Path(os.environ["CRONBELL_DATA"]))
"""
SYNC = """
from cronbell.clock import SYSTEM_CLOCK
from cronbell.domain import JobSpec, Parameter
from cronbell.runlog.jobs import sync_jobs
specs = [
    JobSpec(name="nightly", path="/api/cron/nightly", url="http://127.0.0.1:9/api/cron/nightly",
            schedule="0 0 * * *", deadline=60.0),
    JobSpec(name="off", path="/api/cron/off", url="http://127.0.0.1:9/api/cron/off",
            schedule="0 0 * * *", deadline=60.0, enabled=False),
    JobSpec(name="choosy", path="/api/cron/choosy", url="http://127.0.0.1:9/api/cron/choosy",
            schedule="0 0 * * *", deadline=60.0, parameters=(Parameter(name="category"),)),
]
sync_jobs(specs, SYSTEM_CLOCK.now())
"""
Environment = dict[str, str]


@pytest.fixture(scope="session")
def _make(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Environment]]:
    """Run a program on a new store; it ends with the session."""
    with contextlib.ExitStack() as lent:

        def make(program: str) -> Environment:
            folder = tmp_path_factory.mktemp("prepared")
            env = {"CRONBELL_DATA": str(folder / "data")}
            if store.chosen() == "postgresql":
                server = request.getfixturevalue("postgres_server")
                env["DATABASE_URL"] = lent.enter_context(server.database())
            made = Process((sys.executable, "-c", program), log=folder / "log", env=env, cwd=folder)
            try:
                assert made.wait(60) == 0, made.output()
            finally:
                made.end()
            return env

        yield make


@pytest.fixture(scope="session")
def _empty(_make: Callable[[str], Environment]) -> Environment:
    return _make(PREPARE)


@pytest.fixture(scope="session")
def _with_jobs(_make: Callable[[str], Environment]) -> Environment:
    return _make(PREPARE + SYNC)


@pytest.fixture
def _copy(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[Environment], Environment]]:
    with contextlib.ExitStack() as lent:

        def copy(made: Environment) -> Environment:
            env = {"CRONBELL_DATA": str(tmp_path / "data")}
            shutil.copytree(made["CRONBELL_DATA"], env["CRONBELL_DATA"])
            if "DATABASE_URL" in made:
                server = request.getfixturevalue("postgres_server")
                env["DATABASE_URL"] = lent.enter_context(server.database(like=made["DATABASE_URL"]))
            return env

        yield copy


@pytest.fixture
def prepared(_copy, _empty: Environment, store_url: str) -> Environment:
    """Return the variables that name a run log without jobs, the test's own."""
    return _copy(_empty)


@pytest.fixture
def prepared_with_jobs(_copy, _with_jobs: Environment, store_url: str) -> Environment:
    """Return the variables that name a run log with the jobs ``nightly`` and, disabled, ``off``."""
    return _copy(_with_jobs)
