from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from ideasgpt.ideas import views_counted as module
from ideasgpt.ideas.models import Idea
from ideasgpt.ideas.views_counted import ViewCounter

pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])


@pytest.fixture
def counter():
    """A counter that writes only when told."""
    made = ViewCounter(interval=3600)
    yield made
    made.close()


def views(idea):
    return Idea.objects.get(pk=idea.pk).view_count


def test_views_wait_in_memory_and_are_written_together(make_idea, counter):
    one, other = make_idea(views=10), make_idea()
    for _ in range(3):
        counter.add(one.pk)
    counter.add(other.pk)
    assert (views(one), counter.waiting(one.pk)) == (10, 3)
    assert counter.flush() == 4
    assert (views(one), views(other), counter.waiting(one.pk)) == (13, 1, 0)
    assert counter.flush() == 0


def test_views_of_many_threads_are_all_counted(make_idea, counter):
    idea = make_idea()

    def look():
        for _ in range(200):
            counter.add(idea.pk)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        counter.flush()
    counter.flush()
    assert views(idea) == 1600


def test_too_many_waiting_ideas_are_written_without_waiting(make_idea):
    counter = ViewCounter(interval=3600, most_waiting=3)
    ideas = [make_idea() for _ in range(3)]
    for idea in ideas:
        counter.add(idea.pk)
    assert [views(idea) for idea in ideas] == [1, 1, 1]
    counter.close()


def test_no_interval_writes_each_view_at_once(make_idea):
    idea = make_idea()
    ViewCounter(interval=0).add(idea.pk)
    assert views(idea) == 1


def test_the_thread_writes_by_itself_ends_when_idle_and_comes_back(make_idea, wait_until):
    counter = ViewCounter(interval=0.01)
    idea = make_idea()
    for count in (1, 2):
        counter.add(idea.pk)
        wait_until(lambda count=count: views(idea) == count)
        wait_until(lambda: counter._thread is None)
    counter.close()


def test_closing_writes_what_is_left(make_idea):
    counter = ViewCounter(interval=3600)
    idea = make_idea()
    counter.add(idea.pk)
    counter.close()
    assert views(idea) == 1


def test_views_of_a_deleted_idea_are_dropped_and_hold_nothing_up(make_idea, counter):
    idea, kept = make_idea(), make_idea()
    counter.add(idea.pk)
    counter.add(kept.pk)
    idea.delete()
    counter.flush()
    assert views(kept) == 1
    assert counter.flush() == 0


def test_views_that_cannot_be_written_wait_for_the_next_time(make_idea, counter, monkeypatch):
    idea = make_idea()
    counter.add(idea.pk)
    write = module._write

    def away(_batch):
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(module, "_write", away)
    assert counter.flush() == 0
    counter.add(idea.pk)
    monkeypatch.setattr(module, "_write", write)
    assert counter.flush() == 2
    assert views(idea) == 2


def test_memory_stays_bounded_while_the_database_is_away(monkeypatch):
    monkeypatch.setattr(module, "MOST_KEPT", 50)
    counter = ViewCounter(interval=3600)
    for number in range(1000):
        counter.add(number)
    assert len(counter._waiting) == 50
    counter._waiting.clear()


def test_a_locked_row_is_left_for_later_and_nobody_waits(make_idea, counter):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no row locks")
    held, free = make_idea(), make_idea()
    locked, go_on = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            Idea.objects.filter(pk=held.pk).update(view_count=F("view_count") + 5)
            locked.set()
            go_on.wait(10)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(10)
    counter.add(held.pk)
    counter.add(free.pk)
    assert counter.flush() == 1
    go_on.set()
    holder.join(10)
    assert counter.flush() == 1
    assert (views(held), views(free)) == (6, 1)


def test_a_process_that_ends_writes_its_views_first(make_idea):
    idea = make_idea()
    name = connection.settings_dict["NAME"]
    code = (
        "import django; django.setup()\n"
        "from django.db import connection\n"
        f"connection.settings_dict['NAME'] = {name!r}\n"
        "from ideasgpt.ideas.views_counted import COUNTER\n"
        f"COUNTER.add({idea.pk})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "ideasgpt.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert views(idea) == 1
