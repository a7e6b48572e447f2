"""``/admin/cron-logs``: what it shows, in every state."""

from __future__ import annotations

import html
import re
from urllib.parse import urlencode

import pytest
from django.test import Client
from tests.dashboard.conftest import spec
from tests.support import pages

from cronbell.dashboard.pages.live import VERSION_HEADER, page_window
from cronbell.dashboard.preferences import ZONE_COOKIE
from cronbell.runlog import log_counts
from cronbell.runlog.log_pages import Log
from cronbell.runlog.models import Job
from cronbell.runlog.pausing import pause

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
URL = "/admin/cron-logs"
FRAGMENT = {"HX-Request": "true", "HX-Target": "log"}


def text_of(answer) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode()))


def rows(answer) -> list[str]:
    return re.findall(r'id="run-(\d+)"', answer.content.decode())


@pytest.mark.parametrize(
    ("page", "pages_in_all", "window"),
    [
        (1, 1, [1]),
        (1, 3, [1, 2, 3]),
        (1, 9, [1, 2, 3, 4, 5]),
        (3, 9, [1, 2, 3, 4, 5]),
        (4, 9, [2, 3, 4, 5, 6]),
        (8, 9, [5, 6, 7, 8, 9]),
        (9, 9, [5, 6, 7, 8, 9]),
        (1, 0, []),
        (99, 9, [5, 6, 7, 8, 9]),
    ],
)
def test_the_window_has_at_most_five_pages(page, pages_in_all, window):
    assert list(page_window(page, pages_in_all)) == window


def test_columns_rows_and_pages(admin, make_run):
    ids = [str(make_run().pk) for _ in range(12)][::-1]
    answer = admin.get(URL, {"limit": 2, "page": 3})
    assert rows(answer) == ids[4:6]
    found = re.findall(r'role="columnheader"[^>]*>([^<]+)<', answer.content.decode())
    assert found == ["ID", "Job name", "Execution time", "Status", "Details"]
    links = set(re.findall(r'id="page-(\w+)"', answer.content.decode()))
    assert links == {"previous", "1", "2", "3", "4", "5", "next"}
    assert "Page 3 of 6" in text_of(answer)
    # A link of the pagination keeps the rest of the address.
    assert 'href="?limit=2&amp;page=4"' in answer.content.decode()


def test_nothing_to_show_is_a_dash(admin, make_run):
    make_run(details="")
    assert re.search(r'class="c-details">-</td>', admin.get(URL).content.decode())


def test_long_details_are_sent_once_and_whole_for_the_keyboard(admin, make_run):
    words = "word " * 60 + "the end"
    make_run(details=words)
    page = admin.get(URL).content.decode()
    assert f"<summary>{words}</summary>" in page
    assert page.count("the end") == 1


def test_the_empty_log_and_the_empty_filter_say_so(admin, make_run):
    assert "There are no log records." in text_of(admin.get(URL))
    make_run()
    answer = admin.get(URL, {"status": "error"})
    assert "There are no log records." in text_of(answer)
    assert "Clear the filter" in text_of(answer)
    assert "Go to the last page" in text_of(admin.get(URL, {"page": 9}))


@pytest.mark.parametrize(
    "query",
    [
        {"page": "abc"},
        {"limit": "201"},
        {"status": "x"},
        {"since": "x"},
        {"text": "\x00"},
        {"cursor": "x"},
    ],
)
def test_a_bad_address_is_a_400_page_that_names_the_parameter(admin, make_run, query):
    make_run()
    answer = admin.get(URL, query)
    assert answer.status_code == 400
    assert f"<code>{next(iter(query))}</code>" in answer.content.decode()
    assert rows(answer) == []


def test_status_chips_carry_counts_and_keep_the_filter(admin, make_run):
    make_run()
    make_run(status="error")
    make_run("clean-data", "error")
    page = admin.get(URL, {"job_name": "update-rankings", "status": "error"}).content.decode()
    chip = re.search(r'<a id="chip-error"[^>]*>.*?</a>', page, re.DOTALL)[0]
    assert 'aria-current="true"' in chip
    assert '<span class="count">1</span>' in chip
    assert 'href="?job_name=update-rankings&amp;status=success"' in page
    assert re.search(r'<option value="clean-data">clean-data \(1\)</option>', page)


RANGE = {"since": "2026-11-22T00:00:00Z", "until": "2026-11-23T00:00:00+00:00"}


