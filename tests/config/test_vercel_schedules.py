"""``schedules`` of vercel.json: shape rules, names, what loads and what is left out."""

from __future__ import annotations

import json

import pytest

from cronbell.config.loader import check_files
from cronbell.config.schedules import shortest_gap
from cronbell.domain import DstGap, DstRepeat

DAILY = "0 5 * * *"
GOOD = {"name": "tidy", "path": "/api/tidy", "schedule": DAILY}
ONE_OF = "an entry has exactly one of path, function, topic, entrypoint"


@pytest.fixture
def judge(tmp_path):
    def run(schedules, toml="", **others):
        vercel, settings = tmp_path / "vercel.json", tmp_path / "cronbell.toml"
        vercel.write_text(json.dumps({"schedules": schedules, **others}))
        settings.write_text(toml)
        return check_files(vercel, settings, target="http://127.0.0.1:3000")

    return run


def changed(**changes):
    entry = {**GOOD, **changes}
    return [{key: value for key, value in entry.items() if value is not ...}]


def test_an_entry_becomes_a_job_with_vercels_own_rules(judge):
    errors, warnings, jobs = judge(changed(timezone="America/New_York", jitter=10))
    assert errors == warnings == []
    (job,) = jobs
    assert (job.name, job.path, job.method) == ("tidy", "/api/tidy", "POST")
    assert (job.timezone, job.jitter) == ("America/New_York", 600.0)
    assert (job.dst_gap, job.dst_repeat) == (DstGap.SKIP, DstRepeat.FIRST)
    assert job.url == "http://127.0.0.1:3000/api/tidy"
    assert job.source == "vercel.json schedules[0]"


def test_the_object_form_says_the_same_as_the_array_form(judge):
    entry = {key: value for key, value in GOOD.items() if key != "name"}
    _, _, keyed = judge({"tidy": entry})
    _, _, listed = judge([GOOD])
    assert keyed[0].source == "vercel.json schedules.tidy"
    assert [job.name for job in keyed] == [job.name for job in listed] == ["tidy"]
    assert {**_plain(keyed[0]), "source": ""} == {**_plain(listed[0]), "source": ""}


def _plain(job):
    return {key: getattr(job, key) for key in job.__slots__}


@pytest.mark.parametrize(
    ("schedules", "key", "words"),
    [
        (5, "schedules", "`schedules` should be array."),
        (["x"], "schedules[0]", "`schedules[0]` should be object."),
        ({"a": 1}, "schedules.a", "`schedules.a` should be object."),
        ([GOOD] * 101, "schedules", "`schedules` should NOT have more than 100 items."),
        (changed(schedule=...), "schedules[0]",
         "`schedules[0]` missing required property `schedule`."),
        (changed(schedule="@daily"), "schedules[0].schedule",
         "`schedules[0].schedule` should NOT be shorter than 9 characters."),
        (changed(name="-x"), "schedules[0].name",
         '`schedules[0].name` should match pattern "^[0-9A-Za-z][0-9A-Za-z._-]*$".'),
        (changed(name="x\n"), "schedules[0].name",
         '`schedules[0].name` should match pattern "^[0-9A-Za-z][0-9A-Za-z._-]*$".'),
        ({"-x": {"path": "/x", "schedule": DAILY}}, "schedules.-x",
         "`schedules['-x']` should match pattern"),
        (changed(name="x" * 257), "schedules[0].name",
         "`schedules[0].name` should NOT be longer than 256 characters."),
        (changed(name=5), "schedules[0].name", "`schedules[0].name` should be string."),
        (changed(path="x"), "schedules[0].path",
         '`schedules[0].path` should match pattern "^/".'),
        (changed(path="/" * 513), "schedules[0].path",
         "`schedules[0].path` should NOT be longer than 512 characters."),
        (changed(timezone="Mars/Base"), "schedules[0].timezone",
         "`schedules[0].timezone` must be a valid IANA timezone. [INVALID_SCHEDULE_TIMEZONE]"),
        (changed(timezone="x" * 51), "schedules[0].timezone",
         "`schedules[0].timezone` should NOT be longer than 50 characters."),
        (changed(jitter=0), "schedules[0].jitter", "`schedules[0].jitter` should be >= 1."),
        (changed(jitter=16), "schedules[0].jitter", "`schedules[0].jitter` should be <= 15."),
        (changed(jitter=1.5), "schedules[0].jitter", "`schedules[0].jitter` should be integer."),
        (changed(jitter=True), "schedules[0].jitter", "`schedules[0].jitter` should be integer."),
        (changed(jitter="5"), "schedules[0].jitter", "`schedules[0].jitter` should be integer."),
        (changed(requestMethod="PUT"), "schedules[0].requestMethod",
         "`schedules[0].requestMethod` should be equal to one of the allowed values."),
        (changed(requestMethod=["GET"]), "schedules[0].requestMethod",
         "`schedules[0].requestMethod` should be equal to one of the allowed values."),
        (changed(color=1), "schedules[0].color",
         "`schedules[0]` should NOT have additional property `color`. Please remove it."),
        ({"a": GOOD}, "schedules.a.name",
         "`schedules.a` should NOT have additional property `name`. Please remove it."),
        (changed(path=..., topic="no spaces"), "schedules[0].topic",
         '`schedules[0].topic` should match pattern "^[A-Za-z0-9_-]+$".'),
    ],
)  # fmt: skip
def test_a_broken_rule_is_said_in_the_cli_s_words(judge, schedules, key, words):
    errors, _, jobs = judge(schedules)
    assert [fault.key for fault in errors] == [key]
    assert errors[0].message.startswith(f"Invalid vercel.json - {words}")
    assert errors[0].hint
    assert jobs == []


