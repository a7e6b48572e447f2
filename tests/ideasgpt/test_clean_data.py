from __future__ import annotations

import threading

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from ideasgpt.ideas.jobs import clean_data as module
from ideasgpt.ideas.jobs.chunks import Turns
from ideasgpt.ideas.models import Claim, Idea, Purchase
from ideasgpt.ideas.taking import take
from ideasgpt.sample import load_sample

pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])

run = module.clean_data


@pytest.fixture
def stale(make_idea):
    """Make a temporary idea that is past keeping."""
    return lambda **fields: make_idea(days=31, is_temporary=True, **fields)


def naive_delete(ids, cutoff, turns):
    """Delete what was selected, as the described service did: the fault this job must not have."""
    del cutoff
    with turns.turn(len(ids)):
        Purchase.objects.filter(idea__in=ids).delete()
        return Idea.objects.filter(pk__in=ids).delete()[0]


def test_only_old_temporary_unbought_unclaimed_ideas_go(make_idea, stale, context):
    gone = [stale(), stale()]
    kept = [
        make_idea(days=31),
        make_idea(days=29, is_temporary=True),
        stale(purchases=1),
        stale(claimed=True),
        stale(purchases=2, claimed=True),
    ]
    result = run(context())
    assert result.data == {"deleted": 2}
    assert {idea.pk for idea in Idea.objects.all()} == {idea.pk for idea in kept}
    assert not Idea.objects.filter(pk__in=[idea.pk for idea in gone]).exists()


def test_thirty_days_to_the_microsecond_are_not_older(make_idea, context):
    idea = make_idea(days=30, is_temporary=True)
    assert run(context()).data == {"deleted": 0}
    Idea.objects.filter(pk=idea.pk).update(
        created_at=idea.created_at - module.timedelta(microseconds=1)
    )
    assert run(context()).data == {"deleted": 1}


@pytest.mark.parametrize("taken", [Purchase, Claim])
def test_a_purchase_made_meanwhile_saves_the_idea(stale, context, user, monkeypatch, taken):
    idea, other = stale(), stale()
    delete = module.delete

    def buy_first(ids, cutoff, turns):
        taken.objects.create(idea=idea, user=user())
        return delete(ids, cutoff, turns)

    monkeypatch.setattr(module, "delete", buy_first)
    assert run(context()).data == {"deleted": 1}
    assert Idea.objects.filter(pk=idea.pk).exists()
    assert taken.objects.filter(idea=idea).exists()
    assert not Idea.objects.filter(pk=other.pk).exists()


def test_sabotage_select_then_delete_loses_what_was_bought_meanwhile(
    stale, context, user, monkeypatch
):
    idea = stale()

    def buy_first(ids, cutoff, turns):
        Purchase.objects.create(idea=idea, user=user())
        return naive_delete(ids, cutoff, turns)

    monkeypatch.setattr(module, "delete", buy_first)
    run(context())
    assert not Purchase.objects.filter(idea=idea.pk).exists(), "the harm the safeguard prevents"


def test_an_idea_that_is_made_lasting_meanwhile_is_kept(stale, context, monkeypatch):
    idea = stale()
    delete = module.delete

    def keep_first(ids, cutoff, turns):
        Idea.objects.filter(pk=idea.pk).update(is_temporary=False)
        return delete(ids, cutoff, turns)

    monkeypatch.setattr(module, "delete", keep_first)
    assert run(context()).data == {"deleted": 0}


def delete_while_another_buys(idea, clock, buy):
    """Run ``delete`` while ``buy`` sits in a transaction that has bought and not committed."""
    cutoff = clock.now() - module.KEEP
    bought, go_on = threading.Event(), threading.Event()
    said: dict[str, object] = {}

    def hold():
        try:
            with transaction.atomic():
                buy()
                bought.set()
                go_on.wait(10)
            said["bought"] = True
        except IntegrityError:
            said["bought"] = False
        finally:
            connection.close()

    def clean():
        try:
            said["deleted"] = module.delete([idea.pk], cutoff, Turns(clock))
        finally:
            connection.close()

    buyer, cleaner = threading.Thread(target=hold), threading.Thread(target=clean)
    buyer.start()
    assert bought.wait(10)
    cleaner.start()
    # On SQLite it waits for the buyer, on PostgreSQL it leaves the row out: either way, go on.
    cleaner.join(0.2)
    go_on.set()
    buyer.join(10)
    cleaner.join(10)
    return said


@pytest.mark.parametrize("taken", [Purchase, Claim])
def test_an_idea_being_bought_in_this_very_moment_is_saved(stale, clock, user, taken):
    idea, buyer = stale(), user()
    said = delete_while_another_buys(idea, clock, lambda: take(taken, idea.pk, buyer))
    assert said == {"bought": True, "deleted": 0}
    assert taken.objects.filter(idea=idea).count() == 1


