"""Every time is the viewer's, and says the job's on hover and to who can't hover."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import translation

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard import charts
from cronbell.dashboard.templatetags.cronbell import day_words
from cronbell.runlog.models import Run
from cronbell.runlog.statistics import Mark

pytestmark = [pytest.mark.django_db(databases=["default", "runlog"]), pytest.mark.any_store]
TIME = re.compile(r'<time datetime="[^"]+" title="([^"]+)">(.*?)</time>', re.DOTALL)
NEW_YORK = "America/New_York"


def drawn(source: str, zone: str = "", **values) -> str:
    request = RequestFactory().get("/")
    if zone:
        request.COOKIES["cronbell_tz"] = zone
    return Template("{% load cronbell %}" + source).render(Context({"request": request, **values}))


@pytest.fixture
def digest(jobs, make_run):
    """A job in Seoul with a run of every kind that pages show."""
    for status in ("success", "error", "missed", "running"):
        make_run("digest", status)
    return jobs["digest"]


@pytest.mark.parametrize(
    "address",
    [
        "/admin/jobs/{job}",
        "/admin/jobs/{job}/resume",
        "/admin/jobs/{job}/backfill?since=2026-11-02T00:00&until=2026-11-05T00:00",
        "/admin/runs/{run}",
        "/admin/why?job=digest&at=2026-11-23T09:30",
        "/admin/cron-logs?job_name=digest",
        "/admin/jobs?text=digest",
    ],
)
def test_each_time_of_a_job_says_the_jobs_zone_to_everybody(admin, digest, address):
    admin.cookies["cronbell_tz"] = NEW_YORK
    run = Run.objects.get(job=digest, status="error")
    page = admin.get(address.format(job=digest.pk, run=run.pk)).content.decode()
    main = page[page.index("<main") :]
    # The list of jobs beside the log shows the others, too: they are in UTC.
    main = main[main.index('id="log"') :] if 'id="log"' in main else main
    times = TIME.findall(main)
    assert times
    for hover, words in times:
        assert "KST" in hover
        assert "KST" in words  # as the time itself or, unseen, after it
    if "backfill" not in address:  # which speaks the job's zone alone
        assert any("EST" in words for _hover, words in times)
    assert "<time" not in TIME.sub("", main)


def test_a_year_is_named_where_it_is_another_one():
    now = SYSTEM_CLOCK.now()
    source = "{% moment at %}"
    assert str(now.year) not in re.sub("<[^>]*>", "", drawn(source, at=now))
    at = datetime(now.year + 2, 1, 1, 9, tzinfo=UTC)
    assert f"1 Jan {at.year} 09:00" in drawn(source, at=at)
    with translation.override("ko"):
        assert f"{at.year}년 1월 1일" in drawn(source, at=at)


def test_how_long_ago_has_its_moment_for_everybody():
    now = SYSTEM_CLOCK.now()
    text = drawn("{% since at now 'Asia/Seoul' %}", NEW_YORK, at=now - timedelta(hours=3), now=now)
    assert "3 h<" in text
    assert "KST" in text
    assert re.search(r'class="hidden"> \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d E[SD]T\)', text)


def test_days_are_said_as_each_language_says_them():
    assert day_words(date(2026, 11, 22)) == "Sun 22 Nov"
    with translation.override("ko"):
        assert day_words(date(2026, 11, 22)) == "11월 22일 (일)"


def test_two_runs_stand_at_the_end_of_a_strip_whose_other_places_are_seen():
    at = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
    marks = [Mark(number, "success", "schedule", at, at, at) for number in (1, 2)]
    strip = charts.squares(marks, 30)
    assert len(strip.vacant) == 28
    assert [one.x for one in strip.squares] == [28 * charts.STEP, 29 * charts.STEP]
    text = drawn('{% include "cronbell/parts/squares.html" with zone="Asia/Seoul" %}',
                 NEW_YORK, history=strip)  # fmt: skip
    assert text.count("h2") == 28
    assert "EST (2026-11-22 09:00:00 KST)" in text
    assert not charts.squares(marks * 15, 30).vacant
