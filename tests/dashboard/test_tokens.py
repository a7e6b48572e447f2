"""API tokens: shown once, kept as a digest, and good for what they say, for as long as they say."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from functools import cache

import pytest
from django.test import Client

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard import tokens
from cronbell.dashboard.models import ApiToken
from cronbell.dashboard.scopes import Scope, scope_of
from cronbell.dashboard.tokens import TokenError
from cronbell.runlog.models import Job
from cronbell.testing import FakeClock

pytestmark = [
    pytest.mark.django_db(databases=["default", "runlog"]),
    pytest.mark.any_store,
]
LOGS = "/api/admin/cron-logs"
PAUSE = "/api/admin/jobs/clean-data/pause"
PAGE = "/admin/tokens"
REFUSED = "The API token is unknown, expired or revoked."


@pytest.fixture
def clock(monkeypatch):
    clock = FakeClock(SYSTEM_CLOCK.now())
    monkeypatch.setattr("cronbell.dashboard.api_access.SYSTEM_CLOCK", clock)
    return clock


@pytest.fixture
def make(people):
    def make(scope=Scope.MANAGE, days=90, user="administrator", name="a program"):
        return tokens.make(people[user], name=name, scope=scope, days=days)

    return make


@cache
def browserless():
    """Return a client that keeps nothing; making one costs more than a hundred calls."""
    return Client(enforce_csrf_checks=True)


def call(text, url=LOGS, method="get", body=None, client=None, scheme="Bearer"):
    return (client or browserless()).generic(
        method.upper(),
        url,
        json.dumps(body) if body is not None else "",
        content_type="application/json",
        HTTP_AUTHORIZATION=f"{scheme} {text}",
    )


def test_a_token_stands_in_for_a_session_and_needs_no_csrf_token(make, jobs):
    """C14: what no browser sends by itself can't be sent across sites."""
    _, text = make()
    assert call(text).status_code == 200
    paused = call(text, PAUSE, "post", {"reason": "by a program"})
    assert (paused.status_code, paused.json()["by"]) == (200, "administrator")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_the_schemes_case_does_not_matter(make, scheme):
    assert call(make()[1], scheme=scheme).status_code == 200


def test_only_a_digest_is_kept(make):
    token, text = make()
    secret = text.removeprefix(f"cbt_{token.lookup}_")
    stored = str(ApiToken.objects.values_list().get(pk=token.pk))
    assert secret not in stored
    assert hashlib.sha256(secret.encode()).hexdigest() in stored


def test_tokens_are_compared_in_constant_time_also_where_there_is_none(make, monkeypatch):
    _, text = make()
    compared = []
    real = hmac.compare_digest

    def watched(first, second):
        compared.append((len(first), len(second)))
        return real(first, second)

    monkeypatch.setattr("cronbell.dashboard.tokens.hmac.compare_digest", watched)
    assert tokens.find(text, SYSTEM_CLOCK.now())
    assert not tokens.find(text[:-1] + ("A" if text[-1] != "A" else "B"), SYSTEM_CLOCK.now())
    assert not tokens.find(f"cbt_{'0' * 16}_{'x' * 43}", SYSTEM_CLOCK.now())
    assert compared == [(64, 64)] * 3


@pytest.mark.parametrize(
    "shown",
    ["", " ", "x", "cbt_", "cbt__", "{text}x", " {text}", "{text} ", "{text}, Bearer {text}",
     "{text}\t", "CBT{text}", "\xff\xfe", "한국어", "x" * 20_000,
     "cbt_0000000000000000_" + "a" * 43, "null", "' OR 1=1 --"],
)  # fmt: skip
def test_anything_that_is_no_token_is_401_and_says_nothing(make, admin, shown):
    """C26: also beside a good session; a wrong token is wrong, never a reason to look further."""
    shown = shown.format(text=make()[1]) if "{text}" in shown else shown
    header = f"Bearer {shown}".encode().decode("latin-1")
    for client in (Client(), admin):
        answer = client.get(LOGS, HTTP_AUTHORIZATION=header)
        assert (answer.status_code, answer.json()) == (401, {"error": REFUSED})
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_other_schemes_are_left_to_whoever_asked_for_them(admin, people):
    header = {"HTTP_AUTHORIZATION": "Basic dXNlcjpwYXNzd29yZA=="}
    assert admin.get(LOGS, **header).status_code == 200
    assert Client().get(LOGS, **header).status_code == 401


