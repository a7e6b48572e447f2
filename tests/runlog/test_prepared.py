"""Statements that are prepared answer as they do by their text, whatever became of the name."""

from __future__ import annotations

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from tests.runlog.conftest import NOON, SECOND, row

from cronbell.runlog import prepared
from cronbell.runlog.models import Run
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import fetch, rows_parameter

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


@pytest.fixture
def connection():
    found = connections[ALIAS]
    if found.vendor != "postgresql":
        pytest.skip("SQLite's driver keeps statements by itself")
    with found.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    prepared._known.clear()
    return found


def words(asked: CaptureQueriesContext) -> list[str]:
    return [query["sql"].split()[0] for query in asked.captured_queries]


@pytest.fixture
def ids(jobs) -> str:
    Run.objects.bulk_create(row(jobs[0], n, due=NOON + n * SECOND) for n in range(3))
    return rows_parameter([[pk] for pk in Run.objects.values_list("pk", flat=True)])


def test_a_statement_is_prepared_once_for_a_connection(connection, ids):
    plain = fetch(connection, "log_rows", [ids])
    assert len(plain) == 3
    with CaptureQueriesContext(connection) as asked:
        assert prepared.read(connection, "log_rows", [ids]) == plain
        assert prepared.read(connection, "log_rows", [ids]) == plain
        assert prepared.read(connection, "job_names", [10]) != []
        # Without values it has no list of them.
        assert prepared.read(connection, "runs_left", []) == []
    assert words(asked) == ["PREPARE", "EXECUTE", "EXECUTE"] + ["PREPARE", "EXECUTE"] * 2


def test_a_new_connection_prepares_anew(connection, ids):
    prepared.read(connection, "log_rows", [ids])
    connection.close()
    assert len(prepared.read(connection, "log_rows", [ids])) == 3


def test_another_sessions_connection_behind_a_pooler_costs_a_step_and_nothing_else(connection, ids):
    """The name is not there, or is there already: by its name it is the same statement."""
    prepared.read(connection, "log_rows", [ids])
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    with CaptureQueriesContext(connection) as asked:
        assert len(prepared.read(connection, "log_rows", [ids])) == 3
        assert len(prepared.read(connection, "log_rows", [ids])) == 3
    assert words(asked)[-2:] == ["PREPARE", "EXECUTE"]
    prepared._known.clear()
    assert len(prepared.read(connection, "log_rows", [ids])) == 3


def test_a_table_that_was_changed_meanwhile(connection, jobs):
    def names(text: str) -> list:
        with connection.cursor() as cursor:
            cursor.execute(text, ["%", 10, "%"])
            return [column.name for column in cursor.description]

    before = prepared.asked(connection, "job_lines", names)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE runlog_job ADD COLUMN fresh INTEGER")
    try:
        for _ in range(2):
            assert set(prepared.asked(connection, "job_lines", names)) == {*before, "fresh"}
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE runlog_job DROP COLUMN fresh")
            cursor.execute("DEALLOCATE ALL")
        prepared._known.clear()


def test_within_a_transaction_nothing_is_prepared(connection, ids):
    """A name that is not there would end it."""
    with transaction.atomic(using=ALIAS), CaptureQueriesContext(connection) as asked:
        assert len(prepared.read(connection, "log_rows", [ids])) == 3
    assert "EXECUTE" not in words(asked)


def test_another_fault_is_not_hidden(connection):
    with pytest.raises(Exception, match="invalid input syntax"):
        prepared.read(connection, "log_rows", ["no JSON"])


QUESTIONS = [
    prepared.Question("job_names", (10,)),
    prepared.Question("runs_left"),
    prepared.Question("job_lines", ("%", 10, "%"), named=True),
]


def test_what_is_asked_ahead_takes_one_trip_and_answers_the_same(connection, ids):
    questions = [*QUESTIONS, prepared.Question("log_rows", (ids,), prepared=False)]
    one_by_one = [prepared.answer(connection, question) for question in questions]
    with prepared.page(connection):
        with CaptureQueriesContext(connection) as asked:
            prepared.ahead(connection, questions)
            assert [prepared.answer(connection, each) for each in questions] == one_by_one
        assert len(asked) == 1
        # Who asks again wants to know what it is by then.
        Run.objects.all().delete()
        assert prepared.answer(connection, questions[-1]).rows == []


def test_nothing_asked_ahead_outlives_its_page(connection, ids):
    with prepared.page(connection):
        prepared.ahead(connection, QUESTIONS)
    with CaptureQueriesContext(connection) as asked:
        prepared.ahead(connection, QUESTIONS)
        assert len(asked) == 0
        assert prepared.read(connection, "job_names", [10]) != []
    assert len(asked) == 1


def test_within_a_transaction_nothing_is_asked_ahead(connection, ids):
    with prepared.page(connection), transaction.atomic(using=ALIAS):
        with CaptureQueriesContext(connection) as asked:
            prepared.ahead(connection, QUESTIONS)
        assert len(asked) == 0


def test_behind_a_pooler_what_cannot_be_asked_ahead_is_asked_by_itself(connection, ids):
    """The names are not there: each statement finds that out, and is right."""
    with prepared.page(connection):
        prepared.ahead(connection, QUESTIONS)
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    with prepared.page(connection):
        prepared.ahead(connection, QUESTIONS)
        assert prepared.read(connection, "job_names", [10]) != []
        prepared.ahead(connection, QUESTIONS[1:])
        assert prepared.read(connection, "runs_left", []) == []


def test_a_fault_of_what_is_asked_ahead_is_not_hidden(connection):
    with prepared.page(connection), pytest.raises(Exception, match="invalid input syntax"):
        prepared.ahead(connection, [prepared.Question("log_rows", ("no JSON",))])
