"""``cronbell.toml``: every key it knows, and every way to get one wrong."""

from __future__ import annotations

import json

import pytest

from cronbell.config.loader import check_files, load
from cronbell.config.values import JOB_KEYS, LATER_KEYS, SHARED_KEYS
from cronbell.domain import CatchUp, Delivery, Dialect, DstGap, DstRepeat, Overlap, RetryPolicy
from cronbell.errors import ConfigError

VERCEL = {"crons": [{"path": "/api/cron/clean", "schedule": "0 3 * * 0"}]}


@pytest.fixture
def files(tmp_path):
    def write(toml, vercel=VERCEL):
        (tmp_path / "vercel.json").write_text(json.dumps(vercel))
        path = tmp_path / "cronbell.toml"
        path.write_bytes(toml if isinstance(toml, bytes) else toml.encode())
        return tmp_path / "vercel.json", path

    return write


def only_error(files, toml):
    errors, _, _ = check_files(*files(toml))
    assert len(errors) == 1, errors
    assert errors[0].hint
    return errors[0]


def test_every_key_reaches_the_job(files):
    config = load(
        *files("""
target = "https://App.example:443/base/"
allowed_hosts = ["Other.example", "[::1]:9000"]
[runner]
concurrency = 7
[defaults]
timezone = "Asia/Seoul"
timeout = "2m"
retry = { backoff = 5 }
[jobs.clean]
schedule = "@daily"
dst_gap = "skip"
dst_repeat = "both"
method = "POST"
timeout = 90
deadline = "1h"
overlap = "queue_one"
catch_up = "all"
delivery = "at_most_once"
catch_up_window = "2h"
dry_run = true
enabled = false
[jobs.clean.retry]
max_attempts = 3
max_backoff = "1m"
retry_on = ["network", "4xx"]
[jobs.own]
path = "/own?x=1"
every = "90s"
[jobs.far]
url = "https://other.example:8443/ping?a=b"
every = 30
""")
    )
    clean, own, far = config.jobs
    assert (config.target, config.concurrency) == ("https://app.example/base", 7)
    assert config.allowed_hosts == {"app.example:443", "other.example", "[::1]:9000"}
    assert (clean.name, clean.path, clean.url) == (
        "clean", "/api/cron/clean", "https://app.example/base/api/cron/clean"
    )  # fmt: skip
    assert (clean.schedule, clean.dialect, clean.timezone) == (
        "@daily", Dialect.STANDARD, "Asia/Seoul"
    )  # fmt: skip
    assert (clean.dst_gap, clean.dst_repeat) == (DstGap.SKIP, DstRepeat.BOTH)
    assert (clean.method, clean.timeout, clean.deadline) == ("POST", 90.0, 3600.0)
    policies = (clean.overlap, clean.catch_up, clean.delivery)
    assert policies == (Overlap.QUEUE_ONE, CatchUp.ALL, Delivery.AT_MOST_ONCE)
    assert (clean.catch_up_window, clean.dry_run, clean.enabled) == (7200.0, True, False)
    assert clean.retry == RetryPolicy(
        max_attempts=3, backoff=5.0, max_backoff=60.0, retry_on=("network", "4xx")
    )
    assert clean.source == "vercel.json crons[0]"
    assert (own.url, own.schedule, own.timeout, own.source) == (
        "https://app.example/base/own?x=1", "every 90s", 120.0, "cronbell.toml jobs.own"
    )  # fmt: skip
    assert (far.url, far.path, far.schedule) == (
        "https://other.example:8443/ping?a=b", "/ping?a=b", "every 30s"
    )  # fmt: skip


def test_without_settings_a_cron_keeps_vercels_ways(files):
    (job,) = load(*files(""), target="http://127.0.0.1:3000").jobs
    assert (job.dialect, job.timezone, job.method) == (Dialect.VERCEL, "UTC", "GET")
    assert (job.timeout, job.deadline) == (300.0, 600.0)
    assert job.url == "http://127.0.0.1:3000/api/cron/clean"


