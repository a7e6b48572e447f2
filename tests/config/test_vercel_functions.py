"""``functions.*.maxDuration``: whose timeout it becomes."""

from __future__ import annotations

import json
import time

import pytest

from cronbell.config.loader import check_files

PATH = "/api/cron/x"


@pytest.fixture
def judge(tmp_path):
    def run(functions, toml="", path=PATH, **others):
        vercel, settings = tmp_path / "vercel.json", tmp_path / "cronbell.toml"
        crons = [{"path": path, "schedule": "0 0 * * *"}]
        vercel.write_text(json.dumps({"crons": crons, "functions": functions, **others}))
        settings.write_text(toml)
        return check_files(vercel, settings)

    return run


SERVED_BY = [
    *(f"{base}app/api/cron/x/route.{ending}"
      for base in ("", "src/") for ending in ("ts", "js", "tsx", "jsx", "mjs")),
    *(f"{base}pages/api/cron/x.{ending}" for base in ("", "src/") for ending in ("ts", "js")),
    "pages/api/cron/x/index.ts",
    *(f"api/cron/x.{ending}" for ending in ("ts", "js", "py", "go", "rb")),
    "app/(jobs)/api/cron/x/route.ts",
    "/api/cron/x.ts", "./api/cron/x.ts",
    "app/api/**/*.ts", "app/**", "app/api/cron/*/route.ts", "app/api/cron/?/route.[jt]s",
    "app/api/cron/{w,x}/route.{js,ts}", "**/*.ts", "api/cron/*.py", "api/**", "pages/api/**/*.js",
    "src/app/api/**/route.ts",
    "app/main.py", "api/index.py", "main.py", "shop/asgi.py",
]  # fmt: skip
NOT_SERVED_BY = [
    "app/api/cron/y/route.ts", "app/api/cron/route.ts", "app/api/cron/x/page.tsx",
    "pages/api/cron/x.css", "api/cron/x/y.ts", "api/cron/[job].ts", "app/api/[...all]/route.ts",
    "app/api/*/route.ts", "app/*", "*.ts", "api/*.py", "api/other.py", "lib/**", "api/cron/y*.ts",
    "app/api/cron/.*/route.ts", "api/cron/[!x].ts", "vendor/api/cron/x.ts",
]  # fmt: skip


@pytest.mark.parametrize("key", SERVED_BY)
def test_a_key_that_names_the_file_behind_the_path_sets_the_timeout(judge, key):
    errors, warnings, (job,) = judge({key: {"maxDuration": 60}})
    assert errors == warnings == []
    assert job.timeout == 70.0
    assert job.deadline == 140.0


@pytest.mark.parametrize("key", NOT_SERVED_BY)
def test_another_key_does_not(judge, key):
    errors, warnings, (job,) = judge({key: {"maxDuration": 60}})
    assert errors == warnings == []
    assert job.timeout == 300.0


def test_a_query_and_a_slash_make_no_difference(judge):
    for path in (PATH + "?a=1", PATH + "/"):
        assert judge({"api/cron/x.ts": {"maxDuration": 5}}, path=path)[2][0].timeout == 15.0


def test_the_file_goes_before_patterns_and_these_before_the_application(judge):
    functions = {
        "app/main.py": {"maxDuration": 1},
        "api/**/*.ts": {"maxDuration": 2},
        "api/cron/x.ts": {"maxDuration": 3},
    }
    assert judge(functions)[2][0].timeout == 13.0
    del functions["api/cron/x.ts"]
    assert judge(functions)[2][0].timeout == 12.0
    del functions["api/**/*.ts"]
    assert judge(functions)[2][0].timeout == 11.0


def test_the_first_pattern_counts_for_a_file_and_the_longest_over_files(judge):
    first = {"app/**/*.ts": {"maxDuration": 5}, "app/api/**": {"maxDuration": 900}}
    # .ts has 5 s by the first pattern; route.js is the second's alone.
    assert judge(first)[2][0].timeout == 910.0
    assert judge({"app/**": {"maxDuration": 5}, **first})[2][0].timeout == 15.0


