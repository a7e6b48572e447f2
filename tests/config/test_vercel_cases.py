"""The 25 files that Vercel's own CLI (64.0.2) was given, with its verdict and words.

``ours`` is what Cronbell says beyond that, since it judges expressions too and accepts the object
form of ``schedules``, which Vercel's pages show.
"""

from __future__ import annotations

import json

import pytest

from cronbell.config.loader import check_files

DAILY = "0 5 * * *"
ENTRY = {"path": "/api/cron", "schedule": DAILY}
TIMED = {**ENTRY, "requestMethod": "GET", "timezone": "Europe/Berlin", "jitter": 5}


def cron(**changes):
    entry = {**ENTRY, **changes}
    return {"crons": [{key: value for key, value in entry.items() if value is not None}]}


# number, file, Vercel's message ("" where it accepts), what Cronbell adds in its own words
CASES = [
    ("01", cron(), "", ""),
    ("02", {"crons": []}, "", ""),
    ("03", cron(path="api/cron"), '`crons[0].path` should match pattern "^/.*".', ""),
    ("04", cron(schedule=None), "`crons[0]` missing required property `schedule`.", ""),
    (
        "05",
        cron(timezone="UTC"),
        "`crons[0]` should NOT have additional property `timezone`. Please remove it.",
        "",
    ),
    (
        "06",
        cron(schedule="@daily"),
        "`crons[0].schedule` should NOT be shorter than 9 characters.",
        "",
    ),
    ("07", cron(schedule="@midnight"), "", "shorthand"),
    ("08", {"crons": [cron(path="/api/cron?job=a")["crons"][0]] * 2}, "", ""),
    ("09", cron(schedule="0 0 5 * * *"), "", "6 fields"),
    ("10a", cron(schedule="0 9 * * MON"), "", "holds a name"),
    ("10b", cron(schedule="0 0 1 * 1"), "", "both set"),
    ("10c", cron(schedule="0 0 * * 7"), "", "Sunday as 7"),
    ("10d", cron(schedule="61 * * * *"), "", "out of range"),
    (
        "11",
        cron(path="/" + "a" * 512),
        "`crons[0].path` should NOT be longer than 512 characters.",
        "",
    ),
    ("12", {"crons": [{**ENTRY, "path": f"/{n}"} for n in range(101)]}, "", ""),
    ("13", {"crons": ENTRY}, "`crons` should be array.", ""),
    ("14", {"crons": None}, "`crons` should be array.", ""),
    ("15", cron(schedule=5), "`crons[0].schedule` should be string.", ""),
    ("16", {"schedules": [TIMED]}, "", ""),
    # Vercel: "`schedules` should be array."; accepted here, as its pages document it.
    ("17", {"schedules": {"cleanup": TIMED}}, "", ""),
    (
        "18",
        {"schedules": [{**TIMED, "timezone": "EST5EDT6"}]},
        "`schedules[0].timezone` must be a valid IANA timezone",
        "",
    ),
    (
        "19",
        {"schedules": [{**ENTRY, "topic": "t"}]},
        "`schedules[0]` missing required property `function`.",
        "",
    ),
    (
        "20",
        cron(path="https://example.com/x"),
        '`crons[0].path` should match pattern "^/.*".',
        "",
    ),
    ("21", '{"crons": [],}', "", "is not valid JSON"),
    (
        "22",
        {
            "experimentalServices": {
                "x": {"type": "cron", "entrypoint": "jobs:run", "schedule": [DAILY, "0 6 * * *"]}
            }
        },
        "",
        "",
    ),
    (
        "23",
        {"functions": {"api/x.ts": {"maxDuration": 3601}}},
        "`functions['api/x.ts'].maxDuration` should be <= 3600.",
        "",
    ),
    (
        "24",
        {"functions": {"api/x.ts": {"maxDuration": "max"}}, **cron(schedule="* * * * *")},
        "",
        "",
    ),
    ("25", cron(schedule="not a cron expression at all"), "", "6 fields"),
]


@pytest.mark.parametrize(("case", "content", "words", "ours"), CASES, ids=[c[0] for c in CASES])
def test_a_file_gets_the_verdict_of_vercels_cli(tmp_path, case, content, words, ours):
    path = tmp_path / "vercel.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    errors, _, _ = check_files(path, None)
    if words:
        assert len(errors) == 1
        assert errors[0].message.startswith(f"Invalid vercel.json - {words}")
    elif ours:
        assert len(errors) == 1
        assert ours in errors[0].message
    else:
        assert errors == []
    assert all(fault.line and fault.hint for fault in errors)
