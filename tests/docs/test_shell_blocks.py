"""Every shell block of the README and the how-tos is typed and must work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from tests.support import documents, machine, processes, source
from tests.support.typed import BIN, Reader, blocks

from cronbell.testing import ScriptedTarget, answers

pytestmark = pytest.mark.any_store

HOWTOS = source.ROOT / "docs" / "howto"
ENGLISH = [
    source.ROOT / "README.md",
    *sorted(one for one in HOWTOS.glob("[a-z]*.md") if not one.name.endswith(".ko.md")),
]
KOREAN = [source.ROOT / "README.ko.md", *sorted(HOWTOS.glob("*.ko.md"))]
# Blocks that say why they are not run. One more is a decision, not an accident.
NOT_RUN = {
    "README.md": 4,
    "alerts.md": 2,
    "rotate-the-secret.md": 3,
    "watch-cronbell.md": 1,
    "back-up-and-restore.md": 1,
    "deploy.md": 4,
    "move-from-crontab.md": 1,
    "verify-records.md": 1,
    "write-an-endpoint.md": 1,
}
VERCEL_JSON = json.dumps({"crons": [{"path": "/api/cron/digest", "schedule": "0 8 * * *"}]})
PROJECT = {"vercel.json": VERCEL_JSON, "cronbell.toml": 'target = "http://127.0.0.1:3000"\n'}
SECRET = "a-secret-of-the-documents"
CRONTAB = "*/5 * * * * curl -fsS -m 30 http://127.0.0.1:3000/api/cron/sync\n@reboot cleanup\n"


@dataclass
class World:
    """What a document takes for granted.

    Attributes:
        files: in the reader's folder.
        server: the command that runs already; empty where the document starts it.
        programs: further commands the reader has.
        before: does what else has happened before.
    """

    files: dict[str, str] = field(default_factory=lambda: {**PROJECT})
    server: str = "cronbell up"
    programs: dict[str, str] = field(default_factory=dict)
    before: Callable[[Reader], None] = lambda _reader: None


def heartbeat(reader: Reader) -> None:
    """The job of the page is configured, and its address is known."""
    reader.server.wait_for("is up with 1 job")
    reader.type(blocks("```sh\ncronbell pings --json > pings.json\n```")[0])
    (ping,) = json.loads((reader.folder / "pings.json").read_text())["pings"]
    url = ping["url"].replace(":8000", f":{reader.port}")
    reader.words = {**reader.words, "http://cronbell.example:8000/ping/TOKEN": url}
    reader.environment["URL"] = url


def heartbeat_toml() -> str:
    return next(
        code for language, code in documents.fences(source.text(HOWTOS / "watch-a-job.md"))
        if language == "toml"
    )  # fmt: skip


IDEAS = f"ideasgpt up --config {source.ROOT}/vercel.json"
WORLDS = {
    "README.md": World(files={}, server=IDEAS),
    "deploy.md": World(files={}, server=""),
    "first-job.md": World(files={}, server=""),
    "run-beside-vercel.md": World(files={"vercel.json": VERCEL_JSON}, server=""),
    "move-from-crontab.md": World(files={}, server="", programs={"crontab": f"printf '{CRONTAB}'"}),
    "move-from-vercel.md": World(files={"vercel.json": VERCEL_JSON}, server=""),
    "watch-a-job.md": World(
        files={"cronbell.toml": heartbeat_toml()},
        server="cronbell up",
        programs={"backup.sh": "echo copied"},
        before=heartbeat,
    ),
}


@pytest.fixture(scope="session")
def ready_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with its tables: making them takes longer than what most blocks do."""
    data = tmp_path_factory.mktemp("ready") / "data"
    environment = {**processes.environment(), "CRONBELL_DATA": str(data), "DATABASE_URL": ""}
    subprocess.run([BIN / "cronbell", "prepare"], env=environment, check=True, timeout=110)
    return data


@pytest.fixture
def reader(process, tmp_path: Path, free_port: int, ready_data: Path):
    for program in ("curl", "openssl"):
        machine.require(program)
    with ScriptedTarget(default=answers.ok()) as target:
        folder = tmp_path / "reader"
        shutil.copytree(ready_data, folder / ".cronbell")
        address = target.url("").removeprefix("http://")
        words = {
            "https://app.example": f"http://{address}",
            "127.0.0.1:3000": address,
            "/var/backups/": f"{tmp_path}/",
        }
        environment = {
            "CRON_SECRET": SECRET,
            "CRONBELL_DATA": "",
            "DATABASE_URL": "",
            "PATH": os.environ["PATH"],
        }
        yield Reader(process, folder, free_port, words, environment)


