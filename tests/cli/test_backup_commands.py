"""``backup`` and ``restore`` as a shell calls them: what they refuse, and what is lost: nothing."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import stat
import sys
import tarfile
from pathlib import Path

import pytest
from tests.support import store

CRONBELL = Path(sys.executable).parent / "cronbell"
files_only = pytest.mark.skipif(store.chosen() != "sqlite", reason="for SQLite's files")


@pytest.fixture
def command(process, prepared_with_jobs):
    def call(*args: str) -> tuple[int, str]:
        one = process(CRONBELL, *args, env=prepared_with_jobs)
        return one.wait(60), one.output()

    return call


@pytest.fixture
def data(prepared_with_jobs) -> Path:
    return Path(prepared_with_jobs["CRONBELL_DATA"])


@pytest.fixture
def saved(command, data, tmp_path) -> Path:
    (data / "cron-secret").write_text("the-secret-of-this-test")
    (data / "cron-secret").chmod(0o600)
    code, output = command("backup", str(tmp_path / "backup"))
    assert code == 0, output
    return tmp_path / "backup"


@files_only
def test_what_was_there_is_back_and_what_came_since_is_kept_aside(command, data, saved):
    (data / "cron-secret").write_text("another-secret-altogether")
    with sqlite3.connect(data / "runlog.sqlite3") as connection:
        connection.execute("UPDATE runlog_job SET path = '/changed'")
    connection.close()
    code, output = command("restore", str(saved), "--json")
    assert code == 0, output
    before = Path(json.loads(output)["before"])
    assert (data / "cron-secret").read_text() == "the-secret-of-this-test"
    assert stat.S_IMODE((data / "cron-secret").stat().st_mode) == 0o600
    assert (before / "cron-secret").read_text() == "another-secret-altogether"
    query = "SELECT DISTINCT path = '/changed' FROM runlog_job"
    for folder, changed in ((data, 0), (before, 1)):
        connection = sqlite3.connect(folder / "runlog.sqlite3")
        assert connection.execute(query).fetchall() == [(changed,)]
        connection.close()


@files_only
def test_a_backup_never_takes_the_place_of_a_file(command, saved):
    content = saved.read_bytes()
    code, output = command("backup", str(saved))
    assert (code, "is there already" in output) == (1, True)
    assert saved.read_bytes() == content


@files_only
@pytest.mark.parametrize("harm", ["cut", "changed", "no_tar", "outside", "newer", "migrations"])
def test_a_backup_that_cannot_be_trusted_changes_nothing(command, data, saved, harm):
    content = saved.read_bytes()
    if harm == "cut":
        saved.write_bytes(content[: len(content) // 2])
    elif harm == "changed":
        saved.write_bytes(content.replace(b"/api/cron/nightly", b"/api/cron/daytime"))
    elif harm == "no_tar":
        saved.write_bytes(b"something else")
    else:
        rewrite(saved, harm)
    before = {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()}
    code, output = command("restore", str(saved))
    assert code == 1, output
    assert "Traceback" not in output
    assert {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()} == before
    assert [path.name for path in data.parent.iterdir() if "before" in path.name] == []
    assert not (data.parent / "outside").exists()


def rewrite(file: Path, harm: str) -> None:
    """Write a backup anew, whole by its own manifest and wrong in one way."""
    with tarfile.open(file) as tar:
        parts = {m.name: tar.extractfile(m).read() for m in tar.getmembers()}
    manifest = json.loads(parts.pop("manifest.json"))
    if harm == "outside":
        parts["../outside"] = b"x"
    elif harm == "newer":
        manifest["format"] = 99
    else:
        database = file.with_name("other.sqlite3")
        database.write_bytes(parts["runlog.sqlite3"])
        connection = sqlite3.connect(database)
        connection.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('runlog', '9999_x', '')"
        )
        connection.commit()
        connection.close()
        parts["runlog.sqlite3"] = database.read_bytes()
    manifest["files"] = {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()}
    with tarfile.open(file, "w:") as tar:
        for name, part in {"manifest.json": json.dumps(manifest).encode(), **parts}.items():
            head = tarfile.TarInfo(name)
            head.size = len(part)
            tar.addfile(head, io.BytesIO(part))


@pytest.mark.skipif(store.chosen() != "postgresql", reason="for PostgreSQL")
@pytest.mark.parametrize(("word", "program"), [("backup", "pg_dump"), ("restore", "pg_restore")])
def test_on_postgresql_its_own_programs_are_named(command, tmp_path, word, program):
    code, output = command(word, str(tmp_path / "backup"))
    assert (code, program in output) == (1, True)
    assert not (tmp_path / "backup").exists()
