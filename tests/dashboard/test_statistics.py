"""How jobs stand, and their figures: right, and bounded however long the log is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from tests.dashboard.conftest import START

from cronbell.runlog import statistics
from cronbell.runlog.models import Job, Run
from cronbell.runlog.router import ALIAS
from cronbell.states import Status

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
NOON = START.replace(hour=12)


def standing(name="update-rankings"):
    known, _ = statistics.standings()
    return {one.job.name: one for one in known}[name]


@pytest.mark.parametrize("status", ["error", "timed_out", "unknown", "partial"])
def test_a_job_is_failing_while_its_last_run_carried_out_failed(make_run, status):
    make_run()
    failed = make_run(status=status)
    make_run(status="skipped", started_at=None)
    make_run(status="cancelled")
    make_run(status="running")
    assert standing().failing
    assert standing().failed == failed.pk
    make_run()
    assert not standing().failing


def test_a_dry_run_that_went_well_hides_no_failure(make_run):
    make_run(status="error")
    make_run(dry_run=True)
    assert standing().failing


def test_a_missed_fire_is_open_until_a_run_is_carried_out(make_run):
    missed = make_run(status="missed", started_at=None)
    assert standing().missed == missed.pk
    make_run(status="error")
    assert standing().missed == missed.pk
    make_run(status="partial")
    assert standing().missed == 0


def test_jobs_are_found_by_name_or_path_and_those_removed_are_left_out(make_run, jobs):
    assert [one.job.name for one in statistics.standings(text="CLEAN")[0]] == ["clean-data"]
    assert len(statistics.standings(text="/api/cron")[0]) == 3
    assert statistics.standings(text="\x00")[0] == []
    Job.objects.filter(name="digest").update(removed_at=START)
    assert len(statistics.standings()[0]) == 2
    known, more = statistics.standings(limit=1)
    assert (len(known), more) == (1, True)


def test_standings_take_one_query_however_many_jobs(make_run):
    make_run()
    with CaptureQueriesContext(connections[ALIAS]) as queried:
        statistics.standings()
    assert len(queried) == 1


@pytest.mark.skipif("connections[ALIAS].vendor != 'sqlite'", reason="the plan's words are SQLite's")
def test_a_standing_is_one_step_into_an_index_for_each_status(make_run):
    make_run()
    with CaptureQueriesContext(connections[ALIAS]) as queried:
        statistics.standings()
    sql = queried.captured_queries[0]["sql"]
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + sql)
        plan = [row[3] for row in cursor.fetchall() if " run " in row[3]]
    assert len(plan) == len(statistics._STOOD)
    assert all("run_by_job_status" in step and "status=?" in step for step in plan), plan


def test_a_streak_counts_failures_since_the_last_success(make_run, monkeypatch):
    make_run(status="error")
    make_run()
    first = make_run(status="partial")
    make_run(status="skipped", started_at=None)
    make_run(status="error")
    found = statistics.streak(standing())
    assert (found.count, found.capped, found.since) == (2, False, first.scheduled_at)
    monkeypatch.setattr(statistics, "STREAK_CAP", 1)
    assert statistics.streak(standing()).capped


def test_figures_are_those_of_the_days(make_run, jobs):
    for hours_ago, status, seconds in (
        (960, "error", 1), (48, "success", 4), (25, "success", 2), (24, "error", 6),
        (1, "success", 3),
    ):  # fmt: skip
        at = NOON - timedelta(hours=hours_ago)
        make_run(
            status=status, scheduled_at=at, started_at=at + timedelta(seconds=1),
            finished_at=at + timedelta(seconds=1 + seconds),
        )  # fmt: skip
    make_run(status="skipped", scheduled_at=NOON, started_at=None)
    make_run(status="running", scheduled_at=NOON + timedelta(minutes=1))
    make_run("clean-data", "error", scheduled_at=NOON)
    found = statistics.job_figures(jobs["update-rankings"].pk, NOON)
    assert found.complete
    assert found.since == NOON - timedelta(days=2)
    assert (found.whole.succeeded, found.whole.failed, found.whole.not_run) == (3, 1, 1)
    assert found.whole.rate == 0.75
    assert found.whole.duration == statistics.Spread(3, 6)
    assert found.whole.lateness == statistics.Spread(1, 1)
    assert [(figures.succeeded, figures.failed) for _, figures in found.days] == [
        (1, 0), (1, 1), (1, 0),
    ]  # fmt: skip


def test_a_day_without_a_run_is_there_and_empty(make_run, jobs):
    make_run(scheduled_at=NOON - timedelta(days=2))
    make_run(scheduled_at=NOON)
    days = statistics.job_figures(jobs["update-rankings"].pk, NOON).days
    assert [figures.carried_out for _, figures in days] == [1, 0, 1]
    assert days[1][1].rate is None
    assert days[1][1].duration is None


def test_a_window_that_is_cut_short_says_so_and_reads_no_more(make_run, jobs, monkeypatch):
    monkeypatch.setattr(statistics, "WINDOW_RUNS", 3)
    for number in range(5):
        make_run(scheduled_at=NOON - timedelta(minutes=number))
    found = statistics.job_figures(jobs["update-rankings"].pk, NOON)
    assert not found.complete
    assert found.whole.carried_out == 3


def test_a_job_that_never_ran_has_no_figures(jobs):
    found = statistics.job_figures(jobs["digest"].pk, NOON)
    assert (found.days, found.since, found.complete) == ([], None, True)
    assert statistics.usual_seconds(jobs["digest"].pk) is None
    assert statistics.last_marks(jobs["digest"].pk, 20) == []


def test_marks_are_the_newest_oldest_first(make_run, jobs):
    runs = [make_run() for _ in range(4)]
    marks = statistics.last_marks(jobs["update-rankings"].pk, 3)
    assert [mark.id for mark in marks] == [run.pk for run in runs[1:]]
    assert marks[0].seconds == 2.75
    assert marks[0].late_seconds == 0.25
    by_hand = make_run(kind="run_now")
    assert statistics.last_marks(by_hand.job_id, 1)[0].late_seconds is None


def test_what_is_usual_is_what_nineteen_in_twenty_successes_take(make_run, jobs):
    for seconds in range(1, 21):
        at = NOON
        make_run(started_at=at, finished_at=at + timedelta(seconds=seconds))
    make_run(status="error", started_at=NOON, finished_at=NOON + timedelta(hours=1))
    assert statistics.usual_seconds(jobs["update-rankings"].pk) == 20


def test_every_final_status_counts_somewhere(make_run, jobs):
    """Sabotage against a new status that no figure counts."""
    for status in Status:
        make_run(status=status.value)
    whole = statistics.job_figures(jobs["update-rankings"].pk, NOON).whole
    active = Run.objects.filter(finished_at__isnull=True).count()
    assert whole.succeeded + whole.failed + whole.not_run == len(Status) - active
