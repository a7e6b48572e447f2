"""Secrets with a name in every slot; everything is driven, and then every place is searched (C07).

A secret that leaks does so where nobody thought of it, so nothing here knows where to look: the
databases' bytes, all output, every page and answer, exports, names of files and command lines of
processes are searched for each canary, plain, reversed, in Base64 and in hexadecimal.
"""

from __future__ import annotations

import base64
import contextlib
import http.cookiejar
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from tests.flow.conftest import CRONBELL, IDEAS_SETTINGS
from tests.ideasgpt import model_server

from cronbell.testing import ScriptedTarget, answers

CANARIES = {
    name: f"canary-{name.lower().replace('_', '-')}-7d1f"
    for name in (
        "CRON_SECRET", "CRON_SECRET_PREVIOUS", "DJANGO_SECRET_KEY", "SERVICE_TOKEN",
        "OPENAI_API_KEY", "DATABASE_PASSWORD", "WRONG_BEARER", "WRONG_PASSWORD", "LOCATION_QUERY",
        "COOKIE", "API_QUERY",
    )
}  # fmt: skip
IN_ENVIRONMENT = (
    "CRON_SECRET", "CRON_SECRET_PREVIOUS", "DJANGO_SECRET_KEY", "SERVICE_TOKEN", "OPENAI_API_KEY",
)  # fmt: skip
# Written by somebody into a job's address: part of its definition, and shown nowhere.
IN_ADDRESSES = {
    "ADDRESS_TOKEN": "canary-address-token-7d1f",
    "ADDRESS_SIG": "canary-address-sig-7d1f",
}
# Whoever can read these has the definition itself.
DEFINED_IN = re.compile(
    r"bytes of (cronbell\.toml|\.cronbell/runlog\.sqlite3.*|saved.*)|rows of runlog_job(version)?"
    r"|cronbell export (crontab|kubernetes)"
)
TOML = """
allowed_hosts = ["{target}"]
[jobs]
echoes = {{ url = "http://{target}/echo", every = "1d" }}
breaks = {{ url = "http://{target}/breaks", every = "1d" }}
moved = {{ url = "http://{target}/moved", every = "1d" }}
gone = {{ url = "http://{target}/hangs-up", every = "1d" }}
carries = {{ url = "http://{target}/quiet?region=eu&token={token}&X-Sig={sig}", every = "1d" }}
beats = {{ heartbeat = true, every = "1d" }}
[jobs.ranks]
path = "/api/cron/update-rankings"
every = "1d"
[jobs.thinks]
path = "/api/cron/generate-ideas"
every = "1d"
[jobs.verifies]
path = "/api/cron/verify-records"
every = "1d"
"""
JOBS = ("carries", "echoes", "breaks", "moved", "gone", "ranks", "thinks", "verifies")
PAGES = (
    "/admin/", "/admin/cron-logs", "/admin/jobs", "/admin/settings", "/admin/records", "/admin/why",
    "/admin/run-now?job=carries", "/admin/data/runlog/job/",
    "/admin/why?job=carries&at=12:00",
    "/admin/ping-url?job=beats", "/admin/run-now?job=echoes", "/admin/data/",
    "/admin/data/runlog/run/", "/admin/data/receipts/receipt/", "/api/admin/cron-logs?limit=200",
    "/api/admin/openapi.json", "/api/admin/drains", "/api/admin/cron-logs?limit=x", "/nowhere",
)  # fmt: skip
COMMANDS = (
    "check --json", "check", "plan", "plan --json", "jobs --json", "jobs", "runs --json",
    "doctor", "pings", "export crontab", "export kubernetes",
)  # fmt: skip


def worn(secret: str) -> set[bytes]:
    """Return the forms in which a secret may lie about: also inside of something longer."""
    plain = secret.encode()
    forms = {plain, plain[::-1], plain.hex().encode()}
    for before in range(3):  # where it begins within a group of three decides what Base64 writes
        coded = base64.b64encode(b"x" * before + plain)
        forms.add(coded[4 if before else 0 : -4])
    return forms


class Found:
    """Everything that was seen, to be searched."""

    def __init__(self) -> None:
        self.places: dict[str, bytes] = {}

    def add(self, place: str, content: bytes | str) -> None:
        self.places[place] = content if isinstance(content, bytes) else content.encode()

    def leaks(self, secrets: dict[str, str]) -> list[tuple[str, str]]:
        return [
            (name, place)
            for name, secret in secrets.items()
            for place, content in self.places.items()
            if any(form in content for form in worn(secret))
        ]


