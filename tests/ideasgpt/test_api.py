from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from ideasgpt.ideas import api as module
from ideasgpt.ideas.models import Category, Claim, Idea, Purchase

pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])

GOOD_IDEA = {"title": "A kettle that waits", "description": "It waits.", "category": "food"}


@pytest.fixture
def signed_in(user):
    client = Client()
    client.user = user()
    client.force_login(client.user)
    return client


def post(client, path, body, **extra):
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return client.post(path, data, content_type="application/json", **extra)


def test_an_idea_is_created_with_its_author(signed_in, shelf):
    answer = post(signed_in, "/api/ideas", GOOD_IDEA | {"isTemporary": True})
    assert answer.status_code == 201
    idea = Idea.objects.get()
    assert answer.json() == {
        "id": idea.pk,
        "title": "A kettle that waits",
        "description": "It waits.",
        "category": "food",
        "viewCount": 0,
        "rankingScore": 0.0,
        "purchases": 0,
        "isClaimed": False,
        "isTemporary": True,
        "isAiGenerated": False,
        "createdAt": answer.json()["createdAt"],
    }
    assert (idea.author, idea.category, idea.is_temporary) == (signed_in.user, shelf, True)


@pytest.mark.parametrize(("path", "model"), [("purchases", Purchase), ("claims", Claim)])
def test_an_idea_is_taken_once_and_the_second_time_is_a_conflict(signed_in, make_idea, path, model):
    idea = make_idea()
    answer = post(signed_in, f"/api/{path}", {"ideaId": idea.pk})
    assert answer.status_code == 201
    taken = model.objects.get()
    assert (taken.idea, taken.user) == (idea, signed_in.user)
    assert answer.json()["ideaId"] == idea.pk
    again = post(signed_in, f"/api/{path}", {"ideaId": idea.pk})
    assert again.status_code == 409
    assert set(again.json()) == {"error"}
    assert model.objects.count() == 1


def test_two_users_may_buy_but_only_one_may_claim(signed_in, make_idea):
    idea = make_idea(purchases=1, claimed=True)
    assert post(signed_in, "/api/purchases", {"ideaId": idea.pk}).status_code == 201
    assert post(signed_in, "/api/claims", {"ideaId": idea.pk}).status_code == 409


@pytest.mark.parametrize("path", ["purchases", "claims"])
@pytest.mark.parametrize("idea_id", [1, 10**6, 2**63 - 1])
def test_what_is_not_there_cannot_be_taken(signed_in, path, idea_id):
    answer = post(signed_in, f"/api/{path}", {"ideaId": idea_id})
    assert answer.status_code == 404
    assert str(idea_id) in answer.json()["error"]


@pytest.mark.parametrize("path", ["purchases", "claims"])
def test_an_idea_deleted_at_the_last_moment_is_not_found_and_nothing_is_left(
    signed_in, make_idea, monkeypatch, path
):
    """The foreign key at commit is the last guard: here the look before it is taken away."""
    idea = make_idea()
    gone = idea.pk
    idea.delete()
    monkeypatch.setattr("django.db.models.query.QuerySet.__bool__", lambda _self: True)
    answer = post(signed_in, f"/api/{path}", {"ideaId": gone})
    assert answer.status_code == 404
    assert Purchase.objects.count() == Claim.objects.count() == 0


@pytest.mark.parametrize("path", ["ideas", "purchases", "claims"])
def test_signed_out_is_401(path, shelf):
    answer = post(Client(), f"/api/{path}", GOOD_IDEA)
    assert answer.status_code == 401
    assert answer.json() == {"error": "Unauthorized"}
    assert not Idea.objects.exists()


@pytest.mark.parametrize("path", ["ideas", "purchases", "claims"])
def test_an_inactive_user_is_401(path, user):
    client = Client()
    one = user()
    client.force_login(one)
    User.objects.filter(pk=one.pk).update(is_active=False)
    assert post(client, f"/api/{path}", GOOD_IDEA).status_code == 401


@pytest.mark.parametrize("path", ["ideas", "purchases", "claims"])
def test_writing_without_the_csrf_token_is_403(path, user, shelf):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user())
    answer = post(client, f"/api/{path}", GOOD_IDEA)
    assert answer.status_code == 403
    assert "error" in answer.json()
    assert not Idea.objects.exists()


