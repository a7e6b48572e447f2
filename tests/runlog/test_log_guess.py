"""PostgreSQL's guess at what a range of time needs: right nearly always, and believed never."""

from __future__ import annotations

import random

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from tests.runlog import test_log_pages
from tests.runlog.conftest import roll

from cronbell.runlog import log_ahead, log_guess, log_tree, prepared
from cronbell.runlog.log_pages import Log
from cronbell.runlog.queries import LogFilter
from cronbell.runlog.rollups import Roller
from cronbell.runlog.router import ALIAS

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
_small = test_log_pages._small
# What is asked where the guess does not hold it.
ONE_BY_ONE = ("blocks_parts", "runs_astray")


@pytest.fixture
def log(jobs):
    """Return a source of chance, and many runs, most of them counted, some of other times."""
    if connections[ALIAS].vendor != "postgresql":
        pytest.skip("SQLite is asked without a trip")
    chance, number = random.Random(7), 1
    for _ in range(6):
        test_log_pages.add_runs(jobs, chance, number, 30)
        test_log_pages.end_some(chance)
        number += 30
        roll(Roller())
    return chance


def ranges(chance: random.Random, number: int) -> list[LogFilter]:
    found: list[LogFilter] = []
    while len(found) < number:
        wanted = test_log_pages.filters(chance)
        if wanted.since or wanted.until:
            found.append(wanted)
    return found


def asked(wanted: LogFilter) -> int:
    """Return how many statements went down the tree one by one."""
    with prepared.page(connections[ALIAS]), CaptureQueriesContext(connections[ALIAS]) as queries:
        log_ahead.ask(log_ahead.log(wanted))
        assert Log(wanted)._segments is not None
    return sum(name in query["sql"] for query in queries.captured_queries for name in ONE_BY_ONE)


def test_it_holds_all_that_is_asked(log, monkeypatch):
    # But for the limits, which it does not know.
    monkeypatch.setattr(log_tree, "LOOKED_UP", 1 << 20)
    monkeypatch.setattr(log_tree, "OPENED", 1 << 20)
    connections[ALIAS].cursor().execute("SELECT 1")
    wanted = ranges(log, 40)
    asked(wanted[0])
    assert [each for each in wanted if asked(each)] == []


@pytest.mark.parametrize("wrong", ["another range", "other limits", "nothing"])
def test_a_wrong_one_costs_a_trip_and_nothing_else(log, jobs, wrong, monkeypatch):
    right = log_guess.question

    def question(times):
        plain = right(times)
        since, until, *others = plain.values
        if wrong == "another range":
            return plain._replace(values=(since - 10**9, until - 10**9, *others))
        others[2:4] = [1, 1] if wrong == "other limits" else [1 << 40, 1]
        return plain._replace(values=(since, until, *others))

    monkeypatch.setattr(log_guess, "question", question)
    wanted = ranges(log, 30)
    assert any(asked(each) for each in wanted)
    for each in wanted:
        test_log_pages.check_ahead(each, jobs, log)
