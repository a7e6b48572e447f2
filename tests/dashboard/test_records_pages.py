"""``/admin/records``: backlogs, dead letters and their second chance, one record's history."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from tests.drain.backlog.models import Letter

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.request_preview import MASK
from cronbell.drain import ledger
from cronbell.drain.claim import idempotency_key
from cronbell.drain.drain import Drain
from cronbell.drain.models import DrainDay, Stage, TargetPause
from cronbell.drain.target import HttpTarget, Reply
from cronbell.endpoint.registry import REGISTRY, Registry, cron_job
from cronbell.runlog.models import Item

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
LIST, DRAIN, RECORD = "/admin/records", "/admin/records/update-rankings", "/admin/record"
RETRY = f"{DRAIN}/retry"
URL = "http://127.0.0.1:9/api/letters"


@pytest.fixture
def posting(monkeypatch):
    """Have one of the configured jobs drain letters; return how to say what its call is."""

    def install(call) -> Drain:
        registry = Registry()
        drain = Drain(name="post", qualifying=Letter.objects.all, call=call)
        cron_job("update-rankings", max_duration=1, registry=registry)(drain.run)
        monkeypatch.setattr(REGISTRY, "_by_name", registry._by_name)
        monkeypatch.setattr(REGISTRY, "_by_path", registry._by_path)
        return drain

    return install


@pytest.fixture
def drain(posting) -> Drain:
    return posting(HttpTarget(URL, token="a-very-secret-token"))


def letter(state=Stage.PENDING, **values):
    return Letter.objects.create(drain_state=state.value, **values)


def dead(**values):
    now = SYSTEM_CLOCK.now()
    return letter(Stage.DEAD, drain_settled_at=now, drain_error="HTTP 500", **values)


def page(client, url, status=200, **given) -> str:
    answer = client.get(url, given)
    assert answer.status_code == status
    return answer.content.decode()


def tiles(html: str) -> dict[str, str]:
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html, re.DOTALL)
    return {name: re.sub(r"<.*?>", "", value).strip() for name, value in found}


def test_a_backlog_in_numbers(admin, jobs, drain):
    now = SYSTEM_CLOCK.now()
    for hours in (2, 3, 4):
        letter(drain_entered_at=now - timedelta(hours=hours))
    letter(drain_entered_at=now)
    for _ in range(3):
        letter(Stage.DONE, drain_entered_at=now - timedelta(hours=5), drain_settled_at=now)
    dead(drain_entered_at=now - timedelta(hours=5))
    DrainDay.objects.create(drain="post", day=now.date(), items=1234, calls=7, micromoney=2_500_000)
    TargetPause.objects.create(target="post", until=now + timedelta(hours=1))
    html = page(admin, LIST)
    assert tiles(html) == {
        "Waiting": "4",
        "Being handled": "0",
        "Came in, last hour": "1",
        "Settled, last hour": "4",
        "Time to empty": "1 h 20 min",
        "Today (UTC)": "1,234",
    }
    assert "4 h" in html
    assert "1 set aside" in html
    assert "asked to be left alone until" in html
    assert "2.5" in html


def test_empty_states_are_sentences(admin, jobs, drain):
    assert "Nothing waits" in page(admin, LIST)
    assert "No record failed so often" in page(admin, DRAIN)


def test_an_application_without_drains_says_so(admin, jobs, monkeypatch):
    monkeypatch.setattr(REGISTRY, "_by_name", {})
    monkeypatch.setattr(REGISTRY, "_by_path", {})
    assert "No job here works through records." in page(admin, LIST)


def test_no_number_is_counted_past_its_cap(admin, jobs, drain):
    now = SYSTEM_CLOCK.now()
    old = now - timedelta(days=2)
    for number in range(5):
        letter(drain_entered_at=old, drain_available_at=old + timedelta(minutes=number))
        dead()
    found = ledger.standing(drain, now=now, most=3).backlog
    assert (found.pending, found.dead, found.outflow, found.oldest) == (4, 4, 4, old)
    whole = ledger.standing(drain, now=now).backlog
    assert (whole.pending, whole.dead, whole.outflow) == (5, 5, 5)
    assert ledger.standing(drain, now=now, most=5).backlog == whole


def test_more_than_the_cap_is_shown_as_more(admin, jobs, drain, monkeypatch):
    monkeypatch.setattr("cronbell.dashboard.pages.records.COUNT_CAP", 3)
    for _ in range(4):
        letter(drain_entered_at=SYSTEM_CLOCK.now() - timedelta(hours=3))
    shown = tiles(page(admin, LIST))
    assert (shown["Waiting"], shown["Time to empty"]) == ("3+", "never")


def test_dead_letters_page_by_page(admin, jobs, drain, monkeypatch):
    monkeypatch.setattr("cronbell.dashboard.pages.records.PER_PAGE", 2)
    now = SYSTEM_CLOCK.now()
    made = [dead(drain_available_at=now + timedelta(seconds=second)) for second in range(3)]
    first = page(admin, DRAIN)
    older = re.search(r'id="older" href="\?cursor=([^"#]+)#dead"', first)[1]
    second = page(admin, DRAIN, cursor=older.replace("%3D", "="))
    ids = re.findall(r'id="record-(\d+)"', first) + re.findall(r'id="record-(\d+)"', second)
    assert ids == [str(one.pk) for one in reversed(made)]
    assert "Older" not in second
    assert "take it from the page before" in page(admin, DRAIN, 400, cursor="made up")
    assert page(admin, DRAIN, 400, cursor="x" * 5_000)


def test_trying_again_shows_the_very_request_without_its_token(admin, jobs, drain):
    one = dead()
    html = page(admin, RETRY, record=one.pk)
    for part in (URL, idempotency_key(one), f"Bearer {MASK}", f"{{&quot;recordId&quot;:{one.pk}}}"):
        assert part in html
    assert "a-very-secret-token" not in html
    sent = drain.call.call_for(one, idempotency_key(one))
    assert sent.headers["Authorization"] == "Bearer a-very-secret-token"
    assert sent.content == f'{{"recordId":{one.pk}}}'.encode()


def test_a_drain_with_a_function_of_its_own_shows_the_key(admin, jobs, posting):
    posting(lambda _hold, _seconds: Reply())
    one = dead()
    html = page(admin, RETRY, record=one.pk)
    assert "own function handles it" in html
    assert idempotency_key(one) in html


def test_one_is_tried_again_and_the_others_stay(admin, jobs, drain):
    one, other = dead(), dead()
    away = admin.post(RETRY, {"record": one.pk})
    assert away.status_code == 303
    assert away.headers["Location"] == f"{RECORD}?job=update-rankings&record={one.pk}"
    states = dict(Letter.objects.values_list("pk", "drain_state"))
    assert states == {one.pk: Stage.PENDING.value, other.pk: Stage.DEAD.value}
    again = admin.post(RETRY, {"record": one.pk})
    assert again.status_code == 400
    assert "Nothing failed is left" in again.content.decode()


def test_all_are_tried_again_in_place(admin, jobs, drain):
    dead(), dead()
    assert "(2)" in page(admin, RETRY, all="on")
    answer = admin.post(RETRY, {"all": "on"}, headers={"HX-Request": "true"})
    assert "2 records will be tried again" in answer.content.decode()
    assert answer.headers["HX-Retarget"] == "#notices"
    assert set(Letter.objects.values_list("drain_state", flat=True)) == {Stage.PENDING.value}


def test_asking_changes_nothing_and_what_is_no_question_is_not_found(admin, jobs, drain):
    one = dead()
    page(admin, RETRY, record=one.pk)
    page(admin, RETRY, all="on")
    assert Letter.objects.get().drain_state == Stage.DEAD.value
    page(admin, RETRY, 404)
    page(admin, RETRY, 404, record="gone")
    page(admin, "/admin/records/clean-data/retry", 404, all="on")
    page(admin, "/admin/records/clean-data", 404)
    assert admin.post(RETRY, {}).status_code == 404


def test_a_record_over_all_its_runs(admin, make_run, drain):
    one = dead(drain_failures=3, drain_term=4)
    for ok in (False, True):
        run = make_run()
        Item.objects.create(
            run=run, job=run.job, record_id=str(one.pk), ok=ok, http_status=200 if ok else 500,
            error="" if ok else "<b>no</b>", microseconds=1_200_000, tokens=1500, micromoney=20_000,
        )  # fmt: skip
    html = page(admin, RECORD, job="update-rankings", record=one.pk)
    assert html.index(f'href="/admin/runs/{run.pk}"') < html.index("&lt;b&gt;no&lt;/b&gt;")
    for part in ("set aside", "Try again", idempotency_key(one), "4 times", "1.2 s · 1,500 tokens"):
        assert part in html
    link = f'href="{RECORD}?job=update-rankings&amp;record={one.pk}"'
    assert link in page(admin, f"/admin/runs/{run.pk}")


def test_a_history_is_read_page_by_page(admin, make_run, drain, monkeypatch):
    monkeypatch.setattr("cronbell.dashboard.pages.records.PER_PAGE", 2)
    runs = [make_run() for _ in range(3)]
    for run in runs:
        Item.objects.create(run=run, job=run.job, record_id="r/1 ä", ok=True)
    first = page(admin, RECORD, job="update-rankings", record="r/1 ä")
    cursor = re.search(r'id="older" href="[^"]*cursor=(\d+)"', first)[1]
    second = page(admin, RECORD, job="update-rankings", record="r/1 ä", cursor=cursor)
    shown = [
        int(number) for html in (first, second) for number in re.findall(r"/admin/runs/(\d+)", html)
    ]
    assert shown == [run.pk for run in reversed(runs)]


def test_records_of_another_application_have_a_history_only(admin, make_run, drain):
    run = make_run("clean-data")
    Item.objects.create(run=run, job=run.job, record_id="7", ok=True)
    html = page(admin, RECORD, job="clean-data", record="7")
    assert "belongs to another application" in html
    assert "Try again" not in html


@pytest.mark.parametrize("record", ["9", "", "a\0b", "x" * 300])
def test_a_record_nobody_knows_is_said_to_be_none(admin, jobs, drain, record):
    html = page(admin, RECORD, 404, job="update-rankings", record=record)
    assert "Look up another" in html


def test_a_job_nobody_knows_is_not_found(admin, jobs, drain):
    page(admin, RECORD, 404, job="nothing", record="1")


def test_korean_pages(admin, make_run, drain):
    admin.cookies["django_language"] = "ko"
    one = dead()
    assert "대기 중" in page(admin, LIST)
    assert "다시 시도" in page(admin, DRAIN)
    assert "다시 시도" in page(admin, RECORD, job="update-rankings", record=one.pk)
