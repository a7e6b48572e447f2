from __future__ import annotations

import pytest
from django.db import IntegrityError, connection
from django.db.models import ProtectedError

from ideasgpt.ideas.models import Category, Claim, Idea, Purchase
from ideasgpt.sample import load_sample

pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])


def plan(queryset):
    return queryset.explain().lower()


def test_a_user_buys_an_idea_once(make_idea, user):
    idea, buyer = make_idea(), user()
    Purchase.objects.create(idea=idea, user=buyer)
    with pytest.raises(IntegrityError):
        Purchase.objects.create(idea=idea, user=buyer)


def test_an_idea_is_claimed_once(make_idea, user):
    idea = make_idea(claimed=True)
    with pytest.raises(IntegrityError):
        Claim.objects.create(idea=idea, user=user())


@pytest.mark.parametrize("fields", [{"title": ""}, {"view_count": -1}, {"category_id": 999}])
def test_the_database_refuses_what_cannot_be(shelf, fields):
    values = {"title": "An idea", "description": "It.", "category_id": shelf.pk, **fields}
    with pytest.raises(IntegrityError):
        Idea.objects.create(**values)


def test_what_was_bought_or_claimed_is_not_deleted_from_under_its_owner(make_idea):
    for idea in (make_idea(purchases=1), make_idea(claimed=True)):
        with pytest.raises(ProtectedError):
            idea.delete()


def test_a_category_with_ideas_is_not_deleted(make_idea, shelf):
    make_idea()
    with pytest.raises(ProtectedError):
        shelf.delete()


def test_a_deleted_author_leaves_the_idea(make_idea, user):
    author = user()
    idea = make_idea(author=author)
    author.delete()
    idea.refresh_from_db()
    assert idea.author is None


def test_the_pages_and_jobs_questions_are_answered_from_indexes():
    load_sample(ideas=3000, purchases=3000, claims=300)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    shelf = Category.objects.first()
    old = Idea.objects.filter(is_temporary=True).order_by("created_at", "pk")[:10]
    asked = {
        "idea_by_score": Idea.objects.order_by("-ranking_score", "-pk")[:25],
        "idea_by_category": Idea.objects.filter(category=shelf).order_by("-ranking_score", "-pk")[
            :25
        ],
        "idea_temporary": old,
    }
    for index, question in asked.items():
        assert index in plan(question), index
