from __future__ import annotations

import sqlite3
import threading

import pytest
from django.db import connection, transaction

from ideasgpt.ideas.jobs import chunks
from ideasgpt.ideas.jobs.chunks import Turns
from ideasgpt.ideas.models import JobPosition

pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])


def take(turns, clock, rows, seconds):
    with turns.turn(rows):
        clock.advance(seconds)


def test_turns_grow_while_they_are_short_and_shrink_when_they_are_long(clock):
    turns = Turns(clock)
    for _ in range(20):
        take(turns, clock, turns.rows, 0.001 * turns.rows / 100)
    assert 600 <= turns.rows <= 800  # 1 ms for 100 rows: about 700 take the 7 ms aimed at
    for _ in range(chunks.REMEMBERED):
        take(turns, clock, turns.rows, turns.rows * 20e-6)
    assert 340 <= turns.rows <= 360  # twice as dear: half as many
    for _ in range(20):
        take(turns, clock, turns.rows, 1.0)
    assert turns.rows == chunks.FEWEST_ROWS
    assert turns.longest == pytest.approx(1.0)


def test_a_turn_that_was_long_because_of_others_does_not_make_turns_shrink(clock, monkeypatch):
    """A busy machine stops a turn now and then; small turns would make the job last longer."""

    def rows_after_two_long_turns():
        turns = Turns(clock)
        for _ in range(20):
            take(turns, clock, turns.rows, turns.rows * 10e-6)
        for held in (0.2, 0.2):
            take(turns, clock, turns.rows, held)
        return turns.rows

    assert 650 <= rows_after_two_long_turns() <= 750
    monkeypatch.setattr(chunks, "REMEMBERED", 1)
    assert rows_after_two_long_turns() <= 180, "the harm that remembering prevents"


def test_a_turn_that_was_not_full_does_not_make_turns_grow(clock):
    turns = Turns(clock)
    before = turns.rows
    for _ in range(10):
        take(turns, clock, 1, 0.0001)
    assert turns.rows == before


def test_turns_never_grow_past_the_limit(clock):
    turns = Turns(clock)
    for _ in range(50):
        take(turns, clock, turns.rows, 0)
    assert turns.rows == chunks.MOST_ROWS


def test_a_rest_follows_each_turn_and_reading_counts_as_rest(clock):
    turns = Turns(clock)
    take(turns, clock, 1, 0.001)
    start = clock.monotonic()
    take(turns, clock, 1, 0)
    assert clock.monotonic() - start == pytest.approx(chunks.REST_SECONDS)
    clock.advance(1)
    start = clock.monotonic()
    take(turns, clock, 1, 0)
    assert clock.monotonic() == start


def test_the_lock_is_free_between_turns_and_held_within_them(clock):
    """Another connection gets its turn between two of ours, and not before."""
    done, wrote = threading.Event(), []

    def write():
        with transaction.atomic():
            JobPosition.objects.create(job="other", updated_at=clock.now())
            wrote.append(done.is_set())
        connection.close()

    other = threading.Thread(target=write)
    with Turns(clock) as turns:
        with turns.turn(1):
            JobPosition.objects.create(job="ours", updated_at=clock.now())
            other.start()
            if connection.vendor == "sqlite":
                other.join(0.05)
                assert not wrote
            done.set()
        other.join(10)
    assert len(wrote) == 1
    assert wrote == [True] or connection.vendor == "postgresql"


def settings_now():
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SHOW synchronous_commit")
            return cursor.fetchall()
        cursor.execute("PRAGMA synchronous")
        synchronous = cursor.fetchall()
        cursor.execute("PRAGMA wal_autocheckpoint")
        return synchronous + cursor.fetchall()


def fail_in_a_turn(clock):
    with Turns(clock) as turns, turns.turn(1):
        JobPosition.objects.create(job="lost", updated_at=clock.now())
        raise ZeroDivisionError


def test_the_connection_is_as_careful_after_the_turns_as_before(clock):
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET synchronous_commit = on")
    before = settings_now()
    with Turns(clock) as turns, turns.turn(1):
        during = settings_now()
    assert during != before
    assert settings_now() == before
    with pytest.raises(ZeroDivisionError):
        fail_in_a_turn(clock)
    assert settings_now() == before


def test_a_failed_turn_writes_nothing_and_frees_the_lock(clock):
    with pytest.raises(ZeroDivisionError):
        fail_in_a_turn(clock)
    with Turns(clock) as turns, turns.turn(1):
        JobPosition.objects.create(job="kept", updated_at=clock.now())
    assert [one.job for one in JobPosition.objects.all()] == ["kept"]


