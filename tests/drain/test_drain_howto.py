"""The how-to's own code, as a project of its own, with its models, migrations and endpoint."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest
from tests.support import documents, source

from cronbell.testing import ScriptedTarget, answers

HOWTO = documents.fences(source.text(source.ROOT / "docs" / "howto" / "drain-a-backlog.md"))
SECRET = "a-secret-of-the-how-to"
SETTINGS = """
import os
from cronbell.server.environment import data_dir, databases
data_dir().mkdir(exist_ok=True)
SECRET_KEY = "x" * 50
ALLOWED_HOSTS = ["testserver"]
INSTALLED_APPS = ["cronbell.endpoint.receipts", "cronbell.drain", "letters"]
ROOT_URLCONF = "urls"
DATABASES = {"default": databases(data_dir(), os.environ.get("DATABASE_URL", ""))["default"]}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""
CALL = """
import django; django.setup()
from django.core.management import call_command
call_command("makemigrations", "letters", verbosity=0)
call_command("migrate", verbosity=0)
from django.test import Client
from letters.models import Letter
for stamped in (True, True, False):
    Letter.objects.create(stamped=stamped)
secret = {"Authorization": "Bearer SECRET"}
print(Client(headers=secret).get("/api/cron/post-letters").content.decode())
""".replace("SECRET", SECRET)


def code(heading: str) -> str:
    """Return the block of code that begins with a comment naming its file."""
    (found,) = [text for _, text in HOWTO if text.startswith(f"# {heading}\n")]
    return found


def answer_of_the_project(process, folder: Path, url: str, **env: str) -> dict:
    (folder / "letters").mkdir()
    files = {
        "settings.py": SETTINGS,
        "urls.py": "from cronbell.endpoint.django import cron_urls\nurlpatterns = cron_urls()\n",
        "letters/__init__.py": "",
        "letters/models.py": code("letters/models.py"),
        "letters/jobs.py": code("letters/jobs.py"),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    variables = {
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTHONPATH": f"{folder}:{source.SRC}",
        "CRON_SECRET": SECRET,
        "POST_URL": url,
        "POST_TOKEN": "a-token-for-the-post",
    }
    run = process(sys.executable, "-c", CALL, cwd=folder, env={**variables, **env})
    run.wait(60)
    return json.loads(run.output().splitlines()[-1])


def test_the_example_drains_and_answers_as_the_how_to_shows(process, tmp_path):
    with ScriptedTarget() as target:
        target.script("/post", answers.ok(), answers.reset())
        folder = tmp_path / "project"
        folder.mkdir()
        answer = answer_of_the_project(process, folder, target.url("/post"))
        assert [json.loads(one.body) for one in target.requests] == [
            {"recordId": 1},
            {"recordId": 2},
        ]
        assert target.requests[0].header("Authorization") == "Bearer a-token-for-the-post"
    (shown,) = [json.loads(text) for language, text in HOWTO if language == "json"]
    assert answer.keys() == shown.keys()
    assert {
        key: answer[key] for key in ("message", "processed", "pending", "failed", "status")
    } == {key: shown[key] for key in ("message", "processed", "pending", "failed", "status")}
    measured = {"seconds": shown["results"][0]["seconds"]}
    assert answer["results"][0] | measured == shown["results"][0]
    assert answer["results"][1].keys() == shown["results"][1].keys()


def test_the_batch_size_is_refused_when_the_project_starts(process, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    with pytest.raises(json.JSONDecodeError) as ended:
        answer_of_the_project(process, folder, "http://127.0.0.1:9/", POST_BATCH_SIZE="many")
    assert "POST_BATCH_SIZE is 'many'" in ended.value.doc


def test_the_example_takes_ten_lines():
    tree = ast.parse(code("letters/jobs.py"))
    lines = sum(
        (node.end_lineno or 0) - node.lineno + 1
        for node in tree.body
        if not isinstance(node, ast.Import | ast.ImportFrom)
    )
    assert lines <= 10
