"""Cronbell's own health: each thing that can be wrong is seen, said, and over when it is over."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections, transaction
from django.test import Client
from tests.support import store

from cronbell.clock import SYSTEM_CLOCK
from cronbell.runlog.models import Runner
from cronbell.server import health, healthz
from cronbell.server.health import Check, Watch, troubles, troubles_of_runner, watch
from cronbell.testing import FakeClock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])

SECRETS = ("sqlite3", "/tmp", "Traceback", "postgres", "password")  # noqa: S108 - looked for


@pytest.fixture(autouse=True)
def _look_anew():
    watch.forget()
    yield
    watch.forget()


@pytest.fixture
def runner():
    now = SYSTEM_CLOCK.now()
    return Runner.objects.create(
        id="r1", host="h", pid=1, version="0", started_at=now, seen_at=now, jobs=1
    )


@pytest.fixture
def full_disk(tmp_path):
    """Mount a small file system and fill it; skip where this user may not."""
    if os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root only")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this system mounts no tmpfs for us")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def wrong(directory: Path | None = None) -> set[Check]:
    return {trouble.check for trouble in troubles(SYSTEM_CLOCK, directory or Path.cwd())}


def ask(path: str = "/healthz", **headers: str):
    return Client().get(path, headers=headers)


def test_all_is_well(runner):
    assert wrong() == set()
    answer = ask()
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    checks = {"database": True, "disk": True, "runner": True, "clock": True}
    assert answer.json() == {"ok": True, "checks": checks}


def test_no_runner_is_said_to_whoever_asks_and_over_with_the_next_one(runner):
    Runner.objects.update(seen_at=SYSTEM_CLOCK.now() - timedelta(minutes=1))
    answer = ask()
    assert (answer.status_code, answer.json()["checks"]["runner"]) == (503, False)
    assert answer.json()["checks"]["database"] is True
    Runner.objects.update(seen_at=SYSTEM_CLOCK.now())
    watch.forget()
    assert ask().status_code == 200


def test_a_clock_that_is_off_is_said(runner):
    Runner.objects.update(clock_ahead=2_500_000)
    (trouble,) = troubles(SYSTEM_CLOCK, Path.cwd())
    assert trouble.check is Check.CLOCK
    assert "2.5 s ahead of" in trouble.detail
    Runner.objects.update(clock_ahead=1_500_000)
    assert wrong() == set()


def test_a_disk_that_is_nearly_full_or_gone_is_said(runner, full_disk):
    assert wrong(full_disk) == {Check.DISK}
    assert wrong(full_disk / "gone") == {Check.DISK}


@pytest.mark.skipif(store.chosen() != "sqlite", reason="SQLite's files")
def test_a_full_disk_under_the_database_is_noticed_by_a_real_write(runner, full_disk, monkeypatch):
    """The file system has no byte left: reading goes on, and what is only rolled back would too."""
    path = full_disk / "runlog.sqlite3"
    connection = connections["runlog"]
    connection.close()
    with sqlite3.connect(connection.settings_dict["NAME"]) as before:
        before.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with sqlite3.connect(path) as copy:
            before.backup(copy)
    monkeypatch.setitem(connection.settings_dict, "NAME", str(path))
    assert wrong() == set()
    try:
        # The next write begins its log anew, on a disk that has no room for it.
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        filler = os.open(full_disk / "filler", os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while os.write(filler, b"x" * 4096):
                pass
        os.close(filler)
        assert Runner.objects.count() == 1
        found = {one.check: one for one in troubles(SYSTEM_CLOCK, Path.cwd())}
        assert "cannot be written" in found[Check.DATABASE].text
        assert "full" in found[Check.DATABASE].detail or "disk" in found[Check.DATABASE].detail
        (full_disk / "filler").unlink()
        assert wrong() == set()
    finally:
        connection.close()


@pytest.mark.skipif(store.chosen() != "sqlite", reason="SQLite's files")
@pytest.mark.parametrize("alias", ["runlog", "default"])
def test_a_database_that_is_read_only_is_said(runner, alias, tmp_path, monkeypatch):
    """Opened for reading only, as on a file system that was mounted so: root may write any file."""
    connection = connections[alias]
    connection.close()
    copy = tmp_path / "copy.sqlite3"
    shutil.copy(connection.settings_dict["NAME"], copy)
    monkeypatch.setitem(connection.settings_dict, "NAME", f"file:{copy}?mode=ro&immutable=1")
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "uri", True)  # noqa: FBT003
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "init_command", "")
    try:
        found = {one.check: one for one in troubles(SYSTEM_CLOCK, Path.cwd())}
        assert "readonly" in found[Check.DATABASE].detail
    finally:
        connection.close()


@pytest.mark.parametrize("alias", ["runlog", "default"])
def test_a_database_that_stays_locked_is_said_after_two_seconds(runner, alias, monkeypatch):
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.2)
    health.write_fault(alias, SYSTEM_CLOCK)  # the row is there, so that PostgreSQL can lock it
    held, done = threading.Event(), threading.Event()

    def hold():
        try:
            with transaction.atomic(using=alias):
                probe = health.PROBES[alias].objects.using(alias)
                probe.filter(pk=1).update(at=SYSTEM_CLOCK.now())
                held.set()
                done.wait(20)
        finally:
            connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(10)
        assert health.write_fault(alias, SYSTEM_CLOCK)
        assert ask().json()["checks"]["database"] is False
    finally:
        done.set()
        holder.join()
    assert health.write_fault(alias, SYSTEM_CLOCK) == ""
    if store.chosen() == "sqlite":
        ((patience,),) = connections[alias].cursor().execute("PRAGMA busy_timeout").fetchall()
        assert patience == connections[alias].begin_wait * 1000 == 20_000


def test_a_database_that_does_not_answer_is_no_error_page(runner, monkeypatch):
    """The run log's file is a folder now, its server gone: 503, and nothing told."""
    connection = connections["runlog"]
    connection.close()
    changes = {"NAME": str(Path.cwd())} if connection.vendor == "sqlite" else {"PORT": "1"}
    for name, value in changes.items():
        monkeypatch.setitem(connection.settings_dict, name, value)
    try:
        answer = ask()
    finally:
        connection.close()
    assert (answer.status_code, answer.json()["checks"]["database"]) == (503, False)