@pytest.mark.parametrize("path", ENGLISH, ids=lambda path: path.name)
def test_what_a_document_tells_to_type_works(reader: Reader, path: Path):
    text = source.text(path)
    typed = [block for block in blocks(text) if block.typed]
    left_out = [block for block in typed if block.not_run]
    assert len(left_out) == NOT_RUN.get(path.name, 0), "a block is run, or NOT_RUN counts it"
    if len(typed) == len(left_out):
        return
    world = WORLDS.get(path.name, World())
    for name, content in world.files.items():
        (reader.folder / name).write_text(reader.localized(content), encoding="utf-8")
    for name, script in world.programs.items():
        reader.program(name, f"#!/bin/bash\n{reader.localized(script)}\n")
    if world.server:
        reader.type(blocks(f"```sh\n{reader.localized(world.server)}\n```")[0])
    world.before(reader)
    reader.read(text)
    reader.stop()
    assert reader.ran == len(typed) - len(left_out)


@pytest.mark.parametrize("path", KOREAN, ids=lambda path: path.name)
def test_a_korean_document_tells_to_type_the_same(path: Path):
    english = path.with_name(path.name.replace(".ko.md", ".md"))
    both = [blocks(source.text(one)) for one in (english, path)]
    shells = [[b.not_run == "" for b in found if b.typed] for found in both]
    assert shells[0] == shells[1]
    codes = [documents.code(source.text(one)) for one in (english, path)]
    assert codes[0] == codes[1]
    assert documents.outline(source.text(english)) == documents.outline(source.text(path))


def test_a_dump_comes_back(process, postgres_url: str, tmp_path: Path):
    programs = machine.require("postgresql")
    text = source.text(HOWTOS / "back-up-and-restore.md")
    (script,) = [block.text for block in blocks(text) if block.text.startswith("pg_dump")]
    environment = {"DATABASE_URL": postgres_url, "PATH": f"{programs}:{os.environ['PATH']}"}
    made = process(BIN / "cronbell", "prepare", env=environment)
    assert made.wait(110) == 0, made.output()
    users = "SELECT count(*) FROM auth_user"
    for line in script.splitlines():
        with psycopg.connect(postgres_url) as store:
            assert store.execute(users).fetchone() == (1,)
            if line.startswith("pg_restore"):
                store.execute("TRUNCATE auth_user CASCADE")
        typed = process("bash", "-euc", line, cwd=tmp_path, env=environment)
        assert typed.wait(60) == 0, typed.output()
    with psycopg.connect(postgres_url) as store:
        assert store.execute(users).fetchone() == (1,)


def test_sabotage_a_block_that_fails_is_noticed(reader: Reader):
    with pytest.raises(AssertionError, match="no-such-command"):
        reader.read("```sh\necho fine\nno-such-command\n```\n")
    with pytest.raises(AssertionError, match="there is no"):
        reader.read("```sh\ncronbell up\n```\n")


def test_sabotage_a_block_without_a_reason_is_refused():
    with pytest.raises(AssertionError, match="not run: REASON"):
        blocks("<!-- not run -->\n```sh\nrm -rf /\n```\n")


def test_a_reader_s_exports_files_and_folders_last(reader: Reader):
    reader.read(
        "```sh\nexport NAME=value\nmkdir below\ncd below\n```\n<!-- file: below/a.txt -->\n"
        '```\nhello\n```\n```sh\ntest "$NAME$(cat a.txt)" = valuehello\n```\n'
    )
    assert reader.ran == 2


def test_what_the_reader_types_is_bash():
    for path in ENGLISH:
        for block in blocks(source.text(path)):
            if block.typed:
                subprocess.run(["bash", "-n"], input=block.text, text=True, check=True, timeout=30)


def test_every_how_to_is_listed_and_has_its_korean_twin():
    listed = set(documents.LINK.findall(source.text(HOWTOS / "README.md")))
    assert listed == {path.name for path in HOWTOS.glob("*.md")} - {"README.md"}
    twins = {path.with_name(path.name.replace(".md", ".ko.md")) for path in ENGLISH}
    assert twins == set(KOREAN)


def test_sabotage_a_korean_page_that_lacks_a_heading_or_a_block_is_seen():
    english = "# A\n\n## B\n\n```sh\ntrue\n```\n"
    for korean in ("# 가\n\n```sh\ntrue\n```\n", "# 가\n\n## 나\n"):
        same_outline = documents.outline(english) == documents.outline(korean)
        assert not (same_outline and documents.code(english) == documents.code(korean))
