"""The repository on Vercel: what its builder reads, and the application as its runtime calls it.

Nothing here talks to Vercel. Its rules are those of @vercel/python as published in 2026: the
entrypoint is a path from the project's root, which is imported with the root as current folder
and the installed packages on ``sys.path``; the disk is read-only but for the temporary folder.
"""

from __future__ import annotations

import ast
import json
import sys
import tomllib
from datetime import time

import psycopg
import pytest
from tests.deploy.conftest import BIN
from tests.support import source

from cronbell.clock import from_micros
from cronbell.domain import fire_key

VERCEL_JSON = json.loads(source.text(source.ROOT / "vercel.json"))
ENTRYPOINT = tomllib.loads(source.text(source.ROOT / "pyproject.toml"))["tool"]["vercel"][
    "entrypoint"
]
MODULE, _, VARIABLE = ENTRYPOINT.partition(":")
FILE = MODULE.replace(".", "/") + ".py"
SECRET = "a-secret-of-the-vercel-tests"
PATH, SCHEDULE = "/api/cron/update-rankings", "0 0 * * *"
SETTINGS = {
    "CRON_SECRET": SECRET,
    "SERVICE_TOKEN": "a-token-of-the-vercel-tests",
    "DJANGO_SECRET_KEY": "a-key-that-signs-only-in-tests",
    "CRONBELL_PING_SECRET": "a-ping-key-of-the-vercel-tests",
    "VERCEL": "1",
    "VERCEL_URL": "ideas-1a2b3c.vercel.app",
    "VERCEL_PROJECT_PRODUCTION_URL": "ideas.vercel.app",
}
CALLS = """
import importlib, io, json, sys
from wsgiref.util import setup_testing_defaults
application = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])
for call in json.loads(sys.argv[3]):
    environ = {"PATH_INFO": call["path"], "HTTP_HOST": call["host"], "wsgi.input": io.BytesIO(),
               "HTTP_X_FORWARDED_PROTO": "https", **call["headers"]}
    setup_testing_defaults(environ)
    seen = {}
    def start(status, headers, *_):
        seen.update(status=int(status.split()[0]), headers=dict(headers))
    answer = application(environ, start)
    seen["body"] = b"".join(answer).decode(errors="replace")[:2000]
    answer.close()
    print("ANSWER " + json.dumps(seen), flush=True)
"""


def call(path: str, *, host: str = "ideas.vercel.app", secret: str = SECRET) -> dict:
    headers = {
        "HTTP_USER_AGENT": "vercel-cron/1.0",
        "HTTP_X_VERCEL_CRON_SCHEDULE": SCHEDULE,
        "HTTP_AUTHORIZATION": f"Bearer {secret}",
    }
    return {"path": path, "host": host, "headers": headers if path == PATH else {}}


def answers(process, calls: list[dict], **environment: str) -> list[dict]:
    """Import the entrypoint as the runtime does, in a process of its own, and call it."""
    run = process(
        sys.executable, "-c", CALLS, MODULE, VARIABLE, json.dumps(calls),
        cwd=source.ROOT,
        env=SETTINGS | {"CRONBELL_DATA": "", "PYTHONDONTWRITEBYTECODE": "1", **environment},
    )  # fmt: skip
    run.wait(60)
    found = [line for line in run.output().splitlines() if line.startswith("ANSWER ")]
    assert len(found) == len(calls), run.output()
    return [json.loads(line.removeprefix("ANSWER ")) for line in found]


def test_the_entrypoint_is_where_the_builder_looks_and_its_duration_is_meant_for_it():
    assert (source.ROOT / FILE).is_file()
    assigned = {
        target.id
        for node in source.tree(source.ROOT / FILE).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert VARIABLE in assigned, "the builder looks for it in the syntax tree"
    assert list(VERCEL_JSON["functions"]) == [FILE]
    assert "builds" not in VERCEL_JSON


def test_the_function_may_take_as_long_as_its_longest_job_and_is_not_cut_by_what_it_leaves_out():
    import ideasgpt.ideas.jobs
    import ideasgpt.verification.jobs  # noqa: F401
    from cronbell.endpoint.registry import REGISTRY

    function = VERCEL_JSON["functions"][FILE]
    ours = [job for job in REGISTRY if job.function.__module__.startswith("ideasgpt.")]
    assert len(ours) == len(VERCEL_JSON["crons"])
    assert function["maxDuration"] >= max(job.max_duration for job in ours)
    left_out = function["excludeFiles"].removeprefix("{").removesuffix("}/**").split(",")
    assert all((source.ROOT / folder).is_dir() for folder in left_out)
    assert "src" not in left_out


@pytest.mark.any_store
def test_vercel_s_own_cron_runs_a_job_once_and_the_run_log_has_it(process, postgres_url: str):
    environment = {"DATABASE_URL": postgres_url}
    prepared = process(BIN / "ideasgpt", "prepare", env=SETTINGS | environment | {"VERCEL": ""})
    assert prepared.wait(60) == 0, prepared.output()
    assert "PostgreSQL" in prepared.output()
    calls = [call(PATH), call(PATH), call(PATH, secret="another-secret-of-16"), call("/")]
    calls += [call("/admin/login", host="ideas-1a2b3c.vercel.app"), call("/", host="evil.example")]
    first, again, refused, page, sign_in, other_host = answers(process, calls, **environment)
    assert first["status"] == 200, first
    assert json.loads(first["body"])["success"] is True
    assert again["headers"]["Idempotency-Replayed"] == "true"
    assert (refused["status"], json.loads(refused["body"])) == (401, {"error": "Unauthorized"})
    assert (page["status"], sign_in["status"], other_host["status"]) == (200, 200, 400)
    assert "Secure" in sign_in["headers"]["Set-Cookie"]
    with psycopg.connect(postgres_url) as store:
        ((name, kind, status, key, due),) = store.execute(
            "SELECT job.name, run.kind, run.status, run.key, run.scheduled_at"
            " FROM runlog_run run JOIN runlog_job job ON job.id = run.job_id"
        ).fetchall()
    assert (name, kind, status) == ("update-rankings", "schedule", "success")
    # The very key a runner would send for this fire: whoever calls next, it has run.
    assert key == fire_key(PATH, SCHEDULE, from_micros(due))
    assert from_micros(due).time() == time(0, 0)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("DATABASE_URL", "DATABASE_URL is not set, and no file lasts on Vercel"),
        ("DJANGO_SECRET_KEY", "DJANGO_SECRET_KEY is not set, and no file that could hold one"),
    ],
)
def test_what_is_not_set_on_vercel_is_said_at_the_start(process, missing: str, said: str):
    environment = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", missing: ""}
    with pytest.raises(AssertionError, match=said):
        answers(process, [call("/")], **environment)
