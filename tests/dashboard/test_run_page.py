"""``/admin/runs/<id>``: what happened, in order."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from tests.dashboard.conftest import START

from cronbell.dashboard.pages.run import timeline
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
        "{&quot;results&quot;: []}",
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
    assert 'hx-trigger="cronbell-poll"' in active
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