def test_an_expired_token_is_refused_from_the_very_instant(make, clock):
    token, text = make(days=1)
    clock.advance((token.expires_at - clock.now()).total_seconds() - 0.001)
    assert call(text).status_code == 200
    clock.advance(0.001)
    assert (call(text).status_code, call(text).json()["error"]) == (401, REFUSED)


def test_a_revoked_token_is_refused_at_once_and_its_row_stays(make):
    token, text = make()
    assert call(text).status_code == 200
    tokens.revoke(token.pk, actor="somebody")
    assert call(text).status_code == 401
    first = ApiToken.objects.get(pk=token.pk)
    tokens.revoke(token.pk, actor="somebody else")
    again = ApiToken.objects.get(pk=token.pk)
    assert (again.revoked_at, again.revoked_by) == (first.revoked_at, "somebody")


def test_without_its_check_a_revoked_token_would_be_let_in(make, monkeypatch):
    """Sabotage."""
    token, text = make()
    tokens.revoke(token.pk, actor="x")
    monkeypatch.setattr("cronbell.dashboard.tokens.is_valid", lambda *_: True)
    assert call(text).status_code == 200


CALLS = [
    (Scope.READ, "get", LOGS),
    (Scope.READ, "get", "/api/admin/openapi.json"),
    (Scope.READ, "get", PAUSE),
    (Scope.READ, "get", "/api/admin/drains"),
    (Scope.READ, "get", "/api/admin/reviews"),
    (Scope.RUN, "post", "/api/admin/run-cron-job"),
    (Scope.RUN, "post", "/api/admin/runs/1/rerun"),
    (Scope.RUN, "post", "/api/admin/runs/1/cancel"),
    (Scope.MANAGE, "post", PAUSE),
    (Scope.MANAGE, "post", "/api/admin/jobs/clean-data/resume"),
    (Scope.MANAGE, "post", "/api/admin/backfills"),
    (Scope.MANAGE, "post", "/api/admin/backfills/1/pause"),
    (Scope.MANAGE, "post", "/api/admin/drains/x/retry"),
    (Scope.MANAGE, "post", "/api/admin/reviews/1"),
    (Scope.MANAGE, "delete", LOGS),
]


@pytest.mark.parametrize("has", list(Scope), ids=lambda scope: scope.word)
@pytest.mark.parametrize(("needs", "method", "url"), CALLS)
def test_a_token_does_what_its_scope_says_and_no_more(make, jobs, has, needs, method, url):
    answer = call(make(scope=has)[1], url, method, {})
    if has < needs:
        assert answer.status_code == 403
        words = f"This needs an API token with the scope {needs.word}."
        assert answer.json() == {"error": words}
    else:
        assert answer.status_code not in {401, 403}


@pytest.mark.parametrize("page", ["/admin/", "/admin/tokens", "/admin/data/", "/admin/cron-logs"])
def test_a_token_opens_no_page(make, page):
    assert call(make()[1], page).status_code == 302


@pytest.mark.parametrize(
    "url", ["/api/admin/records", "/api/records", "/api/ideas", "/api/cron/update-rankings"]
)
def test_a_token_opens_no_other_endpoint(make, url, settings, monkeypatch):
    """What asks for the service token, a session or the cron secret takes no API token for it."""
    answer = call(make()[1], url, "post", {})
    assert answer.status_code in {401, 403, 500}
    if answer.status_code == 500:
        assert "CRON_SECRET" in answer.json()["error"]


def test_a_token_is_worth_what_its_maker_is(make, people):
    _, text = make()
    people["administrator"].groups.clear()
    assert call(text).status_code == 403
    people["administrator"].groups.add(_group("VIEWER"))
    assert call(text).status_code == 200
    assert call(text, PAUSE, "post", {"reason": "x"}).status_code == 403
    people["administrator"].is_active = False
    people["administrator"].save()
    assert call(text).status_code == 401
    people["administrator"].delete()
    assert call(text).status_code == 401


def _group(name):
    from django.contrib.auth.models import Group

    return Group.objects.get(name=name)