def test_writing_with_the_csrf_token_works(user, shelf):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user())
    token = "a" * 32
    client.cookies["csrftoken"] = token
    answer = post(client, "/api/ideas", GOOD_IDEA, headers={"X-CSRFToken": token})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "null",
        '"text"',
        b"\xff\xfe",
        "[" * 5000,
        {},
        GOOD_IDEA | {"title": ""},
        GOOD_IDEA | {"title": "   "},
        GOOD_IDEA | {"title": "x" * 201},
        GOOD_IDEA | {"title": 5},
        GOOD_IDEA | {"title": None},
        GOOD_IDEA | {"title": "nul\x00byte"},
        GOOD_IDEA | {"description": ""},
        GOOD_IDEA | {"description": "x" * 5001},
        GOOD_IDEA | {"isTemporary": "yes"},
        GOOD_IDEA | {"rankingScore": 1e9},
        GOOD_IDEA | {"viewCount": 5},
        GOOD_IDEA | {"category": 5},
    ],
    ids=range(20),
)
def test_a_bad_idea_is_400_and_creates_nothing(signed_in, shelf, body):
    answer = post(signed_in, "/api/ideas", body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert not Idea.objects.exists()


@pytest.mark.parametrize(
    "idea_id", ["", "1", "abc", None, 0, -1, 1.5, 2**63, 10**400, True, [1], {"a": 1}]
)
@pytest.mark.parametrize("path", ["purchases", "claims"])
def test_a_bad_idea_id_is_400(signed_in, path, idea_id):
    answer = post(signed_in, f"/api/{path}", {"ideaId": idea_id})
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize("slug", ["", "nowhere", "FOOD", "한국", "a\x00b", "x" * 60])
def test_an_unknown_category_is_404(signed_in, shelf, slug):
    assert post(signed_in, "/api/ideas", GOOD_IDEA | {"category": slug}).status_code == 404
    answer = Client().get("/api/ideas", {"category": slug})
    assert answer.status_code == 404
    assert "error" in answer.json()


def test_the_fault_of_a_field_names_the_field(signed_in, shelf):
    answer = post(signed_in, "/api/ideas", GOOD_IDEA | {"title": ""})
    assert answer.json()["details"][0].startswith("title: ")


def test_the_ranking_is_public_ordered_and_paged(make_idea):
    ideas = [make_idea(score=float(number)) for number in range(5)]
    make_idea(category=Category.objects.create(slug="home", name="Home"), score=99)
    body = Client().get("/api/ideas?category=food&page=2&limit=2").json()
    assert [idea["id"] for idea in body["ideas"]] == [ideas[2].pk, ideas[1].pk]
    assert body["pagination"] == {"total": 5, "page": 2, "limit": 2, "pages": 3, "capped": False}
    assert Client().get("/api/ideas").json()["ideas"][0]["category"] == "home"
    assert Client().get("/api/ideas?page=9").json()["ideas"] == []


@pytest.mark.parametrize("name", ["page", "limit"])
@pytest.mark.parametrize(
    "value", ["abc", "", "0", "-1", "1.5", "1e3", "1e400", "９", "10001", "9" * 5000, " 1", "0x1"]
)
def test_a_bad_page_or_limit_is_400_and_asks_the_database_nothing(name, value):
    with CaptureQueriesContext(connection) as queries:
        answer = Client().get("/api/ideas", {name: value})
    assert answer.status_code == 400
    assert name in answer.json()["error"]
    assert len(queries) == 0


def test_more_ideas_take_no_more_queries(make_idea):
    def count():
        with CaptureQueriesContext(connection) as queries:
            assert Client().get("/api/ideas").status_code == 200
        return len(queries)

    make_idea(purchases=1, claimed=True)
    one = count()
    for _ in range(10):
        make_idea(purchases=1, claimed=True)
    assert count() == one <= 3


def test_a_total_past_the_cap_says_so(make_idea, monkeypatch):
    monkeypatch.setattr("ideasgpt.ideas.ranking.MOST_RANKED", 3)
    for _ in range(5):
        make_idea()
    body = Client().get("/api/ideas?limit=2&page=2").json()
    assert body["pagination"] | {"page": 0} == {
        "total": 3,
        "page": 0,
        "limit": 2,
        "pages": 2,
        "capped": True,
    }
    assert len(body["ideas"]) == 1


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_are_405(signed_in, method):
    assert getattr(signed_in, method)("/api/ideas").status_code == 405


def test_the_openapi_document_names_every_operation():
    paths = module.api.get_openapi_schema()["paths"]
    assert {path: sorted(methods) for path, methods in paths.items()} == {
        "/api/ideas": ["get", "post"],
        "/api/purchases": ["post"],
        "/api/claims": ["post"],
    }