def test_strangers_learn_names_of_checks_and_nothing_else(monkeypatch):
    fault = "unable to open /tmp/secret.sqlite3 password=hunter2"
    monkeypatch.setattr(health, "write_fault", lambda _alias, _clock: fault)
    answer = ask(Host="evil.example")  # whatever the host: an orchestrator asks by address
    assert answer.status_code == 503
    body = answer.content.decode()
    assert not [word for word in SECRETS if word in body]
    assert set(answer.json()) == {"ok", "checks"}
    assert all(isinstance(fine, bool) for fine in answer.json()["checks"].values())


def test_live_says_that_the_process_answers_whatever_ails(monkeypatch):
    monkeypatch.setattr(healthz.watch, "troubles", lambda: pytest.fail("it looked"))
    answer = ask("/healthz/live")
    assert (answer.status_code, answer.json()) == (200, {"ok": True})


def test_ready_looks_at_what_the_web_process_itself_needs():
    """No runner is alive: that is no fault of a container that is the web part alone."""
    assert ask().status_code == 503
    answer = ask("/healthz/ready")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.json() == {"ok": True, "checks": {"database": True, "disk": True}}


@pytest.mark.parametrize("check", ["database", "disk"])
def test_ready_says_what_ails_the_web_process(check, monkeypatch, tmp_path, settings):
    if check == "database":
        monkeypatch.setattr(health, "write_fault", lambda _alias, _clock: "disk I/O error")
    else:
        settings.CRONBELL_DATA_DIR = tmp_path / "gone"
    answer = ask("/healthz/ready")
    assert (answer.status_code, answer.json()["ok"]) == (503, False)
    assert [name for name, fine in answer.json()["checks"].items() if not fine] == [check]


