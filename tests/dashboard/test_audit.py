"""The audit: every change has its row: who, through what, from where; no row ever changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, connections, transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import get_resolver, path
from tests.dashboard.conftest import PASSWORD, START, spec
from tests.dashboard.test_admin_access import addresses, filled

from cronbell.config.alerts import Alerts, Channel, ChannelType
from cronbell.dashboard import tokens
from cronbell.dashboard.scopes import Scope
from cronbell.runlog import audit, audit_guard
from cronbell.runlog.backfilling import Range, start
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import AuditRow, Configuration
from cronbell.runlog.pausing import pause
from ideasgpt.verification.models import Record

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
DRAIN = "verify-records"
ADDRESS = "10.9.8.7"


@dataclass
class World:
    """What the calls below need to be there."""

    people: dict[str, User]
    jobs: dict[str, Any]
    runs: dict[str, Any]
    more: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def world(people, jobs, make_run, monkeypatch):
    monkeypatch.setattr("cronbell.dashboard.api.WAIT_SECONDS", 0)
    watched = spec("watched", heartbeat=True, url="", path="", schedule="0 0 * * *")
    sync_jobs([spec("update-rankings"), spec("clean-data"), spec("digest"), watched], START)
    runs = {"waiting": make_run(status="pending"), "failed": make_run("digest", status="error")}
    monkeypatch.setenv("OPS_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    channel = Channel(
        name=CHANNEL, type=ChannelType.WEBHOOK, url="http://127.0.0.1:9/hook",
        secret=("env:OPS_SECRET",),
    )  # fmt: skip
    alerts = Alerts(channels={CHANNEL: channel}, hosts=frozenset({"127.0.0.1"}))
    Configuration.objects.update(alerts=alerts.plain())
    wanted = Range(job_name="digest", since=START.replace(day=19), until=START)
    filling = start(wanted, nonce="x" * 12, actor="")
    token, _ = tokens.make(people["superuser"], name="x", scope=Scope.READ)
    record = Record.objects.create(
        owner=people["user"], fields={"name": "x"}, verification_status="needs_review",
        awaits_review=True,
    )  # fmt: skip
    Record.objects.create(
        owner=people["user"], fields={"name": "y"}, verification_status="pending",
        drain_state="dead", drain_failures=3, drain_error="x", drain_settled_at=START,
    )  # fmt: skip
    pause("digest", reason="paused before", actor="")
    made = {"backfill": filling.pk, "token": token.pk, "record": record.pk}
    return World(people, jobs, runs, made)


Call = tuple[str, dict[str, Any], str]


def job(world: World, name: str) -> int:
    return world.jobs[name].pk


CHANNEL = "ops"
DECIDED = {"decision": "approved", "version": 1, "status": "needs_review", "note": "seen"}
SINCE = {"since": "2026-11-20", "until": "2026-11-21"}
PAGES: dict[str, Callable[[World], Call]] = {
    "admin/run-now": lambda _w: (
        "/admin/run-now", {"job_name": "clean-data", "nonce": "n" * 12}, "run_now"),
    "admin/ping-url": lambda _w: ("/admin/ping-url", {"job_name": "watched"}, "ping_url"),
    "admin/jobs/<int:job_id>/pause": lambda w: (
        f"/admin/jobs/{job(w, 'clean-data')}/pause", {"reason": "why"}, "pause"),
    "admin/jobs/<int:job_id>/resume": lambda w: (
        f"/admin/jobs/{job(w, 'digest')}/resume", {}, "resume"),
    "admin/jobs/<int:job_id>/backfill": lambda w: (
        f"/admin/jobs/{job(w, 'update-rankings')}/backfill", SINCE | {"nonce": "m" * 12},
        "backfill"),
    "admin/backfills/<int:backfill_id>/<word>": lambda w: (
        f"/admin/backfills/{w.more['backfill']}/pause", {}, "backfill_pause"),
    "admin/records/<job>/retry": lambda _w: (
        f"/admin/records/{DRAIN}/retry", {"all": "on"}, "retry"),
    "admin/runs/<int:run_id>/cancel": lambda w: (
        f"/admin/runs/{w.runs['waiting'].pk}/cancel", {}, "cancel"),
    "admin/runs/<int:run_id>/rerun": lambda w: (
        f"/admin/runs/{w.runs['failed'].pk}/rerun", {"nonce": "n" * 12}, "rerun"),
    "admin/tokens": lambda _w: (
        "/admin/tokens", {"name": "new", "scope": "read", "days": "7"}, "token_made"),
    "admin/tokens/<int:token_id>/revoke": lambda w: (
        f"/admin/tokens/{w.more['token']}/revoke", {}, "token_revoked"),
    "admin/alerts": lambda _w: ("/admin/alerts", {"channel": CHANNEL}, "alert_tested"),
    "admin/reviews/<int:record_id>": lambda w: (
        f"/admin/reviews/{w.more['record']}", DECIDED, "review"),
    "admin/logout": lambda _w: ("/admin/logout", {}, "sign_out"),
}  # fmt: skip
API: dict[str, Callable[[World], Call]] = {
    "api/admin/run-cron-job": lambda _w: (
        "/api/admin/run-cron-job", {"jobName": "clean-data"}, "run_now"),
    "api/admin/runs/<int:run_id>/rerun": lambda w: (
        f"/api/admin/runs/{w.runs['failed'].pk}/rerun", {}, "rerun"),
    "api/admin/runs/<int:run_id>/cancel": lambda w: (
        f"/api/admin/runs/{w.runs['waiting'].pk}/cancel", {}, "cancel"),
    "api/admin/backfills": lambda _w: (
        "/api/admin/backfills", SINCE | {"jobName": "update-rankings"}, "backfill"),
    "api/admin/backfills/<int:backfill_id>/<word>": lambda w: (
        f"/api/admin/backfills/{w.more['backfill']}/cancel", {}, "backfill_cancel"),
    "api/admin/jobs/<job_name>/pause": lambda _w: (
        "/api/admin/jobs/clean-data/pause", {"reason": "why"}, "pause"),
    "api/admin/jobs/<job_name>/resume": lambda _w: (
        "/api/admin/jobs/digest/resume", {}, "resume"),
    "api/admin/drains/<job>/retry": lambda _w: (
        f"/api/admin/drains/{DRAIN}/retry", {"recordIds": ["1", "2"]}, "retry"),
    "api/admin/reviews/<int:record_id>": lambda w: (
        f"/api/admin/reviews/{w.more['record']}", DECIDED, "review"),
    "api/admin/alerts/<channel>/test": lambda _w: (
        f"/api/admin/alerts/{CHANNEL}/test", {}, "alert_tested"),
}  # fmt: skip
# What takes a POST and changes nothing of ours, and why.
NO_CHANGE = {
    "admin/login": "has a test of its own: it is the one that nobody is signed in for",
    "admin/language": "a cookie of the viewer's browser",
    "admin/theme": "a cookie of the viewer's browser",
    "api/admin/records": "the service's own program, with its own token: a verdict, no decision",
    "api/admin/": "answers 404 for whatever is not there",
    "api/admin/<anything:rest>": "answers 404 for whatever is not there",
}


def changing_routes(user: User, patterns: Any) -> set[str]:
    """Every address of ours that takes a POST from an administrator."""
    ours = {
        one for one in addresses(patterns)
        if one.startswith(("admin/", "api/admin/")) and not one.startswith("admin/data/")
    }  # fmt: skip
    found = set()
    client = Client(raise_request_exception=False)
    for route in ours:
        client.force_login(user)  # one of the routes signs out
        with transaction.atomic(), transaction.atomic(using="runlog"):
            answer = client.post(filled(route), {}, content_type="application/json")
            for alias in ("default", "runlog"):
                transaction.set_rollback(True, using=alias)
        if answer.status_code != 405:
            found.add(route)
    return found


def unaccounted(user: User, patterns: Any) -> set[str]:
    return changing_routes(user, patterns) - PAGES.keys() - API.keys() - NO_CHANGE.keys()


def test_every_route_that_changes_something_has_a_row_below(world):
    patterns = get_resolver().url_patterns
    assert unaccounted(world.people["administrator"], patterns) == set()
    known = addresses(patterns)
    assert not (PAGES.keys() | API.keys()) - known


def test_a_changing_route_that_nobody_thought_of_is_found(world, settings):
    """Sabotage: the walk would find a new address; no list has to be kept by hand."""
    from types import ModuleType

    module = ModuleType("rogue_urls")
    rogue = path("admin/rogue", lambda _request: HttpResponse("done"))
    module.urlpatterns = [rogue, *get_resolver().url_patterns]
    settings.ROOT_URLCONF = module
    assert unaccounted(world.people["administrator"], module.urlpatterns) == {"admin/rogue"}


def send(world: World, call: Call, *, as_json: bool) -> list[AuditRow]:
    url, body, _action = call
    client = Client(REMOTE_ADDR=ADDRESS)
    client.force_login(world.people["administrator"])
    last = max(AuditRow.objects.values_list("id", flat=True), default=0)
    if as_json:
        answer = client.post(url, json.dumps(body), content_type="application/json")
    else:
        answer = client.post(url, body)
    assert answer.status_code < 400, answer.content
    return list(AuditRow.objects.filter(pk__gt=last))


@pytest.mark.parametrize("route", [*PAGES, *API])
def test_a_change_is_recorded_once_with_who_and_from_where(route, world):
    call = (PAGES | API)[route](world)
    (row,) = send(world, call, as_json=route in API)
    assert (row.actor, row.means, row.source) == ("administrator", "session", ADDRESS)
    assert row.action == call[2]
    assert row.subject or row.action == "apply"


def test_without_the_record_the_walk_would_notice(world, monkeypatch):
    """Sabotage: a change that does not record itself fails the test above."""
    monkeypatch.setattr("cronbell.runlog.audit.record", lambda *_args, **_more: None)
    assert send(world, PAGES["admin/run-now"](world), as_json=False) == []


def test_a_tokens_change_names_the_token(people, jobs):
    made, text = tokens.make(people["administrator"], name="ci", scope=Scope.MANAGE)
    Client(REMOTE_ADDR=ADDRESS).post(
        "/api/admin/jobs/clean-data/pause", json.dumps({"reason": "x"}),
        content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {text}",
    )  # fmt: skip
    row = AuditRow.objects.first()
    assert (row.action, row.actor, row.means) == ("pause", "administrator", "token")
    assert (row.token, row.source) == (f"ci ({made.pk})", ADDRESS)
    assert text not in str(list(AuditRow.objects.values_list()))


def test_signing_in_is_recorded_and_a_wrong_password_is_not(people):
    client = Client(REMOTE_ADDR=ADDRESS)
    client.post("/admin/login", {"username": "administrator", "password": "wrong"})
    assert not AuditRow.objects.exists()
    client.post("/admin/login", {"username": "administrator", "password": PASSWORD})
    row = AuditRow.objects.get()
    assert (row.action, row.actor, row.subject) == ("sign_in", "administrator", "administrator")


def test_a_double_click_is_one_change(world):
    call = PAGES["admin/run-now"](world)
    assert len(send(world, call, as_json=False)) == 1
    assert send(world, call, as_json=False) == []
    again = API["api/admin/runs/<int:run_id>/rerun"](world)
    again = (again[0], {"nonce": "the-same"}, "rerun")
    assert len(send(world, again, as_json=True)) == 1
    assert send(world, again, as_json=True) == []


def test_what_is_refused_leaves_no_row(viewer, world, jobs):
    before = AuditRow.objects.count()
    for url, body, _action in (make(world) for make in PAGES.values()):
        if "logout" not in url:
            assert viewer.post(url, body).status_code == 403
    assert AuditRow.objects.count() == before


def test_a_change_that_is_undone_takes_its_row_with_it(jobs):
    def fails():
        with transaction.atomic(using="runlog"):
            pause("clean-data", reason="x", actor="x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert not AuditRow.objects.filter(action="pause").exists()


def test_the_stock_admins_changes_are_recorded_without_what_was_written(admin, people):
    """Users are added, changed, given a password and deleted there."""
    secret = "a very long secret phrase"
    base = "/admin/data/auth/user/"
    form = {"username": "bob", "password1": secret, "password2": secret, "usable_password": "true"}
    assert admin.post(f"{base}add/", form).status_code == 302
    bob = User.objects.get(username="bob")
    form = {"password1": secret + "!", "password2": secret + "!", "usable_password": "true"}
    assert admin.post(f"{base}{bob.pk}/password/", form).status_code == 302
    assert admin.post(f"{base}{bob.pk}/delete/", {"post": "yes"}).status_code == 302
    rows = list(AuditRow.objects.order_by("id"))
    assert [row.action for row in rows] == ["added", "changed", "deleted"]
    assert {row.kind for row in rows} == {"auth.user"}
    assert {row.subject for row in rows} == {f"bob ({bob.pk})"}
    assert secret not in str(list(AuditRow.objects.values_list()))


def test_several_deleted_at_once_are_each_recorded(admin, people):
    picked = [people["user"].pk, people["staff"].pk]
    form = {"action": "delete_selected", "_selected_action": picked, "post": "yes"}
    assert admin.post("/admin/data/auth/user/", form).status_code == 302
    assert AuditRow.objects.filter(action="deleted").count() == 2


def test_a_changed_configuration_is_recorded_and_an_unchanged_one_is_not(jobs):
    first = AuditRow.objects.get(action="apply")
    assert first.details["added"] == ["update-rankings", "clean-data", "digest"]
    sync_jobs([spec("update-rankings", schedule="1 0 * * *")], START)
    row = AuditRow.objects.filter(action="apply").first()
    assert row.details == {"changed": ["update-rankings"], "removed": ["clean-data", "digest"]}
    sync_jobs([spec("update-rankings", schedule="1 0 * * *")], START)
    assert AuditRow.objects.filter(action="apply").count() == 2


def test_a_thousand_names_are_not_a_thousand_words(db):
    sync_jobs([spec(f"job-{number}") for number in range(200)], START)
    row = AuditRow.objects.get(action="apply")
    assert len(row.details["added"]) == 21
    assert row.details["added"][-1] == "… 180 more"


CHANGES = [
    "UPDATE runlog_auditrow SET actor = 'somebody else'",
    "DELETE FROM runlog_auditrow",
    "DELETE FROM runlog_auditrow WHERE id > 0",
]


def try_to(statement: str) -> None:
    with transaction.atomic(using="runlog"), connections["runlog"].cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("statement", CHANGES)
def test_the_database_itself_refuses_to_change_or_remove_a_row(jobs, statement):
    before = list(AuditRow.objects.values_list())
    with pytest.raises(DatabaseError, match="only ever added to"):
        try_to(statement)
    assert before
    assert list(AuditRow.objects.values_list()) == before


def test_postgresql_refuses_to_truncate_it(jobs):
    if connections["runlog"].vendor != "postgresql":
        return  # SQLite has no such statement
    with pytest.raises(DatabaseError, match="only ever added to"):
        try_to("TRUNCATE runlog_auditrow")


def test_by_django_neither(jobs):
    for change in (
        lambda: AuditRow.objects.update(actor="x"),
        lambda: AuditRow.objects.all().delete(),
        lambda: AuditRow.objects.first().save(),
    ):
        with pytest.raises(DatabaseError), transaction.atomic(using="runlog"):
            change()


def test_without_the_guard_a_row_could_be_changed(jobs):
    """Sabotage; and what migrates next puts the guard up again."""
    from tests.support.emptying.management.commands.flush import UNGUARD

    for statement in UNGUARD[connections["runlog"].vendor]:
        try_to(statement)
    try_to(CHANGES[0])
    audit_guard.protect(using="runlog")
    with pytest.raises(DatabaseError):
        try_to(CHANGES[0])


def test_rows_are_listed_filtered_and_paged(admin, viewer, jobs):
    for number in range(7):
        audit.record(audit.Action.PAUSE, "job", "clean-data", {"reason": f"r{number}"}, by="ann")
    audit.record(audit.Action.RESUME, "job", "digest", by="bob <b>")
    answer = viewer.get("/api/admin/audit", {"actor": "ann", "limit": 5}).json()
    assert [row["details"]["reason"] for row in answer["rows"]] == ["r6", "r5", "r4", "r3", "r2"]
    rest = admin.get(
        "/api/admin/audit", {"actor": "ann", "limit": 5, "cursor": answer["cursor"]}
    ).json()
    assert [row["details"]["reason"] for row in rest["rows"]] == ["r1", "r0"]
    assert rest["cursor"] is None
    for query in ({"action": "resume"}, {"subject": "digest"}, {"actor": "bob <b>"}):
        (row,) = admin.get("/api/admin/audit", query).json()["rows"]
        assert (row["action"], row["subject"]) == ("resume", "digest")
    page = viewer.get("/admin/audit", {"action": "resume"})
    assert b"bob &lt;b&gt;" in page.content
    assert b"resume a job" in page.content
    assert b"Nothing matches" in admin.get("/admin/audit", {"actor": "nobody"}).content
    assert admin.get("/admin/audit", {"actor": "x" * 150 + "\x00"}).status_code == 400


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "201"}, {"cursor": "x"}, {"cursor": str(2**63)}, {"action": "no"},
     {"since": "yesterday"}, {"actor": "x" * 201}, {"subject": "a\x00b"}],
)  # fmt: skip
def test_bad_parameters_are_refused_by_name(admin, query):
    """C26."""
    answer = admin.get("/api/admin/audit", query)
    assert answer.status_code == 400
    assert list(answer.json()["details"]) == list(query)


def test_the_page_in_korean(admin, jobs):
    audit.record(audit.Action.PAUSE, "job", "clean-data", by="ann")
    answer = admin.get("/admin/audit", headers={"Accept-Language": "ko"})
    assert "작업 일시 중지" in answer.content.decode()


def test_texts_no_store_can_hold_are_made_ones_it_can(jobs):
    audit.record(audit.Action.PAUSE, "job", "a\x00b\ud800", {"reason": "\x00" * 600}, by="x" * 400)
    row = AuditRow.objects.first()
    assert (row.subject, len(row.actor), len(row.details["reason"])) == ("a�b?", 150, 500)


def test_group_membership_is_a_change_too(admin, people):
    group = Group.objects.get(name="ADMIN")
    form = {"username": "user", "groups": [group.pk], "is_active": "on",
            "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}  # fmt: skip
    assert admin.post(f"/admin/data/auth/user/{people['user'].pk}/change/", form).status_code == 302
    row = AuditRow.objects.get()
    assert "Groups" in str(row.details)


def attempts(world: World) -> list[tuple[str, dict[str, Any]]]:
    made = [make(world) for make in (PAGES | API).values()]
    return [(url, body) for url, body, _action in made]


def test_a_form_from_elsewhere_changes_nothing(world):
    """C14: no token, a foreign origin, JSON sent as text: each is refused, everywhere."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.people["administrator"])
    before = AuditRow.objects.count()
    foreign = {"Origin": "https://evil.example", "Referer": "https://evil.example/"}
    for url, body in attempts(world):
        text = json.dumps(body)
        for answer in (
            client.post(url, body),
            client.post(url, body, headers=foreign),
            client.post(url, text, content_type="text/plain"),
            client.post(url, text, content_type="application/json", headers=foreign),
        ):
            assert (url, answer.status_code) == (url, 403)
    assert AuditRow.objects.count() == before


def test_reading_an_address_changes_nothing(admin, world):
    """C14: whatever a link or an image on another site asks for."""
    before = AuditRow.objects.count()
    for url, body in attempts(world):
        for method in (admin.get, admin.head, admin.options):
            assert method(url, body).status_code < 500
    assert AuditRow.objects.count() == before


def test_without_the_check_a_form_from_elsewhere_would_be_done(world, monkeypatch):
    """Sabotage of C14, on the API: its views are exempt from Django's own check."""
    monkeypatch.setattr("cronbell.dashboard.api_access.check_csrf", lambda _request: None)
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.people["administrator"])
    url, body, _ = API["api/admin/jobs/<job_name>/pause"](world)
    assert client.post(url, json.dumps(body), content_type="application/json").status_code == 200