class Browser:
    """Keeps cookies, and whatever it is shown."""

    def __init__(self, base: str, found: Found) -> None:
        self.base, self.found, self.status = base, found, 0
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def ask(self, path: str, data: dict[str, str] | None = None, **headers: str) -> str:
        body = urllib.parse.urlencode(data).encode() if data is not None else None
        return self._ask(path, body, headers)

    def run(self, job: str) -> int:
        """Ask for a run, wait for its end, return the answer's status."""
        token = next(cookie.value for cookie in self.jar if cookie.name == "csrftoken")
        headers = {"Content-Type": "application/json", "X-CSRFToken": token or ""}
        body = json.dumps({"jobName": job}).encode()
        self._ask("/api/admin/run-cron-job", body, headers, place=f"run {job}")
        return self.status

    def _ask(
        self, path: str, body: bytes | None, headers: dict[str, str], *, place: str = ""
    ) -> str:
        request = urllib.request.Request(
            self.base + path, data=body, headers={"Referer": self.base, **headers}
        )
        with contextlib.closing(self._open(request)) as answer:
            text = answer.read().decode()
            self.status = answer.status
        self.found.add(place or f"{request.get_method()} {path}", str(answer.headers) + text)
        return text

    def _open(self, request: urllib.request.Request):
        try:
            return self.opener.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            return error

    def sign_in(self, password: str) -> None:
        form = self.ask("/admin/login")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert token
        self.ask(
            "/admin/login",
            {"username": "admin", "password": password, "csrfmiddlewaretoken": token[1]},
        )


@pytest.fixture
def elsewhere() -> Iterator[ScriptedTarget]:
    """Endpoints and a model that repeat what they were sent, as debug pages do."""
    with ScriptedTarget(default=answers.json_answer({"success": True})) as target:
        secret = CANARIES["CRON_SECRET"]
        told = {"success": True, "message": f"called with Bearer {secret}", "headers": [secret]}
        target.script("/echo", answers.json_answer(told))
        target.script("/breaks", answers.json_answer({"error": f"Bearer {secret}"}, 500))
        target.script("/moved", answers.redirect(f"/in?token={CANARIES['LOCATION_QUERY']}"))
        cookie = ("Set-Cookie", f"session={CANARIES['COOKIE']}")
        target.script("/hangs-up", answers.answer(500, b"no", headers=[cookie]))
        refused = f"Incorrect API key provided: {CANARIES['OPENAI_API_KEY']}"
        target.script(model_server.CHAT, model_server.failure(401, refused))
        yield target


def test_no_secret_is_anywhere_but_where_it_belongs(up_at_first, elsewhere, tmp_path):
    """C07: canaries in every slot, all flows driven, everything searched."""
    service = up_at_first(
        files={"cronbell.toml": configuration(elsewhere)},
        settings=IDEAS_SETTINGS,
        env={
            **{name: CANARIES[name] for name in IN_ENVIRONMENT},
            "OPENAI_BASE_URL": f"{elsewhere.base_url}/v1",
            "VERIFY_BATCH_SIZE": "1",
            "IDEASGPT_SAMPLE": "1",
            "CRONBELL_LOG_LEVEL": "DEBUG",
        },
    )
    found = Found()

    drive(service, found, elsewhere)
    look_around(service, found, tmp_path)

    assert {request.header("Authorization") for request in elsewhere.requests_to("/echo")} == {
        f"Bearer {CANARIES['CRON_SECRET']}"
    }
    assert len(found.places) > 40
    assert found.leaks(CANARIES) == []
    leaks = found.leaks(IN_ADDRESSES)
    assert [place for _name, place in leaks if not DEFINED_IN.fullmatch(place)] == []
    assert {name for name, _place in leaks} == set(IN_ADDRESSES), (
        "the search is for the right thing"
    )
    (called,) = elsewhere.requests_to("/quiet")
    assert all(secret in called.path for secret in IN_ADDRESSES.values()), (
        "and it is what is called"
    )
    # The password is printed once, for the person who starts it, and nowhere else.
    assert found.leaks({"password": service.password}) == [("password", "output of up")]
    assert found.places["output of up"].count(service.password.encode()) == 1


def configuration(elsewhere: ScriptedTarget) -> str:
    return TOML.format(
        target=elsewhere.base_url.removeprefix("http://"),
        token=IN_ADDRESSES["ADDRESS_TOKEN"],
        sig=IN_ADDRESSES["ADDRESS_SIG"],
    )


