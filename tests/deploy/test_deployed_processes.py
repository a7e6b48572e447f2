"""The commands of the container images and of the compose file, as their own processes.

What an engine would add (another root, another user, a network) is not here; what it would start,
and what it would ask to learn whether that is well, is.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
from pathlib import Path

import psycopg
import pytest
from tests.deploy.conftest import BIN
from tests.support import source
from tests.support.processes import Process

from cronbell.testing import ScriptedTarget, answers

SECRETS = {
    "CRON_SECRET": "a-secret-of-the-deploy-tests",
    "SERVICE_TOKEN": "a-token-of-the-deploy-tests",
    "DJANGO_SECRET_KEY": "a-key-that-signs-only-in-tests",
    "CRONBELL_PING_SECRET": "a-ping-key-of-the-deploy-tests",
}

# At a full minute a schedule may be due as well.
BY_HAND = "SELECT kind, status FROM runlog_run WHERE NOT (kind = 'schedule')"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The folder that is ``/config`` in an image, with what ``ideasgpt`` copies there."""
    folder = tmp_path / "config"
    folder.mkdir()
    for name in ("vercel.json", "cronbell.toml"):
        shutil.copy(source.ROOT / name, folder)
    return folder


def well(asked: Process) -> bool:
    return asked.wait(60) == 0


@pytest.mark.any_store
def test_web_and_runner_of_the_compose_file_work_on_one_postgresql(
    process,
    postgres_url: str,
    containerfile,
    compose,
    config: Path,
    tmp_path: Path,
    free_port: int,
    wait_until,
):
    stage = containerfile["ideasgpt"]
    port = str(free_port)

    def start(command: list[str], data: str):
        words = [word.replace("web:8000", f"127.0.0.1:{port}") for word in command]
        words += ["--port", port] if "--host" in words else []
        given = {key: value for key, value in stage.environment.items() if key != "PATH"}
        given |= SECRETS | {"DATABASE_URL": postgres_url, "CRONBELL_DATA": str(tmp_path / data)}
        given["CRONBELL_HOSTS"] = "web,cron.example"
        return process(BIN / words[0], *words[1:], cwd=config, env=given)

    services = compose["services"]
    asking_web = [*services["web"]["healthcheck"]["test"][1:], "--port", port]
    web = start(services["web"]["command"], "web")
    web.wait_for("Ctrl-C stops", timeout=60)
    assert "Password" in web.output()
    wait_until(lambda: socket.create_connection(("127.0.0.1", free_port)).close() or True, 60)
    assert well(start(asking_web, "web"))
    # The image's own check is for both parts: there is no runner yet.
    assert not well(start([*stage.health, "--port", port], "web"))
    asking_runner = services["runner"]["healthcheck"]["test"][1:]
    assert not well(start(asking_runner, "runner"))

    runner = start(services["runner"]["command"], "runner")
    runner.wait_for("is up with 4 jobs", timeout=60)
    assert "Password" not in runner.output(), "there is an administrator already"
    run = start(["ideasgpt", "run", "update-rankings", "--wait", "--json"], "runner")
    asked = start(asking_runner, "runner")
    assert run.wait(60) == 0, run.output() + web.output()
    assert json.loads(run.output().splitlines()[-1])["status"] == "success"
    assert well(asked), asked.output()
    # What the page says may be five seconds old, from before there was a runner.
    image = [*stage.health, "--port", port]
    wait_until(lambda: well(start(image, "web")), 20, what="both parts to be there")
    runner.signal(signal.SIGTERM)
    assert runner.wait(45) == 0, runner.output()
    gone = start([*asking_runner, "--json"], "runner")
    assert not well(gone)
    assert json.loads(gone.output().splitlines()[-1])["checks"] == {
        "database": True, "disk": True, "runner": False, "clock": True,
    }  # fmt: skip
    assert well(start(asking_web, "web"))
    web.signal(signal.SIGTERM)
    assert web.wait(45) == 0, web.output()
    # What the root would hold if it were read-only: nothing was written beside the data.
    assert sorted(path.name for path in config.iterdir()) == ["cronbell.toml", "vercel.json"]
    with psycopg.connect(postgres_url) as store:
        rows = store.execute(BY_HAND).fetchall()
    assert rows == [("run_now", "success")]


@pytest.mark.parametrize("name", ["cronbell", "ideasgpt"])
def test_the_health_check_fails_where_nothing_serves(
    process, containerfile, free_port: int, name: str
):
    health = [*containerfile[name].health, "--port", str(free_port)]
    asked = process(BIN / health[0], *health[1:])
    assert asked.wait() == 1
    assert "does not answer" in asked.output()


def test_the_health_check_takes_no_other_server_for_ours(process, containerfile, monkeypatch):
    """A page that answers 200, and a proxy in the environment, are not Cronbell."""
    health = containerfile["cronbell"].health
    told = {"ok": True, "checks": {"runner": "yes"}}
    with ScriptedTarget(default=answers.json_answer(told)) as other:
        other.script("/healthz", answers.answer(200, b"<p>welcome</p>"), answers.json_answer(told))
        proxy = {"http_proxy": other.url(""), "HTTP_PROXY": other.url("")}
        for said in ("does not answer as", "FAIL runner"):
            asked = process(BIN / health[0], *health[1:], "--port", str(other.port), env=proxy)
            assert asked.wait() == 1
            assert said in asked.output()
    assert {request.path for request in other.requests} == {"/healthz"}


def test_a_runner_alone_needs_a_target_and_a_web_process_alone_no_files(
    prepared, process, tmp_path: Path, config: Path, free_port: int
):
    elsewhere = {"DJANGO_SETTINGS_MODULE": "cronbell.server.settings", **prepared}
    lost = process(BIN / "cronbell", "up", "--only", "runner", cwd=config, env=elsewhere)
    assert lost.wait(60) == 1
    assert "no target" in lost.output()
    empty = tmp_path / "empty"
    empty.mkdir()
    web = process(
        BIN / "cronbell", "up", "--only", "web", "--port", str(free_port), cwd=empty, env=elsewhere
    )
    web.wait_for("Ctrl-C stops", timeout=60)
    assert "Target" not in web.output()
    web.signal(signal.SIGTERM)
    assert web.wait(45) == 0


def test_prepare_makes_what_is_missing_and_shows_the_password_once(process, tmp_path: Path):
    first = process(BIN / "cronbell", "prepare")
    assert first.wait(60) == 0, first.output()
    assert re.search(r"Ready +\S", first.output())
    assert re.search(r"Password +\S{16}", first.output())
    second = process(BIN / "cronbell", "prepare", "--json")
    assert second.wait(60) == 0, second.output()
    answer = json.loads(second.output().splitlines()[-1])
    assert answer["ok"]
    assert answer["administrator_made"] is False
    assert "Password" not in second.output()
