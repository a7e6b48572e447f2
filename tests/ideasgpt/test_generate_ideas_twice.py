"""A run of ``generate-ideas`` that dies, or is at work twice, has its effect once."""

from __future__ import annotations

import threading

import pytest
from django.db import DatabaseError, connection
from tests.ideasgpt.model_server import BOOK, CHAT, LAMP, ROBOT, SHIP, ideas

from cronbell.endpoint import JobContext
from ideasgpt.ideas.jobs import batches
from ideasgpt.ideas.jobs import generate_ideas as module
from ideasgpt.ideas.models import Category, GeneratedBatch, Idea

pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])

run = module.generate_ideas


def test_sent_again_after_a_crash_it_leaves_finished_categories_alone(
    target, shelves, context, monkeypatch
):
    shelves(3)
    target.script(CHAT, ideas(ROBOT, LAMP, SHIP))
    keep, kept = module.keep, []

    def die_third(*args, **kwargs):
        if len(kept) == 2:
            raise SystemExit
        kept.append(keep(*args, **kwargs))
        return kept[-1]

    monkeypatch.setattr(module, "keep", die_third)
    with pytest.raises(SystemExit):
        run(context(run_id="run-1"))
    monkeypatch.setattr(module, "keep", keep)
    assert (Idea.objects.count(), len(target.requests)) == (6, 3)
    result = run(context(run_id="run-1", attempt=2))
    assert len(target.requests) == 4
    assert len(result.data["ideasGenerated"]) == Idea.objects.count() == 9
    assert run(context(run_id="run-1")).data["ideasGenerated"] != []
    assert len(target.requests) == 4
    run(context(run_id="run-2"))
    assert len(target.requests) > 4, "another run is another run"


def test_ideas_and_their_batch_are_written_together_or_not_at_all(
    target, shelves, context, monkeypatch
):
    shelves(1)
    target.script(CHAT, ideas(ROBOT, LAMP))
    save = GeneratedBatch.save

    def fail_to_finish(self, *args, **kwargs):
        if self.finished:
            raise DatabaseError("the disk is full")
        save(self, *args, **kwargs)

    monkeypatch.setattr(GeneratedBatch, "save", fail_to_finish)
    with pytest.raises(DatabaseError):
        run(context(run_id="run-1"))
    assert not Idea.objects.exists()
    assert not GeneratedBatch.objects.exists()


def test_sabotage_in_two_transactions_a_crash_between_them_doubles_the_ideas(
    target, shelves, context, monkeypatch
):
    shelves(1)
    target.script(CHAT, ideas(ROBOT, LAMP), ideas(SHIP, BOOK))
    create = batches._create

    def die_in_between(*args, **kwargs):
        create(*args, **kwargs)
        with connection.cursor() as cursor:
            cursor.execute("COMMIT")
        raise SystemExit

    monkeypatch.setattr(batches, "_create", die_in_between)
    with pytest.raises(SystemExit):
        run(context(run_id="run-1"))
    monkeypatch.setattr(batches, "_create", create)
    run(context(run_id="run-1"))
    assert Idea.objects.count() == 4, "the harm the one transaction prevents"


def test_two_processes_at_the_same_run_write_each_category_once(target, shelves, context, clock):
    shelves(1)
    both = threading.Barrier(2)
    numbers = iter([ideas(ROBOT), ideas(LAMP)])

    def meet(exchange):
        mine = next(numbers)
        both.wait(10)
        return mine(exchange)

    target.script(CHAT, meet, meet, ideas())
    answers_given = []

    def work():
        try:
            given = JobContext("generate-ideas", run_id="run-1", clock=clock)
            answers_given.append(run(given).data["ideasGenerated"])
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert Idea.objects.count() == 1
    assert answers_given[0] == answers_given[1]
    assert GeneratedBatch.objects.get().calls >= 2


def test_a_category_deleted_meanwhile_fails_alone(target, shelves, context):
    first, second = shelves(2)

    def delete_first(exchange):
        Category.objects.filter(pk=first.pk).delete()
        connection.close()
        return ideas(ROBOT, LAMP)(exchange)

    target.script(CHAT, delete_first, ideas(ROBOT, LAMP))
    result = run(context())
    assert [one["error"] for one in result.data["errors"]] == ["the category was deleted meanwhile"]
    assert {one["category"] for one in result.data["ideasGenerated"]} == {second.name}
