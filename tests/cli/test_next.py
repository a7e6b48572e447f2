"""``cronbell next``: what it prints and how it exits."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from cronbell.cli.main import app
from cronbell.cli.main import command_line as run_command_line


class Result(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str


def run(*arguments) -> Result:
    """Run the whole command line, as the installed program does."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    typed = patch.object(sys, "argv", ["cronbell", "next", *arguments])
    with typed, redirect_stdout(out), redirect_stderr(err):
        try:
            run_command_line()
        except SystemExit as end:
            code = end.code
    return Result(code, out.getvalue(), err.getvalue())


def fires(*arguments):
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)["fires"]


def test_the_answer_is_expression_zone_sentence_fires_and_notes():
    result = run("0 0 * * *", "--from", "2026-11-21T12:00:00Z", "--count", "2", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "expression": "0 0 * * *",
        "timezone": "UTC",
        "explanation": "At 00:00 every day",
        "fires": ["2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"],
        "notes": [],
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # Fires are those after the moment given, not at it.
        (("0 0 * * *", "--from", "2026-11-22T00:00:00Z"), "2026-11-23T00:00:00Z"),
        (("0 0 * * *", "--from", "2026-11-21T23:59:59.999Z"), "2026-11-22T00:00:00Z"),
        (("0 0 * * *", "--from", "2026-11-22T08:00:00+09:00"), "2026-11-22T00:00:00Z"),
        (("0 9 * * *", "--from", "2026-11-22", "--timezone", "Asia/Seoul"), "2026-11-22T00:00:00Z"),
        (("every 30s", "--from", "2026-11-22T00:00:00Z"), "2026-11-22T00:00:30Z"),
        (("0 0 * * 0", "--from", "2026-11-22", "--dialect", "vercel"), "2026-11-29T00:00:00Z"),
        (
            ("30 2 * * *", "--from", "2026-03-08", "--timezone", "America/New_York"),
            "2026-03-08T07:00:00Z",
        ),
        (
            (
                "30 2 * * *",
                "--from",
                "2026-03-08",
                "--timezone",
                "America/New_York",
                "--dst-gap",
                "skip",
            ),
            "2026-03-09T06:30:00Z",
        ),
        (
            (
                "30 1 * * *",
                "--from",
                "2026-11-01T05:30:00Z",
                "--timezone",
                "America/New_York",
                "--dst-repeat",
                "both",
            ),
            "2026-11-01T06:30:00Z",
        ),
    ],
)
def test_options_are_obeyed(arguments, expected):
    assert fires(*arguments, "--count", "1") == [expected]


def test_five_fires_are_listed_unless_asked_otherwise():
    assert len(fires("* * * * *")) == 5
    assert len(fires("* * * * *", "--count", "1000")) == 1000


def test_at_the_end_of_time_there_are_fewer():
    assert fires("0 0 1 1 *", "--from", "9998-06-01", "--count", "3") == ["9999-01-01T00:00:00Z"]
    assert fires("0 0 1 1 *", "--from", "9999-12-31T23:59:59-14:00") == []
    assert fires("0 0 * * *", "--from", "0001-01-01T00:00:00+14:00", "--count", "1") == [
        "0001-01-01T00:00:00Z"
    ]
    late = run("0 23 31 12 *", "--from", "9999-06-01", "--timezone", "Asia/Seoul")
    assert late.exit_code == 0
    late = run("59 23 31 12 *", "--from", "9999-12-30", "--timezone", "America/New_York")
    assert late.exit_code == 0
    early = run("0 0 * * *", "--from", "0001-01-01", "--timezone", "Asia/Seoul", "--count", "1")
    assert early.exit_code == 0
    edge = run("every 1s", "--from", "9999-12-31T23:59:50Z", "--timezone", "Asia/Seoul")
    assert edge.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("0 9 * * monday",), "write `mon`"),
        (("0 9 * * mon", "--dialect", "vercel"), "write `1`"),
        (("",), "0 0 * * *"),
        (("9" * 5000,), "ranges"),
        (("0 0 * * *", "--timezone", "Asia/Soul"), "Asia/Seoul"),
    ],
)
def test_a_refused_expression_exits_1_with_error_and_hint(arguments, hint):
    result = run(*arguments, "--json")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert set(answer) == {"error", "hint"}
    assert hint in answer["hint"]
    plain = run(*arguments)
    assert plain.exit_code == 1
    assert hint in plain.stderr
    assert plain.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("0 0 * * *", "--count", "0"),
        ("0 0 * * *", "--count", "-1"),
        ("0 0 * * *", "--count", "100001"),
        ("0 0 * * *", "--count", "many"),
        ("0 0 * * *", "--from", "yesterday"),
        ("0 0 * * *", "--from", "2026-02-30"),
        ("0 0 * * *", "--from", ""),
        ("0 0 * * *", "--dialect", "quartz"),
        ("0 0 * * *", "--dst-gap", "jump"),
        ("0 0 * * *", "--dst-repeat", "thrice"),
        ("0 0 * * *", "--count", "٣"),
        ("0 0 * * *", "--count", "9" * 5000),
        ("0 0 * * *", "--from", "x" * 100_000),
        ("0 0 * * *", "--language", "fr"),
        ("0 0 * * *", "--jso"),
        ("0", "0", "*", "*", "*"),
    ],
)
def test_wrong_usage_exits_2(arguments):
    assert run(*arguments, "--json").exit_code == 2


