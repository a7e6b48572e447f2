"""``/admin/runs/<id>``: what happened, in order."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from tests.dashboard.conftest import START

from cronbell.dashboard.pages.live import VERSION_HEADER
from cronbell.dashboard.pages.run import pretty, timeline, tries
from cronbell.runlog.models import Run

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])


def words(run) -> list[str]:
    return [event.word for event in timeline(run)]


def test_a_plain_run_was_due_queued_sent_and_answered(make_run):
    run = make_run(http_status=200)
    assert words(run) == ["Due", "Queued", "Sent", "Answered 200"]
    instants = [event.at for event in timeline(run)]
    assert instants == sorted(instants)


def test_a_retried_run_shows_every_attempt_and_why_it_failed(make_run):
    run = make_run(http_status=200, attempt=2)
    run.attempts.create(
        number=1,
        term=1,
        started_at=run.started_at,
        finished_at=run.started_at,
        reason="http_status",
        reason_data={"status": 503},
        http_status=503,
    )
    assert words(run) == ["Due", "Queued", "Sent", "Answered 503", "Sent", "Answered 200"]
    assert "503" in timeline(run)[3].note


def test_attempts_are_listed_with_times_answers_and_reasons(admin, make_run):
    run = make_run(http_status=200, attempt=3)
    for number, status in ((1, 503), (2, 0)):
        at = run.started_at + timedelta(seconds=10 * number)
        run.attempts.create(
            number=number, term=number, started_at=at, finished_at=at + timedelta(seconds=number),
            reason="http_status" if status else "connect",
            reason_data={"status": status} if status else {"host": "shop:80"},
            http_status=status,
        )  # fmt: skip
    Run.objects.filter(pk=run.pk).update(sent_at=run.started_at + timedelta(seconds=30))
    html = admin.get(f"/admin/runs/{run.pk}").content.decode()
    table = html[html.index('id="attempts"') :].split("</section>")[0]
    rows = table.split("<tr")[2:]
    assert len(rows) == 3
    assert "503" in rows[0]
    assert ">1.0 s<" in rows[0]
    assert "no answer" in rows[1]
    assert ">2.0 s<" in rows[1]
    assert "shop:80" in rows[1]
    assert ">200<" in rows[2]
    assert "00:01:30.250" in rows[2]  # the last one was sent then, not when the run began


def test_what_was_never_sent_has_no_attempts(make_run):
    assert tries(make_run(status="skipped", started_at=None)) == []
    assert tries(make_run(kind="call", by_endpoint=True)) == []
    assert [one.ended_at for one in tries(make_run(status="running"))] == [None]


def test_a_skipped_fire_was_not_sent(make_run):
    run = make_run(status="skipped", reason="overlap", started_at=None)
    assert words(run) == ["Due", "Queued", "Recorded as not run"]


def test_an_outage_shows_its_first_and_last_fire(make_run):
    run = make_run(status="missed", reason="outage", started_at=None, missed_count=4)
    run.missed_first_at = run.scheduled_at - timedelta(hours=3)
    assert words(run)[:2] == ["First fire missed", "Due"]


def test_runs_by_hand_and_by_others_say_so(make_run):
    assert words(make_run(kind="run_now", actor="kim"))[0] == "Asked for"
    assert words(make_run(kind="call", by_endpoint=True))[:2] == ["Called", "Started"]


def test_no_answer_is_said_to_be_none(make_run):
    run = make_run(status="error", http_status=0, reason="connect", reason_data={"host": "h"})
    assert words(run)[-1] == "No answer"


def test_the_page_shows_reason_lateness_request_answer_items_and_lines(admin, make_run):
    run = make_run(
        status="partial",
        reason="body_partial",
        reason_data={"failed": 1, "total": 2},
        body='{"results": []}',
        items_total=2,
        items_failed=1,
        progress_done=1,
        progress_total=4,
        http_status=200,
    )
    run.items.create(job=run.job, record_id="rec-1", ok=True, http_status=200, body={"a": 1})
    run.items.create(job=run.job, record_id="rec-2", ok=False, http_status=0, error="timed out")
    run.log_lines.create(at=run.started_at, message="halfway")
    page = admin.get(f"/admin/runs/{run.pk}").content.decode()
    for part in (
        "1 of 2 items failed",
        "250 ms",
        "{\n  &quot;results&quot;: []\n}",
        "rec-1",
        "timed out",
        "halfway",
        "X-Cronbell-Attempt",
        'value="25"',
        "http://127.0.0.1:9/api/cron",
    ):
        assert part in page
    assert page.index("rec-2") < page.index("rec-1")


def test_while_it_runs_the_page_keeps_itself_current_also_without_javascript(admin, make_run):
    active = admin.get(f"/admin/runs/{make_run(status='running').pk}").content.decode()
    assert '<noscript><meta http-equiv="refresh"' in active
    assert 'hx-trigger="cronbell-poll, cronbell-refresh from:body"' in active
    over = admin.get(f"/admin/runs/{make_run().pk}").content.decode()
    assert "http-equiv" not in over
    assert "cronbell-poll" not in over


@pytest.mark.parametrize("number", ["0", "999999", "9" * 40, "abc", "-1"])
def test_a_run_that_does_not_exist_is_not_found(admin, number):
    assert admin.get(f"/admin/runs/{number}").status_code == 404


def test_a_stored_answer_is_text_within_the_page_never_a_page(admin, make_run):
    run = make_run(body="<html><script>alert(1)</script>")
    page = admin.get(f"/admin/runs/{run.pk}").content.decode()
    body = re.search(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)[1]
    assert body == "&lt;html&gt;&lt;script&gt;alert(1)&lt;/script&gt;"


def test_a_run_that_is_being_cancelled_says_so_until_it_has_ended(admin, make_run):
    run = make_run(status="running", cancel_requested_at=START, cancelled_by="<alice>")
    said = "&lt;alice&gt; has cancelled this run"
    assert said in admin.get(f"/admin/runs/{run.pk}").content.decode()
    Run.objects.update(status="cancelled", finished_at=START)
    assert said not in admin.get(f"/admin/runs/{run.pk}").content.decode()


@pytest.mark.parametrize(
    "body",
    [
        "not JSON",
        '{"a": 1, "a": 2}',
        "[1e400]",
        "[NaN]",
        '["\\ud800"]',
        pytest.param("[" * 200_000, id="deep"),
        "",
    ],
)
def test_an_answer_that_would_not_come_back_the_same_is_left_as_it_came(body):
    assert pretty(body) == body


def test_an_answer_in_json_is_laid_out(make_run):
    assert pretty('{"이름": [1, 2.5]}') == '{\n  "이름": [\n    1,\n    2.5\n  ]\n}'


@pytest.fixture
def drained(make_run):
    run = make_run(status="partial", items_total=60, items_failed=20)
    for number in range(60):
        run.items.create(
            job=run.job,
            record_id=f"rec-{number:02d}", ok=number % 3 != 0, http_status=200,
            error="" if number % 3 else "no <answer>", body={"verdict": "승인"},
        )  # fmt: skip
    return run


def records(answer) -> list[str]:
    return re.findall(r">(rec-\d\d)<", answer.content.decode())


@pytest.mark.parametrize(
    ("query", "count", "first"),
    [
        ({}, 25, "rec-00"),
        ({"page": 3}, 10, "rec-46"),
        ({"page": 9}, 0, None),
        ({"result": "failed"}, 20, "rec-00"),
        ({"result": "ok", "page": 2}, 15, "rec-38"),
        ({"text": "rec-01"}, 1, "rec-01"),
        ({"text": "ANSWER"}, 20, "rec-00"),
        ({"text": "rec-01", "result": "failed"}, 0, None),
    ],
)
def test_items_are_narrowed_and_paged_by_address(admin, drained, query, count, first):
    answer = admin.get(f"/admin/runs/{drained.pk}", query)
    found = records(answer)
    assert len(found) == count
    assert first is None or found[0] == first
    if not found:
        assert "No item is like that." in answer.content.decode()


@pytest.mark.parametrize("query", [{"page": "x"}, {"result": "maybe"}, {"text": "\x00"}])
def test_a_bad_address_names_the_parameter_and_leaves_the_run_readable(admin, drained, query):
    answer = admin.get(f"/admin/runs/{drained.pk}", query)
    assert answer.status_code == 400
    assert f"<code>{next(iter(query))}</code>" in answer.content.decode()
    assert "What happened" in answer.content.decode()


def test_a_change_of_the_filter_gives_the_items_alone(admin, drained):
    hx = {"HX-Request": "true", "HX-Target": "items"}
    answer = admin.get(f"/admin/runs/{drained.pk}", {"result": "failed"}, headers=hx)
    assert b"<html" not in answer.content
    assert len(records(answer)) == 20
    assert "no &lt;answer&gt;" in answer.content.decode()
    assert '<span class="count">40</span>' in answer.content.decode()


def test_items_carry_their_json_not_pythons_words(admin, drained):
    page = admin.get(f"/admin/runs/{drained.pk}", {"result": "ok"}).content.decode()
    assert "{&quot;verdict&quot;: &quot;승인&quot;}" in page


def test_the_runs_before_and_after_are_those_of_its_job(admin, make_run):
    first, other, second = make_run(), make_run("clean-data"), make_run()
    page = admin.get(f"/admin/runs/{second.pk}").content.decode()
    assert f'rel="prev" href="/admin/runs/{first.pk}"' in page
    assert 'rel="next"' not in page
    alone = admin.get(f"/admin/runs/{other.pk}").content.decode()
    assert 'rel="prev"' not in alone


def test_a_live_update_gives_nothing_where_nothing_changed(admin, make_run, monkeypatch):
    monkeypatch.setattr(
        "cronbell.dashboard.pages.run.SYSTEM_CLOCK", type("Still", (), {"now": lambda: START})
    )
    run = make_run(status="running", started_at=START)
    url, hx = f"/admin/runs/{run.pk}", {"HX-Request": "true", "HX-Target": "run"}
    version = {VERSION_HEADER: admin.get(url, headers=hx).headers[VERSION_HEADER]}
    assert admin.get(url, headers=hx | version).status_code == 204
    Run.objects.update(progress_done=1)
    assert admin.get(url, headers=hx | version).status_code == 200