def test_portions_hold_every_id_once(clock):
    turns = Turns(clock)
    seen = []
    for portion in turns.portions(list(range(1000))):
        seen += portion
        turns.rows = max(1, turns.rows // 2) if len(seen) % 2 else turns.rows + 7
    assert seen == list(range(1000))


def work_through(clock, ids, seconds):
    """Take turns of 500 rows that each take so long; return what was written and the longest."""
    turns, seen = Turns(clock), []
    turns.rows = 500
    for portion in turns.portions(ids):
        with turns.turn(len(portion)):
            for piece in turns.pieces(portion):
                seen += piece
                clock.advance(len(piece) * seconds)
    return seen, turns.longest


@pytest.mark.parametrize("seconds", [0, 1e-6, 0.0001, 0.001, 0.5])
def test_a_turn_ends_in_time_however_dear_its_rows_have_become(clock, seconds):
    seen, longest = work_through(clock, list(range(1000)), seconds)
    assert seen == list(range(1000))
    assert longest <= chunks.LONGEST_SECONDS + chunks.PIECE_ROWS * seconds


def test_sabotage_without_the_look_at_the_clock_a_turn_lasts_as_long_as_its_rows(
    clock, monkeypatch
):
    monkeypatch.setattr(chunks, "LONGEST_SECONDS", float("inf"))
    _, longest = work_through(clock, list(range(1000)), 0.001)
    assert longest == pytest.approx(0.5)


def test_a_turn_that_was_cut_short_teaches_what_its_rows_cost(clock):
    turns = Turns(clock)
    turns.rows = 1000
    for portion in turns.portions(list(range(10_000))):
        with turns.turn(len(portion)):
            for piece in turns.pieces(portion):
                clock.advance(len(piece) * 0.0001)
    assert 60 <= turns.rows <= 80  # 0.1 ms a row: 70 take the 7 ms aimed at


@pytest.fixture
def other(monkeypatch):
    """A second connection to the SQLite file, which moves no log; every log counts as long."""
    if connection.vendor != "sqlite":
        pytest.skip("about SQLite's log")
    monkeypatch.setattr(chunks, "LONG_LOG_PAGES", 1)
    monkeypatch.setattr(chunks, "TURNS_PER_CHECKPOINT", 1)
    name = connection.settings_dict["NAME"]
    beside = sqlite3.connect(name, isolation_level=None, uri=str(name).startswith("file:"))
    beside.execute("PRAGMA wal_autocheckpoint = 0")
    yield beside
    beside.close()


TOUCH = "UPDATE ideas_jobposition SET last_id = last_id + 1"


def read_from_the_log(other):
    """Go on reading from what has not been moved yet."""
    other.execute(TOUCH)
    other.execute("BEGIN")
    other.execute("SELECT * FROM ideas_jobposition").fetchall()


def log_pages():
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return cursor.fetchone()[1]


def write_turns(clock, count):
    """Write so many turns, each a page or more; return the statements that moved the log."""
    moved = []

    def noted(execute, sql, params, many, context):
        if "wal_checkpoint" in sql:
            moved.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(noted), Turns(clock) as turns:
        for number in range(count):
            with turns.turn(1):
                JobPosition.objects.update_or_create(
                    job="ours", defaults={"last_id": number, "updated_at": clock.now()}
                )
    return moved


def log_after_turns_beside_a_writer(clock, other):
    """Have a writer commit during each checkpoint; return how many pages the log has in the end."""

    def interrupted(execute, sql, params, many, context):
        if "PASSIVE" not in sql:
            return execute(sql, params, many, context)
        other.execute("BEGIN IMMEDIATE")
        other.execute(TOUCH)
        result = execute(sql, params, many, context)
        other.execute("COMMIT")
        return result

    write_turns(clock, 1)
    log_pages()
    with connection.execute_wrapper(interrupted):
        write_turns(clock, 30)
    return log_pages()


def test_a_long_log_begins_anew_though_a_writer_commits_during_each_checkpoint(clock, other):
    assert log_after_turns_beside_a_writer(clock, other) < 10


def test_sabotage_moved_without_the_lock_the_log_grows_for_as_long_as_the_job_runs(
    clock, other, monkeypatch
):
    """And whoever begins it anew cuts the file down with the write lock held."""
    monkeypatch.setattr(chunks, "LONG_LOG_PAGES", 10**9)
    assert log_after_turns_beside_a_writer(clock, other) > 50


def test_nobody_is_waited_for_with_the_lock_held_for_moving_the_log(clock, other):
    """Who reads from the log could keep all writers waiting otherwise."""
    write_turns(clock, 2)
    read_from_the_log(other)
    patience = []

    def noted(execute, sql, params, many, context):
        if "RESTART" in sql:
            patience.extend(connection.connection.execute("PRAGMA busy_timeout").fetchone())
        return execute(sql, params, many, context)

    before = connection.connection.execute("PRAGMA busy_timeout").fetchone()
    with connection.execute_wrapper(noted):
        assert not chunks._checkpoint()
    assert patience == [0]
    assert connection.connection.execute("PRAGMA busy_timeout").fetchone() == before != (0,)


def test_a_log_that_somebody_reads_from_is_moved_at_a_later_rest(clock, other, monkeypatch):
    monkeypatch.setattr(chunks, "TURNS_PER_CHECKPOINT", 3)
    write_turns(clock, 1)
    assert sum("RESTART" in sql for sql in write_turns(clock, 6)) == 1
    read_from_the_log(other)
    assert sum("RESTART" in sql for sql in write_turns(clock, 6)) == 3
