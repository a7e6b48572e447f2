"""One call through its steps, on a real receipt store, with a clock that the test moves."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from tests.endpoint.support import Bench, body, keyed, request

from cronbell.endpoint.answer import Answer
from cronbell.endpoint.call import Limits
from cronbell.endpoint.context import JobContext, JobResult
from cronbell.endpoint.receipt import Hold
from cronbell.endpoint.sqlite_store import SqliteReceipts
from cronbell.errors import StorageError

NOW = "2026-11-22T00:00:00Z"


# What is answered


def test_success_has_message_timestamp_and_what_the_job_returned(bench):
    bench.work.result = JobResult("12개 완료", {"changed": 12})

    answer = bench.call(request())

    assert answer.status == 200
    assert body(answer) == {
        "success": True,
        "message": "12개 완료",
        "timestamp": NOW,
        "changed": 12,
    }


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_get_and_post_both_ring(bench, method):
    assert bench.call(request(method=method)).status == 200


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "get"])
def test_other_methods_are_405_and_run_nothing(bench, method):
    answer = bench.call(request(method=method))

    assert answer.status == 405
    assert ("Allow", "GET, POST") in answer.headers
    assert bench.work.runs == 0


@pytest.mark.parametrize("path", ["/api/cron/other", "/api/cron/work/", "//api/cron/work", ""])
def test_a_path_without_a_job_is_404(bench, path):
    assert bench.call(request(path)).status == 404


def test_a_mapping_is_data_and_may_hold_the_message(bench):
    bench.work.result = {"message": "done", "n": 1}

    assert body(bench.call(request())) == {
        "success": True,
        "message": "done",
        "timestamp": NOW,
        "n": 1,
    }


def test_a_partial_result_is_200_partial(bench):
    bench.work.result = JobResult("half", partial=True)

    answer = bench.call(request())

    assert (answer.status, body(answer)["success"], body(answer)["status"]) == (
        200,
        True,
        "partial",
    )


def test_items_are_the_results_and_a_failed_one_makes_the_run_partial(bench):
    def work(context):
        context.item(7, ok=True, status=200, body={"approved": True})
        context.item("8", ok=False, status=0, error="connection refused")
        context.item("9", ok=True, status=200)
        return {"processed": 3}

    bench.work.result = work

    assert body(bench.call(request())) == {
        "success": True,
        "message": "",
        "timestamp": NOW,
        "processed": 3,
        "status": "partial",
        "results": [
            {"recordId": "7", "ok": True, "status": 200, "body": {"approved": True}},
            {"recordId": "8", "ok": False, "status": 0, "error": "connection refused"},
            {"recordId": "9", "ok": True, "status": 200, "body": None},
        ],
    }


def test_failure_is_the_jobs_words_and_the_exceptions_without_traceback(tmp_path, caplog):
    bench = Bench(tmp_path, failure_message="랭킹 업데이트 중 오류가 발생했습니다.")
    bench.work.error = ValueError("no ideas table")

    answer = bench.call(request())

    assert answer.status == 500
    assert body(answer) == {
        "error": "랭킹 업데이트 중 오류가 발생했습니다.",
        "details": "no ideas table",
    }
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("error", "details"),
    [
        (ValueError(), "ValueError"),
        (SystemExit(3), "3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (ValueError("half \ud800 pair, NUL \x00"), "half ? pair, NUL �"),
        (ValueError("x" * 100_000), "x" * 4000),
        (StorageError("disk full", hint="make room"), "disk full (make room)"),
    ],
    ids=["empty", "exit", "interrupt", "surrogate", "huge", "ours"],
)
def test_whatever_a_job_raises_becomes_a_readable_500(bench, error, details):
    bench.work.error = error

    answer = bench.call(request())

    assert answer.status == 500
    assert body(answer) == {"error": "The job work failed.", "details": details}
    assert not bench.endpoint.keeper.live()


@pytest.mark.parametrize(
    ("result", "word"),
    [
        ("done", "returned str"),
        (7, "returned int"),
        (JobResult(data={"x": object()}), "JSON"),
        (JobResult(data={object(): 1}), "JSON"),
        (JobResult(data={"x": "\ud800"}), "JSON"),
        ({"success": False}, "'success'"),
        ({"status": "ok"}, "'status'"),
        ({"timestamp": 1}, "'timestamp'"),
        (JobResult(data={"message": "twice"}), "'message'"),
    ],
)
def test_a_result_that_is_no_answer_is_an_error_that_says_so(bench, result, word):
    bench.work.result = result

    answer = bench.call(request())

    assert answer.status == 500
    assert word in body(answer)["details"]


def test_dates_and_nested_mappings_become_json(bench):
    bench.work.result = {"at": datetime(2026, 1, 2, tzinfo=UTC), "by": {"a": (1, 2)}}

    assert body(bench.call(request()))["at"] == "2026-01-02T00:00:00Z"


# The context


def test_the_context_tells_which_run_it_is(bench):
    bench.call(
        request(
            idempotency_key="k",
            x_cronbell_run_id="17",
            x_cronbell_attempt="3",
            x_cronbell_scheduled_at="2026-11-21T23:59:00Z",
        )
    )

    (context,) = bench.work.contexts
    assert (context.run_id, context.job, context.attempt) == ("17", "work", 3)
    assert context.scheduled_at == datetime(2026, 11, 21, 23, 59, tzinfo=UTC)
    assert context.deadline == datetime(2026, 11, 22, 0, 5, tzinfo=UTC)
    assert (context.dry_run, context.should_stop) == (False, False)


def test_without_a_run_id_the_key_is_the_run_id(bench):
    bench.call(keyed("k-7"))

    assert bench.work.contexts[0].run_id == "k-7"


def test_remaining_goes_by_monotonic_time_and_should_stop_follows(bench):
    context = JobContext(clock=bench.clock, max_duration=60)

    bench.clock.set_wall(datetime(2030, 1, 1, tzinfo=UTC))
    assert (context.remaining(), context.should_stop) == (60, False)
    bench.clock.advance(59)
    assert (context.remaining(), context.should_stop) == (1, False)
    bench.clock.advance(1)
    assert (context.remaining(), context.should_stop) == (0, True)


def test_stop_all_tells_every_job_to_stop(bench):
    bench.hold(request())

    bench.endpoint.stop()

    assert bench.work.contexts[0].should_stop
    bench.release()


# The same fire twice


def test_the_same_key_again_replays_the_answer_byte_for_byte_without_running(bench):
    bench.work.result = {"n": 1}
    first = bench.call(keyed("k"))
    bench.work.result = {"n": 2}
    bench.clock.advance(60)

    second = bench.call(keyed("k"))

    assert second.body == first.body
    assert ("Idempotency-Replayed", "true") in second.headers
    assert ("Idempotency-Replayed", "true") not in first.headers
    assert bench.work.runs == 1


def test_vercel_and_cronbell_calling_for_one_fire_have_one_effect(bench):
    vercel = request(x_vercel_cron_schedule="0 0 * * *")
    bench.call(vercel)
    admitted = bench.endpoint.admit(vercel)

    answer = bench.call(keyed(admitted.identity.key))

    assert ("Idempotency-Replayed", "true") in answer.headers
    assert bench.work.runs == 1


def test_two_calls_without_a_key_are_two_runs(bench):
    bench.call(request())
    bench.call(request())

    assert bench.work.runs == 2


def test_twenty_calls_of_one_key_at_once_have_one_effect(bench):
    bench.work.go.clear()
    together = threading.Barrier(20)

    def one(_number):
        together.wait(10)
        return bench.begin(keyed("k"))

    with ThreadPoolExecutor(20) as pool:
        begun = list(pool.map(one, range(20)))
    refused = [one for one in begun if isinstance(one, Answer)]
    bench.work.go.set()
    (running,) = [one for one in begun if not isinstance(one, Answer)]

    assert running.result(10).status == 200
    assert {answer.status for answer in refused} == {409}
    assert len(refused) == 19
    assert bench.work.runs == 1


def test_without_the_claim_the_same_twenty_calls_have_twenty_effects(bench, monkeypatch):
    """Sabotage: with a store that lets everybody run, the safeguard above is gone."""

    def let_run(self, want):
        return Hold(1, want.owner, 1, 1)

    monkeypatch.setattr(SqliteReceipts, "claim", let_run)
    bench.limits = Limits(threads=20)
    endpoint = bench.process()

    begun = [bench.begin(keyed("k"), endpoint) for _ in range(20)]

    for one in begun:
        one.result(10)
    assert bench.work.runs == 20


def test_while_it_runs_the_same_key_is_409_running_with_retry_after(bench):
    bench.hold(keyed("k"))

    answer = bench.call(keyed("k"))

    assert answer.status == 409
    assert body(answer)["running"] is True
    assert ("Retry-After", "5") in answer.headers
    bench.release()


def test_while_it_runs_another_key_is_409_skipped_without_retry_after(bench):
    bench.hold(keyed("k"))

    answer = bench.call(keyed("k2"))

    assert answer.status == 409
    assert body(answer)["skipped"] is True
    assert not [name for name, _ in answer.headers if name == "Retry-After"]
    bench.release()
    assert bench.call(keyed("k3")).status == 200


def test_after_a_failure_only_a_higher_attempt_runs_again(bench):
    bench.work.error = ValueError("no")
    first = bench.call(keyed("k", 1))
    bench.work.error = None

    assert bench.call(keyed("k", 1)).body == first.body
    assert bench.call(keyed("k")).body == first.body
    assert bench.work.runs == 1
    assert bench.call(keyed("k", 2)).status == 200
    assert bench.call(keyed("k", 3)).status == 200
    assert bench.work.runs == 2


def test_a_process_that_died_is_taken_over_by_another_after_its_lease(bench):
    dead, alive = bench.process(), bench.process()
    bench.hold(keyed("k"), dead)  # the clock stands, so its keeper never finds a renewal due
    bench.clock.advance(29)

    assert bench.call(keyed("k"), alive).status == 409
    bench.clock.advance(2)
    taken = bench.begin(keyed("k"), alive)
    bench.work.wait_started()

    assert not isinstance(taken, Answer)
    assert bench.work.runs == 2
    bench.release(alive)
    bench.release(dead)


def test_who_lost_its_receipt_answers_409_running_and_changes_nothing(bench):
    slow = bench.process()
    waiting = bench.hold(keyed("k"), slow)
    bench.clock.advance(31)
    hold = Hold(1, next(iter(slow.keeper.live())), 1, 1)
    taker = bench.process()
    taken = bench.begin(keyed("k"), taker)
    if isinstance(taken, Answer):
        pytest.fail(f"not taken over: {taken}")
    bench.work.wait_started()

    slow.keeper._runs[hold.owner].renew()
    assert bench.work.contexts[0].should_stop, "the loser is told to stop"
    bench.work.go.set()

    assert taken.result(10).status == 200
    answer = waiting.result(10)
    assert (answer.status, body(answer)["running"]) == (409, True)
    assert bench.call(keyed("k")).body == taken.result().body


def test_the_keeper_renews_each_lease_at_a_third_of_it(bench):
    bench.hold(keyed("k"))
    for _ in range(20):
        bench.clock.advance(11)
        bench.endpoint.keeper.renew_due()

    assert bench.call(keyed("k"), bench.process()).status == 409, "still held after 220 s"
    bench.release()


def test_without_renewal_the_lease_of_a_job_at_work_is_lost(bench, monkeypatch):
    """Sabotage of the test above."""
    monkeypatch.setattr(SqliteReceipts, "renew", lambda *_: True)
    bench.hold(keyed("k"))
    for _ in range(20):
        bench.clock.advance(11)
        bench.endpoint.keeper.renew_due()

    taken = bench.begin(keyed("k"), other := bench.process())

    assert not isinstance(taken, Answer)
    bench.release()
    bench.release(other)