def test_max_is_an_hour_and_cronbell_toml_goes_before_it(judge):
    functions = {"api/cron/x.ts": {"maxDuration": "max"}}
    assert judge(functions)[2][0].timeout == 3610.0
    assert judge(functions, "[jobs.x]\ntimeout = 7\n")[2][0].timeout == 7.0
    assert judge(functions, "[defaults]\ntimeout = 8\n")[2][0].timeout == 8.0
    assert judge({"api/cron/x.ts": {"memory": 1024}})[2][0].timeout == 300.0


@pytest.mark.parametrize(
    ("functions", "key", "words"),
    [
        ([], "functions", "`functions` should be object."),
        ({}, "functions", "`functions` should NOT have fewer than 1 properties."),
        (
            {f"api/{n}.ts": {} for n in range(51)},
            "functions",
            "`functions` should NOT have more than 50 properties.",
        ),
        ({"a.ts": 5}, 'functions."a.ts"', "`functions['a.ts']` should be object."),
        ({"": {}}, 'functions.""', "`functions` should NOT have additional property ``."),
        *(
            (
                {"a.ts": {"maxDuration": value}},
                'functions."a.ts".maxDuration',
                f"`functions['a.ts'].maxDuration` {words}",
            )
            for value, words in [
                (0, "should be >= 1."),
                (-5, "should be >= 1."),
                (3601, "should be <= 3600."),
                (10**400, "should be <= 3600."),
                (1.5, "should be integer."),
                ("60", "should be integer."),
                ("MAX", "should be integer."),
                (None, "should be integer."),
                (True, "should be integer."),
            ]
        ),
    ],
)
def test_a_broken_rule_is_said_in_the_cli_s_words(judge, functions, key, words):
    errors, _, _ = judge(functions)
    assert [fault.key for fault in errors] == [key]
    assert errors[0].message.startswith(f"Invalid vercel.json - {words}")


def test_functions_beside_builds_is_an_error(judge):
    errors, _, _ = judge({"a.ts": {}}, builds=[])
    assert "cannot be used in conjunction with the `builds` property" in errors[0].message


@pytest.mark.parametrize(
    "key", ["+(a|b).ts", "!api/**", "#x*", "{a,b}" * 20, "[z-a]*", "**/a/**/b/**"]
)
def test_a_pattern_that_cannot_be_judged_is_said_not_to_be(judge, key):
    errors, warnings, (job,) = judge({key: {"maxDuration": 60}})
    assert errors == []
    assert len(warnings) == 1
    assert "cannot be judged" in warnings[0].message
    assert job.timeout == 300.0


@pytest.mark.parametrize(
    "key", ["*a" * 128, "?*" * 128, "**/" * 80 + "x", "**/*a*/**/" + "*a*" * 80, "[a]*" * 64]
)
def test_no_pattern_keeps_the_check_busy(judge, key):
    paths = ["/api/" + "a" * 500 + "b", "/api" + "/a" * 250 + "b"]
    started = time.process_time()
    for path in paths:
        judge({key: {"maxDuration": 1}}, path=path)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("key", "matches"),
    [
        ("api/cron/*x*.ts", True),
        ("api/cron/x*.ts", True),
        ("api/c*o*/x.ts", True),
        ("api/c*o*n*/**.ts", True),
        ("api/c*n*o/*.ts", False),
        ("api/cron/**/x.ts", True),
        ("api/**/**/x.ts", True),
        ("api/cron/***.ts", True),
        ("api/cron/x.ts*", True),
        ("api/cron/[", False),
        ("api/cron/[]", False),
    ],
)
def test_stars_match_within_a_segment(judge, key, matches):
    assert judge({key: {"maxDuration": 60}})[2][0].timeout == (70.0 if matches else 300.0)
