"""Chooses the store of a test run before Django's settings are read.

``CRONBELL_TEST_STORE`` is ``sqlite`` (the default) or ``postgresql``. ``tests.settings`` calls
``prepare()`` first thing, because pytest-django reads the settings before any conftest runs.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STORE_VARIABLE = "CRONBELL_TEST_STORE"
# Every process a test starts inherits this one, so that strays can be told from strangers.
RUN_VARIABLE = "CRONBELL_TEST_RUN"
# Set by pytest-xdist in each of its workers, before the settings are read there.
WORKER_VARIABLE = "PYTEST_XDIST_WORKER"
STORES = ("sqlite", "postgresql")

# What a developer's shell may hold and no test may see: a real database, real secrets, a real
# provider's key, a proxy, a language.
NOT_OURS = (
    "DATABASE_URL",
    "CRON_SECRET",
    "CRON_SECRET_PREVIOUS",
    "DJANGO_SETTINGS_MODULE",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "LANGUAGE_CODE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the PostgreSQL of this run listens; it starts when the first test needs it.

    Attributes:
        port: on 127.0.0.1.
        password: of the superuser ``cronbell``; made anew for every run.
    """

    port: int
    password: str

    def url(self, database: str) -> str:
        """Return the ``DATABASE_URL`` of one of its databases."""
        return f"postgresql://cronbell:{self.password}@127.0.0.1:{self.port}/{database}"


_plan: list[Plan] = []
_folders: list[Path] = []


def chosen() -> str:
    """Return the store of this run.

    Raises:
        SystemExit: the variable names neither store; guessing one would test the wrong thing.
    """
    store = os.environ.get(STORE_VARIABLE) or STORES[0]
    if store not in STORES:
        raise SystemExit(f"{STORE_VARIABLE} is {store!r}: set it to one of {', '.join(STORES)}")
    return store


def plan() -> Plan:
    """Return the one plan of this run: port and password are settled before the server starts."""
    if not _plan:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            _plan.append(Plan(port=probe.getsockname()[1], password=secrets.token_hex(16)))
    return _plan[0]


def prepare() -> None:
    """Clear the environment of what is not the tests' and set what the settings will read.

    In a process that a test started nothing is touched: its environment is the test's choice. A
    worker of a run in parallel inherits the names of the run that started it and takes its own:
    it shares no folder, no database and no mark of its processes with the other workers.
    """
    worker = f"{os.environ.get(WORKER_VARIABLE, 'alone')}-"
    if os.environ.get(RUN_VARIABLE, "").startswith(worker):
        return
    os.environ[RUN_VARIABLE] = worker + secrets.token_hex(16)
    for name in [*NOT_OURS, *(key for key in os.environ if key.startswith("CRONBELL_"))]:
        if name not in {STORE_VARIABLE, RUN_VARIABLE}:
            os.environ.pop(name, None)
    folder = Path(tempfile.mkdtemp(prefix="cronbell-tests-"))
    _folders.append(folder)
    # Not a pytest hook: none runs where the settings themselves fail to load.
    atexit.register(clean_up, os.getpid())
    os.environ["CRONBELL_DATA"] = str(folder)
    os.environ["DJANGO_SECRET_KEY"] = "only-for-tests-" + "x" * 40
    if chosen() == "postgresql":
        os.environ["DATABASE_URL"] = plan().url("cronbell")


def test_databases(databases: dict[str, dict[str, Any]]) -> None:
    """Give each alias a test database of its own, in place.

    SQLite's are files: in memory, a second thread or process would see another database.
    """
    for alias, description in databases.items():
        name = f"test_{alias}"
        if "sqlite" in description["ENGINE"]:
            name = str(Path(os.environ["CRONBELL_DATA"]) / f"{name}.sqlite3")
        description["TEST"] = {"NAME": name}


def clean_up(owner: int) -> None:
    """Remove the data folder of the run, in the process that made it and not in a fork of it."""
    while _folders and os.getpid() == owner:
        shutil.rmtree(_folders.pop(), ignore_errors=True)
