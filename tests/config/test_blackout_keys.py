"""``blackout`` in ``cronbell.toml``: what it takes, what it refuses, what exports say of it."""

from __future__ import annotations

import json

import pytest

from cronbell.config.export import EXPORTS, Options
from cronbell.config.loader import check_files, load
from cronbell.config.plan import compare, plain_spec
from cronbell.config.toml_text import write_toml
from cronbell.domain import Blackout, Dialect, JobSpec

VERCEL = {"crons": [{"path": "/api/cron/clean", "schedule": "0 3 * * 0"}]}
TARGET = "http://127.0.0.1:3000"


@pytest.fixture
def files(tmp_path):
    def write(toml):
        (tmp_path / "vercel.json").write_text(json.dumps(VERCEL))
        (tmp_path / "cronbell.toml").write_text(toml)
        return tmp_path / "vercel.json", tmp_path / "cronbell.toml"

    return write


def windows_of(files, toml) -> tuple[Blackout, ...]:
    (job,) = load(*files(toml), target=TARGET).jobs
    return job.blackout


def test_every_way_to_write_a_window(files):
    assert windows_of(
        files,
        """
[[jobs.clean.blackout]]
days = ["sun", "sat"]
from = "22:00"
to = 06:00:00
timezone = "Asia/Seoul"
reason = "maintenance"
[[jobs.clean.blackout]]
days = ["mon"]
[[jobs.clean.blackout]]
from = 2026-12-24
to = 2026-12-26
[[jobs.clean.blackout]]
from = 2026-12-24T18:00:00
to = "2026-12-24T20:00"
[[jobs.clean.blackout]]
from = 2026-12-24T18:00:00Z
to = 2026-12-25T06:00:00+09:00
""",
    ) == (
        Blackout(
            days=("sat", "sun"),
            start="22:00",
            end="06:00",
            timezone="Asia/Seoul",
            reason="maintenance",
        ),
        Blackout(days=("mon",), start="00:00", end="24:00"),
        Blackout(start="2026-12-24", end="2026-12-26"),
        Blackout(start="2026-12-24T18:00:00", end="2026-12-24T20:00"),
        Blackout(start="2026-12-24T18:00:00Z", end="2026-12-25T06:00:00+09:00"),
    )


def test_a_jobs_own_windows_take_the_place_of_the_defaults(files):
    defaults = '[defaults]\nblackout = [{ days = ["sun"] }]\n'
    assert windows_of(files, defaults) == (Blackout(days=("sun",), start="00:00", end="24:00"),)
    own = '[jobs.clean]\nblackout = [{ days = ["sat"] }]\n'
    assert windows_of(files, defaults + own)[0].days == ("sat",)
    assert windows_of(files, defaults + "[jobs.clean]\nblackout = []\n") == ()


@pytest.mark.parametrize(
    ("window", "key", "message", "hint"),
    [
        ("1", "", "must be a table, not a number", "sat"),
        ("{}", "", "needs `from` and `to`, or `days`", "22:00"),
        ('{ from = "22:00" }', "", "needs `to`", "22:00"),
        ('{ days = ["sat"], to = "22:00" }', "", "needs `from`", "22:00"),
        ('{ day = ["sat"] }', ".day", "`day` is not known", "did you mean `days`?"),
        ('{ days = "sat" }', ".days", "must be a list", "sat"),
        ("{ days = [] }", ".days", "is empty", "every day"),
        ('{ days = ["Saturday"] }', ".days", "`Saturday` is no day", "did you mean `sat`?"),
        ("{ days = [6] }", ".days", "`6` is no day", "mon"),
        ('{ from = "22:00", to = "22:00" }', ".to", "same time of day", "leave"),
        ('{ from = "24:00", to = "06:00" }', ".from", "begins at 24:00", "00:00"),
        ("{ from = 22:00:30, to = 06:00:00 }", ".from", "has seconds", "whole minutes"),
        ('{ from = "10pm", to = "11pm" }', ".from", "is no time, date or moment", "22:00"),
        ('{ from = 22, to = "06:00" }', ".from", "must be a time", "22:00"),
        ('{ from = "22:00", to = 2026-12-24 }', ".to", "time of day", "two"),
        ("{ from = 2026-12-24, to = 2026-12-23 }", ".to", "ends before", "later"),
        ("{ from = 2026-12-24, to = 2026-12-25T00:00:00Z }", ".to", "offset", "both"),
        ('{ from = 2026-12-24, to = 2026-12-25, days = ["mon"] }', ".days", "once", "remove"),
        ('{ from = 2026-12-24T00:00:00Z, to = 2026-12-25T00:00:00Z, timezone = "UTC" }',
         ".timezone", "no meaning", "remove"),
        ('{ days = ["sat"], timezone = "Asia/Soul" }', ".timezone", "Soul", "Asia/Seoul"),
        ('{ days = ["sat"], reason = "" }', ".reason", "is empty", "remove"),
        ('{ days = ["sat"], reason = "a\\nb" }', ".reason", "one line", "500"),
        ("{ from = 2026-12-24T00:00:00.5Z, to = 2026-12-25T00:00:00Z }", ".from", "fractions", ""),
    ],
)  # fmt: skip
def test_a_wrong_window_names_its_place_and_what_to_write(files, window, key, message, hint):
    text = f'[jobs.clean]\nblackout = [\n  {{ days = ["sun"] }}, # fine\n  {window},\n]\n'
    errors, _, _ = check_files(*files(text))
    assert len(errors) == 1, errors
    fault = errors[0]
    assert message in fault.message
    assert hint in fault.hint
    assert fault.key == f"jobs.clean.blackout[1]{key}"
    assert fault.line == (4 if window != "1" else 2)