@pytest.mark.parametrize(
    ("targets", "missing"),
    [
        ((), "path"),
        (("path", "topic"), "function"),
        (("path", "entrypoint"), "function"),
        (("function", "topic"), "path"),
        (("path", "function"), ""),
    ],
)
def test_an_entry_has_exactly_one_target(judge, targets, missing):
    values = {"path": "/x", "function": "f", "topic": "t", "entrypoint": "jobs/x.py"}
    entry = {"schedule": DAILY, **{target: values[target] for target in targets}}
    errors, _, jobs = judge([entry])
    (fault,) = errors
    expected = f"missing required property `{missing}`." if missing else "exactly one schema"
    assert expected in fault.message
    assert fault.hint == ONE_OF
    assert jobs == []


@pytest.mark.parametrize(
    ("key", "value", "goes_with"), [("requestMethod", "GET", "path"), ("service", "s", "function")]
)
def test_two_keys_go_with_one_kind_of_target_only(judge, key, value, goes_with):
    errors, warnings, _ = judge([{"topic": "t", "schedule": DAILY, key: value}])
    assert [fault.key for fault in errors] == [f"schedules[0].{key}"]
    assert f"goes with `{goes_with}` only" in errors[0].message
    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("target", "value"), [("function", "f"), ("topic", "t"), ("entrypoint", "jobs/nightly.py")]
)
def test_what_only_vercel_can_start_is_named_and_the_rest_loads(judge, target, value):
    errors, warnings, jobs = judge([{"name": "other", "schedule": DAILY, target: value}, GOOD])
    assert errors == []
    (warning,) = warnings
    assert warning.key == f"schedules[0].{target}"
    assert "`other`" in warning.message
    assert value in warning.message
    assert [job.name for job in jobs] == ["tidy"]


def test_names_are_unique_and_a_made_one_makes_way_for_a_given_one(judge):
    errors, _, jobs = judge([GOOD, {**GOOD, "path": "/other"}])
    assert [fault.key for fault in errors] == ["schedules[1].name"]
    assert [job.path for job in jobs] == ["/api/tidy"]
    errors, _, jobs = judge([GOOD], crons=[{"path": "/api/cron/tidy", "schedule": DAILY}])
    assert errors == []
    assert {job.name: job.path for job in jobs} == {
        "api-cron-tidy": "/api/cron/tidy",
        "tidy": "/api/tidy",
    }


def test_one_expression_in_two_zones_is_two_jobs(judge):
    entry = {"path": "/x", "schedule": DAILY}
    _, warnings, jobs = judge([entry, {**entry, "timezone": "Asia/Seoul"}])
    assert warnings == []
    assert len({job.name for job in jobs}) == 2
    assert [job.timezone for job in jobs] == ["UTC", "Asia/Seoul"]


def test_a_name_too_long_for_a_job_is_cut_and_said_to_be(judge):
    _, warnings, jobs = judge(changed(name="x" * 200))
    assert len(jobs[0].name) == 120
    assert jobs[0].name in warnings[0].message


def test_what_an_entry_states_goes_before_the_defaults_and_they_before_what_it_implies(judge):
    toml = '[defaults]\nmethod = "PUT"\ntimezone = "Asia/Seoul"\njitter = "5m"\n'
    _, _, jobs = judge([GOOD], toml)
    assert (jobs[0].method, jobs[0].timezone, jobs[0].jitter) == ("PUT", "Asia/Seoul", 300.0)
    stated = changed(requestMethod="GET", timezone="Europe/Berlin", jitter=1)
    _, _, jobs = judge(stated, toml)
    assert (jobs[0].method, jobs[0].timezone, jobs[0].jitter) == ("GET", "Europe/Berlin", 60.0)
    _, _, jobs = judge(stated, toml + '[jobs.tidy]\nmethod = "HEAD"\njitter = 0\n')
    assert (jobs[0].method, jobs[0].timezone, jobs[0].jitter) == ("HEAD", "Europe/Berlin", 0.0)


@pytest.mark.parametrize(
    ("schedule", "gap"),
    [
        ("* * * * *", 1),
        ("*/7 * * * *", 4),  # :56 and the next :00
        ("0,59 * * * *", 1),
        ("58 23 * * *", 15),
        ("2,58 0,23 * * *", 4),  # 23:58 and 00:02
        ("2,58 0,23 * * 1", 15),  # no two days running
        ("2,58 0,23 28,29 2 *", 4),  # in leap years
        ("2,58 0,23 1,31 * *", 4),  # 31 and 1
        ("0 0 1 1 *", 15),
    ],
)
def test_jitter_may_not_be_longer_than_the_shortest_gap(judge, schedule, gap):
    assert shortest_gap(schedule, most=15) == gap
    errors, _, _ = judge(changed(schedule=schedule, jitter=gap))
    assert errors == []
    if gap < 15:
        errors, _, jobs = judge(changed(schedule=schedule, jitter=gap + 1))
        assert [fault.key for fault in errors] == ["schedules[0].jitter"]
        assert errors[0].hint == f"write at most {gap}"
        assert jobs == []


def test_every_fault_is_reported_and_good_entries_load(judge):
    errors, _, jobs = judge(
        [
            {"path": "x", "schedule": "0 5 * * mon", "timezone": "X", "jitter": 99, "odd": 1},
            GOOD,
            None,
        ]
    )
    assert sorted(fault.key for fault in errors) == [
        "schedules[0].jitter",
        "schedules[0].odd",
        "schedules[0].path",
        "schedules[0].schedule",
        "schedules[0].timezone",
        "schedules[2]",
    ]
    assert [job.name for job in jobs] == ["tidy"]
