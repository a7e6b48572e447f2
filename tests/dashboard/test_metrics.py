"""``/metrics``: guarded, read by Prometheus's own parser, true, and bounded."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from tests.dashboard.conftest import START, spec
from tests.support import source

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard import metrics, tokens
from cronbell.dashboard.exposition import Family, text_of
from cronbell.dashboard.metric_names import METRICS
from cronbell.dashboard.metric_names import family as listed
from cronbell.dashboard.models import ApiToken
from cronbell.dashboard.scopes import Scope
from cronbell.errors import StartError
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Job, Run, Runner
from cronbell.runlog.rollups import Roller
from cronbell.runlog.router import ALIAS
from cronbell.server.environment import token

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])

TOKEN = "a-token-for-prometheus"


@pytest.fixture
def scrape(settings):
    settings.CRONBELL_METRICS_TOKEN = TOKEN

    def ask() -> dict:
        answer = Client().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return read(answer.content.decode())

    return ask


def read(page: str) -> dict:
    found: dict = {}
    for family in text_string_to_metric_families(page):
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def value(found: dict, name: str, **labels: str) -> float:
    return found[name, *sorted(labels.items())]


@pytest.mark.parametrize("method", ["get", "head", "post", "put", "delete", "patch", "options"])
@pytest.mark.parametrize(
    "sent", [None, "Bearer wrong-but-long-enough", "Bearer ", TOKEN, "Basic eDp5", "Bearer \u00e9"]
)
@pytest.mark.parametrize("configured", [TOKEN, ""])
def test_nobody_reads_it_without_the_token(method, sent, configured, settings, jobs):
    settings.CRONBELL_METRICS_TOKEN = configured
    headers = {"Authorization": sent} if sent else {}
    answer = getattr(Client(), method)("/metrics", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert b"update-rankings" not in answer.content


def test_without_a_configured_token_no_token_opens_it(settings, jobs):
    settings.CRONBELL_METRICS_TOKEN = ""
    for sent in ("Bearer", "Bearer ", "bearer None"):
        assert Client().get("/metrics", headers={"Authorization": sent}).status_code == 401


def test_a_session_opens_it_to_whoever_may_look_and_to_no_others(people, jobs, admin):
    assert admin.get("/metrics").status_code == 200
    for name, status in {"viewer": 200, "user": 403, "staff": 403, "inactive": 401}.items():
        client = Client()
        client.force_login(people[name])
        assert client.get("/metrics").status_code == status


@pytest.mark.parametrize("scope", list(Scope))
def test_an_api_token_of_any_scope_opens_it_as_it_opens_the_api(scope, people, jobs):
    """With or without a token of Prometheus's own; and what reads a page changes nothing there."""
    _row, text = tokens.make(people["administrator"], name="prometheus", scope=scope, days=9)
    bearer = {"Authorization": f"Bearer {text}"}
    answer = Client().get("/metrics", headers=bearer)
    assert (answer.status_code, b"update-rankings" in answer.content) == (200, True)
    assert ApiToken.objects.get().last_used_at is not None
    assert Client().post("/metrics", headers=bearer).status_code == 405


def test_a_token_is_worth_no_more_than_its_maker(people, jobs, admin):
    row, text = tokens.make(people["administrator"], name="p", scope=Scope.READ, days=9)
    bearer = {"Authorization": f"Bearer {text}"}
    people["administrator"].groups.clear()
    people["administrator"].is_superuser = False
    people["administrator"].save()
    assert Client().get("/metrics", headers=bearer).status_code == 403
    tokens.revoke(row.pk, actor="admin")
    for sent in (text, text[:-1], f"{text}x", "cbt_"):
        answer = Client().get("/metrics", headers={"Authorization": f"Bearer {sent}"})
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert b"update-rankings" not in answer.content
    # What is shown is what is judged: no session helps a token out.
    assert admin.get("/metrics", headers=bearer).status_code == 401