# (a line under [jobs.clean], part of the message, part of the hint)
WRONG_VALUES = [
    ('timezone = "Asia/Soul"', "Asia/Soul", "did you mean Asia/Seoul?"),
    ("timezone = 9", "must be text, not a number", "quotes"),
    ('timezone = ""', "is empty", "remove"),
    ('schedule = "0 25 * * *"', "`25` is out of range (range 0–23)", "0–23"),
    ('schedule = "0 0 30 2 *"', "never fires", "30 February"),
    ("schedule = []", "must be text, not a list", "quotes"),
    ('every = "5 minutes"', "whole number and a unit", "every 5m"),
    ("every = 0", "out of range", "every 30s"),
    ("every = -1", "whole number", "every 30s"),
    ("every = 1.5", "must be text", "quotes"),
    ('dst_gap = "jump"', "`jump` is not known", '"shift"'),
    ('dst_repeat = "frist"', "not known", "did you mean `first`?"),
    ('method = "get"', "not known", "did you mean `GET`?"),
    ('method = "BREW"', "not known", '"GET"'),
    ("timeout = 0", "out of range", "90s"),
    ("timeout = -5", "out of range", "90s"),
    ("timeout = nan", "out of range", "90s"),
    ("timeout = inf", "out of range", "90s"),
    ("timeout = " + "9" * 400, "out of range", "90s"),
    ("timeout = true", "must be a duration, not true or false", "90s"),
    ('timeout = "90"', "is not a duration", "90s"),
    ('timeout = "٣s"', "is not a duration", "90s"),
    ("timeout = 1979-05-27", "a date or time", "90s"),
    ('deadline = "10s"', "shorter than `timeout` (300 s)", "raise"),
    ('overlap = "queue"', "`queue` is not known", "did you mean `queue_one`?"),
    ('overlap = "skp"', "not known", "did you mean `skip`?"),
    ('catch_up = "sometimes"', "`sometimes` is not known", '"latest"'),
    ('delivery = "once"', "`once` is not known", '"at_most_once"'),
    ("catch_up_window = -1", "out of range", "90s"),
    ("dry_run = 1", "must be true or false, not a number", "true"),
    ('enabled = "no"', "must be true or false, not text", "true"),
    ("retry = 3", "must be a table, not a number", "[jobs.clean.retry]"),
    ("retry = { max_attempts = 0 }", "out of range", "1 to 100"),
    ("retry = { max_attempts = 2.5 }", "must be a whole number", "1 to 100"),
    ("retry = { max_attempts = true }", "must be a whole number", "1 to 100"),
    ("retry = { backof = 1 }", "`backof` is not known", "did you mean `backoff`?"),
    ("retry = { backoff = 900 }", "longer than `max_backoff`", "raise"),
    ('retry = { retry_on = ["5xx", "6xx"] }', "`6xx` is not known", "network"),
    ('retry = { retry_on = "5xx" }', "must be a list", "network"),
    ("retry = { retry_on = [] }", "is empty", "max_attempts"),
    ("retry = { retry_on = [[1]] }", "not known", "network"),
    ('shedule = "0 0 * * *"', "`shedule` is not known", "did you mean `schedule`?"),
    ('path = "/x"', "cannot be set here", "another name"),
    ('url = "https://x.example/"', "cannot be set here", "another name"),
    ('"" = 1', "is not known", "known here are"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message", "hint"), WRONG_VALUES)
def test_a_wrong_value_names_its_line_and_what_to_write(files, line, message, hint):
    fault = only_error(files, f"# comment\n[jobs.clean]\nenabled = true\n{line}\n".replace(
        "enabled = true\nenabled", "\nenabled"
    ))  # fmt: skip
    assert message in fault.message
    assert hint in fault.hint
    assert fault.line == 4
    assert fault.key.startswith("jobs.clean.")
    assert len(fault.message) < 600


@pytest.mark.parametrize("key", sorted(LATER_KEYS))
def test_what_is_not_built_yet_is_refused_and_not_ignored(files, key):
    for table in ("defaults", "jobs.clean"):
        fault = only_error(files, f"[{table}]\n{key} = 1\n")
        assert "not known to this version" in fault.message
        assert fault.line == 2
    assert key not in SHARED_KEYS | JOB_KEYS


@pytest.mark.parametrize(
    ("toml", "line", "message", "hint"),
    [
        ("targt = 1", 1, "`targt` is not known", "did you mean `target`?"),
        ('target = "app.example"', 1, "not an http or https URL", "https://"),
        ('target = "ftp://app.example"', 1, "not an http or https URL", "https://"),
        ('target = "https://"', 1, "does not name a host", "example.com"),
        ('target = "https://u:SECRET@app.example"', 1, "credentials", "CRON_SECRET"),
        ('target = "https://app.example/?x=1"', 1, "has a query", "address only"),
        ('target = "https://app.example/#x"', 1, "fragment", "remove"),
        ('target = "https://app.example:99999"', 1, "not a port", "65535"),
        ('target = "https://app .example"', 1, "a blank", "https://"),
        ('target = "https://a\\\\b.example"', 1, "a backslash", "https://"),
        ('target = "https://[::x]"', 1, "does not name a host", ""),
        ("target = 3000", 1, "must be text, not a number", "quotes"),
        ('allowed_hosts = "x.example"', 1, "must be a list", "["),
        ('allowed_hosts = ["https://x.example"]', 1, "is not a host", "leave out"),
        ('allowed_hosts = ["*.example"]', 1, "is a pattern", "each host"),
        ('allowed_hosts = ["ok.example", 1]', 1, "must be text", "quotes"),
        ('allowed_hosts = ["a..b"]', 1, "not a host name", "example.com"),
        ("defaults = 1", 1, "must be a table", "[defaults]"),
        ("runner = []", 1, "must be a table", "[runner]"),
        ("jobs = 1", 1, "must be a table", "[jobs]"),
        ("[jobs]\nclean = 1", 2, "must be a table", "[jobs.clean]"),
        ("[[jobs]]\nx = 1", 1, "must be a table", "[jobs]"),
        ("[runner]\nconcurrency = 0", 2, "out of range", "1 to 10000"),
        ("[runner]\nconcurrency = 10001", 2, "out of range", "1 to 10000"),
        ("[runner]\nconcurency = 5", 2, "not known", "did you mean `concurrency`?"),
        ("[runner]\nretry = {}", 2, "not known", "concurrency"),
        ('[defaults]\nschedule = "0 0 * * *"', 2, "belongs to one job", "[jobs.NAME]"),
        ("[defaults]\ndeadline = 1", 2, "shorter than `timeout`", "raise"),
        ("[defaults]\nretry = { backoff = 900 }", 2, "longer than `max_backoff`", "raise"),
        ("\n[jobs.clan]\ntimeout = 5", 2, "no job `clan`", "did you mean `clean`?"),
        ("[jobs.zzz]\ntimeout = 5", 1, "no job `zzz`", "path"),
        ('[jobs."a b"]\npath = "/x"', 1, "cannot be a job's name", "letters"),
        ('[jobs.own]\npath = "/x"', 1, "has no schedule", "every"),
        ('[jobs.own]\npath = "x"\nevery = 5', 2, "must begin with /", "/api"),
        ('[jobs.own]\npath = "/x\\r\\nY: z"\nevery = 5', 2, "control character", ""),
        ('[jobs.own]\npath = "/x#f"\nevery = 5', 2, "fragment", "remove"),
        (f'[jobs.own]\npath = "/{"x" * 512}"\nevery = 5', 2, "limit is 512", "shorten"),
        ('[jobs.own]\npath = "/x"\nurl = "https://x.example/"\nevery = 5', 3, "not both", "one"),
        ('[jobs.own]\nurl = "https://x.example/"\nevery = 5', 2, "x.example:443 is not allowed",
         'allowed_hosts = ["x.example:443"]'),
        ('[jobs.own]\npath = "/x"\nevery = 5\nschedule = "0 0 * * *"', 3, "schedule or every", ""),
        ('[jobs.own]\npath = "/x"\nevery = 5\ntimezone = "UTC"', 4, "no meaning", "five fields"),
    ],
)  # fmt: skip
def test_a_wrong_file_names_the_line_and_what_to_write(files, toml, line, message, hint):
    fault = only_error(files, toml)
    assert message in fault.message
    assert hint in fault.hint
    assert fault.line == line
    assert "SECRET" not in fault.message


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        (b"x = ", "is not valid TOML", 1),
        (b"\nx = 1\nx = 2", "is not valid TOML", 3),
        (b"[a]\n[a]", "is not valid TOML", 2),
        (b"\xef\xbb\xbfx = 1", "byte order mark", 1),
        (b"x = '\xff'", "is not UTF-8", 1),
        (b"\n# \0", "NUL", 2),
        (b"x = " + b"[" * 100_000, "nested too deeply", 0),
        (b"x = " + b"9" * 5000, "is not valid TOML", 0),
    ],
)
def test_a_file_that_is_no_toml_is_one_clear_fault(files, content, message, line):
    fault = only_error(files, content)
    assert message in fault.message
    assert fault.line == line


