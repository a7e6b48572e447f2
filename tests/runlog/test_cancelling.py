"""Cancelling: at once, through the runner, after a crash; and what it must not touch."""

from __future__ import annotations

import pytest
from tests.runlog.test_overlap import MINUTE, come_due, rows
from tests.runlog.test_store import NOW, SECOND, claim, finish, finish_row, job

from cronbell.domain import Overlap
from cronbell.runlog.cancelling import CancelError, cancel
from cronbell.runlog.models import Attempt, Run
from cronbell.runlog.reasons import explain
from cronbell.runlog.store import AttemptRow, ReleaseRow

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
ENDED = ("cancelled", "cancelled")


def look(store, now=NOW + 2 * MINUTE):
    with store.transaction():
        return store.rescue(now)


def test_a_waiting_run_is_cancelled_at_once_and_never_claimed(store):
    come_due(store, job(), 1)
    run = cancel(Run.objects.get().pk, actor="alice")
    assert (run.status, run.reason, run.reason_data) == (*ENDED, {"by": "alice"})
    assert run.finished_at is not None
    assert claim(store) == []
    assert "alice" in explain(run.reason, run.reason_data)


def test_a_running_run_is_marked_ended_by_its_runner_and_its_finish_refused(store):
    come_due(store, job(), 1)
    (run,) = claim(store, lease=600)
    assert cancel(run.id, actor="alice").status == "running"
    assert cancel(run.id, actor="bob").cancelled_by == "alice", "the first who asked"
    assert look(store).cancelled == 1
    assert finish(store, finish_row(run)) == set()
    ended = Run.objects.get()
    assert (ended.status, ended.reason) == ENDED
    assert "may still be at work" in explain(ended.reason, ended.reason_data)
    with store.transaction():
        assert store.renew({run.id: run.term}, NOW + 99 * MINUTE) == set(), "so it is dropped"


def test_another_runner_leaves_a_marked_run_alone_while_its_lease_holds(store, other):
    come_due(store, job(), 1)
    (run,) = claim(store, lease=60)
    cancel(run.id, actor="alice")
    assert look(other, NOW + 2 * MINUTE).cancelled == 0
    assert look(other, NOW + 4 * MINUTE).cancelled == 1
    assert rows() == [ENDED], "its runner died: cancelled, not sent again"
    assert Attempt.objects.count() == 0


def test_an_answer_that_comes_before_the_runner_looks_counts(store):
    come_due(store, job(), 1)
    (run,) = claim(store)
    cancel(run.id, actor="alice")
    assert finish(store, finish_row(run)) == {run.id}
    assert rows() == [("success", "")]


def test_a_marked_run_is_not_tried_again(store):
    come_due(store, job(), 1)
    (run,) = claim(store)
    cancel(run.id, actor="alice")
    failed = AttemptRow(run.id, run.term, 1, NOW, NOW + SECOND, "timeout", {}, 0)
    with store.transaction():
        assert store.release([ReleaseRow(run.id, run.term, NOW, 2)], [failed]) == set()
    look(store)
    assert rows() == [ENDED]


def test_what_waits_for_a_cancelled_run_comes_next(store):
    come_due(store, job(overlap=Overlap.QUEUE_ALL), 2)
    (run,) = claim(store, now=NOW + 2 * MINUTE, lease=600)
    cancel(run.id, actor="alice")
    assert claim(store, now=NOW + 3 * MINUTE) == []
    look(store)
    assert len(claim(store, now=NOW + 3 * MINUTE)) == 1


@pytest.mark.parametrize("run_id", [0, -1, 10**30, 4711])
def test_a_run_that_is_not_there_is_said(run_id):
    with pytest.raises(CancelError, match="there is no run") as error:
        cancel(run_id, actor="alice")
    assert error.value.hint


def test_what_is_over_or_not_ours_is_said(store):
    come_due(store, job(), 1)
    (run,) = claim(store)
    Run.objects.update(by_endpoint=True)
    with pytest.raises(CancelError, match="did not make"):
        cancel(run.id, actor="alice")
    finish(store, finish_row(run))
    with pytest.raises(CancelError, match="is over: success"):
        cancel(run.id, actor="alice")
    assert rows() == [("success", "")]
