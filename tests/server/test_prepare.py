"""Starting in a folder for the first time, again, twice at once, and where it cannot be."""

from __future__ import annotations

import json
import re
import socket
import stat
import sys
from pathlib import Path

import pytest

from cronbell.errors import StartError
from cronbell.server.prepare import prepare_directory
from cronbell.server.supervisor import check_port

BIN = Path(sys.executable).parent
CRONBELL = BIN / "cronbell"
ONE_JOB = json.dumps({"crons": [{"path": "/api/cron/a", "schedule": "0 0 1 1 *"}]})
PREPARE = (
    "import os, sys, pathlib;"
    "os.environ['DJANGO_SETTINGS_MODULE'] = 'cronbell.server.settings';"
    "from cronbell.server.prepare import prepare;"
    "print('password', prepare(pathlib.Path(os.environ['CRONBELL_DATA'])))"
)


def test_the_administrator_is_made_once_with_a_password_of_its_own(process):
    first = process(sys.executable, "-c", PREPARE)
    assert first.wait(60) == 0, first.output()
    second = process(sys.executable, "-c", PREPARE)
    assert second.wait(60) == 0, second.output()
    assert re.search(r"password [\w-]{16}", first.output())
    assert "password None" in second.output()


def test_two_starts_at_once_make_one_administrator(process):
    started = [process(sys.executable, "-c", PREPARE) for _ in range(2)]
    for one in started:
        assert one.wait(60) == 0, one.output()
    assert sorted("password None" in one.output() for one in started) == [False, True]


def test_the_data_directory_is_the_owners_alone(tmp_path):
    directory = tmp_path / "data"
    directory.mkdir(mode=0o755)
    prepare_directory(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["package.json", ".git", "한국어"])
def test_an_open_folder_with_files_of_others_is_left_as_it_is(tmp_path, name):
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / name).touch()
    directory.chmod(0o755)
    with pytest.raises(StartError, match=r"open to others \(mode 0755\)") as error:
        prepare_directory(directory)
    assert "--data DIR" in error.value.hint
    assert [path.name for path in directory.iterdir()] == [name]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o755
    directory.chmod(0o700)
    prepare_directory(directory)


@pytest.mark.parametrize(
    "names", [["lost+found"], ["runlog.sqlite3", "vercel.json"], ["django-secret-key", "notes"]]
)
def test_an_open_folder_that_is_a_volume_or_was_used_before_is_closed(tmp_path, names):
    directory = tmp_path / "data"
    directory.mkdir()
    for name in names:
        (directory / name).touch()
    directory.chmod(0o755)
    prepare_directory(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_file_in_its_place_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "data"
    path.write_text("")
    with pytest.raises(StartError, match="--data DIR"):
        prepare_directory(path)


def test_a_port_that_is_taken_is_said_before_anything_starts():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"127.0.0.1:{port}.*--port"):
            check_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["nobody.invalid", "192.0.2.1"])
def test_a_host_that_is_not_this_machine_is_said_to_be_the_fault(host):
    with pytest.raises(StartError, match=f"cannot listen on {host}") as error:
        check_port(host, 8000)
    assert "--host" in error.value.hint


@pytest.mark.parametrize(
    ("files", "args", "said"),
    [
        ({}, [], "there is no vercel.json"),
        ({"vercel.json": ONE_JOB}, ["--config", "elsewhere/vercel.json"], "there is no elsewhere"),
        ({"vercel.json": ONE_JOB}, [], "target"),
        ({"vercel.json": "{"}, ["--target", "http://127.0.0.1:1"], "vercel.json"),
        ({"vercel.json": ONE_JOB}, ["--target", "ftp://x"], "http"),
    ],
)
def test_what_cannot_start_says_why_and_ends(
    prepared, process, tmp_path, free_port, files, args, said
):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    one = process(CRONBELL, "up", "--port", str(free_port), *args, cwd=tmp_path, env=prepared)
    assert one.wait(60) == 1
    assert said in one.output()
    assert "Traceback" not in one.output()


@pytest.mark.parametrize(
    "secret", ["short", " sixteen-chars-and-blank", "비밀번호는여섯글자가아니라열여섯"]
)
def test_a_secret_that_cannot_be_sent_is_refused_without_being_shown(
    process, tmp_path, free_port, secret
):
    (tmp_path / "vercel.json").write_text(ONE_JOB)
    one = process(
        CRONBELL, "up", "--port", str(free_port), cwd=tmp_path, env={"CRON_SECRET": secret}
    )
    assert one.wait(60) == 1
    assert "CRON_SECRET" in one.output()
    assert secret not in one.output()


SENSELESS = {
    "CRON_SECRET_PREVIOUS": "canary-short",
    "CRONBELL_HOSTS": "https://cron.example.com",
    "CRONBELL_HTTPS": "perhaps",
    "CRONBELL_LOG_CALLS": "some",
    "CRONBELL_LOG_FORMAT": "xml",
    "CRONBELL_LOG_LEVEL": "loud",
    "CRONBELL_METRICS_TOKEN": "canary-short",
    "CRONBELL_ORIGINS": "cron.example.com",
    "CRONBELL_PING_SECRET": "canary-short",
    "CRONBELL_PROXIES": "the one in front",
    "CRONBELL_TARGET": "ftp://x",
    "CRONBELL_TRACES": "2",
    "DATABASE_URL": "mysql://a/b",
    "DJANGO_SECRET_KEY": "canary-short",
    "LANGUAGE_CODE": "de",
}
# What any text may be, or what is tried above.
SENSIBLE = {
    "CRON_SECRET", "CRON_SECRET_NEXT", "CRONBELL_DATA", "DJANGO_SETTINGS_MODULE",
    "OTEL_SERVICE_NAME",
}  # fmt: skip


@pytest.mark.parametrize("name", SENSELESS)
def test_a_variable_that_makes_no_sense_stops_the_start_with_its_name_and_a_remedy(
    process, tmp_path, free_port, name
):
    (tmp_path / "vercel.json").write_text(ONE_JOB)
    target = {} if name == "CRONBELL_TARGET" else {"CRONBELL_TARGET": "http://127.0.0.1:1"}
    env = {**target, name: SENSELESS[name]}
    one = process(CRONBELL, "up", "--port", str(free_port), cwd=tmp_path, env=env)
    assert one.wait(60) == 1, one.output()
    said, hint = one.output().splitlines()[:2]
    assert name in said or (name == "CRONBELL_TARGET" and "target" in said)
    assert hint.startswith("  ")
    assert "Traceback" not in one.output()
    assert "canary" not in one.output()


def test_every_variable_has_been_given_a_senseless_value():
    from cronbell.config.variables import VARIABLES

    assert SENSELESS.keys() | SENSIBLE == VARIABLES.keys()
    assert not SENSELESS.keys() & SENSIBLE