def plain(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", markup)).split())


def test_a_range_of_time_is_shown_in_the_viewers_zone_and_can_be_removed(admin, make_run):
    make_run("clean-data")
    admin.cookies[ZONE_COOKIE] = "Asia/Seoul"
    page = admin.get(URL, {**RANGE, "job_name": "clean-data", "page": "3"}).content.decode()
    shown = re.search(r'<p class="range".*?</p>', page, re.DOTALL)[0]
    assert plain(shown) == (
        "From 2026-11-22 09:00:00 KST (2026-11-22 00:00:00 UTC) "
        "until 2026-11-23 09:00:00 KST (2026-11-23 00:00:00 UTC) Show all times"
    )
    # Nothing but the range goes, and the page, whose number meant another list.
    assert 'href="?job_name=clean-data"' in shown
    since = admin.get(URL, {"since": RANGE["since"]}).content.decode()
    assert "Since 2026-11-22 09:00:00 KST" in plain(since)
    until = admin.get(URL, {"until": RANGE["until"]}).content.decode()
    assert "Until 2026-11-23 09:00:00 KST" in plain(until)
    assert 'id="log-range"' not in admin.get(URL).content.decode()


def test_a_range_of_time_is_told_in_korean(admin, make_run):
    make_run()
    admin.cookies["django_language"] = "ko"
    words = plain(admin.get(URL, RANGE).content.decode())
    assert "2026-11-22 00:00:00 UTC부터 2026-11-23 00:00:00 UTC 전까지 모든 시각 보기" in words


def test_a_range_of_time_stays_when_another_filter_is_chosen(admin, make_run):
    make_run()
    page = admin.get(URL, RANGE).content.decode()
    chip = re.search(r'id="chip-all" href="([^"]+)"', page)[1]
    assert html.unescape(chip) == f"?{urlencode(RANGE)}"
    # The form sends it along, with JavaScript or without.
    form = re.search(r'<form id="filters".*?</form>', page, re.DOTALL)[0]
    sent = dict(re.findall(r'name="(since|until)" id="[^"]+" value="([^"]*)"', form))
    assert sent == {"since": "2026-11-22T00:00:00Z", "until": "2026-11-23T00:00:00Z"}
    # What the form sends follows what the log shows, as after a click on "Show all times".
    for query, values in ((RANGE, sent), ({}, {"since": "", "until": ""})):
        part = admin.get(URL, query, headers={**FRAGMENT, "HX-Boosted": "true"}).content.decode()
        for name, value in values.items():
            assert f'id="filter-{name}" value="{value}" hx-swap-oob="true"' in part


def test_a_capped_count_is_shown_as_such(admin, make_run, monkeypatch):
    defaults = Log.__init__.__kwdefaults__
    monkeypatch.setattr(Log.__init__, "__kwdefaults__", defaults | {"cap": 4})
    monkeypatch.setattr(log_counts, "UNCOUNTED_MOST", 0)
    for _ in range(6):
        make_run()
    answer = admin.get(URL, {"limit": 2, "page": 2})
    assert '<span class="count">4+</span>' in answer.content.decode()
    older = re.search(r'href="(\?[^"]*cursor=\d+)"', answer.content.decode())[1]
    assert len(rows(admin.get(URL + html.unescape(older)))) == 2


def test_jobs_show_schedule_next_fire_and_last_run(admin, make_run, runner):
    make_run(status="partial")
    admin.cookies["cronbell_tz"] = "Asia/Seoul"
    page = admin.get(URL).content.decode()
    job = re.search(r'<li class="job">.*?update-rankings.*?</li>', page, re.DOTALL)[0]
    assert "0 0 * * *" in page
    assert "09:00:00 <span" in job
    assert ">KST<" in job
    assert "Last run" in job
    assert "partial" in job
    assert "No runner is alive" not in page


def test_before_the_browser_told_its_zone_times_are_the_jobs(admin, jobs):
    page = admin.get(URL).content.decode()
    digest = re.search(r'job-name"><a[^>]*>digest.*?</li>', page, re.DOTALL)[0]
    assert "09:30:00" in digest
    assert "KST" in digest


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "Mars/Phobos",
        "../../etc/passwd",
        "x" * 500,
        "Asia/Seoul\x00",
        "<script>",
        "/etc/localtime",
        "UTC",
    ],
)
def test_a_strange_zone_cookie_is_no_harm(admin, make_run, zone):
    make_run()
    admin.cookies["cronbell_tz"] = zone
    answer = admin.get(URL)
    assert answer.status_code == 200
    assert "2026-11-22 00:01:00" in answer.content.decode()


def test_without_a_living_runner_every_page_says_so(admin, make_run):
    run = make_run()
    for address in (URL, f"/admin/runs/{run.pk}"):
        assert "No runner is alive" in text_of(admin.get(address))


def test_a_job_at_fault_says_why(admin, jobs):
    job = jobs["digest"]
    Job.objects.filter(pk=job.pk).update(spec=job.spec | {"schedule": "99 * * * *"})
    assert 'class="fault"' in admin.get(URL).content.decode()


def test_many_jobs_do_not_make_the_page_long(admin, db):
    from tests.dashboard.conftest import START

    from cronbell.runlog.jobs import sync_jobs

    sync_jobs([spec(f"job-{number:03}") for number in range(250)], START)
    answer = admin.get(URL)
    assert answer.content.decode().count('<li class="job">') == 10
    assert "10 of 250 jobs are shown" in text_of(answer)
    assert "<select" not in answer.content.decode()
    filtered = admin.get(URL, {"job_name": "job-249"})
    assert filtered.content.decode().count('<li class="job">') == 1


