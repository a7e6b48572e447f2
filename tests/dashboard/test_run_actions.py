"""Cancel and rerun on a run's page: asked first, with the request that would be sent."""

from __future__ import annotations

import re

import pytest

from cronbell.runlog.models import Run

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])


@pytest.fixture(autouse=True)
def _data(settings, tmp_path):
    settings.CRONBELL_DATA_DIR = tmp_path


def test_the_rerun_shows_its_request_and_sends_that_one(admin, make_run):
    old = make_run(status="error")
    address = f"/admin/runs/{old.pk}/rerun"
    assert f'href="{address}"' in admin.get(f"/admin/runs/{old.pk}").content.decode()
    asked = admin.get(address).content.decode()
    assert Run.objects.count() == 1
    key = re.search(r"<dt>Idempotency-Key</dt><dd>([^<]+)</dd>", asked)[1]
    nonce = re.search(r'name="nonce" value="([^"]+)"', asked)[1]
    for _ in range(2):
        assert admin.post(address, {"nonce": nonce}).status_code == 303
    new = Run.objects.get(origin=old)
    assert (new.key, new.actor) == (key, "administrator")


def test_cancelling_is_asked_first(admin, make_run):
    run = make_run(status="running")
    address = f"/admin/runs/{run.pk}/cancel"
    assert f'href="{address}"' in admin.get(f"/admin/runs/{run.pk}").content.decode()
    assert "may still be at work" in admin.get(address).content.decode()
    assert Run.objects.get().cancel_requested_at is None
    assert admin.post(address).status_code == 303
    assert Run.objects.get().cancelled_by == "administrator"
    assert f'href="{address}"' not in admin.get(f"/admin/runs/{run.pk}").content.decode()


def test_a_dialog_gets_the_question_alone(admin, make_run):
    run = make_run(status="pending", started_at=None)
    part = admin.get(f"/admin/runs/{run.pk}/cancel", headers={"HX-Request": "true"})
    assert "will not be" in part.content.decode()
    assert b"<html" not in part.content


@pytest.mark.parametrize("what", ["cancel", "rerun"])
def test_a_run_that_is_not_there_is_not_found(admin, jobs, what):
    assert admin.get(f"/admin/runs/9/{what}").status_code == 404


def test_what_can_not_be_done_is_refused_with_its_reason(admin, make_run):
    run = make_run()
    answer = admin.post(f"/admin/runs/{run.pk}/cancel")
    assert answer.status_code == 400
    assert "is over" in answer.content.decode()
