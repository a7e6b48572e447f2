"""What the run log must say for something to be wrong, and when it is right again."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from tests.alerts.conftest import MINUTE, NOON, alerts_with, alive, open_now, run_of, spec, webhook

from cronbell.clock import to_micros
from cronbell.config.alerts import Rule
from cronbell.runlog.alert_tables import Incident, Suspect
from cronbell.runlog.models import Job, Run, Runner

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
HOUR = timedelta(hours=1)


def test_a_failure_opens_one_incident_however_often_it_is_looked_at(jobs, watched):
    job = jobs("one")["one"]
    watch = watched(alerts_with(webhook()))
    run_of(job, "error", reason="http_status", reason_data={"status": 500}, details="no disk")
    for _ in range(3):
        watch.look()
    assert open_now() == ["failed one"]
    assert Suspect.objects.count() == 0
    run_of(job, "error", NOON + HOUR)
    watch.look()
    assert [one.data["count"] for one in Incident.objects.all()] == [2]


def test_only_so_many_failures_in_a_row_count(jobs, watched):
    job = jobs("one")["one"]
    watch = watched(alerts_with(webhook(), rule=Rule(after=3)))
    for status, expected in [
        ("error", []), ("timed_out", []), ("success", []), ("error", []), ("skipped", []),
        ("unknown", []), ("partial", ["failed one"]), ("success", []),
    ]:  # fmt: skip
        run_of(job, status)
        watch.look()
        assert open_now() == expected


def test_a_run_that_ends_after_a_younger_one_is_judged_all_the_same(jobs, watched):
    job = jobs("one")["one"]
    watch = watched(alerts_with(webhook()))
    slow = run_of(job, "running")
    run_of(job, "skipped", NOON + MINUTE)
    watch.look()
    Run.objects.filter(pk=slow.pk).update(status="error", finished_at=NOON + HOUR)
    watch.look()
    assert open_now() == ["failed one"]


def test_partial_may_count_as_success_and_dry_runs_never_count(jobs, watched):
    job = jobs("one")["one"]
    watch = watched(alerts_with(webhook(), jobs={"one": {"partial": False}}))
    run_of(job, "partial")
    run_of(job, "error", dry_run=True)
    watch.look()
    assert open_now() == []
    run_of(job, "error")
    watch.look()
    run_of(job, "partial")
    watch.look()
    assert open_now() == []


def test_a_job_may_be_left_out_and_may_name_its_channels(jobs, watched):
    made = jobs("one", "two", "three", "billing-a")
    quiet = {"one": {"enabled": False}, "two": {"channels": ("other",)}}
    ops = webhook(jobs=("t*", "billing-*"))
    watch = watched(alerts_with(ops, webhook(name="other", jobs=("nothing",)), jobs=quiet))
    for job in made.values():
        run_of(job, "error")
    found = watch.look()
    assert sorted(open_now()) == ["failed billing-a", "failed three", "failed two"]
    assert {one.channel: one.notices for one in found} == {"ops": 2, "other": 1}


def test_what_was_missed_lasts_until_a_run_is_carried_out(jobs, watched):
    job = jobs("one")["one"]
    watch = watched(alerts_with(webhook()))
    run_of(job, "missed", NOON, reason="outage", missed_count=7, missed_first_at=NOON - HOUR)
    (message,) = watch.told()
    assert "7 fires were missed, the last due 2026-11-22 12:00+00:00" in message
    run_of(job, "success", NOON + HOUR)
    (message,) = watch.told()
    assert "right again" in message
    assert open_now() == []


def test_late_is_what_begins_late_or_waits_for_too_long(jobs, watched, clock):
    made = jobs("began", "waits", "in-time", spec("spread", jitter=600.0))
    watch = watched(alerts_with(webhook()))
    run_of(made["began"], "success", started_at=NOON + 6 * MINUTE)
    run_of(made["spread"], "success", started_at=NOON + 6 * MINUTE)
    run_of(made["in-time"], "success", started_at=NOON + 4 * MINUTE)
    waits = run_of(made["waits"], "pending")
    watch.look(7 * MINUTE)
    assert open_now() == ["late began", "late waits"]
    Run.objects.filter(pk=waits.pk).update(
        status="success", started_at=clock.now(), finished_at=clock.now()
    )
    watch.look()
    assert open_now() == ["late began", "late waits"]  # it did begin, seven minutes late
    for name in ("began", "waits"):
        run_of(made[name], "success", NOON + HOUR)
    watch.look()
    assert open_now() == []


def test_a_heartbeat_that_does_not_ping_is_late_then_missed(jobs, watched, clock):
    beat = spec("backup", heartbeat=True, path="", url="", schedule="0 * * * *", grace=1800.0)
    job = jobs(beat)["backup"]
    watch = watched(alerts_with(webhook()))
    watch.look(64 * MINUTE)
    assert open_now() == []
    watch.look(2 * MINUTE)
    assert open_now() == ["late backup"]
    run_of(job, "missed", NOON + HOUR, reason="no_ping")
    Job.objects.filter(pk=job.pk).update(cursor_at=to_micros(NOON + HOUR))
    watch.look(25 * MINUTE)
    assert open_now() == ["missed backup"]


def test_many_jobs_are_gone_through_piece_by_piece(jobs, watched):
    made = jobs(*(spec(f"job-{n:03}", schedule="*/10 * * * *") for n in range(120)))
    Job.objects.filter(pk=made["job-111"].pk).update(cursor_at=to_micros(NOON - HOUR))
    watched(alerts_with(webhook())).look()
    assert open_now() == ["late job-111"]


def test_too_long_by_the_job_s_limit_or_by_what_is_usual(jobs, watched, clock):
    made = jobs("limited", "usual", "unknown")
    rules = {"limited": {"too_long": 600.0}}
    watch = watched(alerts_with(webhook(), jobs=rules))
    for hour in range(5):
        due = NOON - (hour + 1) * HOUR
        run_of(made["usual"], "success", due, finished_at=due + 2 * MINUTE)
    going = {name: run_of(job, "running") for name, job in made.items()}
    watch.look(3 * MINUTE)
    assert open_now() == []
    watch.look(2 * MINUTE)
    assert open_now() == ["too_long usual"]
    watch.look(6 * MINUTE)
    assert open_now() == ["too_long usual", "too_long limited"]
    for run in going.values():
        Run.objects.filter(pk=run.pk).update(status="success", finished_at=clock.now())
    watch.look()
    assert open_now() == []


@pytest.mark.parametrize(
    ("pending", "is_open"),
    [((5, 50, 500), True), ((5, 50, 90), False), ((500, 600, 600), False), ((5, "x", 500), False)],
)
def test_a_backlog_that_grows_from_answer_to_answer(jobs, watched, pending, is_open):
    job = jobs("drain")["drain"]
    watch = watched(alerts_with(webhook(), jobs={"drain": {"backlog": 100}}))
    for number in pending:
        run_of(job, "success", body=json.dumps({"success": True, "pending": number}))
    watch.look()
    assert open_now() == (["backlog drain"] if is_open else [])
    if is_open:
        run_of(job, "success", body=json.dumps({"pending": 499}))
        watch.look()
        assert open_now() == []


def test_no_runner_alive_is_told_once_it_lasts_and_when_one_is_back(jobs, watched, clock):
    jobs("one")
    watch = watched(alerts_with(webhook()), runner=False)
    assert watch.told(5 * MINUTE) == []  # there never was one
    runner = alive(clock.now())
    assert watch.told(MINUTE / 2) == []
    (message,) = watch.told(MINUTE)
    assert "no runner is alive; the last one, on here" in message
    assert watch.told(HOUR) == []
    Runner.objects.filter(pk=runner.pk).update(seen_at=clock.now())
    (message,) = watch.told()
    assert "right again" in message


def test_of_two_hosts_the_one_that_died_is_named_and_one_that_stopped_is_not(watched, clock):
    alive(NOON, "died")
    alive(NOON, "stopped", stopped_at=NOON)
    watch = watched(alerts_with(webhook()))
    (message,) = watch.told(2 * MINUTE)
    assert "the runner on died has not been seen since" in message
    assert open_now() == ["runner_down died"]
    # A host that is silent for a day is no more, and nobody is told of a recovery.
    assert watch.told(25 * HOUR) == []
    assert open_now() == []


def test_a_job_that_left_is_told_of_no_more(jobs, watched):
    job = jobs("one", "two")["one"]
    watch = watched(alerts_with(webhook(remind=600.0)))
    run_of(job, "error")
    assert len(watch.told()) == 1
    jobs("two")
    assert watch.told(HOUR) == []
    assert open_now() == []


def test_one_job_that_cannot_be_judged_is_no_other_s_trouble(jobs, watched):
    made = jobs("bad", "good")
    Job.objects.filter(pk=made["bad"].pk).update(spec={"jitter": "no number"})
    watch = watched(alerts_with(webhook()))
    for job in made.values():
        run_of(job, "error", started_at=NOON + HOUR)
    watch.look()
    assert "failed good" in open_now()
