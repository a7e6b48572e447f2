"""What bounds a call: time, threads, dry runs, a store that fails."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.endpoint.support import Bench, Work, body, keyed, request

from cronbell.endpoint.answer import Answer
from cronbell.endpoint.call import Limits
from cronbell.endpoint.context import JobResult
from cronbell.endpoint.registry import JobDefinitionError
from cronbell.endpoint.sqlite_store import SqliteReceipts
from cronbell.errors import ConfigError, StorageError

NOW = "2026-11-22T00:00:00Z"


# Deadline


def test_past_deadline_and_grace_the_caller_gets_504_and_the_receipt_stays_held(bench):
    waiting = bench.hold(keyed("k", 1))

    bench.clock.advance(302)
    bench.endpoint.keeper.answer_due()
    assert not waiting.done(), "within the grace the job is waited for"
    bench.clock.advance(1)
    bench.endpoint.keeper.answer_due()

    answer = waiting.result(10)
    assert (answer.status, body(answer)["status"]) == (504, "timed_out")
    assert bench.work.contexts[0].should_stop
    bench.endpoint.keeper.renew_due()
    assert body(bench.call(keyed("k", 2), bench.process()))["running"] is True
    assert body(bench.call(keyed("k2"), bench.process()))["skipped"] is True

    bench.release()
    assert bench.call(keyed("k", 1)).status == 504
    assert bench.call(keyed("k", 2)).status == 200


def test_a_job_that_returns_after_the_504_is_settled_timed_out_even_if_partial(bench):
    bench.work.result = JobResult(partial=True)
    waiting = bench.hold(keyed("k"))
    bench.clock.advance(304)
    bench.endpoint.keeper.answer_due()
    assert waiting.result(10).status == 504

    bench.release()

    assert bench.call(keyed("k")).status == 504


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (None, 504),
        (JobResult("all done"), 504),
        (JobResult("goes on next time", partial=True), 200),
    ],
)
def test_returning_within_the_grace_is_timed_out_unless_partial(bench, result, status):
    bench.work.result = result
    waiting = bench.hold(keyed("k"))
    bench.clock.advance(301)

    bench.release()

    assert waiting.result(10).status == status
    assert bench.call(keyed("k")).status == status


def test_raising_after_the_deadline_is_timed_out_and_says_what_was_raised(bench):
    bench.work.error = ValueError("gave up")
    waiting = bench.hold(request())
    bench.clock.advance(301)

    bench.release()

    assert waiting.result(10).status == 504
    assert "gave up" in body(waiting.result())["details"]


# Bounds


def test_with_all_threads_busy_a_new_run_is_503_at_once_and_leaves_no_receipt(tmp_path):
    bench = Bench(tmp_path, limits=Limits(threads=1))
    bench.add("other", Work())
    bench.call(keyed("done"))
    bench.work.wait_started()
    bench.hold(keyed("k"))

    answer = bench.call(keyed("o", path="/api/cron/other"))
    replay = bench.call(keyed("done"))

    assert answer.status == 503
    assert ("Retry-After", "5") in answer.headers
    assert replay.status == 200
    bench.release()
    assert bench.call(keyed("o", path="/api/cron/other")).status == 200


def test_a_herd_of_calls_that_are_not_to_run_takes_no_thread_from_one_that_is(tmp_path):
    bench = Bench(tmp_path, limits=Limits(threads=1))
    together = threading.Barrier(12)
    bench.work.go.clear()

    def one(_number):
        together.wait(10)
        return bench.begin(keyed("k"))

    with ThreadPoolExecutor(12) as pool:
        begun = list(pool.map(one, range(12)))

    assert {one.status for one in begun if isinstance(one, Answer)} == {409}
    bench.release()


@pytest.mark.parametrize("end", ["returns", "raises", "is refused"])
def test_a_thread_is_given_back_however_the_run_ends(tmp_path, end):
    bench = Bench(tmp_path, limits=Limits(threads=1))
    bench.work.error = ValueError("no") if end == "raises" else None

    for number in range(5):
        bench.call(keyed("k" if end == "is refused" else f"k{number}"))
        bench.release()

    assert bench.endpoint._slots.acquire(blocking=False)


def test_a_thread_that_cannot_be_started_is_said_and_blocks_nothing(bench, monkeypatch):
    def no_thread(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        bench.endpoint.keeper._tickers = ()
        patch.setattr(threading.Thread, "start", no_thread)
        answer = bench.call(keyed("k", 1))

    assert answer.status == 500
    assert "can't start new thread" in body(answer)["details"]
    assert bench.call(keyed("k", 2)).status == 200


@pytest.mark.parametrize(
    "limits",
    [
        {"threads": 0},
        {"threads": 1.5},
        {"threads": True},
        {"lease_seconds": -1},
        {"lease_seconds": "30"},
        {"grace_seconds": float("nan")},
        {"keep_days": 0},
        {"keep_days": 36_501},
    ],
    ids=repr,
)
def test_impossible_limits_are_refused(limits):
    with pytest.raises(ConfigError, match=next(iter(limits))):
        Limits(**limits)


# Dry runs


def test_a_dry_run_of_a_job_that_has_none_is_400_and_does_nothing(bench):
    answer = bench.call(request(x_cronbell_dry_run="true"))

    assert answer.status == 400
    assert bench.work.runs == 0


def test_a_dry_run_leaves_the_real_fire_to_be_run(tmp_path):
    bench = Bench(tmp_path, dry_run=True)

    bench.call(request(idempotency_key="k", x_cronbell_dry_run="true"))
    answer = bench.call(keyed("k"))

    assert [context.dry_run for context in bench.work.contexts] == [True, False]
    assert ("Idempotency-Replayed", "true") not in answer.headers


# The store fails


def test_a_store_that_cannot_be_read_is_503_and_the_job_is_not_run(bench, monkeypatch):
    def broken(self, want):
        raise StorageError("disk I/O error", hint="look at the disk")

    monkeypatch.setattr(SqliteReceipts, "claim", broken)

    answer = bench.call(request())

    assert answer.status == 503
    assert "disk I/O error" in body(answer)["error"]
    assert bench.work.runs == 0


def test_a_receipt_that_cannot_be_written_at_first_is_written_later(bench, monkeypatch):
    real, failures = SqliteReceipts.settle, iter([True, True])

    def sometimes(self, hold, settlement):
        if next(failures, False):
            raise StorageError("locked")
        return real(self, hold, settlement)

    monkeypatch.setattr(SqliteReceipts, "settle", sometimes)
    waiting = bench.begin(keyed("k"))
    for _ in range(2):
        bench.clock.wait_for_waiters(1)
        bench.clock.advance(1)

    assert waiting.result(10).status == 200
    assert ("Idempotency-Replayed", "true") in bench.call(keyed("k")).headers


def test_a_renewal_that_fails_is_tried_again_soon(bench, monkeypatch):
    real, failures = SqliteReceipts.renew, iter([True])

    def sometimes(self, hold, expires_at):
        if next(failures, False):
            raise StorageError("locked")
        return real(self, hold, expires_at)

    monkeypatch.setattr(SqliteReceipts, "renew", sometimes)
    bench.hold(keyed("k"))
    bench.clock.advance(11)
    bench.endpoint.keeper.renew_due()
    bench.clock.advance(1)
    bench.endpoint.keeper.renew_due()
    bench.clock.advance(20)

    assert bench.call(keyed("k"), bench.process()).status == 409
    assert not bench.work.contexts[0].should_stop
    bench.release()


def test_an_atomic_job_is_refused_at_once_where_receipts_are_elsewhere(tmp_path):
    with pytest.raises(JobDefinitionError, match="atomic"):
        Bench(tmp_path, atomic=True)


def test_an_atomic_job_published_later_is_refused_when_called(bench):
    work = Work()
    bench.add("pay", work, atomic=True)

    answer = bench.call(request("/api/cron/pay"))

    assert answer.status == 500
    assert "atomic" in body(answer)["error"]
    assert work.runs == 0
