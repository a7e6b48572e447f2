"""``/admin/``: four questions, each answered; a sentence that reassures where nothing is wrong."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.test import Client
from tests.support import pages

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.pages.live import VERSION_HEADER
from cronbell.runlog.models import Job

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
FRAGMENT = {"HX-Request": "true", "HX-Target": "overview"}


@pytest.fixture
def quiet(jobs, runner):
    Job.objects.update(cursor_at=SYSTEM_CLOCK.now())
    return jobs


def text_of(answer) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def test_without_jobs_it_says_how_to_get_one(admin, runner):
    text = text_of(admin.get("/admin/"))
    assert "Nothing is scheduled, so nothing can go wrong." in text
    assert "vercel.json" in text


def test_where_all_is_well_each_question_is_answered_so(admin, quiet):
    text = text_of(admin.get("/admin/"))
    for words in (
        "All is well",
        "Nothing. No job's last run failed.",
        "Nothing. Runs of the last day began in time",
        "Nothing. Whatever runs is heard of",
    ):
        assert words in text
    assert "Something needs a look" not in text


def test_each_question_is_answered_with_its_jobs_and_links_to_their_runs(admin, quiet, make_run):
    now = SYSTEM_CLOCK.now()
    failed = make_run(status="error", reason="connect", reason_data={"host": "127.0.0.1:9"})
    missed = make_run(
        "digest", "missed", started_at=None, finished_at=now, reason="outage", missed_count=4
    )
    stuck = make_run(
        "clean-data", "running", lease_expires_at=now - timedelta(minutes=5), started_at=now
    )
    answer = admin.get("/admin/")
    text = text_of(answer)
    for words in (
        "Something needs a look",
        "nobody listens at 127.0.0.1:9",
        "4 fires missed: no runner was up",
        "Nothing has been heard of it for 5 min",
    ):
        assert words in text
    for run in (failed, missed, stuck):
        assert f'href="/admin/runs/{run.pk}"' in answer.content.decode()
    assert not list(pages.blocked(answer.content.decode()))


def test_a_live_update_gives_the_part_alone_and_nothing_where_nothing_changed(
    admin, quiet, make_run, monkeypatch
):
    now = SYSTEM_CLOCK.now()
    monkeypatch.setattr(
        "cronbell.dashboard.pages.home.SYSTEM_CLOCK", type("Still", (), {"now": lambda: now})
    )
    first = admin.get("/admin/", headers=FRAGMENT)
    assert b"<html" not in first.content
    version = {VERSION_HEADER: first.headers[VERSION_HEADER]}
    assert admin.get("/admin/", headers=FRAGMENT | version).status_code == 204
    make_run(status="error")
    changed = admin.get("/admin/", headers=FRAGMENT | version)
    assert changed.status_code == 200
    assert b"error" in changed.content


def test_it_speaks_korean(admin, quiet):
    admin.cookies["django_language"] = "ko"
    admin.cookies["cronbell_tz"] = "Asia/Seoul"
    text = text_of(admin.get("/admin/"))
    assert "모두 정상입니다" in text
    assert re.search(r"\d+월 \d+일 \([월화수목금토일]\) \d\d:\d\d", text)


def test_the_jobs_zone_is_said_on_hover_and_to_screen_readers(admin, quiet):
    admin.cookies["cronbell_tz"] = "America/New_York"
    page = admin.get("/admin/").content.decode()
    line = re.search(r'id="coming-\d"[^>]*>digest.*?</li>', page, re.DOTALL)[0]
    assert re.search(r'title="[\d-]+ 09:30:00\.000 KST', line)
    assert re.search(r'class="hidden"> \([\d-]+ 09:30:00 KST\)', line)
    admin.cookies["cronbell_tz"] = "Asia/Seoul"
    page = admin.get("/admin/").content.decode()
    line = re.search(r'id="coming-\d"[^>]*>digest.*?</li>', page, re.DOTALL)[0]
    assert 'class="hidden"' not in line


def test_one_job_that_cannot_be_read_does_not_take_the_page(admin, quiet):
    Job.objects.filter(name="digest").update(spec={})
    answer = admin.get("/admin/")
    assert answer.status_code == 200
    assert "Its definition can't be read" in text_of(answer)


def test_signed_out_it_leads_to_sign_in_and_back(people, quiet):
    assert Client().get("/admin/").headers["Location"] == "/admin/login?next=%2Fadmin%2F"
