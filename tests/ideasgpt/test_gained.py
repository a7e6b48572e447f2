"""The sums of what purchases and claims add to a score, as triggers keep them on SQLite."""

from __future__ import annotations

import pytest
from django.db import connection, connections

from ideasgpt.ideas import gained
from ideasgpt.ideas.jobs.update_rankings import update_rankings as run
from ideasgpt.ideas.models import Claim, Purchase
from ideasgpt.sample import load_sample

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])

INSERT = "INSERT OR IGNORE INTO ideas_purchase (idea_id, user_id, created_at) VALUES (%s, %s, %s)"
REPLACE = "INSERT OR REPLACE INTO ideas_purchase (idea_id, user_id, created_at) VALUES (%s, %s, %s)"


@pytest.fixture
def on_sqlite():
    if connection.vendor != "sqlite":
        pytest.skip("about SQLite alone; PostgreSQL counts anew")


def execute(statement, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def kept():
    return dict(execute("SELECT idea_id, tenths FROM ideas_gained"))


def counted():
    sums = {}
    for model, tenths in ((Purchase, 30), (Claim, 50)):
        for row in model.objects.all():
            sums[row.idea_id] = sums.get(row.idea_id, 0) + tenths
    return sums


def insert_twice(first, _second, who, at):
    execute(INSERT, first.pk, who.pk, at)
    execute(INSERT, first.pk, who.pk, at)


def bulk(first, second, who, at):
    rows = [Purchase(idea=idea, user=who, created_at=at) for idea in (first, second, second)]
    Purchase.objects.bulk_create(rows, ignore_conflicts=True)


def move(first, second, who, at):
    Purchase.objects.create(idea=first, user=who, created_at=at)
    Claim.objects.create(idea=first, user=who, created_at=at)
    Purchase.objects.filter(user=who).update(idea=second)
    Claim.objects.filter(user=who).update(idea=second)


def come_and_go(first, second, who, at):
    bulk(first, second, who, at)
    Claim.objects.create(idea=first, user=who, created_at=at)
    Purchase.objects.filter(idea=first)[:1].get().delete()
    Purchase.objects.filter(user=who).delete()
    Claim.objects.all().delete()


@pytest.mark.parametrize("change", [insert_twice, bulk, move, come_and_go])
def test_whoever_changes_purchases_and_claims_the_sums_follow(
    on_sqlite, make_idea, user, clock, change
):
    first, second = make_idea(purchases=2), make_idea(claimed=True)
    if change is move:
        second.claim.delete()
    change(first, second, user(), clock.now())
    assert kept() == counted()
    assert 0 not in kept().values()


def test_the_sample_s_sums_are_kept_too(on_sqlite):
    load_sample(ideas=200, purchases=400, claims=20, seed=2)
    assert kept() == counted() != {}


@pytest.fixture
def without_triggers(on_sqlite):
    for name in gained.TRIGGERS:
        execute("DROP TRIGGER " + name)
    yield
    gained.keep_gained()


def test_what_no_trigger_has_seen_is_counted(without_triggers, make_idea, user, context):
    idea = make_idea(purchases=1, claimed=True)
    assert kept() == {}
    assert run(context()).data == {"ideas": 1, "changed": 1}
    Claim.objects.all().delete()
    assert run(context()).data == {"ideas": 1, "changed": 1}
    idea.refresh_from_db()
    assert idea.ranking_score == 3.0


def test_a_purchase_that_replaces_another_unseen_is_counted_once(
    on_sqlite, make_idea, user, clock, context
):
    """SQLite tells no trigger what a REPLACE removes."""
    idea, who = make_idea(), user()
    for _ in range(2):
        execute(REPLACE, idea.pk, who.pk, clock.now())
    try:
        assert kept() == {idea.pk: 60}
        run(context())
        idea.refresh_from_db()
        assert idea.ranking_score == 3.0
    finally:
        execute("DELETE FROM ideas_gained")


def test_sabotage_without_the_look_at_the_sum_such_a_purchase_counts_twice(
    on_sqlite, make_idea, user, clock, context, monkeypatch
):
    module = run.__globals__
    unseeing = module["FIND_BY_SUMS"].replace("COALESCE(SUM(gained.tenths), 0)\n   =", "1 OR")
    assert unseeing != module["FIND_BY_SUMS"]
    monkeypatch.setitem(module, "FIND_BY_SUMS", unseeing)
    idea, who = make_idea(score=6.0), user()
    for _ in range(2):
        execute(REPLACE, idea.pk, who.pk, clock.now())
    try:
        assert run(context()).data["changed"] == 0
    finally:
        execute("DELETE FROM ideas_gained")


def test_migrating_makes_missing_triggers_and_counts_what_they_missed(
    without_triggers, make_idea, user
):
    idea = make_idea(purchases=2)
    gained.keep_gained()
    assert kept() == {idea.pk: 60}
    Purchase.objects.create(idea=idea, user=user())
    assert kept() == counted() == {idea.pk: 90}


def test_migrating_puts_wrong_sums_right_and_leaves_right_ones_alone(on_sqlite, make_idea):
    idea = make_idea(purchases=1)
    execute("UPDATE ideas_gained SET tenths = 3000")
    gained.keep_gained()
    assert kept() == {idea.pk: 30}
    before = execute("SELECT total_changes()")
    gained.keep_gained()
    assert execute("SELECT total_changes()") == before


def test_only_the_application_s_database_has_the_table(on_sqlite):
    gained.keep_gained(using="runlog")
    assert "ideas_gained" in connection.introspection.table_names()
    assert "ideas_gained" not in connections["runlog"].introspection.table_names()
