"""One Cronbell installation of an experiment: a store, a folder, runners, a web process, a target.

The children are the product's own processes (``python -m cronbell.engine``,
``python -m cronbell.server.web``) on settings that add the application under fire.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import psycopg

from cronbell.clock import SYSTEM_CLOCK
from cronbell.testing import ScriptedTarget
from cronbell.testing.answers import Answer, Exchange, ok
from tests.faults.ports import free_port
from tests.faults.server import FaultServer
from tests.support import processes
from tests.support.processes import Process
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a-secret-of-the-fault-tests"
SETTINGS = "tests.faults.application.settings"
LEASE = 2.0  # seconds
PREPARE = "import sys, pathlib, cronbell.server.prepare as p; p.prepare(pathlib.Path(sys.argv[1]))"
EFFECTS = "CREATE TABLE faults_effect (run_key VARCHAR(200) NOT NULL)"
shared: dict[str, Any] = {}
# What must not be left behind where a person interrupts: each undoes one thing.
undo: dict[object, Callable[[], None]] = {}


class World:
    """An installation that is thrown away; use it as a context manager.

    Args:
        store: ``sqlite`` or ``postgresql``.
        env: more environment for its children.
        folder: the data folder, where it is not to be a temporary one.
    """

    python = sys.executable

    def __init__(
        self, store: str, *, env: dict[str, str] | None = None, folder: Path | None = None
    ) -> None:
        self.store = store
        self.home = Path(tempfile.mkdtemp(prefix="cronbell-faults-"))
        self.data = folder or self.home / "data"
        self.toml = self.home / "cronbell.toml"
        self.log_count = 0
        self.allowed = ["127.0.0.1"]
        self.started: list[Process] = []
        self.target = ScriptedTarget()
        self.web_port = free_port()
        self._stack = contextlib.ExitStack()
        self.database_url = ""
        self.env = {
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "DJANGO_SECRET_KEY": "only-for-tests-" + "x" * 40,
            "CRON_SECRET": SECRET,
            "CRONBELL_DATA": str(self.data),
            # A child ends when the experiment is gone, or what it is started by.
            "CRONBELL_SUPERVISED": "yes",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            **(env or {}),
        }

    def __enter__(self) -> Self:
        """Make the stores, from a copy where one was made before."""
        undo[self] = self.abandon
        if self.store == "postgresql":
            self._postgresql()
        else:
            self._sqlite()
        return self

    def __exit__(self, *_exc: object) -> None:
        """End what was started, by process id, and remove what was written."""
        for one in reversed(self.started):
            self.kill(one)
        self.target.close()
        self._stack.close()
        shutil.rmtree(self.home, ignore_errors=True)
        undo.pop(self, None)

    def abandon(self) -> None:
        """The same in a hurry, whatever another thread is about to do with it."""
        for one in reversed(self.started):
            self.kill(one)
        shutil.rmtree(self.home, ignore_errors=True)

    def _sqlite(self) -> None:
        template = shared.get("sqlite")
        if template is None:
            template = Path(tempfile.mkdtemp(prefix="cronbell-faults-template-"))
            shared["sqlite"] = template
            self._prepare({"CRONBELL_DATA": str(template)}, template)
            with contextlib.closing(sqlite3.connect(template / "app.sqlite3")) as app:
                app.execute(EFFECTS)
                app.commit()
        shutil.copytree(template, self.data, dirs_exist_ok=True)

    def _postgresql(self) -> None:
        server = the_server()
        template = shared.get("postgresql")
        if template is None:
            template = "faults_template"
            url = server.create(template)
            with tempfile.TemporaryDirectory() as folder:
                self._prepare({"CRONBELL_DATA": folder, "DATABASE_URL": url}, Path(folder))
            with psycopg.connect(url, autocommit=True) as app:
                app.execute(EFFECTS)
            shared["postgresql"] = template
        self.database_url = self._stack.enter_context(server.database(template=template))
        self.env["DATABASE_URL"] = self.database_url
        self.data.mkdir(exist_ok=True)

    def _prepare(self, env: dict[str, str], folder: Path) -> None:
        child = self.start("-c", PREPARE, str(folder), env=env)
        assert child.wait(60) == 0, child.output()

    def start(
        self, *words: str, env: dict[str, str] | None = None, prefix: Sequence[str] = ()
    ) -> Process:
        """Start a Python of this world, by a command before it where there is a ``prefix``."""
        if "abandoned" in shared:  # a thread whose experiment was ended goes on to its next one
            raise RuntimeError("a person has interrupted")
        self.log_count += 1
        log = self.home / f"process-{self.log_count}.log"
        child = Process(
            [*prefix, self.python, *words], log=log, env={**self.env, **(env or {})}, cwd=ROOT
        )
        self.started.append(child)
        return child

    def environment(self) -> dict[str, str]:
        """Return the whole environment of this world's children."""
        return {**processes.environment(), **self.env}

    def engine(self, *, lease: float = LEASE, prefix: Sequence[str] = ()) -> Process:
        """Start a runner on the jobs of ``toml``."""
        return self.start(
            "-m", "cronbell.engine", "--lease", str(lease), "--grace", "2",
            "--toml", str(self.toml), prefix=prefix,
        )  # fmt: skip

    def web(self) -> Process:
        """Start the web process, whose endpoints are the application under fire."""
        port = str(self.web_port)
        return self.start("-m", "cronbell.server.web", "--host", "127.0.0.1", "--port", port)

    def web_is_up(self) -> bool:
        """Say whether somebody listens on the web process's port."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.web_port)) == 0

    @staticmethod
    def ready(engine: Process, timeout: float = 60) -> None:
        """Wait until a runner has said that it is up."""
        engine.wait_for("is up with", timeout)

    @staticmethod
    def kill(child: Process) -> None:
        """SIGKILL a process of ours and what it started, by their ids."""
        below = processes.below(child.pid) if child.running else []
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)  # so that none starts another meanwhile
        child.popen.kill()
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        child.popen.wait()

    def jobs(self, text: str) -> None:
        """Write the configuration; a runner that is up takes it over by itself."""
        fresh = self.toml.with_suffix(".new")
        hosts = ", ".join(f'"{host}"' for host in self.allowed)
        head = f'target = "{self.target.base_url}"\nallowed_hosts = [{hosts}]\n'
        fresh.write_text(head + text, encoding="utf-8")
        fresh.replace(self.toml)

    def query(self, statement: str, *values: object, app: bool = False) -> list[tuple[Any, ...]]:
        """Read a database from outside, as an auditor would; ``?`` stands for a value."""
        if self.database_url:
            with psycopg.connect(self.database_url) as connection:
                return connection.execute(statement.replace("?", "%s"), values).fetchall()
        with contextlib.closing(self.connect(app=app)) as connection:
            return connection.execute(statement, values).fetchall()

    def connect(self, *, app: bool = False, timeout: float = 20) -> sqlite3.Connection:
        """Open one of the SQLite files; statements wait so many seconds for a lock."""
        file = self.data / ("app.sqlite3" if app else "runlog.sqlite3")
        return sqlite3.connect(file, timeout=timeout, isolation_level=None)

    def change(self, statement: str, *values: object) -> None:
        """Meddle with the run log from outside."""
        if self.database_url:
            with psycopg.connect(self.database_url, autocommit=True) as connection:
                connection.execute(statement.replace("?", "%s"), values)
            return
        with contextlib.closing(self.connect()) as connection:
            connection.execute(statement, values)

    def active(self) -> int:
        """Count the runs that are not over."""
        ((count,),) = self.query(
            "SELECT COUNT(*) FROM runlog_run WHERE status IN ('pending', 'running')"
        )
        return int(count)

    def settle(self, timeout: float = 30, meanwhile: Callable[[], object] = lambda: None) -> int:
        """Fire nothing more, let what goes on end; return how many runs did not.

        A runner must be up.

        Args:
            timeout: how long to wait, in seconds.
            meanwhile: called again and again while it is waited.
        """
        text = self.toml.read_text(encoding="utf-8").partition("\n[")
        body = (text[1] + text[2]).replace("\nevery = ", "\nenabled = false\nevery = ")
        self.jobs(body)
        give_up = SYSTEM_CLOCK.monotonic() + timeout
        SYSTEM_CLOCK.sleep(1.5)  # the change is seen and the last fires are recorded
        while SYSTEM_CLOCK.monotonic() < give_up:
            meanwhile()
            if not self.active():
                return 0
            SYSTEM_CLOCK.sleep(0.1)
        return self.active()


def the_server() -> FaultServer:
    """Return the PostgreSQL of this program, started when first asked for."""
    if "server" not in shared:
        shared["server"] = FaultServer.start_new()
    server: FaultServer = shared["server"]
    return server


def abandon() -> None:
    """Undo everything at once: a person has interrupted."""
    shared["abandoned"] = True
    for step in reversed(list(undo.values())):
        with contextlib.suppress(Exception):
            step()
    clean_up()


def clean_up() -> None:
    """Remove what all worlds shared."""
    server = shared.pop("server", None)
    if server is not None:
        server.stop()
    shared.pop("postgresql", None)
    template = shared.pop("sqlite", None)
    if template is not None:
        shutil.rmtree(template, ignore_errors=True)


def job(name: str, path: str, **keys: str | float) -> str:
    """Return one job's table; a path that is a whole address is called there."""
    place = "url" if "://" in path else "path"
    lines = [f"\n[jobs.{name}]", f'{place} = "{path}"']
    for key, value in keys.items():
        written = value if not isinstance(value, str) or value.startswith("{") else f'"{value}"'
        lines.append(f"{key} = {written}")
    return "\n".join(lines) + "\n"


def after_a_while(rng: random.Random, longest: float) -> Answer:
    """Answer well after a random time, so that calls are under way at any moment."""
    good = ok()

    def write(exchange: Exchange) -> bool:
        return exchange.pause(rng.uniform(0, longest)) and good(exchange)

    return write


def pause(seconds: float) -> None:
    """Let real processes go on for so long: what an experiment is made of."""
    SYSTEM_CLOCK.sleep(seconds)


def until(predicate: Callable[[], object], timeout: float, what: str) -> bool:
    """Wait for something; say whether it came."""
    try:
        wait_until(predicate, timeout, what=what)
    except AssertionError:
        return False
    return True