def test_lines_are_found_past_strings_and_comments_that_look_like_keys(files):
    errors, _, _ = check_files(
        *files('''
# [jobs.clean] timeout = 0
[ jobs . "clean" ]
method = """
timeout = 0
[jobs.other]
"""
retry = { max_attempts = 1, retry_on = [
  "nope", # } ]
] }
'timeout' = 0
[[x]]
dead.line = 1
''')
    )
    assert [(fault.line, fault.key) for fault in errors] == [
        (4, "jobs.clean.method"),
        (8, "jobs.clean.retry.retry_on"),
        (11, "jobs.clean.timeout"),
        (12, "x"),
    ]


def test_windows_line_ends_do_not_shift_lines(files):
    fault = only_error(files, b"# a\r\n\r\n[jobs.clean]\r\ntimeout = 0\r\n")
    assert fault.line == 4


def test_all_faults_of_both_files_come_at_once(files):
    vercel = {"crons": [{"path": "x", "schedule": "0 0 * * mon"}]}
    with pytest.raises(ConfigError) as caught:
        load(*files("[defaults]\ntimeout = 0\n[jobs.y]\nenabled = 1\n", vercel))
    keys = [fault.key for fault in caught.value.faults]
    assert keys == ["crons[0].path", "crons[0].schedule", "defaults.timeout", "jobs.y.enabled"]
    assert "(and 3 more)" in caught.value.message
    assert caught.value.hint