def test_when_and_from_where_it_was_used_is_written_once_a_minute(make, clock, monkeypatch):
    token, text = make()
    call(text)
    first = ApiToken.objects.get(pk=token.pk)
    assert (first.last_used_at, first.last_used_from) == (clock.now(), "127.0.0.1")
    clock.advance(59)
    call(text)
    assert ApiToken.objects.get(pk=token.pk).last_used_at == first.last_used_at
    clock.advance(1)
    call(text)
    assert ApiToken.objects.get(pk=token.pk).last_used_at == clock.now()
    call("cbt_" + token.lookup + "_" + "x" * 43)  # a wrong secret is no use of it
    assert ApiToken.objects.get(pk=token.pk).last_used_at == clock.now()


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"days": 0}, "days"),
        ({"days": 3651}, "days"),
        ({"user": "viewer"}, "administrator"),
        ({"user": "inactive"}, "administrator"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_hint(make, changes, part):
    with pytest.raises(TokenError) as error:
        make(**changes)
    assert part in error.value.message
    assert error.value.hint
    assert not ApiToken.objects.exists()


def test_a_name_is_free_again_once_its_token_is_revoked_or_expired(make):
    token, _ = make()
    with pytest.raises(TokenError, match="already"):
        make()
    tokens.revoke(token.pk, actor="x")
    make()


def test_revoking_all_of_a_user_leaves_others_alone(make, people):
    make()
    make(name="another")
    _, kept = make(user="superuser")
    assert tokens.revoke_all(people["administrator"], actor="x") == 2
    assert tokens.revoke_all(people["administrator"], actor="x") == 0
    assert call(kept).status_code == 200


def test_scopes_are_read_by_name_alone():
    assert [scope_of(word) for word in ("read", "run", "manage")] == list(Scope)
    assert scope_of("READ") is scope_of("") is scope_of("1") is None


def test_the_page_makes_one_shows_it_once_and_revokes_it(admin, jobs):
    made = admin.post(PAGE, {"name": "deploy", "scope": "run", "days": "30"})
    text = made.content.decode().split('aria-labelledby="made-title">')[-1].split("<")[0]
    assert made.status_code == 200
    assert call(text).status_code == 200
    assert made.headers["Referrer-Policy"] == "no-referrer"
    assert made.headers["Cache-Control"] == "no-store"
    token = ApiToken.objects.get()
    assert (token.scope, token.expires_at - token.created_at) == ("run", timedelta(days=30))
    again = admin.get(PAGE).content.decode()
    assert "deploy" in again
    assert text.split("_")[-1] not in again
    assert admin.post(f"{PAGE}/{token.pk}/revoke").status_code == 303
    assert call(text).status_code == 401
    assert Job.objects.filter(paused_at__isnull=False).count() == 0


def test_a_reload_of_the_answer_makes_no_second_token(admin):
    form = {"name": "deploy", "scope": "run", "days": "never"}
    assert admin.post(PAGE, form).status_code == 200
    assert admin.post(PAGE, form).status_code == 400
    assert ApiToken.objects.get().expires_at is None


@pytest.mark.parametrize(
    "form",
    [{}, {"name": "x"}, {"name": "x", "scope": "all", "days": "30"},
     {"name": "x", "scope": "run", "days": "0"}, {"name": "x", "scope": "run", "days": "-1"},
     {"name": "x", "scope": "run", "days": "1e3"}, {"name": "\x00", "scope": "run", "days": "1"},
     {"name": "x", "scope": "run", "days": "９０"}, {"name": "x", "scope": "run", "days": "9999"}],
)  # fmt: skip
def test_the_page_refuses_what_makes_no_sense_and_keeps_what_was_typed(admin, form):
    answer = admin.post(PAGE, form)
    assert answer.status_code == 400
    assert b'role="alert"' in answer.content
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("token_id", [1, 2**63, 10**30])
def test_revoking_what_is_not_there_is_refused(admin, token_id):
    assert admin.post(f"{PAGE}/{token_id}/revoke").status_code == 400
    assert admin.get(f"{PAGE}/{token_id}/revoke").status_code == 405


def test_the_openapi_document_says_how_to_call(admin):
    document = admin.get("/api/admin/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert schemes["TokenAccess"]["scheme"] == "bearer"
    for methods in document["paths"].values():
        for operation in methods.values():
            assert {"TokenAccess": []} in operation["security"]
            assert {"SessionAccess": []} in operation["security"]
