"""The tests' own ground: the store is real and shared, traces are found, waits are bounded."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from django.db import connections
from django.test import Client
from tests.support import machine, processes, store
from tests.support.statics import WhiteNoiseOnce
from tests.support.store import RUN_VARIABLE
from tests.support.waiting import wait_until
from whitenoise.middleware import WhiteNoiseMiddleware

BOTH = ["default", "runlog"]
SLEEPER = "import signal; signal.pause()"


@pytest.mark.django_db(transaction=True, databases=BOTH)
def test_both_aliases_are_databases_of_the_chosen_store_and_not_the_same_one():
    vendors = {connections[alias].vendor for alias in BOTH}
    names = {str(connections[alias].settings_dict["NAME"]) for alias in BOTH}
    assert vendors == {store.chosen()}
    assert len(names) == 2


@pytest.mark.django_db(transaction=True, databases=BOTH)
def test_a_row_written_by_one_thread_is_read_by_another():
    from django.contrib.auth.models import Group

    Group.objects.create(name="seen")
    found: list[bool] = []

    def look() -> None:
        found.append(Group.objects.filter(name="seen").exists())
        connections.close_all()

    other = threading.Thread(target=look)
    other.start()
    other.join(10)
    assert found == [True]


def test_a_lent_postgresql_database_is_empty_and_takes_rows(postgres_url: str):
    with psycopg.connect(postgres_url) as connection:
        tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
        assert connection.execute(tables).fetchone() == (0,)
        connection.execute("CREATE TABLE t (n int)")


def test_the_postgresql_server_asks_for_its_password(postgres_url: str):
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgres_url.replace(store.plan().password, "guessed"))


def test_the_shell_s_secrets_are_not_the_tests():
    assert not set(store.NOT_OURS) - {"DATABASE_URL", "DJANGO_SETTINGS_MODULE"} & set(os.environ)
    assert os.environ.get("DATABASE_URL", "").startswith("postgresql") == (
        store.chosen() == "postgresql"
    )


def test_an_unknown_store_is_refused_with_the_choice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(store.STORE_VARIABLE, "mysql")
    with pytest.raises(SystemExit, match="sqlite, postgresql"):
        store.chosen()


def test_wait_until_gives_the_answer_and_fails_within_its_time():
    answers = iter([None, 0, "ready"])
    assert wait_until(lambda: next(answers)) == "ready"
    with pytest.raises(AssertionError, match="in vain for the moon"):
        wait_until(lambda: False, 0.02, what="the moon")
    with pytest.raises(AssertionError, match="at most"):
        wait_until(lambda: True, 3600)


def test_a_process_is_captured_and_ended_by_its_id(process):
    started = process(sys.executable, "-c", f"print('up', flush=True); {SLEEPER}")
    assert started.wait_for("up\n") == "up\n"
    assert processes.alive(started.pid)
    started.end()
    assert not started.running
    assert not processes.alive(started.pid)


def test_waiting_for_words_of_a_process_that_ended_shows_what_it_said(process):
    started = process(sys.executable, "-c", "print('no such port')")
    with pytest.raises(AssertionError, match="no such port"):
        started.wait_for("listening")


def test_an_orphan_is_found_although_its_parent_is_gone(process):
    parent = process(
        sys.executable,
        "-c",
        "import subprocess, sys, signal;"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]);"
        "print('child', child.pid, flush=True); signal.pause()",
    )
    orphan = int(parent.wait_for("child").split()[1])
    parent.kill()
    # For a moment after its start a process has no environment to be told by.
    wait_until(lambda: orphan in processes.strays(), what="the orphan to be seen")
    os.kill(orphan, signal.SIGKILL)
    wait_until(lambda: orphan not in processes.strays(), what="the orphan to be gone")


GUARDED = """
import os, subprocess, sys

def test_changes_the_environment():
    os.environ["LEFT_BEHIND"] = "1"

def test_leaves_a_child():
    globals()["kept"] = subprocess.Popen([sys.executable, "-c", {sleeper!r}])

def test_leaves_a_grandchild(process):
    started = process(sys.executable, "-c", "import subprocess, sys; "
        "print(subprocess.Popen([sys.executable, '-c', {sleeper!r}]).pid, flush=True)")
    started.wait()

def test_clean():
    kept = globals().pop("kept")
    kept.kill()
    kept.wait()
    assert "LEFT_BEHIND" not in os.environ
"""


def test_the_guards_fail_a_test_that_leaves_a_process_or_a_variable(tmp_path: Path):
    """Sabotage: three tests that leave something, each must be an error, and only those."""
    root = Path(__file__).parents[2]
    (tmp_path / "test_guarded.py").write_text(GUARDED.format(sleeper=SLEEPER))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    environment = {key: value for key, value in os.environ.items() if key != RUN_VARIABLE}
    plugins = ["-p", "no:django", "-p", "no:cacheprovider", "-p", "tests.conftest"]
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "."],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(root)},
        timeout=100,
        check=False,
    )
    assert "4 passed, 3 errors" in answer.stdout, answer.stdout + answer.stderr
    assert "os.environ changed: LEFT_BEHIND" in answer.stdout
    assert "the test left a process behind" in answer.stdout
    assert "left running by what the test started" in answer.stdout


def test_a_missing_program_skips_on_a_laptop_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(machine.FINDERS, "nginx", lambda: None)
    before = machine.missing["nginx"]
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install nginx"):
        machine.require("nginx")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install nginx"):
        machine.require("nginx")
    assert machine.missing["nginx"] == before + 2
    machine.missing["nginx"] = before


CRASH = """
import os, signal, sys
from tests.support import machine, postgres, store
store.prepare()
server = postgres.Server(machine.find("postgresql"), store.plan()).__enter__()
print(server._process.pid, server.folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell no child of its parent")
def test_a_killed_test_run_leaves_no_postgresql_behind(process, tmp_path: Path):
    machine.require("postgresql")
    root = Path(__file__).parents[2]
    run = process(sys.executable, "-c", CRASH, env={"PYTHONPATH": str(root)})
    assert run.wait(30) == -signal.SIGKILL
    pid, folder = run.output().split()
    wait_until(lambda: not processes.alive(int(pid)), what="the orphaned server to end")
    shutil.rmtree(folder)


def test_static_files_are_found_once_and_are_those_the_service_has(settings):
    real, first, second = (
        kind(lambda _request: None)
        for kind in (WhiteNoiseMiddleware, WhiteNoiseOnce, WhiteNoiseOnce)
    )
    assert sorted(first.files) == sorted(real.files) != []
    assert all(second.files[path] is file for path, file in first.files.items())
    second.files.clear()
    assert WhiteNoiseOnce(lambda _request: None).files == first.files, "each has its own table"
    settings.STATIC_URL = "/elsewhere/"
    assert all(path.startswith("/elsewhere/") for path in WhiteNoiseOnce(real.get_response).files)


def test_every_client_is_served_the_static_files():
    path = "/static/cronbell/cronbell.css"
    bodies = {b"".join(Client().get(path).streaming_content) for _client in range(2)}
    assert len(bodies) == 1
    assert bodies != {b""}