def test_a_job_whose_own_entry_is_faulty_is_not_called_unknown(files):
    vercel = {"crons": [{"path": "/clean", "schedule": "0 0 * * mon"}]}
    errors, _, _ = check_files(*files("[jobs.clean]\ntimeout = 5\n", vercel))
    assert [fault.key for fault in errors] == ["crons[0].schedule"]
    errors, _, _ = check_files(
        *files("[jobs.clean]\ntimeout = 5\n", {"crons": [{"path": "/clean"}]})
    )
    assert [fault.key for fault in errors] == ["crons[0]"]


def test_jitter_is_a_duration_shorter_than_a_day(files):
    jobs = check_files(*files('[defaults]\njitter = "90s"\n'))[2]
    assert [job.jitter for job in jobs] == [90.0]
    jobs = check_files(*files("[jobs.clean]\njitter = 86399\n"))[2]
    assert [job.jitter for job in jobs] == [86_399.0]
    for wrong in ("86400", '"1d"', "-1", '"soon"', "true"):
        assert only_error(files, f"[jobs.clean]\njitter = {wrong}\n").key == "jobs.clean.jitter"


BEAT = """
[defaults]
timezone = "Asia/Seoul"
timeout = "5s"
method = "POST"
[jobs.backup]
heartbeat = true
"""


def test_a_heartbeat_takes_zones_from_the_defaults_and_nothing_of_calls(files):
    watched = load(*files(BEAT + 'schedule = "30 2 * * *"\ngrace = "20m"')).jobs[-1]
    assert (watched.name, watched.path, watched.url) == ("backup", "", "")
    assert (watched.heartbeat, watched.grace, watched.timezone) == (True, 1200.0, "Asia/Seoul")
    assert (watched.timeout, watched.deadline, watched.method) == (3600.0, 3600.0, "GET")
    every = load(*files("[jobs.b]\nheartbeat = true\nevery = '90s'\ntimeout = 7")).jobs[-1]
    assert (every.schedule, every.timeout, every.grace) == ("every 90s", 7.0, 300.0)


@pytest.mark.parametrize(
    ("lines", "key", "words"),
    [
        ("", "jobs.backup", "does not say when its pings are due"),
        ("every = '5m'\npath = '/x'", "jobs.backup.path", "has no meaning for a heartbeat"),
        ("every = '5m'\noverlap = 'allow'", "jobs.backup.overlap", "has no meaning"),
        ("every = '5m'\nretry = {max_attempts = 2}", "jobs.backup.retry", "has no meaning"),
        ("every = '5m'\ngrace = 0", "jobs.backup.grace", "out of range"),
        ("schedule = '0 0 30 2 *'", "jobs.backup.schedule", "never"),
        ("every = '5m'\n[jobs.clean]\ngrace = 9", "jobs.clean.grace", "cannot be set here"),
        ("every = '5m'\n[jobs.x]\npath = '/x'\nevery = 9\ngrace = 9", "jobs.x.grace",
         "belongs to a heartbeat"),
    ],
)  # fmt: skip
def test_a_heartbeat_that_is_at_fault_says_what(files, lines, key, words):
    error = only_error(files, BEAT + lines)
    assert error.key == key
    assert words in error.message


def test_a_heartbeat_is_new_under_a_new_name():
    """Its name is all it is known by: two with one schedule must not be taken for each other."""
    from cronbell.config.plan import compare, plain_spec
    from cronbell.domain import JobSpec

    one, other = (
        JobSpec(name=name, path="", schedule="0 0 * * *", heartbeat=True) for name in ("a", "b")
    )
    assert compare({"a": plain_spec(one)}, [other]).renamed == ()
