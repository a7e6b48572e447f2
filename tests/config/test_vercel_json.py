"""``vercel.json`` is judged as Vercel judges it, but wholly, with lines; expressions too."""

from __future__ import annotations

import json
import os

import pytest

from cronbell.config import vercel_json
from cronbell.config.loader import check_files
from cronbell.config.source import MAX_BYTES

PLEASE = " Please remove it."
GOOD = {"path": "/api/cron/a", "schedule": "0 0 * * *"}


def judge(tmp_path, content):
    """Return (errors, warnings, jobs) of a file with this content (text, bytes or an object)."""
    path = tmp_path / "vercel.json"
    if not isinstance(content, str | bytes):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return check_files(path, None)


def read_json(tmp_path, content):
    path = tmp_path / "vercel.json"
    path.write_text(content)
    return vercel_json.read(path)


def with_cron(**changes):
    entry = {**GOOD, **changes}
    return {"crons": [{key: value for key, value in entry.items() if value is not ...}]}


# Case numbers are those of the measured table (vercel reference, 6a).
VERCEL_WORDS = [
    (with_cron(path="api/cron"), "crons[0].path",
     'Invalid vercel.json - `crons[0].path` should match pattern "^/.*".'),
    (with_cron(path="https://example.com/x"), "crons[0].path",
     'Invalid vercel.json - `crons[0].path` should match pattern "^/.*".'),
    (with_cron(schedule=...), "crons[0]",
     "Invalid vercel.json - `crons[0]` missing required property `schedule`."),
    (with_cron(path=...), "crons[0]",
     "Invalid vercel.json - `crons[0]` missing required property `path`."),
    (with_cron(timezone="Asia/Seoul"), "crons[0].timezone",
     "Invalid vercel.json - `crons[0]` should NOT have additional property `timezone`."
     + PLEASE),
    (with_cron(schedule="@daily"), "crons[0].schedule",
     "Invalid vercel.json - `crons[0].schedule` should NOT be shorter than 9 characters."),
    (with_cron(schedule="*" * 257), "crons[0].schedule",
     "Invalid vercel.json - `crons[0].schedule` should NOT be longer than 256 characters."),
    (with_cron(path="/" + "a" * 512), "crons[0].path",
     "Invalid vercel.json - `crons[0].path` should NOT be longer than 512 characters."),
    (with_cron(path=""), "crons[0].path",
     "Invalid vercel.json - `crons[0].path` should NOT be shorter than 1 character."),
    ({"crons": {"path": "/a"}}, "crons", "Invalid vercel.json - `crons` should be array."),
    ({"crons": None}, "crons", "Invalid vercel.json - `crons` should be array."),
    (with_cron(schedule=5), "crons[0].schedule",
     "Invalid vercel.json - `crons[0].schedule` should be string."),
    (with_cron(path=None), "crons[0].path",
     "Invalid vercel.json - `crons[0].path` should be string."),
    ({"crons": ["x"]}, "crons[0]", "Invalid vercel.json - `crons[0]` should be object."),
    ([], "", "Invalid vercel.json - the file should be object."),
]  # fmt: skip


@pytest.mark.parametrize(("content", "key", "message"), VERCEL_WORDS)
def test_a_wrong_shape_is_refused_in_vercels_words(tmp_path, content, key, message):
    errors, _, jobs = judge(tmp_path, content)
    assert [(fault.key, fault.message) for fault in errors] == [(key, message)]
    assert jobs == []


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"crons": []},
        {"headers": [], "rewrites": {}, "unknown": [[[1]]], "crons": [GOOD]},
        with_cron(path="/api/cron?job=a&b=%20"),
        with_cron(path="/" + "a" * 511),
        {"crons": [GOOD] + [{**GOOD, "path": f"/x/{index}"} for index in range(99)]},
        '{"a": 1, "a": 2, "crons": []}'.replace('"a": 2', '"b": 2'),
    ],
)
def test_what_vercel_accepts_loads(tmp_path, content):
    errors, warnings, _ = judge(tmp_path, content)
    assert errors == warnings == []


@pytest.mark.parametrize(
    ("schedule", "message", "hint"),
    [
        ("@midnight", "shorthand", "`0 0 * * *`"),
        ("0 0 0 * * *", "6 fields", "`0 0 * * *`"),
        ("0 9 * * mon", "holds a name", "`1`"),
        ("0 0 1 * 1", "both set", "two entries"),
        ("0 0 * * 7", "Sunday as 7", "`0`"),
        ("61 * * * *", "out of range", "0–59"),
        ("0 0 30 2 *", "never fires", ""),
        ("not a cron expression at all", "6 fields", ""),
    ],
)
def test_an_expression_that_vercels_cli_lets_through_is_judged(tmp_path, schedule, message, hint):
    errors, _, jobs = judge(tmp_path, with_cron(schedule=schedule))
    assert [fault.key for fault in errors] == ["crons[0].schedule"]
    assert message in errors[0].message
    assert hint in errors[0].hint
    assert jobs == []


def test_every_fault_is_reported_with_its_line_and_good_entries_are_listed(tmp_path):
    errors, _, jobs = judge(
        tmp_path,
        """{
  "$schema": "https://openapi.vercel.sh/vercel.json", "x": "{\\"crons\\": [\\\\",
  "crons": [
    {"path": "/a", "schedule": "0 0 * * *"},
    {
      "path": "b",
      "schedule":
         "0 9 * * mon",
      "extra": {"path": [1, 2]}
    },
    {"path": "/c"}, 7
  ]
}""",
    )
    assert [(fault.line, fault.key) for fault in errors] == [
        (6, "crons[1].path"),
        (7, "crons[1].schedule"),
        (9, "crons[1].extra"),
        (11, "crons[2]"),
        (11, "crons[3]"),
    ]
    assert [job.name for job in jobs] == ["a"]