def test_people_see_the_sentence_and_both_zones():
    result = run("0 9 * * *", "--from", "2026-11-22", "--timezone", "Asia/Seoul", "--count", "1")
    assert result.stdout.splitlines() == [
        "At 09:00 every day (Asia/Seoul)",
        "Asia/Seoul\tUTC",
        "2026-11-22 09:00:00+09:00\t2026-11-22T00:00:00Z",
    ]


def test_people_see_what_the_coming_changes_of_the_clocks_do():
    result = run(
        "30 2 * * *", "--from", "2026-11-22", "--timezone", "America/New_York", "--count", "1"
    )
    expected = "in America/New_York 02:30 does not exist on 2027-03-14: runs at 03:00"
    assert result.stdout.splitlines()[-1] == f"! {expected}"
    answer = json.loads(
        run("30 2 * * *", "--from", "2026-11-22", "--timezone", "America/New_York", "--json").stdout
    )
    assert answer["notes"] == [expected]


def test_korean_is_spoken_where_it_is_asked_for_or_the_service_speaks_it(monkeypatch):
    asked = run("0 3 * * 0", "--language", "ko", "--json")
    assert json.loads(asked.stdout)["explanation"] == "매주 일요일 03:00"
    monkeypatch.setenv("LANGUAGE_CODE", "ko")
    assert run("0 3 * * 0", "--count", "1").stdout.startswith("매주 일요일 03:00 (UTC)\n")
    assert run("0 3 * * 0", "--language", "en").stdout.startswith("At 03:00 on Sundays (UTC)\n")


def test_an_expression_may_begin_with_a_dash_and_is_refused_as_one():
    result = run("-5 * * * *", "--json")
    assert result.exit_code == 1
    assert "negative" in json.loads(result.stdout)["error"]


def test_help_names_the_command_and_every_option():
    result = run("--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("usage: cronbell next")
    for option in ("--timezone", "--from", "--count", "--dialect", "--dst-gap", "--json"):
        assert option in result.stdout


def test_the_command_is_among_all_commands_and_reads_the_same_arguments():
    listed = CliRunner().invoke(app, ["--help"])
    assert "next" in listed.stdout
    assert "Say what a schedule expression means" in listed.stdout
    arguments = ["0 0 * * *", "--from", "2026-11-21", "--count", "1", "--json"]
    through_typer = CliRunner().invoke(app, ["next", *arguments])
    assert through_typer.exit_code == 0
    assert through_typer.stdout == run(*arguments).stdout
    assert CliRunner().invoke(app, ["next", "0 0 * * *", "--count", "0"]).exit_code == 2
    assert CliRunner().invoke(app, ["next", "--help"]).stdout.startswith("usage:")


# Each takes longer to load than the whole command: why it starts fast is that they stay out.
SLOW = ("django", "typer", "rich", "pydantic", "asyncio", "msgspec")


def loaded_by(program: str) -> set[str]:
    program += "\nimport sys; sys.stderr.write(' '.join(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return {name.partition(".")[0] for name in answer.stderr.split()}


def test_nothing_slow_is_loaded():
    program = (
        "import sys; sys.argv = ['cronbell', 'next', '30 2 * * *', '--timezone', 'Asia/Seoul']\n"
        "from cronbell.cli.main import run\n"
        "try: run()\nexcept SystemExit: pass"
    )
    loaded = loaded_by(program)
    assert "cronbell" in loaded
    assert not loaded & set(SLOW)


def test_sabotage_what_the_other_commands_load_would_be_seen():
    assert "typer" in loaded_by("from cronbell.cli.main import app")
