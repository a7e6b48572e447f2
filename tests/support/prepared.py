"""Fixtures of a prepared store: made once by the product itself, then copied for each test.

Making the tables and the administrator takes several times what most tests of commands and
services do. A test of a first start takes none of these: its folder is empty.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support import store
from tests.support.processes import Process

PREPARE = """
import os, pathlib
os.environ["DJANGO_SETTINGS_MODULE"] = "cronbell.server.settings"
from cronbell.server.prepare import prepare
prepare(pathlib.Path(os.environ["CRONBELL_DATA"]))
"""
SYNC = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "cronbell.server.settings"
import django
django.setup()
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


class Stores:
    """Makes stores and copies of them, on whichever store is tested; its databases end with it.

    Args:
        request: of a fixture; asked for the PostgreSQL only where one is tested.
    """

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._lent = contextlib.ExitStack()

    def make(self, folder: Path, program: str, like: Environment | None = None) -> Environment:
        """Run a program on a store, new or a copy; return the variables that name it."""
        env = {"CRONBELL_DATA": str(folder / "data")}
        if like is not None:
            shutil.copytree(like["CRONBELL_DATA"], env["CRONBELL_DATA"])
        if store.chosen() == "postgresql":
            server = self._request.getfixturevalue("postgres_server")
            url = "" if like is None else like["DATABASE_URL"]
            env["DATABASE_URL"] = self._lent.enter_context(server.database(like=url))
        if program:
            made = Process((sys.executable, "-c", program), log=folder / "log", env=env, cwd=folder)
            try:
                assert made.wait(60) == 0, made.output()
            finally:
                made.end()
        return env

    def close(self) -> None:
        """Drop its databases."""
        self._lent.close()


@pytest.fixture(scope="session")
def _stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    stores = Stores(request)
    yield stores
    stores.close()


@pytest.fixture(scope="session")
def _empty(_stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return _stores.make(tmp_path_factory.mktemp("prepared"), PREPARE)


@pytest.fixture(scope="session")
def _with_jobs(
    _stores: Stores, _empty: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    return _stores.make(tmp_path_factory.mktemp("prepared"), SYNC, _empty)


@pytest.fixture
def _copy(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[Environment], Environment]]:
    stores = Stores(request)
    yield lambda made: stores.make(tmp_path, "", made)
    stores.close()


# Whoever starts what outlasts a command asks for these before ``process``: what it started is to
# end before the databases go.
@pytest.fixture
def prepared(_copy, _empty: Environment, store_url: str) -> Environment:
    """Return the variables that name a run log without jobs, the test's own."""
    return _copy(_empty)


@pytest.fixture
def prepared_with_jobs(_copy, _with_jobs: Environment, store_url: str) -> Environment:
    """Return the same with the jobs ``nightly``, ``choosy`` and, disabled, ``off``."""
    return _copy(_with_jobs)
