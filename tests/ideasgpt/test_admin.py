from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from ideasgpt.ideas.models import (
    Category,
    Claim,
    GeneratedBatch,
    Idea,
    JobPosition,
    ProviderPause,
    Purchase,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])

MODELS = (Category, Idea, Purchase, Claim, JobPosition, GeneratedBatch, ProviderPause)


@pytest.fixture
def administrator():
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def address(model, page="changelist", **kwargs):
    return reverse(f"admin:ideas_{model._meta.model_name}_{page}", **kwargs)


@pytest.mark.parametrize("model", MODELS)
def test_every_table_is_in_the_stock_admin(administrator, make_idea, shelf, clock, model):
    make_idea(purchases=1, claimed=True)
    GeneratedBatch.objects.create(run_id="run-1", category=shelf, updated_at=clock.now())
    ProviderPause.objects.create(provider="host model", not_before=clock.now())
    JobPosition.objects.create(job="update-rankings", last_id=5, updated_at=clock.now())
    assert model in admin.site._registry
    assert administrator.get(address(model)).status_code == 200
    assert administrator.get(address(model), {"q": "1"}).status_code == 200
    row = model.objects.get()
    assert administrator.get(address(model, "change", args=[row.pk])).status_code == 200


@pytest.mark.parametrize("model", [Idea, Purchase, Claim])
def test_more_rows_take_no_more_queries(administrator, make_idea, model):
    def count():
        with CaptureQueriesContext(connection) as queries:
            assert administrator.get(address(model)).status_code == 200
        return len(queries)

    make_idea(purchases=1, claimed=True)
    count()
    one = count()
    for _ in range(10):
        make_idea(purchases=1, claimed=True)
    assert count() == one


@pytest.mark.parametrize("model", [Idea, Purchase, Claim])
def test_lists_count_no_further_than_their_cap(administrator, make_idea, monkeypatch, model):
    monkeypatch.setattr("ideasgpt.ideas.admin.MOST_LISTED", 2)
    for _ in range(3):
        make_idea(purchases=1, claimed=True)
    answer = administrator.get(address(model))
    assert answer.context["cl"].result_count == 2


@pytest.mark.parametrize(
    ("term", "found"),
    [("An idea", 2), ("nowhere", 0), ("9" * 50, 0), ("' OR 1=1 --", 0), ("%", 0), ("", 2)],
)
def test_ideas_are_found_by_words(administrator, make_idea, term, found):
    make_idea()
    make_idea()
    answer = administrator.get(address(Idea), {"q": term})
    assert answer.context["cl"].result_count == found


def test_a_number_finds_the_idea_and_its_purchases(administrator, make_idea):
    idea = make_idea(purchases=2, claimed=True)
    make_idea(purchases=1)
    for model, found in ((Idea, 1), (Purchase, 2), (Claim, 1)):
        answer = administrator.get(address(model), {"q": str(idea.pk)})
        assert answer.context["cl"].result_count == found


def test_a_purchase_can_be_added_and_a_second_one_is_explained(administrator, make_idea, user):
    form = {
        "idea": make_idea().pk,
        "user": user().pk,
        "created_at_0": "2026-11-22",
        "created_at_1": "00:00:00",
    }
    assert administrator.post(address(Purchase, "add"), form).status_code == 302
    again = administrator.post(address(Purchase, "add"), form)
    assert again.status_code == 200
    assert "already bought" in again.content.decode()
    assert Purchase.objects.count() == 1


def test_the_score_cannot_be_edited_and_positions_only_read(administrator, make_idea, clock):
    idea = make_idea(score=1.5)
    page = administrator.get(address(Idea, "change", args=[idea.pk])).content.decode()
    assert 'name="ranking_score"' not in page
    assert 'name="view_count"' in page
    JobPosition.objects.create(job="j", last_id=5, updated_at=clock.now())
    assert administrator.get(address(JobPosition, "add")).status_code == 403


def test_a_provider_s_pause_is_not_edited_and_may_be_ended(administrator, clock):
    pause = ProviderPause.objects.create(provider="a host/m_1", not_before=clock.now())
    assert administrator.get(address(ProviderPause, "add")).status_code == 403
    end = address(ProviderPause, "delete", args=[quote(pause.pk)])
    assert administrator.post(end, {"post": "yes"}).status_code == 302
    assert not ProviderPause.objects.exists()


def test_ideas_bought_are_not_deleted_by_the_bulk_action(administrator, make_idea):
    kept, gone = make_idea(purchases=1), make_idea()
    form = {"action": "delete_selected", "post": "yes"}
    administrator.post(address(Idea), form | {"_selected_action": [kept.pk, gone.pk]})
    assert Idea.objects.count() == 2
    administrator.post(address(Idea), form | {"_selected_action": [gone.pk]})
    assert list(Idea.objects.all()) == [kept]
