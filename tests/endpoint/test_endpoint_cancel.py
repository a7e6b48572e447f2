"""A cancelled run's job is told to stop, keeps its receipt until it has, and answers so."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from tests.endpoint.support import Bench, Notebook, body, keyed
from tests.endpoint.test_endpoint_receipt import DATABASE
from tests.support.waiting import wait_until

from cronbell.domain import JobSpec
from cronbell.endpoint.receipts.store import DjangoReceipts
from cronbell.endpoint.recorder import RunRef
from cronbell.runlog.cancelling import cancel
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Run
from cronbell.runlog.recorder import RunLogRecorder

START = datetime(2026, 11, 22, tzinfo=UTC)


def cancelled(folder, *, looks: bool = True, owned: bool = False, **more):
    """Hold a job, cancel its run, let it go; return bench and answer."""
    notebook = Notebook(owned=owned)
    bench = Bench(folder, recorder=notebook, **more)

    def work(context):
        return {"stopped": looks and context.should_stop}

    bench.work.result = work
    waiting = bench.hold(keyed("k"))
    bench.endpoint.keeper.look_for_stops()
    assert not bench.work.contexts[0].should_stop
    notebook.cancelled = True
    bench.endpoint.keeper.look_for_stops()
    if not more:  # an atomic job holds SQLite's write lock
        assert body(bench.call(keyed("k2")))["skipped"] is True, "the receipt stays held"
    bench.release()
    return bench, waiting.result(10)


def test_a_cancelled_job_stops_and_says_so_and_its_key_does_not_run_again(tmp_path):
    bench, answer = cancelled(tmp_path)
    assert (answer.status, body(answer)["status"]) == (409, "cancelled")
    assert bench.call(keyed("k")).body == answer.body
    assert bench.work.runs == 1


def test_a_job_that_never_looks_has_done_its_work_and_says_that(tmp_path):
    _, answer = cancelled(tmp_path, looks=False)
    assert (answer.status, body(answer)["success"]) == (200, True)


def test_a_row_the_endpoint_made_itself_is_nobody_elses_to_cancel(tmp_path):
    _, answer = cancelled(tmp_path, owned=True)
    assert answer.status == 200


@DATABASE
def test_an_atomic_job_that_was_cancelled_is_rolled_back(tmp_path):
    _, answer = cancelled(tmp_path, store=DjangoReceipts(), atomic=True)
    assert body(answer)["status"] == "cancelled"


def test_a_broken_run_log_cancels_nothing(tmp_path):
    bench = Bench(tmp_path, recorder=Notebook(owned=False, broken=True))
    bench.work.result = lambda context: {"stopped": context.should_stop}
    waiting = bench.hold(keyed("k"))
    bench.endpoint.keeper.look_for_stops()
    bench.release()
    assert body(waiting.result(10))["stopped"] is False


@pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
@pytest.mark.parametrize("how", ["person", "replaced"])
def test_the_run_log_says_so_whether_a_person_or_the_next_fire_cancelled(how):
    spec = JobSpec(name="work", path="/api/cron/work", schedule="* * * * *")
    job = sync_jobs([spec], START)["work"]
    run = Run.objects.create(
        job=job, key="k", kind="schedule", status="running", scheduled_at=START, queued_at=START,
        available_at=START, started_at=START, deadline_at=START, lease_owner="a", lease_term=1,
        lease_expires_at=START,
    )  # fmt: skip
    recorder, ref = RunLogRecorder(), RunRef(run.pk, owned=False)
    assert not recorder.stop_wanted(ref)
    if how == "person":
        cancel(run.pk, actor="alice")
    else:
        Run.objects.update(status="cancelled", reason="replaced", finished_at=START)
    assert recorder.stop_wanted(ref)


def test_the_thread_looks_by_itself(tmp_path):
    seen = threading.Event()
    notebook = Notebook(owned=False)
    notebook.cancelled = True
    bench = Bench(tmp_path, recorder=notebook)
    bench.work.result = lambda context: seen.set() if context.should_stop else None
    waiting = bench.hold(keyed("k"))
    wait_until(lambda: bench.work.contexts[0].should_stop, what="the look")
    bench.release()
    waiting.result(10)
    assert seen.is_set()
