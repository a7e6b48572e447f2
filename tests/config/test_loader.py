"""Both files together: the target, the deadline, the limits."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronbell.config.loader import check_files, load, shortest_deadline
from cronbell.config.urls import UrlError, parse_allowed, parse_base, parse_url
from cronbell.dispatch.request import BadRequestError, canonical_url
from cronbell.dispatch.request import parse_allowed as dispatch_parse_allowed
from cronbell.domain import RetryPolicy
from cronbell.errors import ConfigError


def test_no_file_at_all_is_an_empty_configuration():
    config = load(None, None)
    assert (config.jobs, config.target, config.allowed_hosts) == ((), "", frozenset())
    assert config.concurrency == 100


def test_the_given_target_goes_before_the_one_in_the_file(tmp_path):
    toml = tmp_path / "cronbell.toml"
    toml.write_text('target = "https://file.example"\n[jobs.a]\npath = "/a"\nevery = 60\n')
    assert load(None, toml).jobs[0].url == "https://file.example/a"
    config = load(None, toml, target="http://LOCALHOST:3000/")
    assert config.jobs[0].url == "http://localhost:3000/a"
    assert config.allowed_hosts == {"localhost:3000"}


@pytest.mark.parametrize("target", ["", "localhost", "http://u:p@x", "http://x?y", "http://x#y"])
def test_a_bad_target_is_refused_by_name(target):
    with pytest.raises(ConfigError) as caught:
        load(None, None, target=target)
    (fault,) = caught.value.faults
    assert (fault.file, fault.key) == ("--target", "target")


def test_without_a_target_jobs_have_no_url(tmp_path):
    path = tmp_path / "vercel.json"
    path.write_text('{"crons": [{"path": "/a", "schedule": "0 0 * * *"}]}')
    assert load(path, None).jobs[0].url == ""


@pytest.mark.parametrize(
    ("timeout", "retry", "deadline"),
    [
        (300, RetryPolicy(), 600),
        (60, RetryPolicy(max_attempts=3, backoff=10), 60 * 4 + 10 + 20),
        (1, RetryPolicy(max_attempts=5, backoff=10, max_backoff=30), 6 + 10 + 20 + 30 + 30),
        (1, RetryPolicy(max_attempts=100, backoff=1, max_backoff=600), 101 + 1023 + 600 * 89),
    ],
)
def test_the_computed_deadline_leaves_room_for_one_resend(timeout, retry, deadline):
    assert shortest_deadline(timeout, retry) == deadline


def test_a_hundred_thousand_jobs_load_in_seconds_with_all_names_told_apart(tmp_path):
    path = tmp_path / "vercel.json"
    crons = [
        {"path": f"/api/{index}/job", "schedule": f"{index % 60} {index // 60 % 24} * * *"}
        for index in range(100_000)
    ]
    path.write_text(json.dumps({"crons": crons}))
    start = time.process_time()
    config = load(path, None, target="http://127.0.0.1:1")
    assert time.process_time() - start < 10
    assert len({job.name for job in config.jobs}) == 100_000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its own peak")
def test_a_hundred_thousand_jobs_take_less_than_150_mb(tmp_path):
    path = tmp_path / "vercel.json"
    crons = [
        {"path": f"/api/job-{n}", "schedule": f"{n % 60} {n % 24} * * *"} for n in range(100_000)
    ]
    path.write_text(json.dumps({"crons": crons}))
    program = (
        "import re, sys, pathlib\n"
        "from cronbell.config.loader import load\n"
        "status = pathlib.Path('/proc/self/status')\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', status.read_text())[1])\n"
        "before = peak()\n"
        "config = load(pathlib.Path(sys.argv[1]), None)\n"
        "print(len(config.jobs), (peak() - before) // 1024)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    count, megabytes = map(int, answer.stdout.split())
    assert count == 100_000
    assert 0 < megabytes < 150


def test_a_hundred_thousand_faults_are_found_in_seconds(tmp_path):
    path = tmp_path / "cronbell.toml"
    path.write_text("".join(f'[jobs.j{index}]\npath = "x"\n' for index in range(20_000)))
    start = time.process_time()
    errors, _, _ = check_files(None, path)
    assert time.process_time() - start < 10
    assert len(errors) == 20_000
    assert errors[-1].line == 40_000


def test_a_key_given_a_million_times_does_not_take_minutes(tmp_path):
    path = tmp_path / "vercel.json"
    keys = ",".join(f'"k{index % 1000}":1' for index in range(300_000))
    path.write_text('{"crons": [], "x": {' + keys + "}}")
    start = time.process_time()
    assert check_files(path, None)[0] == []
    assert time.process_time() - start < 10


HOSTS = st.text(alphabet="abc.-_:[]019@/\\ é한%*", max_size=20)


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(["http", "https", "HTTP", "ftp"]), HOSTS, st.text(max_size=12))
def test_what_is_accepted_here_is_called_at_the_very_host_that_was_judged(scheme, host, rest):
    """Two readers of URLs that disagree would let the secret go to a host nobody allowed."""
    try:
        url = parse_url(f"{scheme}://{host}{rest}")
    except UrlError:
        return
    _, origin = canonical_url(url.text)
    called = f"[{origin.host}]" if ":" in origin.host else origin.host
    assert (called, origin.port) == (url.host, url.port)
    base = None
    try:
        base = parse_base(f"{scheme}://{host}{rest}")
    except UrlError:
        assert "?" in url.target
    if base is not None:
        _, origin = canonical_url(base.text + "/api/cron/x")
        assert origin.port == url.port


@settings(max_examples=800, deadline=None)
@given(HOSTS)
def test_an_allowed_host_is_read_alike_by_who_judges_and_who_calls(host):
    try:
        allowed = parse_allowed(host)
    except UrlError:
        return
    try:
        name, port = dispatch_parse_allowed(allowed)
    except BadRequestError as error:
        pytest.fail(f"dispatch refuses {allowed!r}: {error}")
    shown = f"[{name}]" if ":" in name else name
    assert allowed == (f"{shown}:{port}" if port else shown)


def test_sabotage_a_looser_reader_would_be_noticed():
    with pytest.raises(UrlError):
        parse_url("http://allowed.example\\@evil.example/")
    with pytest.raises(UrlError):
        parse_url("http://allowed.example@evil.example/")
