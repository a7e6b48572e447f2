"""``/admin/why``: the form, the answer, and the ways to it."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from tests.dashboard.conftest import START, spec

from cronbell.clock import SYSTEM_CLOCK, iso
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Job, Run
from cronbell.runlog.pausing import pause

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
URL = "/admin/why"


def asked(client, status=200, **given) -> str:
    answer = client.get(URL, given)
    assert answer.status_code == status
    return answer.content.decode()


def fire(make_run, status="skipped", **columns) -> Run:
    at = START + timedelta(days=1)
    values = {"scheduled_at": at, "queued_at": at, "started_at": None, "finished_at": at}
    return make_run(status=status, **(values | columns))


def test_without_a_question_the_page_asks_for_one(admin, jobs):
    page = asked(admin)
    assert "Choose a job and a minute" in page
    assert '<option value="digest">digest</option>' in page
    half = asked(admin, job="digest")
    assert '<option value="digest" selected>' in half
    assert "Choose a job and a minute" in half


def test_a_skipped_fire_is_answered_with_a_link_to_its_run_and_to_the_one_it_met(admin, make_run):
    day = START + timedelta(days=1)
    met = make_run(status="running", scheduled_at=day - timedelta(days=1), queued_at=day)
    skipped = fire(make_run, reason="overlap")
    page = asked(admin, job="update-rankings", at=iso(day))
    assert f'href="/admin/runs/{skipped.pk}"' in page
    assert f'href="/admin/runs/{met.pk}"' in page
    assert f"The run it met: {met.pk}" in page
    assert 'value="2026-11-23T00:00"' in page


def test_a_minute_in_which_nothing_is_due_leads_to_the_fires_around_it(admin, jobs):
    page = asked(admin, job="update-rankings", at="2026-11-25T09:30")
    assert "No fire of this job is due at 2026-11-25 09:30" in page
    assert "at=2026-11-25T00%3A00%3A00" in page
    assert "at=2026-11-26T00%3A00%3A00" in page


def test_the_time_is_read_in_the_zone_that_was_chosen(admin, jobs):
    seoul = asked(admin, job="update-rankings", at="2026-11-25T09:00", timezone="Asia/Seoul")
    assert "2026-11-25 09:00+09:00" in seoul
    assert 'value="2026-11-25T09:00"' in seoul
    assert '<option value="Asia/Seoul" selected>' in seoul
    jobs_own = asked(admin, job="digest", at="2026-11-25T09:30")
    assert "2026-11-25 09:30+09:00" in jobs_own


def test_a_time_that_came_twice_has_two_answers(admin, db):
    sync_jobs([spec("late", timezone="America/New_York")], START.replace(month=10))
    page = asked(admin, job="late", at="2026-11-01T01:30")
    assert "that time came twice" in page
    assert page.count('class="card answer"') == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"job": "nightly"}, "There is no such job."),
        ({"job": "a\0b"}, "There is no such job."),
        ({"at": "noon"}, "must be a date or time"),
        ({"at": "9" * 5000}, "must be a date or time"),
        ({"timezone": "Mars/Base"}, "must be a time zone"),
        (
            {"at": "2026-03-08T02:30", "timezone": "America/New_York"},
            "the clocks leapt over it and showed 03:30 instead",
        ),
    ],
)
def test_what_can_not_be_answered_is_said_beside_the_form(admin, jobs, given, said):
    page = asked(admin, 400, **({"job": "digest", "at": "2026-11-25T09:30"} | given))
    assert said in page
    assert 'id="why-form"' in page


def test_the_answer_and_its_problems_are_korean_too(admin, make_run):
    admin.cookies["django_language"] = "ko"
    fire(make_run, reason="overlap")
    page = asked(admin, job="update-rankings", at="2026-11-23T00:00:00Z")
    assert "왜 실행되지 않았나요?" in page
    assert "must be" not in asked(admin, 400, job="digest", at="noon")


def test_what_people_wrote_is_text_within_the_answer(admin, jobs):
    made = sync_jobs([spec("<img src=x>")], START)
    pause("<img src=x>", reason="<script>alert(1)</script>", actor="<b>kim</b>")
    at = (SYSTEM_CLOCK.now() + timedelta(days=1)).replace(hour=0, minute=0)
    page = asked(admin, job="<img src=x>", at=iso(at))
    assert made
    assert "&lt;script&gt;alert(1)" in page
    assert "<img src=x>" not in page
    assert "<script>alert" not in page


def test_job_home_and_run_pages_lead_to_it(admin, make_run, runner):
    job = Job.objects.get(name="update-rankings")
    missed = fire(make_run, "missed", reason="outage", missed_count=1)
    Run.objects.filter(pk=missed.pk).update(
        scheduled_at=SYSTEM_CLOCK.now() - timedelta(hours=3),
        queued_at=SYSTEM_CLOCK.now(),
        missed_first_at=SYSTEM_CLOCK.now() - timedelta(hours=3),
    )
    missed.refresh_from_db()
    at = urlencode({"job": job.name, "at": iso(missed.scheduled_at)}).replace("&", "&amp;")
    link = f'href="{URL}?job={job.name}"'
    assert link in admin.get(f"/admin/jobs/{job.pk}").content.decode()
    assert f'href="{URL}?{at}"' in admin.get("/admin/").content.decode()
    assert f'href="{URL}?{at}"' in admin.get(f"/admin/runs/{missed.pk}").content.decode()
    ran = make_run()
    assert URL not in admin.get(f"/admin/runs/{ran.pk}").content.decode()