def drive(service, found: Found, elsewhere: ScriptedTarget) -> None:
    """Run everything that handles a secret: calls that work and fail, pages, API, commands."""
    stranger = Browser(service.base, found)
    bearer = f"Bearer {CANARIES['WRONG_BEARER']}"
    stranger.ask("/api/cron/update-rankings", Authorization=bearer)
    stranger.ask("/api/admin/cron-logs", Authorization=bearer)
    stranger.ask(f"/api/admin/cron-logs?token={CANARIES['API_QUERY']}")
    stranger.ask("/api/admin/records", {"recordId": "1"}, Authorization=bearer)
    stranger.sign_in(CANARIES["WRONG_PASSWORD"])
    # What somebody is given back is what they sent; the rest of the world is searched for it.
    del found.places["POST /admin/login"]

    person = Browser(service.base, found)
    person.sign_in(service.password)
    ends = {job: person.run(job) for job in JOBS}
    assert ends == dict.fromkeys(JOBS, 500) | {
        "carries": 200,
        "echoes": 200,
        "ranks": 200,
        "verifies": 200,
    }
    assert elsewhere.requests_to(model_server.CHAT), "the model was asked"
    for page in PAGES:
        shown = person.ask(page)
        if page == "/admin/cron-logs":
            assert "echoes" in shown, "signed in"
    ids = service.query("runlog.sqlite3", "SELECT id FROM runlog_run")
    assert ids
    for (number,) in ids:
        person.ask(f"/admin/runs/{number}")
    for number, name in service.query("runlog.sqlite3", "SELECT id, name FROM runlog_job"):
        page = person.ask(f"/admin/jobs/{number}")
        stock = person.ask(f"/admin/data/runlog/job/{number}/change/")
        if name == "carries":
            assert "/quiet?region=eu&amp;token=[secret]&amp;X-Sig=[secret]" in page
            assert "/quiet?region=eu&amp;token=[secret]&amp;X-Sig=[secret]" in stock
    person.ask("/api/cron/update-rankings", Authorization=f"Bearer {CANARIES['CRON_SECRET']}")


def look_around(service, found: Found, tmp_path: Path) -> None:
    """Gather what commands print, what lies on the disk, and how processes are named."""
    for command in COMMANDS:
        done = service.start(CRONBELL, *command.split(), cwd=service.folder, env=service.env)
        done.wait(60)
        found.add(f"cronbell {command}", done.output())
    saved = tmp_path / "saved"
    if not service.database_url:
        saving = service.start(CRONBELL, "backup", saved, cwd=service.folder, env=service.env)
        assert saving.wait(60) == 0, saving.output()
        found.add("output of backup", saving.output())
        # The backup holds the data directory; what may not be in there is searched for below.
    away = {
        **service.env,
        "DATABASE_URL": f"postgresql://me:{CANARIES['DATABASE_PASSWORD']}@[::1]:9/x",
    }
    for command in ("doctor", "up"):
        failing = service.start(CRONBELL, command, cwd=service.folder, env=away)
        assert failing.wait(60) != 0
        found.add(f"cronbell {command} without its database", failing.output())
    found.add("output of up", service.process.output())
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.add(f"command line {process.name}", (process / "cmdline").read_bytes())
    for path in service.folder.rglob("*"):
        found.add(f"name of {path.name}", str(path))
        if path.is_file():
            found.add(f"bytes of {path.relative_to(service.folder)}", path.read_bytes())
    for table, rows in rows_of(service.database_url):
        found.add(f"rows of {table}", rows)


def rows_of(url: str) -> Iterator[tuple[str, str]]:
    """Yield each table of a PostgreSQL as text; on SQLite the files' bytes were searched."""
    if not url:
        return
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        for (table,) in tables:
            rows = connection.execute(
                sql.SQL("SELECT one::text FROM {} AS one").format(sql.Identifier(table))
            ).fetchall()
            yield table, "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("inside", ["{}", "Authorization: Bearer {}", "a{}b", "ab{}", "x{}yz"])
def test_sabotage_a_secret_is_found_in_whatever_it_wears(inside):
    """The search itself: plain, reversed, in hexadecimal and in Base64 at each offset."""
    text = inside.format(CANARIES["CRON_SECRET"]).encode()
    for place in (text, text[::-1], text.hex().encode(), base64.b64encode(text)):
        found = Found()
        found.add("somewhere", b"before " + place + b" after")
        assert ("CRON_SECRET", "somewhere") in found.leaks(CANARIES)
