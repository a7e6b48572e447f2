"""The stock admin: the run log can be looked at and never changed, at bounded cost."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin as django_admin
from django.db import connections
from django.test.utils import CaptureQueriesContext
from tests.support import pages

from cronbell.dashboard import admin as log_admin
from cronbell.runlog.models import Attempt, Item, Job, LogLine, Run, Runner
from cronbell.runlog.router import ALIAS

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
MODELS = [Job, Run, Attempt, Item, LogLine, Runner]


def address(model, tail=""):
    return f"/admin/data/runlog/{model._meta.model_name}/{tail}"


@pytest.fixture
def full_log(make_run, runner):
    run = make_run(status="error")
    run.attempts.create(
        number=1, term=1, started_at=run.queued_at, finished_at=run.queued_at, reason="reset"
    )
    run.items.create(job=run.job, record_id="r", ok=True)
    run.log_lines.create(at=run.queued_at, message="m")
    return run


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_rows_can_be_read(admin, full_log, model):
    listed = admin.get(address(model))
    assert listed.status_code == 200
    key = model.objects.first().pk
    shown = admin.get(address(model, f"{key}/change/"))
    assert shown.status_code == 200
    for page in (listed, shown):
        assert list(pages.blocked(page.content.decode())) == []
        assert b'name="_save"' not in page.content


@pytest.mark.parametrize("who", ["administrator", "superuser"])
@pytest.mark.parametrize("model", MODELS)
def test_nobody_adds_changes_or_deletes(people, admin, full_log, model, who):
    admin.force_login(people[who])
    key = model.objects.first().pk
    before = list(model.objects.values())
    assert admin.get(address(model, "add/")).status_code == 403
    assert admin.post(address(model, "add/"), {}).status_code == 403
    assert admin.post(address(model, f"{key}/change/"), {"status": "success"}).status_code == 403
    assert admin.post(address(model, f"{key}/delete/"), {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": str(key), "post": "yes"}
    admin.post(address(model), action)
    assert list(model.objects.values()) == before


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("term", ["1", "update", "x'; --", "%", "9" * 40, "\x00", "한국어", "１"])
def test_any_search_is_answered(admin, full_log, model, term):
    assert admin.get(address(model), {"q": term}).status_code == 200


def test_a_list_counts_no_further_than_the_cap_and_reads_no_bodies(admin, full_log, make_run):
    for _ in range(60):
        make_run()
    with CaptureQueriesContext(connections[ALIAS]) as queried:
        admin.get(address(Run))
    for query in queried.captured_queries:
        sql = query["sql"]
        if "COUNT(" in sql:
            assert "LIMIT 10000" in sql
        if "FROM" in sql and "COUNT" not in sql and "runlog_run" in sql:
            assert "LIMIT" in sql
            assert '"body"' not in sql


def test_a_list_takes_as_many_queries_for_fifty_rows_as_for_one(admin, make_run, runner):
    make_run()
    with CaptureQueriesContext(connections[ALIAS]) as one:
        admin.get(address(Run))
    for _ in range(30):
        make_run()
    with CaptureQueriesContext(connections[ALIAS]) as many:
        admin.get(address(Run))
    assert len(one) == len(many)


@pytest.mark.parametrize("model", MODELS)
def test_no_facets_no_full_counts_no_actions(model):
    registered = django_admin.site._registry[model]
    assert isinstance(registered, log_admin.ReadOnlyAdmin)
    assert registered.show_facets is django_admin.ShowFacets.NEVER
    assert registered.show_full_result_count is False
    assert registered.actions is None


def test_users_and_groups_can_be_edited(admin, people):
    assert admin.get("/admin/data/auth/user/add/").status_code == 200
    page = admin.get(f"/admin/data/auth/user/{people['user'].pk}/change/")
    assert b'name="_save"' in page.content
    assert admin.get("/admin/data/auth/group/").status_code == 200


def test_signing_out_of_the_stock_admin_signs_out_everywhere(admin):
    assert admin.post("/admin/data/logout/").headers["Location"] == "/admin/login"
    assert admin.get("/admin/cron-logs").status_code == 302


def test_it_wears_our_colours(admin, jobs):
    page = admin.get("/admin/data/").content.decode()
    assert "cronbell/data.css" in page
    assert re.search(r"<title>.*Cronbell</title>", page, re.DOTALL)
    assert "theme.js" not in page
