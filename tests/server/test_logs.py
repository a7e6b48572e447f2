"""Log lines: one event a line, what it is about, and no secret in whatever slot it stands."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
from urllib.parse import quote

import pytest

from cronbell import logs
from cronbell.config import rotation
from cronbell.config.rotation import FOLDER_VARIABLE
from cronbell.errors import StartError
from cronbell.logs import JsonLines, Lines, about
from cronbell.redaction import MASK, Redactor

KNOWN = "canary-of-the-environment-7f3a"
PLACED = "Zx9canaryNobodyKnows0042"
ODD = 'quo"te\\and\x27more-secret'
ENV = {
    "CRON_SECRET": KNOWN,
    "OPENAI_API_KEY": "another-canary-of-a-key",
    "DATABASE_URL": "postgresql://someone:p%40ss-canary-word@db.example:5432/name",
    "SERVICE_TOKEN": ODD,
    "PATH": "/usr/bin:/bin",
    "SHORT_TOKEN": "abc",
    "WEBHOOK_SECRET_FILE": "/etc/cronbell/webhook",
}
SLOTS = [
    "Authorization: Bearer {}",
    "authorization: bearer {}",
    "('Authorization', 'Bearer {}')",
    "(b'authorization', b'Bearer {}')",
    "{{'Authorization': 'Basic {}'}}",
    "{{'authorization': '{}'}}",
    "Proxy-Authorization: Digest {}",
    "Cookie: sessionid={}; other=1",
    "set-cookie: sessionid={}; HttpOnly",
    "GET https://user:{}@host.example/path failed",
    "redis://:{}@host.example/0",
    "GET https://host.example/path?token={}&page=2",
    "https://host.example/?a=1&api_key={}#end",
    "https://host.example/?access_token={}",
    "https://hooks.example/x?sig={}",
    "connection to host=db password={} dbname=x failed",
    "password='{}'",
    '{{"password": "{}", "user": "x"}}',
    "{{'client_secret': '{}'}}",
    "POST /ping/{}/start",
    "http://127.0.0.1:8000/ping/{}",
    "whsec_{}",
    "Incorrect API key provided: sk-{}",
]


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.getLogger("test").makeRecord(
        "test", logging.WARNING, __file__, 1, message, args, None, extra=extra
    )
    made.created = 1_795_000_000.25
    return made


def raised(error: BaseException) -> logging.LogRecord:
    try:
        raise error  # noqa: TRY301 - to have its traceback
    except BaseException:  # noqa: BLE001 - to have its traceback
        info = sys.exc_info()
    return logging.getLogger("test").makeRecord(
        "test", logging.ERROR, __file__, 1, "it failed", (), info
    )


FORMATTERS = pytest.mark.parametrize("kind", [Lines, JsonLines])


@FORMATTERS
@pytest.mark.parametrize("slot", SLOTS)
def test_a_secret_nobody_told_about_is_masked_where_secrets_stand(slot, kind):
    made = kind(Redactor({}))
    text = slot.format(PLACED)
    for shown in (
        made.format(record(text)),
        made.format(record("%s", text)),
        made.format(record("x", key=text)),
        made.format(raised(ValueError(text))),
    ):
        assert PLACED not in shown
        assert MASK in shown


@FORMATTERS
@pytest.mark.parametrize("name", ["CRON_SECRET", "OPENAI_API_KEY", "SERVICE_TOKEN"])
def test_a_known_secret_is_masked_wherever_it_stands(name, kind):
    made, value = kind(Redactor(ENV)), ENV[name]
    for text in (value, f"x{value}y", f"it was {value!r}", quote(value, safe=""), f"a\n{value}\nb"):
        for shown in (
            made.format(record("say " + text.replace("%", "%%"), job=text, reason=text)),
            made.format(raised(RuntimeError(text))),
            made.format(record("%s", {"deep": [text]})),
        ):
            assert value not in shown
            assert json.dumps(value)[1:-1] not in shown
            assert quote(value, safe="") not in shown


@FORMATTERS
def test_a_databases_password_is_masked_in_both_spellings(kind):
    made = kind(Redactor(ENV))
    shown = made.format(record("%s", "login of p@ss-canary-word or p%40ss-canary-word failed"))
    assert "canary-word" not in shown
    assert "db.example" in made.format(record("no route to db.example"))


@FORMATTERS
def test_sabotage_without_the_redactor_the_canaries_show(kind):
    made = kind(lambda text: text)
    assert KNOWN in made.format(record(KNOWN))
    assert PLACED in made.format(raised(ValueError(SLOTS[0].format(PLACED))))


def test_ordinary_words_stay():
    redact = Redactor(ENV)
    for text in (
        "CRON_SECRET: the secret has fewer than 16 characters",
        "3 tokens were used, 1,024 tokens are left",
        "the bearer of this",
        "https://host.example/path?page=2&sort=key",
        "update-rankings: 1,000 ideas",
        "key=cb1-0123456789abcdef run=7",
        "abc /usr/bin",
        "/etc/cronbell/webhook is empty",
    ):
        assert redact(text) == text


def test_a_secret_that_is_being_rotated_is_known_at_once(tmp_path):
    current = tmp_path / rotation.CURRENT
    current.touch(mode=0o600)
    current.write_text(KNOWN + "\n")
    redact = Redactor({FOLDER_VARIABLE: str(tmp_path)})
    assert redact(f"x {KNOWN} in {tmp_path}") == f"x {MASK} in {tmp_path}"
    rotation.start(tmp_path)
    new = rotation.next_secret(tmp_path)
    assert redact(f"{new} {KNOWN}") == f"{MASK} {MASK}"
    rotation.switch(tmp_path)
    rotation.forget_previous(tmp_path)
    assert redact(f"{new} {KNOWN}") == f"{MASK} {MASK}"


def test_json_is_one_object_a_line_whatever_is_said():
    made = JsonLines(Redactor({}))
    for each in (
        record("two\nlines\r\n\u2028and\x00 more \ud800"),
        raised(ValueError("a\nb")),
        record("%d", "no number"),
        record(
            "called", event="call", job="한국어", run=7, key="k", seconds=0.25, http_status=None
        ),
    ):
        line = made.format(each)
        assert len(line.splitlines()) == 1
        line.encode()
        found = json.loads(line)
        assert {"at", "level", "logger", "message"} <= set(found)
    assert found["at"] == "2026-11-18T11:06:40.250000Z"
    assert (found["event"], found["job"], found["run"], found["seconds"]) == (
        "call", "한국어", 7, 0.25,
    )  # fmt: skip
    assert "ValueError: a" in json.loads(made.format(raised(ValueError("a"))))["exception"]


def test_no_line_of_text_can_pass_for_another_record():
    made = Lines(Redactor({}))
    forged = "2026-11-22T00:00:00Z ERROR cronbell.engine forged"
    shown = made.format(record("%s", f"x\n{forged}\r{forged}\u2028{forged}\x85{forged}\x1b[31m"))
    first, *others = shown.splitlines()
    assert first.endswith("x")
    assert others
    assert all(line.startswith("    ") for line in others)
    assert "\x1b" not in shown


def test_text_says_what_it_is_about():
    made = Lines(Redactor({}))
    shown = made.format(record("called", event="call", job="a job", run=7, key="k", seconds=0.5))
    assert shown.endswith('WARNING test called event=call job="a job" run=7 key=k seconds=0.5')


def test_a_very_long_text_is_cut_after_its_secrets_are_out():
    made = JsonLines(Redactor(ENV))
    filler = "x" * (logs.MOST_CHARACTERS - 10)
    shown = made.format(record("%s", filler + KNOWN))
    assert KNOWN[:10] not in shown
    assert len(shown) < logs.MOST_CHARACTERS + 500


def test_threads_and_tasks_each_have_their_own_context():
    found: dict[str, dict] = {}

    def work(name: str) -> None:
        with about(name, 1, f"key-{name}"):
            found[name] = logs.fields_of(record("x"))

    async def task(name: str) -> None:
        with about(name, 2, f"key-{name}"):
            await asyncio.sleep(0)  # noqa: TID251 - lets the other task run
            found[name] = logs.fields_of(record("x"))

    async def both() -> None:
        await asyncio.gather(task("c"), task("d"))

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(both())
    assert {name: one["key"] for name, one in found.items()} == {n: f"key-{n}" for n in "abcd"}
    assert logs.fields_of(record("x")) == {}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CRONBELL_LOG_FORMAT", "xml"),
        ("CRONBELL_LOG_LEVEL", "loud"),
        ("CRONBELL_LOG_CALLS", "some"),
    ],
)
def test_an_impossible_choice_is_refused_with_the_possible_ones(variable, value, monkeypatch):
    monkeypatch.setenv(variable, value)
    with pytest.raises(StartError) as refused:
        logs.configuration()
    assert variable in refused.value.message
    assert refused.value.hint


def test_which_calls_are_told(monkeypatch):
    levels = {}
    for choice in ("", "failed", "ALL", "none"):
        monkeypatch.setenv("CRONBELL_LOG_CALLS", choice)
        levels[choice] = logs.configuration()["loggers"]["cronbell.calls"]["level"]
    assert levels == {"": "WARNING", "failed": "WARNING", "ALL": "INFO", "none": "CRITICAL"}


@pytest.mark.parametrize("place", ["main", "thread"])
def test_what_nobody_caught_is_an_event_without_the_secret(place):
    program = f"""
import logging.config, threading
from cronbell import logs
logging.config.dictConfig(logs.configuration())
logs.catch_uncaught()
def fail():
    raise ValueError("Bearer {KNOWN} and password={PLACED}")
if {place == "thread"}:
    thread = threading.Thread(target=fail); thread.start(); thread.join()
else:
    fail()
"""
    env = {"CRONBELL_LOG_FORMAT": "json", "PYTHONPATH": ":".join(sys.path), "CRON_SECRET": KNOWN}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False
    )
    (line,) = done.stderr.splitlines()
    found = json.loads(line)
    assert found["level"] == "CRITICAL"
    assert "ValueError" in found["exception"]
    assert KNOWN not in done.stderr
    assert PLACED not in done.stderr
