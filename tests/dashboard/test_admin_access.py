"""Who may reach what: every address, asked by everybody."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver

from cronbell.dashboard import access

pytestmark = [
    pytest.mark.django_db(databases=["default", "runlog"]),
    pytest.mark.any_store,
]

NOBODY_IN = ("nobody", "inactive")  # Django ends an inactive user's session
NOT_ADMINISTRATORS = ("user", "staff")
ADMINISTRATORS = ("administrator", "superuser")
OPEN = {"admin/login", "admin/logout", "admin/language", "admin/theme", "admin"}


def client_of(who: str, people) -> Client:
    client = Client()
    if who != "nobody":
        client.force_login(people[who])
    return client


def addresses(patterns, prefix="") -> set[str]:
    """Every address of the URL table, with made-up values for its parts."""
    found = set()
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found |= addresses(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            found.add(route)
    return found


def filled(route: str) -> str:
    for part, value in {
        "<int:run_id>": "1",
        "<int:job_id>": "1",
        "<int:token_id>": "1",
        "<int:record_id>": "1",
        "<path:object_id>": "1",
        "<anything:rest>": "anything",
        "<anything:record_id>": "1",
        "<job>": "post",
        "<int:content_type_id>": "1",
        "<id>": "1",
        "<int:backfill_id>": "1",
        "<word>": "pause",
        "<channel>": "ops",
        "^(?P<app_label>auth|runlog)/$": "runlog/",
        "(?P<url>.*)$": "anything",
    }.items():
        route = route.replace(part, value)
    return "/" + route


def ask(client: Client, route: str):
    answer = client.get(route)
    if answer.headers.get("Location", "").startswith("/admin/data/login/"):
        answer = client.get(answer.headers["Location"])  # the stock admin's way to our sign-in
    return answer


ROUTES = sorted(
    filled(route)
    for route in addresses(get_resolver().url_patterns)
    if route.startswith(("admin/", "api/admin/")) and route not in OPEN
)
PAGES = [route for route in ROUTES if route.startswith("/admin/") and "(?P" not in route]
API = [route for route in ROUTES if route.startswith("/api/admin/")]
# No session opens this one, an administrator's neither: 401 for all who lack the service token.
BY_TOKEN = "/api/admin/records"
# Django answers these two for anybody by design: translations of the admin's own scripts, and
# signing out, which needs no rights.
PUBLIC_DATA = {"/admin/data/jsi18n/", "/admin/data/logout/"}


def test_the_table_of_addresses_is_the_real_one():
    assert {"/admin/cron-logs", "/admin/run-now", "/admin/runs/1", "/admin/"} <= set(PAGES)
    assert {"/admin/data/runlog/run/", "/admin/data/auth/user/add/"} <= set(PAGES)
    assert {"/api/admin/cron-logs", "/api/admin/run-cron-job"} <= set(API)
    assert {"/api/admin/drains/post/retry", "/api/admin/records/post/1"} <= set(API)


@pytest.mark.parametrize("who", NOBODY_IN)
@pytest.mark.parametrize("route", [page for page in PAGES if page not in PUBLIC_DATA])
def test_signed_out_every_page_leads_to_sign_in(route, who, people, make_run):
    make_run(id=1)
    answer = ask(client_of(who, people), route)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/admin/login?next=%2Fadmin%2F")


@pytest.mark.parametrize("who", NOT_ADMINISTRATORS)
@pytest.mark.parametrize("route", [page for page in PAGES if page not in PUBLIC_DATA])
def test_a_signed_in_user_who_is_no_administrator_is_refused(route, who, people, make_run):
    make_run(id=1)
    answer = ask(client_of(who, people), route)
    assert answer.status_code == 403
    assert b"update-rankings" not in answer.content


@pytest.mark.parametrize("who", NOBODY_IN)
@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "patch"])
@pytest.mark.parametrize("route", [*API, "/api/admin/x/y", "/api/admin/openapi.json"])
def test_signed_out_the_api_answers_401(route, method, who, people, jobs):
    answer = getattr(client_of(who, people), method)(route)
    assert answer.status_code == 401
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("who", NOT_ADMINISTRATORS)
@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "patch"])
@pytest.mark.parametrize(
    "route", [*(one for one in API if one != BY_TOKEN), "/api/admin/openapi.json"]
)
def test_the_api_answers_403_to_users_who_are_no_administrators(route, method, who, people, jobs):
    answer = getattr(client_of(who, people), method)(route)
    assert answer.status_code == 403
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("who", ADMINISTRATORS)
@pytest.mark.parametrize(
    "route",
    [
        "/admin/",
        "/admin/jobs",
        "/admin/settings",
        "/admin/cron-logs",
        "/admin/runs/1",
        "/admin/data/",
        "/admin/data/runlog/run/",
        "/api/admin/cron-logs",
        "/api/admin/openapi.json",
    ],
)
def test_administrators_get_in(route, who, people, make_run, runner):
    make_run(id=1)
    assert client_of(who, people).get(route).status_code == 200


def test_without_the_guard_a_user_would_see_the_log(people, make_run, monkeypatch):
    """Sabotage: the very same request succeeds once ``is_admin`` says yes to everybody."""
    make_run(details="only for administrators")
    client = client_of("user", people)
    assert client.get("/api/admin/cron-logs").status_code == 403
    monkeypatch.setattr("cronbell.dashboard.access.is_admin", lambda _user: True)
    monkeypatch.setattr("cronbell.dashboard.api_access.is_admin", lambda _user: True)
    assert b"only for administrators" in client.get("/api/admin/cron-logs").content
    assert client.get("/admin/cron-logs").status_code == 200


def test_leaving_the_group_takes_effect_at_once(people):
    client = client_of("administrator", people)
    assert client.get("/admin/cron-logs").status_code == 200
    people["administrator"].groups.clear()
    assert client.get("/admin/cron-logs").status_code == 403


def test_the_backend_gives_administrators_every_permission_and_users_none(people):
    def may(name):
        return User.objects.get(username=name).has_perm("auth.change_user")

    assert may("administrator")
    assert may("superuser")
    assert not may("user")
    assert not may("staff")
    assert not may("inactive")


def test_nobody_is_no_administrator():
    assert not access.is_admin(AnonymousUser())


def test_migrating_makes_the_group(db):
    assert Group.objects.filter(name="ADMIN").exists()


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example/",
        "https:evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "http:///evil.example",
        "///evil.example",
        " //evil.example",
        "\x00//evil.example",
        "",
        "/\t/evil.example",
    ],
)
def test_only_local_paths_are_returned_to(target):
    """C39."""
    request = RequestFactory().get("/admin/login")
    assert access.local_path(request, target) == "/admin/"


def test_a_fragment_asked_for_signed_out_sends_the_whole_page_to_sign_in(db):
    answer = Client().get(
        "/admin/cron-logs",
        headers={
            "HX-Request": "true",
            "HX-Target": "log",
            "HX-Current-URL": "http://testserver/admin/cron-logs?status=error",
        },
    )
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"].startswith("/admin/login?next=")
    assert answer.content == b""
