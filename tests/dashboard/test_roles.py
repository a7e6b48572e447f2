"""Two roles: administrators do everything; viewers see it, change nothing, and find no buttons."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from tests.dashboard.test_admin_access import API, BY_TOKEN, PAGES

from cronbell.dashboard import access

pytestmark = [
    pytest.mark.django_db(databases=["default", "runlog"]),
    pytest.mark.any_store,
]

# Pages that are there only to change something, or that show a secret.
NOT_FOR_VIEWERS = {
    "/admin/run-now",
    "/admin/ping-url",
    "/admin/jobs/1/pause",
    "/admin/jobs/1/resume",
    "/admin/backfills/1/pause",
    "/admin/runs/1/cancel",
    "/admin/runs/1/rerun",
    "/admin/records/post/retry",
    "/admin/tokens",
    "/admin/tokens/1/revoke",
}
OUR_PAGES = [one for one in PAGES if not one.startswith("/admin/data/")]
STOCK_PAGES = ["/admin/data/", "/admin/data/auth/user/", "/admin/data/auth/group/add/"]
UNSAFE = ["post", "put", "patch", "delete"]


def test_the_lists_are_of_real_addresses():
    assert set(OUR_PAGES) >= NOT_FOR_VIEWERS
    assert len(OUR_PAGES) > len(NOT_FOR_VIEWERS) + 8


def test_a_viewer_sees_every_page_that_shows_and_none_that_changes(viewer, make_run, runner):
    make_run(id=1)
    for page in OUR_PAGES:
        status = viewer.get(page).status_code
        assert ((status == 403) == (page in NOT_FOR_VIEWERS), status < 500) == (True, True), page


def test_a_viewer_changes_nothing_by_any_page(viewer, make_run):
    """Whatever the view: 403, or 405 where the page has no such method; never done, never 500."""
    make_run(id=1, status="running")
    form = {"reason": "x", "nonce": "n" * 16, "all": "on"}
    for page in [*OUR_PAGES, *STOCK_PAGES]:
        for method in UNSAFE:
            answer = getattr(viewer, method)(page, form)
            if answer.headers.get("Location", "").startswith("/admin/data/login/"):
                answer = viewer.get(answer.headers["Location"])
            assert answer.status_code in {403, 405}, (page, method)


def test_a_viewer_reads_the_api_and_changes_nothing_by_it(viewer, make_run):
    make_run(id=1, status="running")
    for route in (one for one in API if one != BY_TOKEN):
        assert viewer.get(route).status_code not in {401, 403}
        for method in UNSAFE:
            answer = getattr(viewer, method)(route, {}, content_type="application/json")
            assert (route, method, answer.status_code) == (route, method, 403)
            assert answer.json()["error"] == "You may look at everything and change nothing."


def test_without_the_check_a_viewer_would_cancel_a_run(viewer, make_run, monkeypatch):
    """Sabotage: the same request is done once nobody asks for the role."""
    run = make_run(status="pending")
    url = f"/api/admin/runs/{run.pk}/cancel"
    assert viewer.post(url).status_code == 403
    monkeypatch.setattr("cronbell.dashboard.api_access.require_role", lambda *_: None)
    assert viewer.post(url).status_code == 200
    run.refresh_from_db()
    assert run.status == "cancelled"


BUTTONS = (
    b"/admin/run-now", b"/pause", b"/resume", b"/rerun", b"/cancel", b"/retry", b"/ping-url",
    b'href="/admin/data/', b"Start the backfill", b'id="range"',
)  # fmt: skip


@pytest.mark.parametrize(
    "page",
    ["/admin/", "/admin/jobs", "/admin/cron-logs", "/admin/jobs/{job}", "/admin/runs/{run}",
     "/admin/runs/{going}", "/admin/jobs/{job}/backfill", "/admin/records", "/admin/settings",
     "/admin/why"],
)  # fmt: skip
def test_a_viewer_finds_no_button_that_an_administrator_finds(page, viewer, admin, make_run, jobs):
    run, going = make_run(status="error"), make_run("clean-data", status="running")
    page = page.format(job=jobs["update-rankings"].pk, run=run.pk, going=going.pk)
    seen = viewer.get(page)
    assert seen.status_code == 200
    assert not [button for button in BUTTONS if button in seen.content]
    assert any(button in admin.get(page).content for button in BUTTONS)  # they would be seen


def test_a_viewer_is_told_what_the_role_is(viewer, jobs):
    answer = viewer.get("/admin/run-now?job_name=clean-data")
    assert answer.status_code == 403
    assert b"may look at everything and change nothing" in answer.content


def test_a_viewer_may_sign_out_and_choose_a_language(viewer):
    assert viewer.post("/admin/language", {"language": "ko"}).status_code in {302, 303}
    assert viewer.post("/admin/logout").status_code == 302


def test_who_is_in_both_groups_is_an_administrator(people):
    people["viewer"].groups.add(Group.objects.get(name="ADMIN"))
    assert access.is_admin(people["viewer"])


def test_an_inactive_viewer_sees_nothing(people):
    people["viewer"].is_active = False
    assert not access.may_see(people["viewer"])


def test_migrating_makes_the_group(db):
    assert Group.objects.filter(name=access.VIEWER_GROUP).exists()


def test_leaving_the_group_takes_effect_at_once(people):
    client = Client()
    client.force_login(people["viewer"])
    assert client.get("/admin/jobs").status_code == 200
    people["viewer"].groups.clear()
    assert client.get("/admin/jobs").status_code == 403
