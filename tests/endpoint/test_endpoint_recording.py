"""What a call tells the run log, and that a broken run log never breaks the job."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
from tests.endpoint.support import Bench, Notebook, body, keyed, request

from cronbell.domain import Item
from cronbell.endpoint.context import JobContext, JobResult
from cronbell.states import Kind, Reason, Status

NOW = "2026-11-22T00:00:00Z"


# The run log


def test_a_run_is_told_to_the_run_log_from_start_to_end(tmp_path):
    notebook = Notebook()
    bench = Bench(tmp_path, recorder=notebook)

    def work(context):
        context.log("first line")
        context.item("7", ok=False, status=500, body="x")
        return JobResult("half")

    bench.work.result = work
    bench.call(request(query="a=1", x_vercel_cron_schedule="0 0 * * *"))

    (call,) = notebook.of("open")
    assert (call.job, call.path, call.kind) == ("work", "/api/cron/work?a=1", Kind.SCHEDULE)
    assert (call.schedule, call.attempt, call.run_id) == ("0 0 * * *", 1, "")
    assert call.scheduled_at == call.started_at == datetime(2026, 11, 22, tzinfo=UTC)
    assert notebook.of("log") == ["first line"]
    (outcome,) = notebook.of("close")
    assert (outcome.status, outcome.reason) == (Status.PARTIAL, Reason.BODY_PARTIAL)
    assert outcome.items == (Item(record_id="7", ok=False, status=500, body="x"),)
    assert outcome.message == "half"


def test_a_replay_and_a_refusal_add_nothing_to_the_run_log(tmp_path):
    notebook = Notebook()
    bench = Bench(tmp_path, recorder=notebook)
    bench.call(keyed("k"))
    bench.call(keyed("k"))
    bench.work.wait_started()
    bench.hold(keyed("k2"))
    bench.call(keyed("k2"))
    bench.call(keyed("k3"))
    bench.release()

    assert [call.key for call in notebook.of("open")] == ["k", "k2"]


@pytest.mark.parametrize(
    ("error", "late", "status", "reason"),
    [
        (None, 0, Status.SUCCESS, None),
        (ValueError("x"), 0, Status.ERROR, Reason.EXCEPTION),
        (None, 301, Status.TIMED_OUT, Reason.TIMEOUT),
    ],
)
def test_the_outcome_names_status_and_reason(tmp_path, error, late, status, reason):
    notebook = Notebook()
    bench = Bench(tmp_path, recorder=notebook)
    bench.work.error = error
    waiting = bench.hold(request())
    bench.clock.advance(late)
    bench.release()
    waiting.result(10)

    (outcome,) = notebook.of("close")
    assert (outcome.status, outcome.reason) == (status, reason)


def test_a_row_that_is_the_runners_is_neither_renewed_nor_closed(tmp_path):
    notebook = Notebook(owned=False)
    bench = Bench(tmp_path, recorder=notebook)
    bench.hold(request(x_cronbell_run_id="17"))
    bench.work.contexts[0].log("told all the same")
    bench.clock.advance(11)
    bench.endpoint.keeper.renew_due()
    bench.release()

    assert [name for name, _ in notebook.told] == ["open", "log"]


def test_an_owned_row_is_kept_alive_with_the_receipt(tmp_path):
    notebook = Notebook()
    bench = Bench(tmp_path, recorder=notebook)
    bench.hold(request())
    bench.clock.advance(11)
    bench.endpoint.keeper.renew_due()

    assert notebook.of("renew")
    bench.release()


def test_a_broken_run_log_never_breaks_the_job(tmp_path, caplog):
    bench = Bench(tmp_path, recorder=Notebook(broken=True))

    def work(context):
        context.log("x")
        context.progress(1, 2)
        return {"n": 1}

    bench.work.result = work
    with caplog.at_level(logging.ERROR):
        answer = bench.call(request())

    assert (answer.status, body(answer)["n"]) == (200, 1)
    assert "the run log could not open a run" in caplog.text


def test_a_million_progress_calls_are_a_few_writes_and_the_last_is_kept(tmp_path):
    notebook = Notebook()
    bench = Bench(tmp_path, recorder=notebook)

    def work(context):
        for done in range(1000):
            context.progress(done, 1000)
        bench.clock.advance(0.5)
        context.progress(1000, 1000)
        context.progress(1001)

    bench.work.result = work
    bench.call(request())

    assert notebook.of("progress") == [(0, 1000), (1000, 1000), (1001, None)]


@pytest.mark.parametrize("values", [(-1,), (1, -1)])
def test_negative_progress_is_an_error(values):
    with pytest.raises(ValueError, match="negative"):
        JobContext().progress(*values)


def test_a_key_lives_on_across_days(bench):
    bench.call(keyed("k"))
    bench.clock.advance(timedelta(days=400).total_seconds())

    assert ("Idempotency-Replayed", "true") in bench.call(keyed("k")).headers