def test_a_short_schedule_still_says_how_to_write_it(tmp_path):
    errors, _, _ = judge(tmp_path, with_cron(schedule="@daily"))
    assert errors[0].hint == "write `0 0 * * *`"


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        (b"", "is empty", 1),
        (b" \n ", "is empty", 1),
        (b'{\n"crons": [],\n}', "is not valid JSON", 3),
        (b'{\n// no\n"crons": []}', "is not valid JSON", 2),
        (b'{"crons": [', "is not valid JSON", 1),
        (b'{"crons": []} x', "is not valid JSON", 1),
        (b"{'crons': []}", "is not valid JSON", 1),
        (b'\xef\xbb\xbf{"crons": []}', "byte order mark", 1),
        ('{"crons": []}'.encode("utf-16"), "byte order mark", 1),
        (b'{\n"x": "\xff"}', "is not UTF-8", 2),
        (b'{\n\n"x": "\0"}', "NUL", 3),
        (b'{"x": "a\nb"}', "is not valid JSON", 1),
        (b'{"x": NaN}', "NaN", 0),
        (b'{"x": ' + b"9" * 5000 + b"}", "is not valid JSON", 0),
        (b"[" * 200_000, "nested too deeply", 0),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply", 0),
    ],
)
def test_a_file_that_is_no_json_is_one_clear_fault(tmp_path, content, message, line):
    errors, _, jobs = judge(tmp_path, content)
    assert len(errors) == 1
    assert message in errors[0].message
    assert errors[0].line == line
    assert errors[0].hint
    assert jobs == []


def test_a_file_over_the_limit_is_refused_and_one_at_the_limit_is_read(tmp_path):
    padding = MAX_BYTES - len('{"crons": []}')
    assert judge(tmp_path, '{"crons": []}' + " " * padding)[0] == []
    errors, _, _ = judge(tmp_path, '{"crons": []}' + " " * (padding + 1))
    assert "16 MB" in errors[0].message


def test_missing_folder_and_special_files_are_faults(tmp_path):
    for path, message in [
        (tmp_path / "missing.json", "no such file"),
        (tmp_path, "is not a file"),
        (tmp_path / "x\0y", "cannot be read"),
        (tmp_path / ("n" * 5000), "cannot be read"),
    ]:
        errors, _, _ = check_files(path, None)
        assert len(errors) == 1
        assert message in errors[0].message
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "is not a file" in check_files(pipe, None)[0][0].message


def test_an_unreadable_file_is_a_fault(tmp_path):
    path = tmp_path / "vercel.json"
    path.write_text("{}")
    path.chmod(0)
    mine = os.geteuid()
    try:
        if mine == 0:  # root may read everything, so be nobody for a moment
            os.seteuid(65_534)
        errors, _, _ = check_files(path, None)
    finally:
        os.seteuid(mine)
    assert [fault.message for fault in errors] == ["may not be read by this user"]


def test_a_key_given_twice_is_a_fault_where_it_matters(tmp_path):
    errors, _, jobs = judge(
        tmp_path,
        '{"crons": [{"path": "/a", "path": "/b", "schedule": "0 0 * * *"}],\n'
        '"headers": {"x": 1, "x": 2}}',
    )
    assert [fault.key for fault in errors] == ["crons[0].path"]
    assert jobs == []
    errors, _, _ = judge(tmp_path, '{"crons": [],\n"crons": []}')
    assert [fault.key for fault in errors] == ["crons"]


def test_the_same_entry_twice_is_one_job_and_a_warning(tmp_path):
    errors, warnings, jobs = judge(tmp_path, {"crons": [GOOD, GOOD, {**GOOD, "path": "/b"}]})
    assert errors == []
    assert [fault.key for fault in warnings] == ["crons[1]"]
    assert [job.name for job in jobs] == ["a", "b"]


def test_lines_are_found_by_reading_no_further_than_the_last_fault(tmp_path):
    content = (
        '{"crons": [\n{"path": "a", "schedule": "0 0 * * *"}],\n"x": [' + "[]," * 1000 + "[]]}"
    )
    source = read_json(tmp_path, content).source
    seen = []
    scan = source._scan
    source._scan = lambda text: (seen.append(place) or place for place in scan(text))
    assert [fault.line for fault in source.errors()] == [2]
    assert len(seen) < 10


@pytest.mark.parametrize("path", ["/a\r\nX: y", "/a\0b", "/\ud800", "/a\x7f"])
def test_a_path_that_could_split_a_request_is_refused(tmp_path, path):
    errors, _, jobs = judge(tmp_path, with_cron(path=path))
    assert [fault.key for fault in errors] == ["crons[0].path"]
    assert jobs == []


def test_a_fragment_is_cut_and_said_to_be(tmp_path):
    errors, warnings, jobs = judge(tmp_path, with_cron(path="/a?x=1#f"))
    assert errors == []
    assert [fault.key for fault in warnings] == ["crons[0].path"]
    assert jobs[0].path == "/a?x=1"


def test_more_than_a_hundred_thousand_entries_are_refused(tmp_path):
    entry = json.dumps(GOOD)
    errors, _, jobs = judge(tmp_path, '{"crons": [' + ",".join([entry] * 100_001) + "]}")
    assert [fault.key for fault in errors] == ["crons"]
    assert "100000" in errors[0].message
    assert jobs == []
