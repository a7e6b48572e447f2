"""``/admin/jobs`` and ``/admin/jobs/<id>``: what they show, and pausing."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.test import Client
from tests.dashboard.conftest import START, spec
from tests.support import pages

from cronbell.dashboard.pages import jobs as jobs_module
from cronbell.dashboard.templatetags.cronbell import day_words
from cronbell.domain import CatchUp, Dialect, DstGap, DstRepeat, Overlap
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Job, Run
from cronbell.runlog.pausing import pause

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
URL = "/admin/jobs"


def text_of(answer) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def names(answer) -> list[str]:
    return re.findall(r'class="name" id="job-\d+"[^>]*>([^<]+)<', answer.content.decode())


def address(jobs, name="update-rankings", tail="") -> str:
    return f"{URL}/{jobs[name].pk}{tail}"


def test_the_list_has_sentence_next_fire_squares_and_rate(admin, make_run):
    for number in range(25):
        make_run(status="error" if number == 24 else "success")
    answer = admin.get(URL)
    page, text = answer.content.decode(), text_of(answer)
    assert names(answer) == ["clean-data", "digest", "update-rankings"]
    assert "At 00:00 every day · UTC" in text
    assert page.count("<path class=") == 20
    assert page.count('<path class="bad"') == 1
    assert "19 succeeded, 1 failed" in text or "19 succeeded, 1 failed" in page
    assert "95%" in text
    assert not list(pages.blocked(page))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"state": "failing"}, ["update-rankings"]),
        ({"state": "paused"}, ["digest"]),
        ({"state": "disabled"}, ["clean-data"]),
        ({"state": "removed"}, ["gone"]),
        ({"text": "RANK"}, ["update-rankings"]),
        ({"text": "rank", "state": "paused"}, []),
        ({"text": "\u0000"}, None),
    ],
)
def test_it_is_narrowed_by_address_with_counts(admin, make_run, query, found):
    known = [spec("update-rankings"), spec("clean-data", enabled=False), spec("digest")]
    sync_jobs([*known, spec("gone")], START)
    sync_jobs(known, START)
    make_run(status="error")
    pause("digest", reason="x", actor="kim")
    answer = admin.get(URL, query)
    if found is None:
        assert answer.status_code == 400
        assert "<code>text</code>" in answer.content.decode()
        return
    assert names(answer) == found
    if "text" not in query:
        for state in ("failing", "paused", "disabled", "removed"):
            chip = re.search(rf'id="chip-{state}".*?</a>', answer.content.decode(), re.DOTALL)[0]
            assert '<span class="count">1</span>' in chip
    if not found:
        assert "No job is like that." in text_of(answer)


@pytest.mark.parametrize("query", [{"state": "x"}, {"page": "0"}, {"page": "abc"}])
def test_a_bad_address_is_a_400_that_names_the_parameter(admin, jobs, query):
    answer = admin.get(URL, query)
    assert answer.status_code == 400
    assert f"<code>{next(iter(query))}</code>" in answer.content.decode()
    assert names(answer) == []


def test_pages_of_jobs(admin, jobs, monkeypatch):
    monkeypatch.setattr(jobs_module, "JOBS_PER_PAGE", 2)
    assert names(admin.get(URL)) == ["clean-data", "digest"]
    assert names(admin.get(URL, {"page": 2})) == ["update-rankings"]
    assert "Go to the last page" in text_of(admin.get(URL, {"page": 9}))


def test_a_live_update_of_the_list_is_the_list_alone(admin, jobs):
    answer = admin.get(URL, headers={"HX-Request": "true", "HX-Target": "job-list"})
    assert b"<html" not in answer.content
    assert names(answer) == ["clean-data", "digest", "update-rankings"]


def test_a_job_shows_its_schedule_in_words_and_its_next_fires_in_both_zones(admin, jobs):
    admin.cookies["cronbell_tz"] = "America/New_York"
    text = text_of(admin.get(address(jobs, "digest")))
    assert "At 09:30, Monday to Friday" in text
    fires = re.findall(r"\w{3} \d+ \w{3} 09:30 KST", text)
    assert len(fires) == 10
    assert "My zone America/New_York" in text
    assert "The job's zone Asia/Seoul" in text


def test_changes_of_the_clocks_are_told(admin, runner):
    made = sync_jobs(
        [spec("early", schedule="30 2 * * *", timezone="America/New_York",
              dialect=Dialect.STANDARD, dst_gap=DstGap.SKIP, dst_repeat=DstRepeat.BOTH)],
        START,
    )  # fmt: skip
    text = text_of(admin.get(address(made, "early")))
    assert "does not exist on" in text
    assert "fires in the gap are left out that day" in text
    assert "fires run both times" in text


def test_policies_are_sentences(admin, runner):
    made = sync_jobs(
        [spec("job", overlap=Overlap.QUEUE_ALL, catch_up=CatchUp.NONE, jitter=90.0)], START
    )
    text = text_of(admin.get(address(made, "job")))
    assert "A fire that meets the job still running waits its turn." in text
    assert "After an outage no fire is made up for." in text
    assert "1 min 30 s" in text


def test_every_policy_value_has_its_sentence():
    """Sabotage: a new value without words would end every page of a job that has it."""
    from cronbell.dashboard import policies
    from cronbell.domain import Delivery

    tables = {
        Overlap: policies._OVERLAP,
        CatchUp: policies._CATCH_UP,
        Delivery: policies._DELIVERY,
        DstGap: policies._GAP,
        DstRepeat: policies._REPEAT,
    }
    for values, sentences in tables.items():
        assert set(sentences) == set(values)


def test_history_figures_trends_and_their_numbers(admin, make_run, jobs):
    from cronbell.clock import SYSTEM_CLOCK

    now = SYSTEM_CLOCK.now()
    for number in range(4):
        at = now - timedelta(days=number)
        make_run(
            status="error" if number == 0 else "success", scheduled_at=at,
            started_at=at + timedelta(seconds=2), finished_at=at + timedelta(seconds=5),
        )  # fmt: skip
    answer = admin.get(address(jobs))
    page, text = answer.content.decode(), text_of(answer)
    assert "75%" in text
    assert "3 of 4" in text
    assert page.count("<path class=") == 4
    assert page.count('<svg class="bars') == 3
    day = day_words((now - timedelta(days=1)).date())
    assert f"{day}: 1 succeeded, 0 failed" in page
    assert f"{day}: half within 3.0 s, 95 in 100 within 3.0 s" in page
    numbers = re.search(r'<details class="numbers">.*?</details>', page, re.DOTALL)[0]
    assert numbers.count("<tr") == 5
    assert not list(pages.blocked(page))


def test_a_failing_job_says_how_often_and_leads_to_why(admin, make_run, jobs):
    make_run(status="error")
    newest = make_run(status="error")
    answer = admin.get(address(jobs))
    assert "The last 2 runs failed." in text_of(answer)
    assert f'<a href="/admin/runs/{newest.pk}">See why' in answer.content.decode()


def test_a_job_that_left_keeps_its_page_and_can_do_nothing(admin, jobs):
    Job.objects.filter(name="digest").update(removed_at=START)
    answer = admin.get(address(jobs, "digest"))
    assert "its history stays" in text_of(answer)
    assert "Run now" not in text_of(answer)
    assert admin.get(address(jobs, "digest", "/pause")).status_code == 404


def test_a_definition_that_cannot_be_read_does_not_take_the_page(admin, jobs):
    Job.objects.filter(name="digest").update(spec={"name": "digest"})
    answer = admin.get(address(jobs, "digest"))
    assert answer.status_code == 200
    assert "Its definition can't be read" in text_of(answer)


@pytest.mark.parametrize("number", ["0", "999999", "9" * 40, "abc"])
def test_a_job_that_does_not_exist_is_not_found(admin, number):
    assert admin.get(f"{URL}/{number}").status_code == 404


def test_pausing_takes_a_reason_and_a_person_and_resuming_undoes_it(admin, jobs):
    url = address(jobs, tail="/pause")
    assert "Until it is resumed" in text_of(admin.get(url))
    assert Job.objects.get(name="update-rankings").paused_at is None
    answer = admin.post(url, {"reason": "  moving house "})
    assert (answer.status_code, answer.headers["Location"]) == (303, address(jobs))
    paused = Job.objects.get(name="update-rankings")
    assert (paused.pause_reason, paused.paused_by) == ("moving house", "administrator")
    assert "moving house" in text_of(admin.get(address(jobs)))
    resume = address(jobs, tail="/resume")
    assert "What was skipped meanwhile stays skipped." in text_of(admin.get(resume))
    for _ in range(2):  # a second click finds it resumed and says nothing else
        assert admin.post(resume).status_code == 303
    assert Job.objects.get(name="update-rankings").paused_at is None


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "a\x00b", None])
def test_a_pause_without_a_usable_reason_is_refused_and_keeps_what_was_typed(admin, jobs, reason):
    form = {} if reason is None else {"reason": reason}
    answer = admin.post(address(jobs, tail="/pause"), form)
    assert answer.status_code == 400
    assert "Say why" in text_of(answer)
    assert Job.objects.get(name="update-rankings").paused_at is None


def test_in_a_dialog_the_answer_is_a_notice_and_a_refusal_stays_in_the_dialog(admin, jobs):
    url, hx = address(jobs, tail="/pause"), {"HX-Request": "true"}
    refused = admin.post(url, {"reason": ""}, headers=hx)
    assert refused.status_code == 400
    assert b'id="reason"' in refused.content
    assert "HX-Retarget" not in refused.headers
    done = admin.post(url, {"reason": "why not"}, headers=hx)
    assert done.headers["HX-Retarget"] == "#notices"
    assert "cronbell-close" in done.headers["HX-Trigger"]
    assert "update-rankings is paused." in text_of(done)


@pytest.mark.parametrize("tail", ["/pause", "/resume"])
def test_looking_changes_nothing_and_strangers_forms_are_refused(people, jobs, tail):
    pause("update-rankings", reason="x", actor="kim")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["administrator"])
    strict.get(address(jobs, tail=tail))
    assert strict.post(address(jobs, tail=tail), {"reason": "y"}).status_code == 403
    other = Client()
    other.force_login(people["user"])
    assert other.post(address(jobs, tail=tail), {"reason": "y"}).status_code == 403
    assert Client().post(address(jobs, tail=tail), {"reason": "y"}).status_code == 302
    assert Job.objects.get(name="update-rankings").pause_reason == "x"


def test_names_and_reasons_are_text_never_markup(admin, runner):
    made = sync_jobs([spec("<img src=x>")], START)
    pause("<img src=x>", reason="<script>alert(1)</script>", actor="<b>kim</b>")
    for url in ("/admin/", URL, address(made, "<img src=x>"), "/admin/cron-logs"):
        page = admin.get(url).content.decode()
        assert "<img src=x>" not in page
        assert "<script>alert" not in page
        assert "<b>kim" not in page


def test_a_full_page_weighs_less_than_sixty_kilobytes(admin, runner, make_run):
    made = sync_jobs([spec(f"job-{number:02d}") for number in range(40)], START)
    now = START.replace(year=2027)
    runs = [
        Run(
            job=job, key=f"{job.pk}-{number}", kind="schedule", status="error", scheduled_at=at,
            queued_at=at, available_at=at, started_at=at, finished_at=at, deadline_at=at,
            reason="http_status", reason_data={"status": 404},
        )
        for job in made.values()
        for number in range(30)
        for at in [now - timedelta(hours=number)]
    ]  # fmt: skip
    Run.objects.bulk_create(runs)
    for url in ("/admin/", URL, address(made, "job-00"), "/admin/settings", "/admin/cron-logs"):
        for language in ("en", "ko"):
            admin.cookies["django_language"] = language
            assert len(admin.get(url).content) < 60_000, (url, language)
