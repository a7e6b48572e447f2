"""The benchmark of large logs still runs, gets right answers, and sees a broken promise."""

from __future__ import annotations

import os

import pytest
from django.db import OperationalError, connections

from benchmarks import size, size_answers
from cronbell.runlog.router import ALIAS


def test_it_runs_small_and_every_answer_is_right():
    run = {key: value for key, value in os.environ.items() if key == "CRONBELL_TEST_RUN"}
    with size.empty_stores("sqlite", 2) as lent:
        environments = [{**each, **run} for each in lent]
        assert size.made_once(700, environments[0])["rows"] < 800
        assert size.made_once(1_500, environments[1])["rows"] >= 1_400
        logs = size.measured(environments, 1)
    for log in logs:
        assert len(log["found"]) > 80
        assert not [each["kind"] for each in log["found"] if not each["right"]]
        assert log["recount"]
    assert [each["kind"] for each in logs[0]["found"]] == [
        each["kind"] for each in logs[1]["found"]
    ]


def test_a_kept_store_is_made_once_and_can_be_measured_again(tmp_path):
    run = {key: value for key, value in os.environ.items() if key == "CRONBELL_TEST_RUN"}
    folders = [tmp_path / "sqlite-1500"]
    with size.kept_stores(folders) as (lent,):
        made = size.made_once(1_500, {**lent, **run})
    with size.kept_stores(folders) as (lent,):
        assert size.made_once(1_500, {**lent, **run}) == made
        for _ in range(2):
            (log,) = size.measured([{**lent, **run}], 1)
            assert log["recount"]


FINE = {"kind": "x", "limit": 20.0, "compared": True, "p95": 9.0, "median": 8.0, "cpu": 7.0,
        "kilobytes": 50.0, "rows": 51, "right": True, "page": True}  # fmt: skip


def found(**changes):
    return {"found": [FINE | changes], "recount": True}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"p95": 21.0}, "slow"),
        ({"cpu": 15.0}, "growth"),
        ({"kilobytes": 61.0}, "weight"),
        ({"right": False}, "answer"),
    ],
)
def test_a_broken_promise_is_said(capsys, changes, word):
    assert size.report(found(), found())
    assert word not in capsys.readouterr().out
    assert not size.report(found(), found(**changes))
    assert word in capsys.readouterr().out


def test_growth_is_not_judged_against_a_page_with_fewer_rows(capsys):
    assert size.report(found(rows=2), found(cpu=15.0))
    assert "2.14*" in capsys.readouterr().out
    assert not size.report(found(rows=52), found(cpu=15.0))


def test_a_wrong_total_breaks_it_too():
    assert not size.report(found(), found() | {"recount": False})


def test_a_part_that_fails_ends_the_whole():
    with (
        size.empty_stores("sqlite", 1) as (lent,),
        pytest.raises(SystemExit, match="measure failed"),
    ):
        size.measured([lent], 1)


def test_what_there_was_no_time_to_compare_is_said(capsys):
    with size.empty_stores("sqlite", 1) as (lent,):
        run = {key: value for key, value in os.environ.items() if key == "CRONBELL_TEST_RUN"}
        environment = {**lent, **run}
        size.made_once(1_500, environment)
        (measured,) = size.measured([environment], 1, comparing=0)
    assert {each["right"] for each in measured["found"] if each["comparable"]} == {None}
    size.report(measured, measured)
    said = capsys.readouterr().out
    assert "large log: 0 of 8" in said
    assert "no time was left for: page 1, page 2," in said


@pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
def test_a_statement_is_given_up_when_time_is_up_and_the_next_is_not(monkeypatch):
    monkeypatch.setattr(size_answers, "STEPS", 10)
    long = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000000)"
        " SELECT COUNT(*) FROM n"
    )
    comparison = size_answers.Comparison(0.05)
    with connections[ALIAS].cursor() as cursor:
        with pytest.raises(OperationalError), comparison._bounded():
            cursor.execute(long)
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    with pytest.raises(TimeoutError), comparison._bounded():
        pass