def test_a_purchase_without_the_lock_is_saved_or_refused_but_never_lost(stale, clock, user):
    """A bare insert, as the stock admin makes it: PostgreSQL may refuse it at commit."""
    idea, buyer = stale(), user()
    said = delete_while_another_buys(
        idea, clock, lambda: Purchase.objects.create(idea=idea, user=buyer)
    )
    assert said in ({"bought": True, "deleted": 0}, {"bought": False, "deleted": 1})
    assert Purchase.objects.count() == Idea.objects.count() == 1 - said["deleted"]


def test_dry_run_lists_what_would_go_and_deletes_nothing(stale, make_idea, context):
    ideas = [stale(title=f"Old idea {number}") for number in range(103)]
    make_idea()
    result = run(context(dry_run=True))
    assert result.data["wouldDelete"] == 103
    assert result.data["ideas"] == [
        {"id": idea.pk, "title": idea.title} for idea in ideas[: module.LISTED]
    ]
    assert str(result.message) == "103 unused ideas would be deleted"
    assert Idea.objects.count() == 104
    assert run(context()).data == {"deleted": 103}


@pytest.mark.parametrize("block", [1, 2, 3, 7, 100])
def test_every_old_idea_is_seen_once_whatever_the_block(stale, clock, monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK_ROWS", block)
    same_instant = [stale().pk for _ in range(5)]
    older = stale()
    Idea.objects.filter(pk=older.pk).update(created_at=older.created_at - module.KEEP)
    kept = stale(purchases=1)
    cutoff = clock.now() - module.KEEP
    seen = [pk for ids in module.old_temporary(cutoff) for pk in ids]
    assert seen == [older.pk, *same_instant, kept.pk]
    assert sorted(pk for ids in module.unused(cutoff) for pk in ids) == [*same_instant, older.pk]


@pytest.mark.skipif(
    connection.vendor != "sqlite", reason="PostgreSQL reads a small table by whichever index"
)
def test_a_step_begins_in_the_index_where_the_one_before_ended(stale, clock):
    """Many ideas made at one instant are not gone through again for each block of them."""
    stale()
    with CaptureQueriesContext(connection) as captured:
        list(module.old_temporary(clock.now()))
    plans = []
    with connection.cursor() as cursor:
        for entry in captured.captured_queries:
            cursor.execute("EXPLAIN QUERY PLAN " + entry["sql"])
            plans.append(" ".join(str(word) for row in cursor.fetchall() for word in row))
    assert len(plans) == 4
    assert all("USING INDEX idea_temporary" in plan for plan in plans)
    assert all("created_at=? AND id>?" in plan for plan in plans[::2])
    assert not any("TEMP B-TREE" in plan for plan in plans)


def test_a_deadline_ends_the_run_partial_and_the_next_takes_the_rest(
    stale, context, clock, monkeypatch
):
    monkeypatch.setattr("ideasgpt.ideas.jobs.chunks.FIRST_ROWS", 4)
    for _ in range(10):
        stale()
    first = context(seconds=10)
    first._on_progress = lambda _done, _total: clock.advance(11)
    result = run(first)
    assert result.partial
    assert result.data == {"deleted": 4}
    assert str(result.message).startswith("Out of time: 4 unused ideas deleted")
    assert run(context()).data == {"deleted": 6}
    assert not Idea.objects.exists()


def test_turns_that_are_cut_short_leave_no_idea_behind(stale, context, clock, monkeypatch):
    monkeypatch.setattr("ideasgpt.ideas.jobs.chunks.FIRST_ROWS", 60)
    for _ in range(60):
        stale()

    def slowly(execute, sql, params, many, context):
        if many:
            clock.advance(0.02)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(slowly):
        assert run(context()).data == {"deleted": 60}
    assert not Idea.objects.exists()


def test_the_sample_has_something_to_clean(context):
    load_sample(ideas=300, purchases=300, claims=20, seed=2)
    before = Idea.objects.count()
    deleted = run(context(seconds=60)).data["deleted"]
    # The fake clock stands at another day than the sample's: what is left is counted afresh.
    assert Idea.objects.count() == before - deleted
    assert run(context()).data == {"deleted": 0}


@pytest.mark.parametrize(
    ("language", "message", "failure"),
    [
        ("ko", "1개의 미사용 아이디어 삭제 완료", "데이터 정리 중 오류가 발생했습니다."),
        ("en", "Deleted 1 unused idea", "An error occurred while cleaning up the data."),
    ],
)
def test_the_words_are_in_the_services_language(stale, context, language, message, failure):
    from cronbell.endpoint.registry import REGISTRY

    stale()
    job = REGISTRY.by_name("clean-data")
    assert job is not None
    assert (job.max_duration, job.dry_run) == (60, True)
    with override_settings(LANGUAGE_CODE=language):
        assert str(run(context()).message) == message
        assert str(job.failure_message) == failure
