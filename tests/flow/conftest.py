"""A service started as a user starts it: a folder, a command, a port."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.support.processes import Process

BIN = Path(sys.executable).parent
SECRET = "a-secret-of-the-flow-tests"
CRONBELL = BIN / "cronbell"
IDEAS_SETTINGS = "ideasgpt.settings"


@dataclass
class Service:
    """A running ``cronbell up`` and what belongs to it."""

    process: Process
    folder: Path
    data: Path
    base: str
    env: dict[str, str]
    start: Callable[..., Process]
    database_url: str

    @property
    def password(self) -> str:
        found = re.search(r"Password +(\S+)", self.process.output())
        assert found, self.process.output()
        return found[1]

    def command(self, *args: str) -> tuple[int, Any]:
        """Run a ``cronbell`` command with --json in the service's folder."""
        done = self.start(CRONBELL, *args, "--json", cwd=self.folder, env=self.env)
        code = done.wait(60)
        return code, json.loads(done.output().strip().splitlines()[-1])

    def query(self, file: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Read the service's databases from outside, as an auditor would; ``?`` stands for values.

        On SQLite ``file`` is read; one PostgreSQL holds both.
        """
        if self.database_url:
            with psycopg.connect(self.database_url) as postgresql:
                return postgresql.execute(sql.replace("?", "%s"), values).fetchall()
        connection = sqlite3.connect(f"file:{self.data / file}?mode=ro", uri=True)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()


@pytest.fixture
def up_at_first(process, tmp_path, free_port, store_url) -> Callable[..., Service]:
    """Start ``cronbell up`` in a folder of its own, wait until runs can be asked for."""

    def start(
        *args: str, files: dict[str, str], settings: str = "", env: dict[str, str] | None = None
    ) -> Service:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        variables = {
            "CRON_SECRET": SECRET,
            "CRONBELL_DATA": str(folder / ".cronbell"),
            "DATABASE_URL": store_url,
            **(env or {}),
        }
        data = Path(variables["CRONBELL_DATA"])
        if settings:
            variables["DJANGO_SETTINGS_MODULE"] = settings
        running = process(
            CRONBELL, "up", "--port", str(free_port), *args, cwd=folder, env=variables
        )
        running.wait_for("is up with", timeout=60)
        base = f"http://127.0.0.1:{free_port}"
        url = variables["DATABASE_URL"]
        return Service(running, folder, data, base, variables, process, url)

    return start


@pytest.fixture
def up(prepared, up_at_first) -> Callable[..., Service]:
    """The same where databases and administrator are there already."""

    def start(*args: str, env: dict[str, str] | None = None, **rest) -> Service:
        return up_at_first(*args, env={**prepared, **(env or {})}, **rest)

    return start
