"""Old receipts go, a few after a call; what may still be needed stays."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import timedelta

import pytest
from tests.endpoint.support import Bench, body, keyed
from tests.endpoint.test_endpoint_receipt import DATABASE, NOW, claim, ended, want
from tests.support.waiting import wait_until

from cronbell.endpoint import pruning
from cronbell.endpoint.call import Limits
from cronbell.endpoint.receipt import Replay
from cronbell.endpoint.receipts.store import DjangoReceipts
from cronbell.endpoint.sqlite_store import SqliteReceipts
from cronbell.states import Status

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture(params=[pytest.param("django", marks=DATABASE), "sqlite"])
def store(request, tmp_path):
    if request.param == "django":
        return DjangoReceipts()
    return SqliteReceipts(tmp_path / "receipts.sqlite3")


@pytest.fixture
def bench(store, tmp_path):
    return Bench(tmp_path, store=store)


def over(bench) -> None:
    """Wait until the job's thread has ended, and with it what it does after its answer."""
    bench.release()
    names = [f"job-{job.name}" for job in bench.registry]
    wait_until(
        lambda: not any(one.name in names for one in threading.enumerate()), what="the thread's end"
    )


def kept(store, *keys: str) -> list[str]:
    """Return the keys whose call would be answered from their receipt."""
    return [key for key in keys if isinstance(store.claim(want(key)), Replay)]


def test_ended_long_ago_goes_ended_since_stays(store):
    for key in ("a", "b"):
        assert store.settle(claim(store, key), ended())
    assert store.prune(NOW, 10) == 0, "not what ended at that very instant"
    assert store.prune(NOW + SECOND, 1) == 1, "no more than asked for"
    assert len(kept(store, "a")) + len(kept(store, "b")) == 1


@pytest.mark.parametrize("again", [False, True])
def test_one_that_is_running_stays_however_old(store, again):
    hold = claim(store)
    if again:
        assert store.settle(hold, ended(Status.ERROR, 500))
        hold = claim(store, attempt=2)
    assert store.prune(NOW + 1000 * DAY, 10) == 0
    assert store.settle(hold, ended())


def test_every_kind_of_end_goes(store):
    for state in (Status.SUCCESS, Status.PARTIAL, Status.ERROR, Status.TIMED_OUT, Status.CANCELLED):
        assert store.settle(claim(store, state.value), ended(state))
    claim(store, "dead")
    last = claim(store, "finder", after=31)
    assert store.settle(last, ended())
    assert store.prune(NOW + DAY, 10) == 7, "one that died and was found dead, too"


def test_after_a_call_what_is_older_than_31_days_goes_and_its_key_runs_again(bench):
    for key in ("old", "new"):
        assert bench.call(keyed(key)).status == 200
        over(bench)
        bench.clock.advance(86_400)
    bench.clock.advance(86_400 * 29 + 1)
    assert bench.call(keyed("other")).status == 200
    over(bench)
    runs = bench.work.runs
    assert bench.call(keyed("new")).headers == (("Idempotency-Replayed", "true"),)
    assert bench.work.runs == runs
    bench.clock.advance(86_400)
    assert bench.call(keyed("another")).status == 200
    over(bench)
    assert body(bench.call(keyed("old")))["success"]
    assert bench.work.runs == runs + 2, "its receipt had gone"


def test_at_most_so_many_a_minute(bench, monkeypatch):
    monkeypatch.setattr(pruning, "MOST", 2)
    for key in "abcde":
        assert bench.call(keyed(key)).status == 200
        over(bench)
    bench.clock.advance(86_400 * 40)
    long_ago = bench.clock.now() - 39 * DAY
    for key in ("after", "at-once"):
        assert bench.call(keyed(key)).status == 200
        over(bench)
    bench.clock.advance(60)
    assert bench.call(keyed("a-minute-later")).status == 200
    over(bench)
    assert bench.endpoint._store.prune(long_ago, 10) == 1


def test_a_store_that_fails_at_it_costs_no_caller_anything(tmp_path, caplog):
    bench = Bench(tmp_path)
    assert bench.call(keyed("old")).status == 200
    over(bench)
    with closing(sqlite3.connect(tmp_path / "receipts.sqlite3")) as file:
        file.execute(
            "CREATE TRIGGER broken BEFORE DELETE ON receipt"
            " BEGIN SELECT RAISE(ABORT, 'the disk is broken'); END"
        )
    bench.clock.advance(86_400 * 40)
    assert bench.call(keyed("new")).status == 200
    over(bench)
    assert "old receipts could not be deleted" in caplog.text
    assert "the disk is broken" in caplog.text


def test_kept_for_as_long_as_one_says(store, tmp_path):
    bench = Bench(tmp_path, store=store, limits=Limits(keep_days=0.5))
    for key in ("a", "b", "a"):
        assert bench.call(keyed(key)).status == 200
        over(bench)
        bench.clock.advance(43_201)
    assert bench.work.runs == 3


def test_sabotage_without_pruning_the_table_grows(store, tmp_path, monkeypatch):
    monkeypatch.setattr(pruning.Pruner, "after_a_call", lambda _self: None)
    bench = Bench(tmp_path, store=store)
    for day in range(3):
        assert bench.call(keyed(str(day))).status == 200
        over(bench)
        bench.clock.advance(86_400 * 40)
    assert store.prune(bench.clock.now(), 10) == 3
