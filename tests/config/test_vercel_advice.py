"""What loads, but would differ on Vercel, is warned of; nothing else is."""

from __future__ import annotations

import json
import time

import pytest

from cronbell.config.advice import compile_source
from cronbell.config.loader import check_files

DAILY = "0 5 * * *"


@pytest.fixture
def warn(tmp_path):
    def run(path="/api/x", plan="", **others):
        file = tmp_path / "vercel.json"
        others.setdefault("crons", [{"path": path, "schedule": DAILY}])
        file.write_text(json.dumps(others))
        errors, warnings, jobs = check_files(file, None, plan=plan)
        assert errors == []
        assert jobs
        return warnings

    return run


def test_the_hundred_and_first_entry_is_warned_of(warn):
    crons = [{"path": f"/{n}", "schedule": DAILY} for n in range(101)]
    assert [fault.key for fault in warn(crons=crons)] == ["crons[100]"]
    assert warn(crons=crons[:100]) == []


def test_a_path_and_schedule_given_twice_is_warned_of_also_across_the_two_lists(warn):
    entry = {"path": "/x", "schedule": DAILY}
    assert [fault.key for fault in warn(crons=[entry, entry])] == ["crons[1]"]
    assert [fault.key for fault in warn(crons=[entry], schedules=[entry])] == ["schedules[0]"]
    named = {**entry, "name": "own"}
    assert [fault.key for fault in warn(crons=[entry], schedules=[named])] == ["schedules[0]"]
    assert warn(crons=[entry], schedules=[{**entry, "timezone": "Asia/Seoul"}]) == []


@pytest.mark.parametrize(
    ("slash", "path", "warned"),
    [
        (True, "/api/x", True), (True, "/api/x?a=/", True), (True, "/api/x/", False),
        (True, "/", False), (True, "/run.php", False), (True, "/.well-known/x", False),
        (False, "/api/x/", True), (False, "/api/x/?a", True), (False, "/api/x", False),
        (False, "/", False), (None, "/api/x/", False), ("yes", "/api/x", False),
    ],
)  # fmt: skip
def test_a_slash_that_vercel_redirects_is_warned_of(warn, slash, path, warned):
    warnings = warn(path, trailingSlash=slash)
    assert [fault.key for fault in warnings] == ["crons[0].path"] * warned
    assert all("redirect" in fault.message and fault.hint for fault in warnings)


@pytest.mark.parametrize(
    ("source", "path", "warned"),
    [
        ("/api/x", "/api/x", True), ("/api/x", "/api/x?q=1", True), ("/api/y", "/api/x", False),
        ("/api/:name", "/api/x", True), ("/api/:name", "/api/x/y", False),
        ("/api/:rest*", "/api/x/y", True), ("/api/:rest*", "/api", True),
        ("/api/:rest+", "/api", False), ("/api/:rest+", "/api/x", True),
        ("/api/:name?", "/api", True), ("/(.*)", "/api/x", True),
        ("/api/:id(\\d+)", "/api/12", True), ("/api/:id(\\d+)", "/api/x", False),
        ("/:a(api|web)/x", "/api/x", True), ("/:a(api|web)/x", "/app/x", False),
        ("/api/x.y", "/api/xzy", False), ("/a\\(b", "/a(b", True),
        ("https://e.example/x", "/x", False), (5, "/x", False), ("/(((", "/x", False),
        ("/:id([z-a]+)", "/x", False), ("/{x}", "/x", False),
    ],
)  # fmt: skip
def test_a_path_that_a_redirect_catches_is_warned_of(warn, source, path, warned):
    warnings = warn(path, redirects=[{"source": source, "destination": "/"}, None])
    assert [fault.key for fault in warnings] == ["crons[0].path"] * warned


def test_a_redirect_under_conditions_is_said_to_be_one(warn):
    rule = {"source": "/api/x", "destination": "/", "has": [{"type": "host", "value": "e"}]}
    assert "under its conditions" in warn(redirects=[rule])[0].message
    for odd in (None, {}, 5, "x"):
        assert warn(redirects=odd) == []


@pytest.mark.parametrize("source", ["/((a+)+)", "/(a|a)*b", "/:x((?:a+)+)", "/" + "(.*)" * 9])
def test_a_rule_that_could_keep_the_matcher_busy_is_not_judged(source):
    assert compile_source(source) is None


def test_many_redirects_are_judged_in_time(warn):
    rules = [{"source": "/(.*)x(.*)y", "destination": "/"}] * 2048
    started = time.process_time()
    crons = [{"path": f"/{'x' * 200}{n}", "schedule": DAILY} for n in range(20)]
    assert warn(crons=crons, redirects=rules) == []
    assert time.process_time() - started < 5


def test_hobby_is_about_crons_more_often_than_daily(warn):
    crons = [
        {"path": f"/{n}", "schedule": schedule}
        for n, schedule in enumerate(["0 0,12 * * *", "*/5 * * * *", "0 0 * * 1", "59 23 1 * *"])
    ]
    warnings = warn(crons=crons, plan="hobby")
    assert [fault.key for fault in warnings] == ["crons[0].schedule", "crons[1].schedule"]
    assert warn(crons=crons, plan="pro") == []
