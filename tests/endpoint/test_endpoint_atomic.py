"""``atomic=True``: the effect is there if and only if the receipt says so."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from tests.endpoint.support import Bench, body, keyed, request

from cronbell.endpoint.context import JobResult
from cronbell.endpoint.receipts.models import Receipt
from cronbell.endpoint.receipts.store import DjangoReceipts

pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])


def effect(context):
    """Leave a row in the application's database."""
    Group.objects.create(name=f"effect {effects() + 1} of {context.run_id}")


def effects():
    """Count what was committed; the service has groups of its own."""
    return Group.objects.filter(name__contains="effect").count()


def make(tmp_path, *, atomic=True, **job):
    bench = Bench(tmp_path, store=DjangoReceipts(), atomic=atomic, **job)
    bench.work.result = effect
    return bench


def test_effect_and_receipt_are_committed_together(tmp_path):
    bench = make(tmp_path)

    answer = bench.call(keyed("k"))

    assert answer.status == 200
    assert effects() == 1
    assert Receipt.objects.get().state == "success"
    assert ("Idempotency-Replayed", "true") in bench.call(keyed("k")).headers
    assert effects() == 1


def test_a_failure_after_the_effect_takes_it_back_so_that_the_next_attempt_has_it_once(tmp_path):
    bench = make(tmp_path)

    def fail(context):
        effect(context)
        raise ValueError("after the effect")

    bench.work.result = fail
    assert bench.call(keyed("k", 1)).status == 500
    assert effects() == 0
    bench.work.result = effect
    assert bench.call(keyed("k", 2)).status == 200
    assert effects() == 1


def test_without_atomic_the_same_failure_leaves_its_effect_and_the_retry_doubles_it(tmp_path):
    """Sabotage of the test above."""
    bench = make(tmp_path, atomic=False)

    def fail(context):
        effect(context)
        raise ValueError("after the effect")

    bench.work.result = fail
    bench.call(keyed("k", 1))
    bench.work.result = effect
    bench.call(keyed("k", 2))

    assert effects() == 2


@pytest.mark.parametrize(("atomic", "count"), [(True, 1), (False, 2)], ids=["atomic", "sabotage"])
def test_a_holder_that_was_taken_over_leaves_no_effect(tmp_path, monkeypatch, atomic, count):
    """Its lease ran out and another process did the work before it ended; not atomic: twice."""
    real = DjangoReceipts.transaction

    def taken_by_another():
        Receipt.objects.filter(key="k").update(owner="another", term=2, state="success")
        Group.objects.create(name="the taker's effect")

    @contextmanager
    def overtaken(self):
        taken_by_another()
        with real(self):
            yield

    monkeypatch.setattr(DjangoReceipts, "transaction", overtaken)
    bench = make(tmp_path, atomic=atomic)

    def work(context):
        if not atomic:
            taken_by_another()
        effect(context)

    bench.work.result = work
    answer = bench.call(keyed("k"))

    assert (answer.status, body(answer)["running"]) == (409, True)
    assert Receipt.objects.get().owner == "another"
    assert effects() == count


def test_a_job_that_swallowed_a_database_error_is_an_error_and_has_no_effect(tmp_path):
    bench = make(tmp_path)

    def swallow(context):
        effect(context)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM there_is_no_such_table")
        except Exception:  # noqa: BLE001, S110 - what is tested
            pass
        connection.set_rollback(True)

    bench.work.result = swallow
    answer = bench.call(keyed("k"))

    assert answer.status == 500
    assert effects() == 0
    assert Receipt.objects.get().state == "error"


def test_a_timed_out_atomic_job_has_no_effect_and_a_partial_one_keeps_it(tmp_path):
    bench = make(tmp_path)

    def late(result):
        def work(context):
            effect(context)
            bench.clock.advance(301)
            return result

        return work

    bench.work.result = late(None)
    assert bench.call(keyed("k")).status == 504
    assert effects() == 0
    bench.work.result = late(JobResult(partial=True))
    assert body(bench.call(keyed("k2")))["status"] == "partial"
    assert effects() == 1


def test_a_dry_run_of_an_atomic_job_is_rolled_back_even_if_the_job_forgets(tmp_path):
    bench = make(tmp_path, dry_run=True)

    answer = bench.call(request(idempotency_key="k", x_cronbell_dry_run="true"))

    assert answer.status == 200
    assert effects() == 0
    assert Receipt.objects.get().state == "success"


def test_a_commit_whose_answer_was_lost_is_looked_up_and_not_taken_for_a_failure(
    tmp_path, monkeypatch
):
    """The connection breaks after COMMIT took place: the effect stays, and the answer is 200."""
    real = DjangoReceipts.transaction

    @contextmanager
    def lossy(self):
        with real(self):
            yield
        raise ConnectionResetError("server closed the connection unexpectedly")

    monkeypatch.setattr(DjangoReceipts, "transaction", lossy)
    bench = make(tmp_path)

    assert bench.call(keyed("k", 1)).status == 200
    assert ("Idempotency-Replayed", "true") in bench.call(keyed("k", 2)).headers
    assert effects() == 1


def test_a_transaction_that_cannot_begin_is_an_error_and_the_next_attempt_runs(
    tmp_path, monkeypatch
):
    @contextmanager
    def broken(self):
        raise ConnectionRefusedError("no database")
        yield

    bench = make(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(DjangoReceipts, "transaction", broken)
        answer = bench.call(keyed("k", 1))

    assert (answer.status, body(answer)["details"]) == (500, "no database")
    assert bench.call(keyed("k", 2)).status == 200
    assert effects() == 1


def test_the_jobs_thread_leaves_no_connection_open(tmp_path):
    opened = []
    bench = make(tmp_path, atomic=False)

    def work(context):
        effect(context)
        opened.append((threading.current_thread(), connection.connection))

    bench.work.result = work
    bench.call(keyed("k"))
    bench.release()

    ((thread, raw),) = opened
    thread.join(10)
    assert raw is not None
    with pytest.raises(Exception, match=r"closed"):
        raw.cursor().execute("SELECT 1")
