"""``run``, ``runs``, ``jobs`` and ``doctor`` as a shell calls them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
CRONBELL = BIN / "cronbell"


@pytest.fixture
def command(process, prepared_with_jobs):
    """Run ``cronbell`` on a prepared run log without a runner."""

    def call(*args: str) -> tuple[int, str]:
        one = process(CRONBELL, *args, env=prepared_with_jobs)
        return one.wait(60), one.output()

    return call


def test_jobs_are_listed_with_their_next_fires(command):
    code, output = command("jobs", "--json")
    assert code == 0
    jobs = {job["name"]: job for job in json.loads(output)["jobs"]}
    assert jobs["nightly"]["nextFire"].endswith("T00:00:00Z")
    assert (jobs["off"]["enabled"], jobs["off"]["nextFire"]) == (False, None)
    code, output = command("jobs")
    assert output.splitlines()[0].split("\t")[:2] == ["job", "schedule"]


def test_a_run_is_asked_for_and_seen_in_the_log(command):
    code, output = command("run", "nightly", "--json")
    run = json.loads(output)
    assert (code, run["jobName"], run["status"], run["kind"]) == (
        0,
        "nightly",
        "pending",
        "run_now",
    )
    assert "(command line)" in run["actor"]
    code, output = command("run", "nightly", "--json")
    again = json.loads(output)
    assert (again["status"], again["reason"]) == ("skipped", "overlap")
    code, output = command("runs", "--json", "--job", "nightly", "--status", "skipped")
    assert [one["id"] for one in json.loads(output)["runs"]] == [again["id"]]


def test_a_parameter_is_sent_only_where_the_job_declares_it(command):
    code, output = command("run", "choosy", "--param", "category=a=b", "--json")
    assert (code, json.loads(output)["parameters"]) == (0, {"category": "a=b"})
    code, output = command("run", "nightly", "--param", "category=a")
    assert code == 1
    assert "has no parameter 'category'" in output
    for wrong in (["category"], ["=a"], ["a=1", "a=2"]):
        flags = [part for one in wrong for part in ("--param", one)]
        assert command("run", "choosy", *flags)[0] == 2


def test_a_job_is_paused_shown_so_and_resumed(command):
    code, output = command("pause", "nightly", "--reason", "moving house", "--json")
    assert (code, json.loads(output)["paused"]) == (0, True)
    _, output = command("jobs", "--json")
    jobs = {job["name"]: job for job in json.loads(output)["jobs"]}
    assert (jobs["nightly"]["paused"], jobs["nightly"]["pauseReason"]) == (True, "moving house")
    assert "(command line)" in jobs["nightly"]["pausedBy"]
    assert jobs["off"]["paused"] is False
    assert "paused: moving house" in command("jobs")[1]
    assert "fires again" in command("resume", "nightly")[1]
    code, output = command("resume", "nightly")
    assert code == 1
    assert "is not paused" in output


def test_a_waiting_run_is_cancelled(command):
    run = json.loads(command("run", "nightly", "--json")[1])["id"]
    code, output = command("cancel", str(run), "--json")
    cancelled = json.loads(output)
    assert (code, cancelled["status"], cancelled["reason"]) == (0, "cancelled", "cancelled")
    code, output = command("cancel", str(run))
    assert code == 1
    assert "is over: cancelled" in output


def test_waiting_for_a_run_that_nobody_runs_says_so_and_ends_in_time(command):
    code, output = command("run", "nightly", "--wait", "--timeout", "0.2")
    assert code == 1
    assert "no runner is up" in output


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["run", "nothing"], 1, "there is no job 'nothing'"),
        (["run", "nothing", "--json"], 1, '"error"'),
        (["run", "nightly", "--dry-run"], 1, "dry_run = true"),
        (["run"], 2, "JOB"),
        (["pause", "nothing", "--reason", "x"], 1, "there is no job 'nothing'"),
        (["pause", "nightly"], 2, "--reason"),
        (["cancel", "17"], 1, "there is no run 17"),
        (["cancel", "it"], 2, "RUN"),
        (["runs", "--status", "odd"], 2, "odd"),
        (["runs", "--limit", "0"], 2, "limit"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_wrong_use_is_a_sentence_and_an_exit_code(command, args, code, said):
    found, output = command(*args)
    assert found == code
    assert said in output
    assert "Traceback" not in output


def test_doctor_names_what_ails_and_the_remedy(command):
    code, output = command("doctor", "--json")
    assert code == 1
    found = json.loads(output)
    assert found["ok"] is False
    by_name = {finding["name"]: finding for finding in found["findings"]}
    assert by_name["database runlog"]["ok"]
    assert not by_name["runner"]["ok"]
    assert "cronbell up" in by_name["runner"]["remedy"]
    assert by_name["tzdata"]["detail"].startswith("202")
    assert by_name["environment"]["ok"]
    code, output = command("doctor")
    assert "FAIL runner" in output


def test_doctor_names_a_variable_that_does_nothing(process, prepared_with_jobs):
    misspelled = {"CRONBELL_METRIC_TOKEN": "not-to-be-shown-anywhere"}
    one = process(CRONBELL, "doctor", env={**prepared_with_jobs, **misspelled})
    assert one.wait(60) == 1
    assert "FAIL environment: nothing reads the variable CRONBELL_METRIC_TOKEN" in one.output()
    assert "did you mean `CRONBELL_METRICS_TOKEN`?" in one.output()
    assert "not-to-be-shown" not in one.output()


def test_doctor_looks_at_the_secret_before_too(process, prepared_with_jobs):
    secrets = {"CRON_SECRET": "sixteen-characters", "CRON_SECRET_PREVIOUS": "canary-short"}
    one = process(CRONBELL, "doctor", env={**prepared_with_jobs, **secrets})
    assert one.wait(60) == 1
    assert "FAIL CRON_SECRET: CRON_SECRET_PREVIOUS has fewer than 16 characters" in one.output()
    assert "canary" not in one.output()


def test_a_folder_without_a_run_log_is_not_given_one(process, tmp_path, store_url):
    one = process(CRONBELL, "jobs", "--data", tmp_path / "nothing")
    assert one.wait(60) == 1
    assert "there is no run log" in one.output()
    # Beside PostgreSQL the folder keeps the key that signs sessions, and no data.
    assert store_url or not (tmp_path / "nothing").exists()


def test_a_database_that_does_not_answer_is_a_sentence(process, tmp_path, free_port):
    url = f"postgresql://nobody@127.0.0.1:{free_port}/nothing"
    for name in ("jobs", "doctor"):
        one = process(CRONBELL, name, env={"DATABASE_URL": url}, cwd=tmp_path)
        assert one.wait(60) == 1
        assert "DATABASE_URL" in one.output()
        assert "Traceback" not in one.output()