def test_a_machine_s_own_runner_is_asked_for_and_no_other(runner):
    def ailing(host: str) -> list[Check]:
        return [one.check for one in troubles_of_runner(SYSTEM_CLOCK, Path.cwd(), host)]

    assert ailing("h") == []
    assert ailing("elsewhere") == [Check.RUNNER]
    Runner.objects.create(
        id="r2", host="elsewhere", pid=1, version="0", started_at=SYSTEM_CLOCK.now(),
        seen_at=SYSTEM_CLOCK.now() - timedelta(minutes=1),
    )  # fmt: skip
    assert ailing("elsewhere") == [Check.RUNNER]
    # Another machine's clock is that machine's trouble.
    Runner.objects.filter(pk="r2").update(seen_at=SYSTEM_CLOCK.now(), clock_ahead=9_000_000)
    assert wrong() == {Check.CLOCK}
    assert ailing("h") == []


def test_a_machine_s_own_clock_and_databases_are_looked_at(runner, monkeypatch):
    nine_ahead = FakeClock(SYSTEM_CLOCK.now() + timedelta(seconds=9))
    (trouble,) = troubles_of_runner(nine_ahead, Path.cwd(), "h")
    assert trouble.check is Check.CLOCK
    assert "ahead of the database" in trouble.detail
    monkeypatch.setattr(health, "write_fault", lambda _alias, _clock: "disk I/O error")
    found = troubles_of_runner(SYSTEM_CLOCK, Path.cwd() / "gone", "h")
    assert [one.check for one in found] == [Check.DATABASE, Check.DATABASE, Check.DISK]


@pytest.mark.parametrize("path", ["/healthz", "/healthz/ready", "/healthz/live"])
@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options"])
def test_other_methods_are_refused(path, method):
    answer = getattr(Client(), method)(path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_asking_often_looks_once_in_five_seconds(monkeypatch):
    looks = []
    monkeypatch.setattr(health, "troubles", lambda *_given: looks.append(1) or [])
    clock = FakeClock()
    seen = Watch(clock)
    for _ in range(100):
        seen.troubles()
    assert len(looks) == 1
    clock.advance(4.9)
    seen.troubles()
    assert len(looks) == 1
    clock.advance(0.2)
    seen.troubles()
    assert len(looks) == 2


def test_while_one_looks_the_others_get_what_was_known(monkeypatch):
    clock = FakeClock()
    seen = Watch(clock)
    monkeypatch.setattr(health, "troubles", lambda *_given: [])
    seen.troubles()
    clock.advance(60)
    looking, go_on = threading.Event(), threading.Event()

    def slow(*_given):
        looking.set()
        assert go_on.wait(10)
        return ["new"]

    monkeypatch.setattr(health, "troubles", slow)
    thread = threading.Thread(target=seen.troubles)
    thread.start()
    assert looking.wait(10)
    assert seen.troubles() == []
    go_on.set()
    thread.join()
    assert seen.troubles() == ["new"]


def test_every_page_says_it_to_administrators_in_their_language(runner, monkeypatch):
    from django.contrib.auth.models import User

    monkeypatch.setattr(
        health,
        "write_fault",
        lambda alias, _clock: "disk I/O error" if alias == "runlog" else "",
    )
    admin = User.objects.create_superuser("root", password="correct horse battery")
    client = Client()
    assert b"cannot be written" not in client.get("/admin/login").content
    client.force_login(admin)
    for page in ("/admin/", "/admin/cron-logs", "/admin/settings", "/admin/why"):
        text = client.get(page, headers={"Accept-Language": "en"}).content.decode()
        assert "The run log cannot be written." in text
        assert "disk I/O error" in text
    korean = client.get("/admin/", headers={"Accept-Language": "ko"}).content.decode()
    assert "실행 로그에 쓸 수 없습니다." in korean
