"""Backfills by hand: first what it would do, then doing it, then how it goes."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import transaction
from tests.dashboard.conftest import START, spec

from cronbell.clock import SYSTEM_CLOCK, iso
from cronbell.runlog import backfilling
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Backfill, Run

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
DAYS = {"since": "2026-10-01T00:00", "until": "2026-10-03T12:00"}


@pytest.fixture(autouse=True)
def _data(settings, tmp_path):
    settings.CRONBELL_DATA_DIR = tmp_path


@pytest.fixture
def address(jobs) -> str:
    return f"/admin/jobs/{jobs['update-rankings'].pk}/backfill"


def page(client, url, status=200, **given) -> str:
    answer = client.get(url, given)
    assert answer.status_code == status
    return answer.content.decode()


def form(html: str) -> dict[str, str]:
    shown = html[html.index('id="preview"') :]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', shown))


def start(client, address) -> Backfill:
    assert client.post(address, form(page(client, address, **DAYS))).status_code == 303
    return Backfill.objects.latest("id")


def test_nothing_starts_before_its_effect_was_shown(admin, address):
    assert "None yet" in page(admin, address)
    html = page(admin, address, **DAYS)
    assert "3 fires would be run" in html
    assert not Backfill.objects.exists()


def test_what_was_shown_is_what_starts_and_a_double_click_makes_one(admin, address):
    hidden = form(page(admin, address, **DAYS, overlap="allow"))
    for _ in range(2):
        assert admin.post(address, hidden).status_code == 303
    made = Backfill.objects.get()
    assert (made.fires, made.overlap, made.actor) == (3, "allow", "administrator")
    assert (iso(made.since), iso(made.until)) == ("2026-10-01T00:00:00Z", "2026-10-03T12:00:00Z")


def test_the_form_speaks_the_jobs_zone(admin, jobs):
    url = f"/admin/jobs/{jobs['digest'].pk}/backfill"
    hidden = form(page(admin, url, since="2026-10-01T09:00", until="2026-10-01T10:00"))
    assert hidden["since"] == "2026-10-01T00:00:00Z"
    assert 'value="2026-10-01T09:00"' in page(admin, url, since="2026-10-01T00:00:00Z")


def test_only_what_was_missed(admin, address, make_run):
    at = SYSTEM_CLOCK.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=9)
    make_run(
        status="missed", reason="outage", started_at=None, scheduled_at=at, finished_at=at,
        missed_first_at=at - timedelta(days=1), missed_count=2,
    )  # fmt: skip
    given = {"since": iso(at - timedelta(days=5)), "until": iso(at + timedelta(days=5))}
    assert "2 fires would be run" in page(admin, address, **given, missed_only="on")
    assert "11 fires would be run" in page(admin, address, **given)


@pytest.mark.parametrize(
    "given",
    [
        {"since": "noon"},
        {"since": "9" * 5_000},
        {"since": "0001-01-01T00:00"},
        {"since": "2026-10-03T00:00", "until": "2026-10-01T00:00"},
        {"since": "2026-10-03T00:00", "until": "2999-10-01T00:00"},
        {"since": "2026-10-03T00:00", "overlap": "cancel_running"},
        {"since": "2026-10-03T00:00", "overlap": "nonsense"},
        {"since": "1971-01-01T00:00"},
    ],
)
def test_a_range_that_makes_no_sense_is_said_to_and_starts_nothing(admin, address, given):
    assert 'id="problem"' in page(admin, address, 400, **given)
    assert admin.post(address, {**given, "nonce": "click-12345"}).status_code == 400
    assert not Backfill.objects.exists()


def test_progress_pause_resume_cancel(admin, address, make_run):
    made = start(admin, address)
    make_run(kind="backfill", backfill=made, scheduled_at=START - timedelta(days=50))
    make_run(status="running", kind="backfill", backfill=made)
    html = page(admin, address)
    assert '<progress value="1" max="3"' in html
    assert "1 / 3" in html
    change = f"/admin/backfills/{made.pk}"
    assert admin.put(f"{change}/pause").status_code == 405
    for word, state in (("pause", "paused"), ("resume", "going on"), ("cancel", "cancelled")):
        assert admin.post(f"{change}/{word}").headers["Location"] == f"{address}#backfills"
        assert f"{state}</span>" in page(admin, address)
    assert Run.objects.get(status="running").cancelled_by == "administrator"
    assert admin.post(f"{change}/pause").status_code == 400
    assert admin.post(f"{change}/forget").status_code == 404


@pytest.mark.parametrize("word", ["pause", "resume", "cancel"])
def test_each_change_is_asked_first_and_asking_changes_nothing(admin, address, word):
    made = start(admin, address)
    change = f"/admin/backfills/{made.pk}/{word}"
    whole = page(admin, change)
    assert "0 of 3 have ended; 3 are not recorded yet." in whole
    assert f'action="{change}"' in whole
    part = admin.get(change, headers={"HX-Target": "dialog-body", "HX-Request": "true"})
    assert b"<html" not in part.content
    assert b'id="dialog-title"' in part.content
    made.refresh_from_db()
    assert (made.paused_at, made.ended_at) == (None, None)
    assert admin.get(f"/admin/backfills/{2**70}/{word}").status_code == 404
    assert admin.get(f"/admin/backfills/{made.pk}/forget").status_code == 404


def test_the_request_that_is_shown_is_the_first_one_sent(admin, address):
    html = page(admin, address, **DAYS)
    shown = re.search(r"<dt>Idempotency-Key</dt><dd>([^<]+)</dd>", html)[1]
    assert admin.post(address, form(html)).status_code == 303
    with transaction.atomic(using="runlog"):
        assert backfilling.feed(SYSTEM_CLOCK.micros()) == 3
    first = Run.objects.filter(kind="backfill").earliest("scheduled_at")
    assert first.key == shown


def test_the_dialog_gets_the_preview_alone_or_what_is_wrong(admin, address):
    ask = {"HX-Target": "dialog-body", "HX-Request": "true"}
    part = admin.get(address, DAYS, headers=ask).content.decode()
    assert "<html" not in part
    assert "3 fires would be run" in part
    assert "Idempotency-Key" in part
    wrong = admin.get(address, {"since": "noon"}, headers=ask)
    assert wrong.status_code == 400
    assert 'id="problem"' in wrong.content.decode()


def test_the_list_is_given_anew_alone(admin, address):
    start(admin, address)
    part = admin.get(address, headers={"HX-Target": "backfills", "HX-Request": "true"})
    assert "Backfill 1" in part.content.decode() or "going on" in part.content.decode()
    assert b"<html" not in part.content


def test_where_there_is_nothing_to_fill_there_is_no_page(admin, jobs, address):
    assert f'href="{address}"' in page(admin, address.removesuffix("/backfill"))
    sync_jobs([spec("digest")], START)
    page(admin, address, 404)
    page(admin, "/admin/jobs/999/backfill", 404)


def test_korean(admin, address):
    admin.cookies["django_language"] = "ko"
    assert "차례 3개를 실행합니다" in page(admin, address, **DAYS)
    wrong = {"since": "2026-10-03T00:00", "until": "2026-10-01T00:00"}
    assert "since가 until보다 늦습니다" in page(admin, address, 400, **wrong)


def test_every_refusal_is_korean_on_a_korean_page(admin, address, make_run):
    admin.cookies["django_language"] = "ko"
    run = make_run()
    made = start(admin, address)
    admin.post(f"/admin/backfills/{made.pk}/cancel")
    answers = [
        admin.post(f"/admin/runs/{run.pk}/cancel"),
        admin.post(f"/admin/runs/{make_run(status='running').pk}/rerun", {"nonce": "click-1"}),
        admin.post(f"/admin/runs/{run.pk}/rerun", {"nonce": ""}),
        admin.post(f"/admin/backfills/{made.pk}/pause"),
    ]
    for answer in answers:
        assert answer.status_code == 400
        said = re.search(r'role="alert">.*?<p>(.*?)</p>', answer.content.decode(), re.DOTALL)[1]
        assert not re.search(r"[a-z]{3,} [a-z]{3,} [a-z]{3,}", re.sub(r"`[^`]*`", "", said)), said
