"""One suite for every receipt store: what a key is answered, and that a hold has one holder."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cronbell.endpoint.receipt import (
    Full,
    Hold,
    Overlap,
    Replay,
    Settlement,
    StillRunning,
    Want,
)
from cronbell.endpoint.receipts.store import DjangoReceipts
from cronbell.endpoint.sqlite_store import SqliteReceipts
from cronbell.errors import StorageError
from cronbell.states import Status

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LEASE = timedelta(seconds=30)


DATABASE = pytest.mark.django_db(transaction=True, databases=["default"])


@pytest.fixture(params=[pytest.param("django", marks=DATABASE), "sqlite"])
def store(request, tmp_path):
    if request.param == "django":
        return DjangoReceipts()
    return SqliteReceipts(tmp_path / "receipts.sqlite3")


def want(key="k", *, owner="a", job="work", dry_run=False, attempt=None, after=0.0, **more):
    return Want(
        job=job,
        key=key,
        dry_run=dry_run,
        attempt=attempt,
        owner=owner,
        now=NOW + timedelta(seconds=after),
        lease=LEASE,
        **more,
    )


def ended(state=Status.SUCCESS, status=200, answer='{"success":true}'):
    return Settlement(state=state, http_status=status, answer=answer, finished_at=NOW)


def claim(store, *args, **more):
    hold = store.claim(want(*args, **more))
    assert isinstance(hold, Hold), hold
    return hold


def test_the_first_call_of_a_key_runs(store):
    assert claim(store) == Hold(claim(store, job="other").id - 1, "a", 1, 1)


def test_the_same_key_while_it_runs_is_told_how_long_the_lease_lasts(store):
    claim(store)

    assert store.claim(want(owner="b", after=12)) == StillRunning(18)


@pytest.mark.parametrize("state", [Status.SUCCESS, Status.PARTIAL])
@pytest.mark.parametrize("attempt", [None, 1, 2, 99])
def test_a_success_is_replayed_whatever_the_attempt(store, state, attempt):
    store.settle(claim(store), ended(state, 200, '{"n": "값"}'))

    assert store.claim(want(owner="b", attempt=attempt)) == Replay(200, '{"n": "값"}')


@pytest.mark.parametrize("state", [Status.ERROR, Status.TIMED_OUT])
@pytest.mark.parametrize("attempt", [None, 1, 2])
def test_a_failure_is_replayed_to_the_same_or_an_earlier_attempt(store, state, attempt):
    store.settle(claim(store, attempt=2), ended(state, 500, "{}"))

    assert store.claim(want(owner="b", attempt=attempt)) == Replay(500, "{}")


@pytest.mark.parametrize("state", [Status.ERROR, Status.TIMED_OUT])
def test_after_a_failure_a_higher_attempt_runs_again(store, state):
    first = claim(store, attempt=1)
    store.settle(first, ended(state, 500, "{}"))

    again = claim(store, owner="b", attempt=2)

    assert again == Hold(first.id, "b", 2, 2)
    assert store.claim(want(owner="c", attempt=2)) == StillRunning(30)


def test_another_key_of_the_job_overlaps_while_it_runs_and_runs_after_it(store):
    first = claim(store)

    assert store.claim(want("k2", owner="b")) == Overlap()
    store.settle(first, ended())
    assert claim(store, "k2", owner="b").term == 1


def test_jobs_stand_in_each_others_way_no_more_than_dry_runs(store):
    claim(store)

    claim(store, job="other")
    claim(store, "k2", dry_run=True)
    assert store.claim(want("k3", dry_run=True)) == Overlap()


def test_a_dry_run_with_a_real_runs_key_is_a_run_of_its_own(store):
    store.settle(claim(store), ended(answer='"real"'))

    store.settle(claim(store, dry_run=True), ended(answer='"dry"'))

    assert store.claim(want()) == Replay(200, '"real"')
    assert store.claim(want(dry_run=True)) == Replay(200, '"dry"')


@pytest.mark.parametrize("attempt", [None, 1, 2])
def test_a_dead_runs_own_key_takes_it_over_once_its_lease_has_run_out(store, attempt):
    first = claim(store, attempt=1)

    assert store.claim(want(owner="b", after=29.9)).__class__ is StillRunning
    taken = claim(store, owner="b", after=30, attempt=attempt)

    assert (taken.id, taken.term, taken.attempt) == (first.id, 2, attempt or 1)


def test_a_dead_run_does_not_block_another_key_and_may_itself_run_again(store):
    dead = claim(store)

    other = claim(store, "k2", owner="b", after=31)

    receipt = store.read(dead)
    assert receipt is not None
    assert receipt.state is Status.UNKNOWN
    assert store.settle(other, ended())
    assert claim(store, owner="c", after=32).term == 2


def test_a_lease_that_ran_out_of_a_job_this_process_sees_at_work_is_not_taken(store):
    claim(store)
    live = frozenset({"a"})

    assert store.claim(want(owner="b", after=99, live=live)) == StillRunning(0)
    assert store.claim(want("k2", owner="b", after=99, live=live)) == Overlap()


def test_renewing_moves_the_end_of_the_lease(store):
    hold = claim(store)

    assert store.renew(hold, NOW + timedelta(seconds=60))
    assert store.claim(want(owner="b", after=45)) == StillRunning(15)


def test_without_a_free_thread_nothing_is_claimed_but_replays_go_on(store):
    store.settle(claim(store, "done"), ended())

    assert store.claim(want("done", reserve=lambda: False)) == Replay(200, '{"success":true}')
    assert store.claim(want("new", reserve=lambda: False)) == Full()
    claim(store, "new", owner="b")


@pytest.mark.parametrize(
    "stale",
    [lambda hold: replace(hold, owner="x"), lambda hold: replace(hold, term=hold.term - 1)],
    ids=["owner", "term"],
)
def test_who_shows_another_owner_or_term_can_neither_renew_nor_settle(store, stale):
    hold = claim(store)

    assert not store.renew(stale(hold), NOW + timedelta(days=1))
    assert not store.settle(stale(hold), ended())
    assert store.claim(want(owner="b")) == StillRunning(30)
    assert store.settle(hold, ended())


def test_a_holder_that_was_taken_over_cannot_settle_and_the_taker_can(store):
    stale = claim(store)
    taker = claim(store, owner="b", after=31)

    assert not store.settle(stale, ended(answer='"stale"'))
    assert store.settle(taker, ended(answer='"taker"'))
    assert store.claim(want()) == Replay(200, '"taker"')


def test_a_settled_receipt_is_settled_for_good(store):
    hold = claim(store)
    store.settle(hold, ended(answer='"first"'))

    assert not store.settle(hold, ended(Status.ERROR, 500, '"second"'))
    assert not store.renew(hold, NOW)
    assert store.claim(want()) == Replay(200, '"first"')


@pytest.mark.parametrize("keys", [["k"] * 20, [f"k{n}" for n in range(20)]], ids=["one", "many"])
def test_of_twenty_claims_at_once_exactly_one_runs(store, keys):
    together = threading.Barrier(len(keys))

    def one(number, key):
        with store.session():
            together.wait(10)
            return store.claim(want(key, owner=f"o{number}"))

    with ThreadPoolExecutor(len(keys)) as pool:
        claims = list(pool.map(one, range(len(keys)), keys))

    assert sum(isinstance(one, Hold) for one in claims) == 1
    others = StillRunning if keys[0] == keys[1] else Overlap
    assert sum(isinstance(one, others) for one in claims) == len(keys) - 1


@pytest.mark.parametrize("keys", [["k"] * 20, [f"k{n}" for n in range(20)]], ids=["same", "other"])
def test_of_twenty_claims_at_once_only_the_one_that_runs_asks_for_a_thread(store, keys):
    free = threading.BoundedSemaphore(1)
    together = threading.Barrier(len(keys))

    def one(number, key):
        mine = []  # a call that has its thread may be asked once more

        def reserve():
            mine[:] = mine or [free.acquire(blocking=False)]
            return mine[0]

        with store.session():
            together.wait(10)
            return store.claim(want(key, owner=f"o{number}", reserve=reserve))

    with ThreadPoolExecutor(len(keys)) as pool:
        claims = list(pool.map(one, range(len(keys)), keys))

    assert sum(isinstance(one, Hold) for one in claims) == 1
    assert Full() not in claims


def test_of_twenty_takeovers_at_once_exactly_one_wins(store):
    claim(store)
    together = threading.Barrier(20)

    def one(number):
        with store.session():
            together.wait(10)
            return store.claim(want(owner=f"o{number}", after=31))

    with ThreadPoolExecutor(20) as pool:
        claims = list(pool.map(one, range(20)))

    assert [one.term for one in claims if isinstance(one, Hold)] == [2]


def test_keys_and_answers_are_kept_as_they_are(store):
    key = "".join(map(chr, range(0x21, 0x7F)))[:200]
    answer = '{"text":"\'; DROP TABLE receipt; -- \\u0000 한국어 🔔"}'
    store.settle(claim(store, key), ended(answer=answer))

    assert store.claim(want(key)) == Replay(200, answer)
    assert isinstance(store.claim(want(key.swapcase())), Hold), "keys are told apart by case"


def test_sqlite_refuses_a_second_running_receipt_even_if_the_decision_were_wrong(tmp_path):
    """The last guard: the unique index holds without ``decide``."""
    path = tmp_path / "receipts.sqlite3"
    claim(SqliteReceipts(path))
    insert = (
        "INSERT INTO receipt (job, dry_run, key, state, attempt, owner, term, created_at,"
        " started_at) VALUES ('work', 0, 'k2', 'running', 1, 'b', 1, 0, 0)"
    )

    with closing(sqlite3.connect(path)) as connection:
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(insert)
        # Sabotage: without the index the second one is let in.
        connection.execute("DROP INDEX receipt_one_running")
        connection.execute(insert)


@DATABASE
def test_django_refuses_a_second_running_receipt_even_if_the_decision_were_wrong():
    from django.db import IntegrityError

    from cronbell.endpoint.receipts.models import Receipt

    store = DjangoReceipts()
    claim(store)
    values = {"job": "work", "state": "running", "owner": "b", "created_at": NOW}

    with pytest.raises(IntegrityError):
        Receipt.objects.create(key="k2", started_at=NOW, **values)


def test_sqlite_says_what_is_wrong_with_a_file_that_is_no_store(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be looked at " * 50)

    with pytest.raises(StorageError, match=r"notes\.txt"):
        SqliteReceipts(text)
    with pytest.raises(StorageError, match="missing"):
        SqliteReceipts(tmp_path / "missing" / "receipts.sqlite3")


def test_sqlite_refuses_a_file_of_another_version(tmp_path):
    path = tmp_path / "receipts.sqlite3"
    SqliteReceipts(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")

    with pytest.raises(StorageError, match="version 7"):
        SqliteReceipts(path)


def test_sqlite_opens_an_existing_file_with_its_receipts(tmp_path):
    path = tmp_path / "receipts.sqlite3"
    store = SqliteReceipts(path)
    store.settle(claim(store), ended())

    assert SqliteReceipts(path).claim(want()) == Replay(200, '{"success":true}')
