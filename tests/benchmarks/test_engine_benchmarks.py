"""The engine's benchmarks still run, count what they say they count, and see a broken promise."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest
from benchmarks.engine_process import NotReadyError, running_engine
from benchmarks.local_target import answering_after, answering_at_once

from benchmarks import herd, herd_roles, idle, slow_target, trickle
from cronbell.clock import SYSTEM_CLOCK, from_micros
from cronbell.domain import Dialect
from cronbell.schedule import compile_schedule

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def small(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Not the tests' stores: a benchmark makes its own.
    ours = ("CRONBELL_", "DJANGO_", "DATABASE_URL")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    kept = {key: value for key, value in os.environ.items() if key == "CRONBELL_TEST_RUN"}
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment | kept,
        check=False,
    )


def test_the_herd_is_run_once_by_one_runner_and_by_two(nginx):
    answer = small("herd", "--quick", "--store", "sqlite")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for words in ("two/s", "first promise 0.5", "0.75", "1.1", "all 60 recorded once"):
        assert words in answer.stdout


def test_the_bounds_of_the_herd_are_measured_small(nginx):
    answer = small("herd_bounds", "--jobs", "60", "--rounds", "1")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    lines = answer.stdout.splitlines()[1:]
    names = ["calls alone", "whole", "ends not written", "nor decided"]
    assert [line[:18].strip() for line in lines] == names


@linux
def test_the_trickle_runs_small(nginx):
    answer = small("trickle", "--jobs", "80", "--minutes", "0.05")
    # On a busy machine it may be late; that it says so is what is tested.
    assert answer.returncode in {0, 1}, answer.stdout + answer.stderr
    assert "each recorded once" in answer.stdout, answer.stdout + answer.stderr


@linux
def test_the_idle_engine_runs_small():
    answer = small("idle", "--jobs", "50", "--seconds", "1")
    assert answer.returncode in {0, 1}, answer.stdout + answer.stderr
    assert "of a core (less than 1%)" in answer.stdout


def test_the_slow_target_runs_small():
    # Long enough for runs without a worker to be given back, and claimed a second time.
    answer = small("slow_target", "--jobs", "9", "--seconds", "0.7", "--concurrency", "3")
    assert answer.returncode in {0, 1}, answer.stdout + answer.stderr
    assert "ideal 2.10 s" in answer.stdout
    assert "all 9 recorded once" in answer.stdout, answer.stderr


def test_a_share_below_the_promise_is_seen():
    good = herd.Shares(one=[0.7], two=[1.2], p99=[1.3])
    assert good.kept("postgresql")
    assert not good.kept("sqlite"), "0.75 there"
    assert not herd.Shares(one=[0.8], two=[1.0], p99=[1.3]).kept("sqlite")
    assert not herd.Shares(one=[0.8], two=[1.2], p99=[1.5]).kept("sqlite")


def test_the_runners_add_up_what_they_have_ended(tmp_path):
    one, two = herd_roles.Ended(tmp_path, 0), herd_roles.Ended(tmp_path, 1)
    assert one.tell(3) == 3
    assert two.tell(400) == 403
    assert one.tell(600) == 1000


def test_a_target_counts_its_calls(tmp_path, nginx):
    with answering_at_once(tmp_path) as target:
        assert target.calls() == 0
        for path in ("/api/cron/a", "/api/cron/b"):
            with urlopen(target.url + path, timeout=10) as answer:
                assert answer.status == 200
        assert target.calls() == 2


@pytest.mark.parametrize("called", [0, 1, 3])
def test_sabotage_a_call_too_many_or_too_few_ends_the_herd(called):
    with pytest.raises(SystemExit, match=f"2 jobs were due; the target was called {called} times"):
        herd.judge_calls(2, called)
    herd.judge_calls(2, 2)


@pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
def test_sabotage_a_fire_that_was_run_twice_or_not_at_all_ends_the_herd():
    from tests.runlog.test_store import job

    from cronbell.runlog.models import Run

    due = from_micros(herd_roles.DUE)
    times = dict.fromkeys(
        ("scheduled_at", "queued_at", "available_at", "started_at", "finished_at", "deadline_at"),
        due,
    )
    run = Run.objects.create(
        job=job(), key="a", kind="schedule", status="success", lease_term=1, **times
    )
    assert herd_roles._look(1) == {"p50_ms": 0.0, "p99_ms": 0.0}
    with pytest.raises(SystemExit, match="2 jobs were due; 1 runs"):
        herd_roles._look(2)
    Run.objects.filter(pk=run.pk).update(attempt=2)
    with pytest.raises(SystemExit, match="1 jobs were due; 0 runs"):
        herd_roles._look(1)


def test_a_trickle_is_a_thousand_fires_a_minute_and_they_are_counted_exactly():
    minute = 60 * herd_roles.MICROS
    assert trickle.expected(1_000, 0, 60 * minute) / 60 == pytest.approx(1_000, rel=0.03)
    schedules = [
        compile_schedule(f"every {seconds}s", dialect=Dialect.STANDARD)
        for seconds in trickle.intervals(200)
    ]
    since, until = 1_795_305_661, 1_795_305_991
    listed = sum(len(list(one.fires(since, until))) for one in schedules)
    assert trickle.expected(200, since * herd_roles.MICROS, until * herd_roles.MICROS) == listed


def test_no_idle_job_is_due_within_a_day():
    now = SYSTEM_CLOCK.now()
    crons = idle.distant_crons(100_000, now)
    assert len({cron["path"] for cron in crons}) == 100_000
    second = int(now.timestamp())
    tomorrow = int((now + timedelta(days=1)).timestamp())
    for cron in crons[::997]:
        assert not compile_schedule(cron["schedule"]).count(second, tomorrow), cron


def test_the_slow_targets_ideal_and_the_target_itself():
    assert slow_target.ideal(500, 2.0, 100) == 10.0
    assert slow_target.ideal(501, 2.0, 100) == 12.0
    with answering_after(0.1) as target:
        begun = SYSTEM_CLOCK.monotonic()
        host, port = target.url.removeprefix("http://").split(":")
        import http.client

        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
        assert target.calls() == 1
    assert SYSTEM_CLOCK.monotonic() - begun >= 0.1


@linux
def test_an_engine_that_does_not_come_up_ends_the_benchmark_with_its_words(tmp_path: Path):
    with (
        pytest.raises(NotReadyError, match="not-a-key"),
        running_engine(tmp_path, target="http://127.0.0.1:9", toml="not-a-key = 1\n"),
    ):
        pass