def test_a_live_update_is_a_fragment_and_nothing_where_nothing_changed(admin, make_run, runner):
    make_run()
    first = admin.get(URL, headers=FRAGMENT)
    assert first.status_code == 200
    assert "<html" not in first.content.decode()
    version = {VERSION_HEADER: first.headers[VERSION_HEADER]}
    assert admin.get(URL, headers=FRAGMENT | version).status_code == 204
    make_run()
    changed = admin.get(URL, headers=FRAGMENT | version)
    assert changed.status_code == 200
    assert len(rows(changed)) == 2


def test_a_filter_changed_in_place_pushes_a_clean_address(admin, jobs):
    answer = admin.get(
        URL,
        {"job_name": "digest", "status": "", "text": ""},
        headers=FRAGMENT | {"HX-Trigger": "filters"},
    )
    assert answer.headers["HX-Push-Url"] == "/admin/cron-logs?job_name=digest"


NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</title><script>alert(1)</script>",
    "javascript:alert(1)",
    "{{ 7919*7919 }}",
    "{% load x %}",
    "<svg/onload=alert(1)>",
    "\u202e\u2066evil",
    "\x1b[31mred",
    "&lt;b&gt;",
    "</textarea><b>",
    "<a href=javascript:alert(1)>x</a>",
    "`${alert(1)}`",
    "<!--",
    "]]>",
    "\u2028",
    "<base href=//e>",
]


@pytest.mark.parametrize("nasty", NASTY)
def test_what_others_wrote_is_shown_and_never_run(admin, make_run, nasty):
    run = make_run(
        status="error",
        details=nasty,
        reason="exception",
        reason_data={"error": nasty},
        body=nasty,
        actor=nasty[:150],
    )
    run.items.create(job=run.job, record_id=nasty, ok=False, error=nasty, body={nasty: nasty})
    run.log_lines.create(at=run.queued_at, message=nasty)
    run.attempts.create(
        number=1,
        term=1,
        started_at=run.queued_at,
        finished_at=run.queued_at,
        reason="redirected",
        reason_data={"location": nasty},
    )
    Job.objects.filter(pk=run.job_id).update(name=nasty, schedule=nasty)
    for address in (
        URL,
        f"{URL}?text=alert",
        f"/admin/runs/{run.pk}",
        f"/admin/runs/{run.pk}/notice",
        f"/admin/data/runlog/run/{run.pk}/change/",
    ):
        answer = admin.get(address)
        assert answer.status_code == 200
        page = answer.content.decode()
        assert list(pages.blocked(page)) == []
        for tag in (
            "<script>",
            "<img src=x",
            "<svg/onload",
            "<base",
            "<b>\n",
            "<a href=javascript",
        ):
            assert tag not in page
        if nasty.startswith("{{"):
            assert str(7919 * 7919) not in page.split("<main")[-1].split("</main")[0]
    assert admin.get(URL, {"text": nasty[:200], "job_name": nasty}).status_code == 200


def test_the_page_is_in_the_services_language_unless_the_viewer_chose(admin, make_run, settings):
    make_run()
    settings.LANGUAGE_CODE = "ko"
    korean = text_of(admin.get(URL))
    for word in (
        "CRON 작업 로그",
        "작업 이름",
        "실행 시간",
        "상태",
        "상세 정보",
        "모든 작업",
        "새로고침",
        "불러오는 중...",
        "로그를 불러오는 중입니다...",
    ):
        assert word in korean
    assert 'aria-label="update-rankings 수동 실행"' in admin.get(URL).content.decode()
    assert "로그 기록이 없습니다." in text_of(admin.get(URL, {"status": "error"}))
    admin.post("/admin/language", {"language": "en", "next": URL})
    assert "CRON job log" in text_of(admin.get(URL))


def test_the_theme_is_kept(admin, jobs):
    answer = admin.post("/admin/theme", {"theme": "dark", "next": URL})
    assert (answer.status_code, answer.headers["Location"]) == (302, URL)
    assert 'data-theme="dark"' in admin.get(URL).content.decode()
    admin.post("/admin/theme", {"theme": "<script>", "next": "//evil.example"})
    assert 'data-theme="auto"' in admin.get(URL).content.decode()


@pytest.mark.parametrize("address", ["/admin/language", "/admin/theme"])
def test_switches_lead_to_local_addresses_only_and_change_nothing_by_get(address, db):
    answer = Client().post(address, {"language": "ko", "theme": "dark", "next": "//evil.example/"})
    assert not answer.headers["Location"].startswith("//")
    assert Client().get(address).status_code == 405
    assert Client(enforce_csrf_checks=True).post(address, {"theme": "dark"}).status_code == 403


def test_a_paused_job_says_since_when_why_and_by_whom(admin, jobs):
    pause("digest", reason="the <target> is moving", actor="alice")
    page = admin.get("/admin/cron-logs").content.decode()
    assert "the &lt;target&gt; is moving (alice)" in page
    assert page.count("paused since") == 1
