"""Home's four questions: what is failing, late, stuck, next."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.dashboard.conftest import START

from cronbell.runlog import overview as module
from cronbell.runlog.models import Job
from cronbell.runlog.overview import Delay, Standstill, overview

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
NOW = START + timedelta(hours=30)  # Monday, 06:00 UTC


@pytest.fixture
def accounted(jobs):
    """Have every fire up to now recorded, as while a runner is up."""
    Job.objects.update(cursor_at=NOW)
    return jobs


def delays(now=NOW) -> list[tuple[str, Delay]]:
    return [(late.job.name, late.how) for late in overview(now).late.rows]


def standstills(now=NOW) -> list[tuple[str, Standstill]]:
    return [(stuck.job.name, stuck.how) for stuck in overview(now).stuck.rows]


def test_a_service_at_rest_has_nothing_but_what_comes_next(accounted, make_run):
    make_run(finished_at=NOW)
    found = overview(NOW)
    assert (found.failing.rows, found.late.rows, found.stuck.rows) == ([], [], [])
    coming = [(one.job.name, one.at.isoformat()) for one in found.coming.rows]
    assert coming == [
        ("update-rankings", "2026-11-24T00:00:00+00:00"),
        ("digest", "2026-11-24T00:30:00+00:00"),
        ("clean-data", "2026-11-29T03:00:00+00:00"),
    ]


def test_next_leaves_out_what_is_paused_disabled_or_has_no_schedule(accounted):
    Job.objects.filter(name="digest").update(paused_at=NOW, pause_reason="x")
    Job.objects.filter(name="clean-data").update(enabled=False)
    found = overview(NOW)
    assert [one.job.name for one in found.coming.rows] == ["update-rankings"]
    assert (found.jobs, found.paused) == (3, 1)


def test_failing_names_the_run_that_failed_last_and_how_often_in_a_row(accounted, make_run):
    make_run(status="error")
    newest = make_run(status="timed_out")
    make_run("clean-data", "error")
    make_run("clean-data")
    (failing,) = overview(NOW).failing.rows
    assert (failing.run.pk, failing.streak.count) == (newest.pk, 2)


def test_a_fire_nobody_recorded_is_overdue_after_a_minute_and_its_jitter(accounted):
    due = START + timedelta(days=1)
    Job.objects.filter(name="update-rankings").update(cursor_at=START)
    assert delays(due + timedelta(seconds=60)) == []
    assert delays(due + timedelta(seconds=61)) == [("update-rankings", Delay.OVERDUE)]
    job = Job.objects.get(name="update-rankings")
    job.spec["jitter"] = 120.0
    job.save()
    assert delays(due + timedelta(seconds=179)) == []
    job.paused_at, job.pause_reason = START, "its fires are skipped"
    job.save()
    assert delays(due + timedelta(days=1)) == []


def test_a_run_no_runner_takes_is_waiting_but_not_one_that_waits_its_turn(accounted, make_run):
    pending = {"status": "pending", "started_at": None}
    make_run(**pending, available_at=NOW - timedelta(seconds=61))
    make_run("clean-data", **pending, available_at=NOW - timedelta(seconds=59))
    make_run("digest", **pending, available_at=NOW - timedelta(hours=1), waits=True)
    assert delays() == [("update-rankings", Delay.WAITING)]


def test_a_missed_fire_is_shown_for_a_week_unless_a_run_was_carried_out_since(accounted, make_run):
    make_run(status="missed", started_at=None, finished_at=NOW, missed_count=3)
    assert delays() == [("update-rankings", Delay.MISSED)]
    assert delays(NOW + module.MISSED_FOR + timedelta(seconds=1)) == [
        ("update-rankings", Delay.OVERDUE), ("digest", Delay.OVERDUE),
        ("clean-data", Delay.OVERDUE),
    ]  # fmt: skip
    make_run()
    assert delays() == []


def test_late_starts_of_the_last_day_are_shown_once_for_each_job(accounted, make_run):
    for minutes in (20, 9):
        due = NOW - timedelta(minutes=minutes)
        make_run(scheduled_at=due, started_at=due + timedelta(minutes=4))
    make_run("clean-data", scheduled_at=NOW, started_at=NOW + timedelta(seconds=60))
    make_run("digest", kind="run_now", scheduled_at=START, started_at=NOW)
    assert delays() == [("update-rankings", Delay.LATE)]
    assert overview(NOW).late.rows[0].by == timedelta(minutes=4)
    # A day later it is no news any more; fires have come due meanwhile.
    later = [how for _, how in delays(NOW + timedelta(days=1))]
    assert Delay.LATE not in later


def test_what_is_stuck(accounted, make_run):
    alive = {"status": "running", "lease_expires_at": NOW + timedelta(seconds=30)}
    long_ago = NOW - timedelta(minutes=10)
    make_run(started_at=START, finished_at=START + timedelta(seconds=3))
    make_run(**alive, started_at=long_ago, deadline_at=NOW + timedelta(hours=1))
    make_run("clean-data", **alive, started_at=long_ago, deadline_at=NOW - timedelta(seconds=61))
    make_run("digest", **{**alive, "lease_expires_at": NOW - timedelta(seconds=16)})
    assert sorted(standstills()) == [
        ("clean-data", Standstill.DEADLINE),
        ("digest", Standstill.LEASE),
        ("update-rankings", Standstill.LONG),
    ]


def test_a_run_as_long_as_usual_or_without_a_measure_is_not_stuck(accounted, make_run):
    alive = {"status": "running", "lease_expires_at": NOW, "deadline_at": NOW + timedelta(hours=1)}
    make_run(started_at=START, finished_at=START + timedelta(minutes=6))
    make_run(**alive, started_at=NOW - timedelta(minutes=10))
    make_run("clean-data", **alive, started_at=NOW - timedelta(minutes=50))
    assert standstills() == []


def test_a_definition_that_cannot_be_read_is_stuck_and_stops_no_other_line(accounted):
    Job.objects.filter(name="digest").update(spec={"name": "digest"})
    found = overview(NOW)
    assert [(one.job.name, one.how) for one in found.stuck.rows] == [
        ("digest", Standstill.DEFINITION)
    ]
    assert len(found.coming.rows) == 2


def test_long_lists_are_cut_and_say_how_many_are_left(accounted, make_run, monkeypatch):
    monkeypatch.setattr(module, "SHOWN", 1)
    for name in ("update-rankings", "clean-data"):
        make_run(name, "error")
        make_run(name, "missed", started_at=None, finished_at=NOW)
    found = overview(NOW)
    for listing, more in ((found.failing, 1), (found.late, 1), (found.coming, 2)):
        assert (len(listing.rows), listing.more) == (1, more)