def test_an_expired_token_opens_nothing(people, jobs):
    _row, text = tokens.make(people["administrator"], name="p", scope=Scope.READ, days=1)
    ApiToken.objects.update(expires_at=SYSTEM_CLOCK.now() - timedelta(seconds=1))
    answer = Client().get("/metrics", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 401


def test_other_methods_are_refused_to_whoever_may_read(admin, jobs):
    answer = admin.post("/metrics")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_without_the_guard_anybody_would_read_it(monkeypatch, jobs):
    """Sabotage: the very same request succeeds once the guard is gone."""
    assert Client().get("/metrics").status_code == 401
    monkeypatch.setattr(metrics, "_refuse", lambda _request: None)
    assert b"update-rankings" in Client().get("/metrics").content


def test_a_weak_token_stops_the_start_and_is_not_shown(monkeypatch):
    monkeypatch.setenv("CRONBELL_METRICS_TOKEN", "weak-one")
    with pytest.raises(StartError) as refused:
        token("CRONBELL_METRICS_TOKEN")
    assert "CRONBELL_METRICS_TOKEN" in str(refused.value)
    assert "weak-one" not in str(refused.value)


def roll_up() -> None:
    with transaction.atomic(using=ALIAS):
        Roller().step()


@pytest.mark.parametrize("rolled", [False, True])
def test_runs_are_counted_by_job_and_status(rolled, scrape, make_run):
    for status in ("success", "success", "error", "running"):
        make_run(status=status)
    make_run(job="digest", status="timed_out", attempt=3, items_total=5, items_failed=2)
    make_run(job="clean-data", status="success", dry_run=True)
    if rolled:
        roll_up()
    found = scrape()
    assert value(found, "cronbell_runs_total", status="success") == 2
    assert value(found, "cronbell_runs_total", status="timed_out") == 1
    assert value(found, "cronbell_runs_total", status="missed") == 0
    counted = {"job": "update-rankings", "status": "error"}
    assert value(found, "cronbell_job_runs_total", **counted) == 1
    assert value(found, "cronbell_job_retries_total", job="digest") == 2
    assert value(found, "cronbell_retries_total") == 2
    assert value(found, "cronbell_items_total", ok="false") == 2
    assert value(found, "cronbell_items_total", ok="true") == 3
    assert value(found, "cronbell_runs_active", status="running") == 1
    assert value(found, "cronbell_jobs") == 3


def test_histograms_are_exact_at_their_bounds(scrape, make_run):
    """A run of 3 s less 250 ms, one of exactly 16.384 s (a bound), one of a year."""
    make_run()
    for took in (timedelta(microseconds=16_384_000), timedelta(days=365)):
        began = START + timedelta(hours=2)
        make_run(started_at=began, finished_at=began + took, kind="run_now")
    found = scrape()
    counts = {
        dict(labels)["le"]: number
        for (name, *labels), number in found.items()
        if name == "cronbell_run_duration_seconds_bucket"
    }
    bounds = sorted((float(bound) for bound in counts), key=float)
    assert bounds[:3] == [0.001, 0.004, 0.016]
    assert bounds[-1] == float("inf")
    assert [counts[str(bound)] for bound in (1.024, 4.096, 16.384, 65.536)] == [0, 1, 2, 2]
    assert counts["+Inf"] == value(found, "cronbell_run_duration_seconds_count") == 3
    assert list(counts.values()) == sorted(counts.values())
    added_up = 2.75 + 16.384 + 365 * 86_400
    assert value(found, "cronbell_run_duration_seconds_sum") == pytest.approx(added_up)
    assert value(found, "cronbell_run_lateness_seconds_count") == 1
    assert value(found, "cronbell_job_lateness_seconds_sum", job="update-rankings") == 0.25


def test_runners_clocks_and_lag(scrape, jobs):
    assert value(scrape(), "cronbell_runners_alive") == 0
    now = SYSTEM_CLOCK.now()
    seen = {"host": "h", "pid": 1, "version": "0", "started_at": now}
    Runner.objects.create(id="a", seen_at=now, clock_ahead=-2_500_000, behind=0, **seen)
    Runner.objects.create(id="b", seen_at=now, behind=4_000_000, config_fault="bad", **seen)
    Runner.objects.create(
        id="c", seen_at=now - timedelta(hours=1), clock_ahead=9_000_000, behind=9_000_000, **seen
    )
    found = scrape()
    assert value(found, "cronbell_runners_alive") == 2
    assert value(found, "cronbell_runner_last_seen_seconds") < 15
    assert value(found, "cronbell_clock_apart_seconds") == 2.5
    assert value(found, "cronbell_scheduling_lag_seconds") == 4
    assert value(found, "cronbell_configuration_fault") == 1


def test_a_run_that_waits_for_a_runner_is_seen(scrape, make_run):
    assert value(scrape(), "cronbell_pending_oldest_seconds") == 0
    now = SYSTEM_CLOCK.now()
    make_run(status="pending", started_at=None, available_at=now + timedelta(hours=1))
    make_run(status="pending", started_at=None, available_at=now - timedelta(hours=9), waits=True)
    make_run(status="pending", started_at=None, available_at=now - timedelta(seconds=90))
    assert 90 <= value(scrape(), "cronbell_pending_oldest_seconds") < 120


def test_drains_show_backlog_and_budget(scrape, jobs):
    found = scrape()
    assert value(found, "cronbell_drain_records", job="verify-records", state="pending") == 0
    assert value(found, "cronbell_drain_oldest_seconds", job="verify-records") == 0
    assert value(found, "cronbell_drain_budget_used", job="verify-records", what="money") == 0


NASTY = [
    'a"b',
    "back\\slash",
    "line\nbreak",
    'n\\"\\n',
    "{job=}",
    "한국어 작업",
    "tab\t,comma",
    "'",
]


def test_whatever_a_job_is_called_its_name_is_read_back(scrape, jobs):
    Job.objects.bulk_create(
        Job(name=name, path="/x", dialect="vercel", cursor_at=START, created_at=START)
        for name in NASTY
    )
    found = scrape()
    names = {dict(labels)["job"] for (name, *labels) in found if name == "cronbell_job_runs_total"}
    assert set(NASTY) <= names


def test_sabotage_unescaped_names_are_not_read_back(scrape, jobs, monkeypatch):
    monkeypatch.setattr("cronbell.dashboard.exposition._escaped", lambda text: text)
    family = Family("x", "gauge", "help")
    for name in NASTY:
        family.add(1, job=name)
    try:
        names = {dict(labels)["job"] for (_name, *labels) in read(text_of([family]))}
    except ValueError:
        names = set()
    assert not set(NASTY) <= names


def test_more_jobs_than_the_cap_are_left_out_and_said(scrape, make_run, monkeypatch):
    monkeypatch.setattr(metrics, "MOST_JOBS", 2)
    make_run(job="digest")
    found = scrape()
    jobs = {dict(labels)["job"] for (name, *labels) in found if name == "cronbell_job_runs_total"}
    assert jobs == {"update-rankings", "clean-data"}
    assert value(found, "cronbell_jobs") == 3
    assert value(found, "cronbell_jobs_left_out") == 1
    assert value(found, "cronbell_runs_total", status="success") == 1


def test_a_removed_job_loses_its_series_and_not_its_part_of_the_whole(scrape, make_run):
    make_run(job="digest")
    sync_jobs([spec("update-rankings")], START)
    found = scrape()
    jobs = {dict(labels)["job"] for (name, *labels) in found if name == "cronbell_job_runs_total"}
    assert jobs == {"update-rankings"}
    assert value(found, "cronbell_runs_total", status="success") == 1


def test_the_number_of_questions_does_not_grow_with_jobs_or_runs(
    scrape, make_run, django_assert_max_num_queries
):
    Job.objects.bulk_create(
        Job(name=f"j{n}", path="/x", dialect="vercel", cursor_at=START, created_at=START)
        for n in range(300)
    )
    Run.objects.bulk_create(
        Run(
            job=job, key=f"k{job.pk}", kind="schedule", status="success", scheduled_at=START,
            queued_at=START, available_at=START, started_at=START,
            finished_at=START + timedelta(seconds=1), deadline_at=START,
        )
        for job in Job.objects.filter(name__startswith="j")
    )  # fmt: skip
    with django_assert_max_num_queries(12, using=ALIAS):
        scrape()


def test_what_comes_out_is_what_the_reference_lists(jobs):
    there = list(metrics.families(SYSTEM_CLOCK.now()))
    assert sorted(family.name for family in there) == sorted(METRICS)
    page = source.text(source.ROOT / "docs" / "reference" / "metrics.md")
    assert not [name for name in METRICS if f"| `{name}`" not in page]


def test_sabotage_a_sample_with_labels_that_nobody_listed_is_refused():
    with pytest.raises(ValueError, match="cronbell_jobs has the labels"):
        listed("cronbell_jobs").add(1, job="x")
    with pytest.raises(ValueError, match="cronbell_job_duration_seconds"):
        listed("cronbell_job_duration_seconds").add_histogram([], 0, 0.0)
    with pytest.raises(KeyError):
        listed("cronbell_unlisted")


@pytest.mark.parametrize("name", ["watch-cronbell.md", "watch-cronbell.ko.md"])
def test_the_how_to_names_exactly_the_metrics_there_are(name, jobs):
    page = source.text(source.ROOT / "docs" / "howto" / name)
    named = set(re.findall(r"`(cronbell_[a-z_]+)(?:\{|`)", page))
    there = {family.name for family in metrics.families(SYSTEM_CLOCK.now())}
    assert named == there - {"cronbell_build_info"}
