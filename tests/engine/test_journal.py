"""SQLite's journal is put into the database when nobody waits, not in the midst of a herd."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, connections
from tests.support.waiting import wait_until

from cronbell.clock import SystemClock
from cronbell.config.retention import Retention
from cronbell.engine.housekeeping import Housekeeping
from cronbell.engine.session import LONGEST_JOURNAL, prepare_connection, put_journal_away
from cronbell.engine.writer import Writer
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Job
from cronbell.runlog.store import RunStore
from cronbell.testing.clock import FakeClock

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "runlog"]),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL does it by itself"),
]

MARK = "a-word-that-stands-nowhere-else"
SQLITES_OWN = 1_000  # pages
ROUNDS = 60
WIDE = 100_000  # bytes: about 25 pages


def in_database() -> bool:
    return MARK.encode() in Path(connections["runlog"].settings_dict["NAME"]).read_bytes()


def write(number: int) -> None:
    # Another text throughout: SQLite writes only the pages that differ.
    Job.objects.update(pause_reason=f"{MARK} {number} " + chr(ord("A") + number) * WIDE)


async def written(tidy, *, prepare=True, then=lambda _writer: None) -> list[bool]:
    """Write more than SQLite's own limit; say whether it is in the database before and after."""
    clock = FakeClock()
    writer = Writer(
        RunStore("somebody"),
        clock,
        prepare=(lambda: prepare_connection("runlog", 15)) if prepare else (lambda: None),
        tidy=tidy,
    )
    writer.start()
    for number in range(ROUNDS):
        await writer.submit(lambda _store, number=number: write(number), durable=False)
    seen = [in_database()]
    kept = Housekeeping(writer, clock, Retention())
    await kept.roll_up()
    then(writer)
    await writer.stop()
    seen.append(in_database())
    return seen


@pytest.fixture
def job(make_spec, clock):
    sync_jobs([make_spec()], clock.now())
    put_journal_away("runlog")
    assert not in_database()


def tidied(writer: Writer) -> None:
    wait_until(in_database, 10, what="the journal in the database")


@pytest.mark.usefixtures("job")
def test_a_herd_s_commits_leave_the_journal_to_housekeeping():
    assert ROUNDS * WIDE // 4096 in range(SQLITES_OWN, LONGEST_JOURNAL)
    tidy = asyncio.run(written(lambda: put_journal_away("runlog"), then=tidied))
    assert tidy == [False, True]


@pytest.mark.usefixtures("job")
def test_without_it_a_commit_in_the_midst_of_a_herd_does_it():
    """Sabotage: the connection as SQLite makes it."""
    assert asyncio.run(written(lambda: None, prepare=False)) == [True, True]


@pytest.mark.usefixtures("job")
def test_a_store_that_cannot_be_tidied_up_is_written_all_the_same():
    tries = []

    def refused() -> None:
        tries.append(1)
        raise DatabaseError("disk I/O error")

    def wait_for_it(_writer: Writer) -> None:
        wait_until(lambda: bool(tries), 10, what="a try")

    asyncio.run(written(refused, then=wait_for_it))
    assert Job.objects.get().pause_reason.startswith(f"{MARK} {ROUNDS - 1} ")


@pytest.mark.usefixtures("job")
def test_nothing_written_is_nothing_to_tidy_up():
    async def go() -> list[int]:
        tries: list[int] = []
        writer = Writer(RunStore("somebody"), FakeClock(), tidy=lambda: tries.append(1))
        writer.start()
        writer.tidy_up()
        await SystemClock().wait(0.1)
        await writer.stop()
        return tries

    assert asyncio.run(go()) == []