@pytest.mark.parametrize(("value", "message"), [("1", "a list"), ('"sat"', "a list")])
def test_what_is_no_list_is_refused(files, value, message):
    for table in ("defaults", "jobs.clean"):
        errors, _, _ = check_files(*files(f"[{table}]\nblackout = {value}\n"))
        assert [(fault.key, fault.line) for fault in errors] == [(f"{table}.blackout", 2)]
        assert message in errors[0].message


def test_all_faults_of_all_windows_come_at_once_each_on_its_line(files):
    errors, _, _ = check_files(
        *files(
            """
[[jobs.clean.blackout]]
days = ["satt"]
from = 5
[[defaults.blackout]]
from = "22:00"
[[defaults.blackout]]
wheb = 1
"""
        )
    )
    assert [(fault.line, fault.key) for fault in errors] == [
        (3, "jobs.clean.blackout[0].days"),
        (4, "jobs.clean.blackout[0].from"),
        (5, "defaults.blackout[0]"),
        (8, "defaults.blackout[1].wheb"),
    ]


def test_a_misspelt_key_is_led_to_it(files):
    errors, _, _ = check_files(*files("[jobs.clean]\nblackouts = []\n"))
    assert errors[0].hint == "did you mean `blackout`?"


def test_too_many_windows_are_refused(files):
    listed = ", ".join(['{ days = ["sat"] }'] * 101)
    errors, _, _ = check_files(*files(f"[jobs.clean]\nblackout = [{listed}]\n"))
    assert "the limit is 100" in errors[0].message


JOB = JobSpec(
    name="clean",
    path="/api/cron/clean",
    url=f"{TARGET}/api/cron/clean",
    schedule="0 3 * * 0",
    dialect=Dialect.STANDARD,
    deadline=600.0,
    blackout=(
        Blackout(days=("sat", "sun"), start="22:00", end="06:00", reason='say "when"'),
        Blackout(start="2026-12-24", end="2026-12-26", timezone="Asia/Seoul"),
    ),
)


def test_written_as_toml_and_read_again_windows_are_the_same(tmp_path):
    path = tmp_path / "cronbell.toml"
    path.write_text(write_toml([JOB], target=TARGET))
    assert load(None, path).jobs[0].blackout == JOB.blackout


@pytest.mark.parametrize("to", sorted(EXPORTS))
def test_every_export_says_that_windows_stay_behind(to):
    exported = EXPORTS[to]([JOB], Options(target=TARGET))
    assert "blackout" in {loss.what for loss in exported.losses}


def test_plan_shows_a_changed_window():
    live = {"clean": json.loads(json.dumps(plain_spec(JOB)))}
    assert compare(live, [JOB]).empty
    without = JobSpec(**{**{key: getattr(JOB, key) for key in JobSpec.__slots__}, "blackout": ()})
    (change,) = compare(live, [without]).changed
    assert set(change.fields) == {"blackout"}
