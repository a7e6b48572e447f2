"""``/admin/settings``: versions, the configuration in force, what the runners are doing."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from tests.dashboard.conftest import START, spec

import cronbell
from cronbell.clock import SYSTEM_CLOCK
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Runner
from cronbell.runlog.pausing import pause
from cronbell.schedule import tzdata_version

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])


def text_of(answer) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def test_before_the_first_runner_it_says_so(admin):
    text = text_of(admin.get("/admin/settings"))
    assert "None yet: the first runner brings it into force." in text
    assert "None has been seen yet." in text


def test_what_is_in_force_and_which_versions(admin, runner):
    sync_jobs([spec("a"), spec("b"), spec("c")], START, target="http://127.0.0.1:3000")
    sync_jobs([spec("a"), spec("b", enabled=False)], START, applied_by="vercel.json")
    pause("a", reason="x", actor="kim")
    text = text_of(admin.get("/admin/settings"))
    for words in (
        "http://127.0.0.1:3000", "vercel.json", "1 paused", "1 disabled", "1 removed",
        cronbell.__version__, tzdata_version(),
    ):  # fmt: skip
        assert words in text
    assert "The files and what is in force agree" in text


def test_a_file_that_was_not_taken_over_is_not_said_to_agree(admin, jobs, runner):
    Runner.objects.update(config_fault="cronbell.toml: line 3")
    text = text_of(admin.get("/admin/settings"))
    assert "A changed file was not taken over" in text
    assert "agree" not in text


def test_runners_are_alive_stopped_or_lost(admin, runner):
    now = SYSTEM_CLOCK.now()
    old = {"host": "h", "pid": 2, "version": "0", "started_at": now - timedelta(days=1)}
    Runner.objects.create(id="s", seen_at=now, stopped_at=now, **old)
    Runner.objects.create(id="l", seen_at=now - timedelta(minutes=7), **old)
    text = text_of(admin.get("/admin/settings"))
    assert re.search(r"alive .* stopped .* lost 7 min ago", text)


def test_what_runs_and_what_waits(admin, runner, make_run):
    now = SYSTEM_CLOCK.now()
    make_run(
        status="running", started_at=now - timedelta(minutes=4), progress_done=1200,
        progress_total=5000,
    )  # fmt: skip
    make_run("clean-data", "pending", started_at=None, available_at=now)
    make_run("clean-data", "pending", started_at=None, available_at=now, waits=True)
    make_run("digest", "pending", started_at=None, available_at=now + timedelta(hours=1))
    answer = admin.get("/admin/settings", headers={"HX-Request": "true", "HX-Target": "runners"})
    text = text_of(answer)
    assert b"<html" not in answer.content
    assert "Running 1" in text
    assert "Waiting for a runner 1" in text
    assert "Waiting for their moment 2" in text
    assert "for 4 min · 1,200 / 5,000" in text
    assert "Nothing is running" not in text


@pytest.mark.skipif("config.getoption('--store-dependent')", reason="an address of one store")
def test_no_password_of_a_database_is_shown(admin, settings, jobs):
    from django.db import connections

    passwords = {str(one.settings_dict.get("PASSWORD") or "") for one in connections.all()} - {""}
    page = admin.get("/admin/settings").content.decode()
    assert not [password for password in passwords if password in page]


def test_how_it_is_watched_is_shown_and_the_token_is_not(admin, runner, settings, monkeypatch):
    text = text_of(admin.get("/admin/settings"))
    assert "signed in only, CRONBELL_METRICS_TOKEN is not set" in text
    assert "Log format text Calls in the log failed Traces off" in text
    settings.CRONBELL_METRICS_TOKEN = "a-token-for-prometheus"
    monkeypatch.setenv("CRONBELL_LOG_FORMAT", "JSON")
    monkeypatch.setenv("CRONBELL_TRACES", "1")
    answer = admin.get("/admin/settings")
    assert "with the token, or signed in Log format json" in text_of(answer)
    assert "Traces on" in text_of(answer)
    assert b"a-token-for-prometheus" not in answer.content
