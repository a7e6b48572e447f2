"""What a fire becomes while a run of its job goes on, for every policy, on the store under test."""

from __future__ import annotations

import threading

import pytest
from django.db import connections, transaction
from tests.runlog.test_store import (
    NOW,
    SECOND,
    claim,
    finish,
    finish_row,
    fire,
    job,
    record,
    spec,
)  # fmt: skip

from cronbell.clock import from_micros
from cronbell.domain import Overlap
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Run
from cronbell.runlog.requests import request_run
from cronbell.runlog.statements import statement
from cronbell.runlog.store import AttemptRow, ReleaseRow, RunStore
from cronbell.testing.shifted import ShiftedClock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])

MINUTE = 60 * SECOND


@pytest.fixture
def store():
    return RunStore("runner-a")


def come_due(store, it, number: int, *, first: int = 1) -> None:
    """Record one fire a minute, each in a transaction of its own."""
    for n in range(first, first + number):
        at = NOW + n * MINUTE
        row = fire(it, at, read=at - MINUTE, overlap=it.spec["overlap"])
        assert record(store, [row], now=at) == {it.pk}


def rows() -> list[tuple[str, str]]:
    return list(Run.objects.order_by("id").values_list("status", "reason"))


SKIPPED = ("skipped", "overlap")
PENDING = ("pending", "")


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ("skip", [("running", ""), SKIPPED, SKIPPED, SKIPPED]),
        ("queue_one", [("running", ""), PENDING, SKIPPED, SKIPPED]),
        ("queue_all", [("running", ""), PENDING, PENDING, PENDING]),
        ("allow", [("running", ""), PENDING, PENDING, PENDING]),
        (
            "cancel_running",
            [("cancelled", "replaced"), ("cancelled", "replaced"), ("cancelled", "replaced"),
             PENDING],
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("together", [False, True])
def test_fires_while_a_run_goes_on(store, overlap, expected, together):
    it = job(overlap=Overlap(overlap))
    come_due(store, it, 1)
    (going,) = claim(store)
    if together and overlap != "cancel_running":
        batch = [
            fire(it, NOW + n * MINUTE, read=NOW + MINUTE, cursor_new=NOW + 4 * MINUTE,
                 overlap=overlap, ahead=n - 2)
            for n in (2, 3, 4)
        ]  # fmt: skip
        record(store, batch, now=NOW + 4 * MINUTE)
    else:
        come_due(store, it, 3, first=2)
    assert rows() == expected
    claimable = {"allow": 3, "cancel_running": 1}.get(overlap, 0)
    assert len(claim(store, now=NOW + 5 * MINUTE)) == claimable
    ended = finish(store, finish_row(going))
    assert ended == (set() if overlap == "cancel_running" else {going.id})


def test_a_queue_is_worked_off_in_order_one_at_a_time(store):
    it = job(overlap=Overlap.QUEUE_ALL)
    come_due(store, it, 4)
    order = []
    for _ in range(4):
        (run,) = claim(store, now=NOW + 9 * MINUTE)
        assert claim(RunStore("runner-b"), now=NOW + 9 * MINUTE) == []
        order.append(run.scheduled_at)
        finish(store, finish_row(run))
    assert order == [NOW + n * MINUTE for n in (1, 2, 3, 4)]
    assert claim(store, now=NOW + 9 * MINUTE) == []


def test_a_run_between_two_attempts_still_goes_on(store):
    it = job(overlap=Overlap.QUEUE_ONE)
    come_due(store, it, 1)
    (run,) = claim(store)
    failed = AttemptRow(run.id, run.term, 1, NOW, NOW, "timeout", {}, 0)
    with store.transaction():
        store.release([ReleaseRow(run.id, run.term, NOW + 9 * MINUTE, 2)], [failed])
    come_due(store, it, 2, first=2)
    assert [status for status, _ in rows()] == ["pending", "pending", "skipped"]
    assert claim(store, now=NOW + 5 * MINUTE) == [], "the second waits for the first's retry"
    (again,) = claim(store, now=NOW + 9 * MINUTE)
    assert again.id == run.id


def test_a_dead_runners_run_is_given_back_before_what_waits_for_it(store):
    it = job(overlap=Overlap.QUEUE_ALL)
    come_due(store, it, 2)
    (run,) = claim(store, now=NOW + 2 * MINUTE, lease=15)
    with store.transaction():
        assert store.rescue(NOW + 3 * MINUTE).runs == 1
    assert [each.id for each in claim(store, now=NOW + 3 * MINUTE)] == [run.id]


def test_many_runners_never_run_two_of_a_queue_at_once():
    it = job(overlap=Overlap.QUEUE_ALL)
    come_due(RunStore("planner"), it, 12)
    running, most, faults = set(), [0], []
    lock, barrier = threading.Lock(), threading.Barrier(4)

    def work(name):
        store = RunStore(name)
        barrier.wait()
        try:
            for _ in range(400):
                for run in claim(store, now=NOW + 60 * MINUTE):
                    with lock:
                        running.add(run.id)
                        most[0] = max(most[0], len(running))
                    with lock:
                        running.discard(run.id)
                    finish(store, finish_row(run))
                if not Run.objects.filter(finished_at__isnull=True).exists():
                    return
            faults.append(f"{name} found no end")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(f"r{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert most == [1]
    assert rows() == [("success", "")] * 12


def test_sabotage_without_the_condition_in_the_claim_a_queue_would_run_at_once(store):
    it = job(overlap=Overlap.QUEUE_ALL)
    come_due(store, it, 3)
    vendor = connections["runlog"].vendor
    open_to_all = statement("claim", vendor).replace("NOT waits", "TRUE")
    assert open_to_all != statement("claim", vendor)
    with transaction.atomic(using="runlog"), connections["runlog"].cursor() as cursor:
        now = NOW + 9 * MINUTE
        cursor.execute(open_to_all, [now, 10, "x", now, now])
        assert len(cursor.fetchall()) == 3


def test_only_a_fire_that_is_recorded_cancels_what_runs(store):
    it = job(overlap=Overlap.CANCEL_RUNNING)
    come_due(store, it, 1)
    claim(store)
    stale = fire(it, NOW + 2 * MINUTE, read=NOW, overlap="cancel_running")
    assert record(RunStore("late-planner"), [stale]) == set()
    assert rows() == [("running", "")]


def test_what_the_endpoint_recorded_itself_is_not_cancelled(store):
    it = job(overlap=Overlap.CANCEL_RUNNING)
    come_due(store, it, 1)
    claim(store)
    Run.objects.update(by_endpoint=True)
    come_due(store, it, 1, first=2)
    assert rows() == [("running", ""), PENDING]


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ("skip", ["running", "skipped"]),
        ("queue_one", ["running", "pending"]),
        ("queue_all", ["running", "pending"]),
        ("allow", ["running", "pending"]),
        ("cancel_running", ["cancelled", "pending"]),
    ],
)
def test_run_now_obeys_the_same_policy_and_a_double_click_is_one_run(store, overlap, expected):
    it = job(overlap=Overlap(overlap))
    come_due(store, it, 1)
    claim(store)
    clock = ShiftedClock()
    clock.show(from_micros(NOW + 2 * MINUTE))
    for _ in range(2):
        request_run(it.name, nonce="one-click", actor="alice", clock=clock)
    assert [status for status, _ in rows()] == expected
    assert Run.objects.order_by("id").last().waits == overlap.startswith("queue")


def test_a_dry_run_cancels_nothing(store):
    definition = spec(overlap=Overlap.CANCEL_RUNNING, dry_run=True)
    it = sync_jobs([definition], from_micros(NOW))[definition.name]
    come_due(store, it, 1)
    claim(store)
    request_run(it.name, nonce="n", actor="alice", dry_run=True)
    assert [status for status, _ in rows()] == ["running", "skipped"]
