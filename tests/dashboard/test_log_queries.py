"""What pages and API read: right, and bounded."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from tests.dashboard.conftest import START

from cronbell.clock import SYSTEM_CLOCK
from cronbell.runlog import log_counts, log_pages, queries
from cronbell.runlog.log_pages import Log
from cronbell.runlog.models import Job, Run, Runner
from cronbell.runlog.queries import LogFilter, Tally
from cronbell.runlog.router import ALIAS
from cronbell.states import Status

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])

# Indexes that hold only runs that go on.
GOING_ON = ("run_pending", "run_running", "run_active_of_job")


@pytest.fixture
def counted():
    return lambda: CaptureQueriesContext(connections[ALIAS])


def test_counts_by_status_ignore_the_status_chosen_but_not_the_rest(make_run):
    make_run(status="error")
    make_run()
    make_run("clean-data", "error")
    counts = Log(LogFilter(job_name="update-rankings", status=Status.SUCCESS)).statuses
    assert counts[Status.ERROR].number == 1
    assert counts[Status.SUCCESS].number == 1
    assert list(counts) == list(Status)


def test_a_count_stops_at_its_cap_and_says_so_where_no_totals_are_kept(make_run, monkeypatch):
    monkeypatch.setattr(log_counts, "UNCOUNTED_MOST", 0)
    for _ in range(5):
        make_run()
    assert str(log_pages.log_page(LogFilter(), cap=4).total) == "4+"
    assert str(log_pages.log_page(LogFilter(), cap=5).total) == "5"


def test_counts_by_job(make_run, jobs):
    make_run()
    make_run("clean-data", "error")
    make_run("clean-data")
    ids = [job.pk for job in jobs.values()]
    counts, capped = Log(LogFilter(job_name="digest")).jobs(ids)
    assert counts == {jobs["update-rankings"].pk: 1, jobs["clean-data"].pk: 2}
    assert not capped
    counts, _ = Log(LogFilter(status=Status.ERROR)).jobs(ids)
    assert counts == {jobs["clean-data"].pk: 1}


def test_a_page_takes_as_many_queries_however_many_rows_it_has(make_run, counted):
    for _ in range(30):
        make_run()
    with counted() as few:
        [run.job.name for run in log_pages.log_page(LogFilter(), limit=2).runs]
    with counted() as many:
        [run.job.name for run in log_pages.log_page(LogFilter(), limit=30).runs]
    assert len(few) == len(many)
    assert all('"body"' not in query["sql"] for query in many.captured_queries)


def test_the_jobs_take_one_query_however_many_there_are(make_run, counted):
    make_run()
    make_run("digest")
    with counted() as queried:
        lines, total = queries.job_lines(START, limit=50)
    assert len(queried) == 1
    assert total == 3
    assert [line.job.name for line in lines] == ["clean-data", "digest", "update-rankings"]


def test_each_job_shows_its_newest_run_and_next_fire(make_run):
    make_run()
    newest = make_run(status="error")
    lines, _ = queries.job_lines(START, limit=50)
    by_name = {line.job.name: line for line in lines}
    assert by_name["update-rankings"].last_run == (newest.pk, newest.status)
    assert by_name["clean-data"].last_run is None
    assert by_name["update-rankings"].next_fire == START + timedelta(days=1)
    # Sunday 2026-11-22 in UTC; Monday 09:30 in Seoul is 00:30 UTC.
    assert by_name["digest"].next_fire == START + timedelta(days=1, minutes=30)


@pytest.mark.parametrize("damage", [{}, {"name": "x"}, [], "text", {"retry": 5}, None])
def test_a_job_that_cannot_be_read_does_not_take_the_others_with_it(jobs, damage):
    spec = jobs["digest"].spec | damage if isinstance(damage, dict) and damage else damage
    Job.objects.filter(name="digest").update(spec={} if spec is None else spec)
    lines, _ = queries.job_lines(START, limit=50)
    by_name = {line.job.name: line for line in lines}
    assert by_name["update-rankings"].next_fire is not None
    assert by_name["digest"].fault or by_name["digest"].next_fire


def test_a_disabled_job_has_no_next_fire_and_a_removed_one_no_line(jobs):
    Job.objects.filter(name="digest").update(enabled=False)
    Job.objects.filter(name="clean-data").update(removed_at=START)
    lines, total = queries.job_lines(START, limit=50)
    assert [(line.job.name, line.next_fire is None) for line in lines] == [
        ("digest", True),
        ("update-rankings", False),
    ]
    assert total == 2


def test_a_search_looks_only_at_the_newest(make_run, monkeypatch):
    monkeypatch.setattr(log_pages, "SEARCH_WINDOW", 2)
    make_run(details="needle")
    make_run()
    make_run()
    assert log_pages.log_page(LogFilter(text="needle")).total.number == 0
    monkeypatch.setattr(log_pages, "SEARCH_WINDOW", 3)
    assert log_pages.log_page(LogFilter(text="needle")).total.number == 1
    of_job = LogFilter(text="needle", job_name="update-rankings", status=Status.SUCCESS)
    for most, found in ((2, 0), (3, 1)):
        monkeypatch.setattr(log_pages, "SEARCH_WINDOW_OF_JOB", most)
        assert (Log(of_job).search_window, Log(of_job).total.number) == (most, found)


def test_the_numbers_beside_a_search_in_a_jobs_status_stop_sooner_and_say_so(
    make_run, jobs, monkeypatch
):
    for _ in range(3):
        make_run(status="error", details="needle")
        make_run(details="needle")
        make_run("digest", "error", details="needle")
    name, ids = "update-rankings", [job.pk for job in jobs.values()]
    monkeypatch.setattr(log_pages, "JOBS_WINDOW", 2)
    log = Log(LogFilter(job_name=name, status=Status.ERROR, text="NEEDLE"))
    assert log.total == Tally(3)
    assert log.statuses[Status.SUCCESS] == Tally(1, capped=True)
    counts, capped = log.jobs(ids)
    assert (counts[jobs[name].pk], counts[jobs["digest"].pk], capped) == (3, 1, True)
    monkeypatch.setattr(log_pages, "JOBS_WINDOW", 100)
    log = Log(LogFilter(job_name=name, status=Status.ERROR, text="NEEDLE"))
    assert log.statuses[Status.SUCCESS] == Tally(3)
    assert log.jobs(ids) == ({jobs[name].pk: 3, jobs["digest"].pk: 3}, False)


@pytest.mark.parametrize("text", ["100%", "a_b", "back\\slash", "UPDATE-rank", "nothing"])
def test_a_search_in_a_jobs_status_finds_what_a_search_in_the_job_finds(make_run, text):
    for details in ("100% done", "1000 done", "a_b", "axb", "back\\slash", "backslash"):
        make_run(status="error", details=details)
    name = "update-rankings"
    wide = Log(LogFilter(job_name=name, text=text)).page(1, 50).runs
    assert Log(LogFilter(job_name=name, status=Status.ERROR, text=text)).page(1, 50).runs == wide
    assert len(wide) == {"UPDATE-rank": 6, "nothing": 0}.get(text, 1)


def test_a_runner_is_alive_for_fifteen_seconds(runner):
    now = runner.seen_at
    assert queries.runner_state(now + timedelta(seconds=15)).alive
    assert not queries.runner_state(now + timedelta(seconds=15, microseconds=1)).alive


def test_a_runner_that_said_goodbye_is_not_alive(runner):
    Runner.objects.update(stopped_at=runner.seen_at)
    state = queries.runner_state(SYSTEM_CLOCK.now())
    assert not state.alive
    assert state.seen_at == runner.seen_at


def test_one_dead_runner_does_not_hide_a_living_one(runner):
    newer = runner.seen_at + timedelta(seconds=5)
    Runner.objects.create(
        id="r2", host="h", pid=2, version="0", started_at=newer, seen_at=newer, stopped_at=newer
    )
    assert queries.runner_state(newer).alive


def test_no_runner_was_ever_seen(db):
    state = queries.runner_state(START)
    assert (state.alive, state.seen_at) == (False, None)


@pytest.mark.parametrize("run_id", [0, -1, 1 << 63, 10**30])
def test_an_impossible_run_number_finds_nothing(run_id):
    assert queries.run_detail(run_id) is None


def test_failed_items_come_first(make_run):
    run = make_run(status="partial")
    run.items.create(job=run.job, record_id="good", ok=True)
    run.items.create(job=run.job, record_id="bad", ok=False)
    assert [item.record_id for item in queries.run_items(run, 10)] == ["bad", "good"]
    assert Run.objects.count() == 1


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING])
@pytest.mark.parametrize("more", [{}, {"job_name": "digest"}, {"text": "nowhere"}])
def test_runs_that_go_on_are_looked_for_among_those_that_do(make_run, counted, status, more):
    """In the order of ids SQLite went through all there are: minutes at ten million."""
    first, other = (make_run("digest", status=status) for _ in range(2))
    make_run("digest")
    with counted() as queried:
        page = Log(LogFilter(status=status, **more)).listed(1, 50)
    assert [run.pk for run in page.runs] == ([] if "text" in more else [other.pk, first.pk])
    connection = connections[ALIAS]
    if connection.vendor != "sqlite":
        assert connection.vendor == "postgresql"  # has numbers by which it chooses
        return
    asked = [query["sql"] for query in queried.captured_queries]
    listing = [sql for sql in asked if f"= '{status.value}'" in sql]
    assert listing
    for sql in listing:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = [row[3] for row in cursor.fetchall()]
        assert not [step for step in plan if "INTEGER PRIMARY KEY (rowid>" in step], plan
        assert any(name in step for step in plan for name in GOING_ON), plan
