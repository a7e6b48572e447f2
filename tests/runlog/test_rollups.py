"""Roll-ups hold what a recount of the rows would give, whoever ends what and when."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connections, transaction
from tests.runlog.conftest import NOON, SECOND, roll, row

from cronbell.clock import to_micros
from cronbell.runlog import rollups, statistics
from cronbell.runlog.histogram import BOUNDS, below, bucket
from cronbell.runlog.models import DailyRollup, RollupLeft, Run
from cronbell.runlog.rollups import Roller
from cronbell.runlog.router import ALIAS
from cronbell.states import Status

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


def recount() -> dict:
    """Add the rows up from scratch, by another way than the code under test."""
    found: dict = {}
    for run in Run.objects.filter(finished_at__isnull=False, dry_run=False):
        key = (run.job_id, run.scheduled_at.date(), run.status)
        found.setdefault(key, []).append(run)
    return {key: _sums(runs) for key, runs in found.items()}


def _sums(runs: list[Run]) -> tuple:
    took = [
        to_micros(run.finished_at) - to_micros(run.started_at) for run in runs if run.started_at
    ]
    late = [
        to_micros(run.started_at) - to_micros(run.scheduled_at)
        for run in runs
        if run.started_at and run.kind == "schedule"
    ]
    return (
        len(runs), sum(run.items_total for run in runs), sum(run.items_failed for run in runs),
        len(took), sum(took), min(took, default=None), max(took, default=None),
        len(late), sum(late), max(late, default=None), _buckets(took), _buckets(late),
    )  # fmt: skip


def _buckets(values: list[int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in values:
        key = str(next((n for n, bound in enumerate(BOUNDS) if value <= bound), len(BOUNDS)))
        found[key] = found.get(key, 0) + 1
    return found


def rolled() -> dict:
    return {
        (each.job_id, each.day.date(), each.status): tuple(
            getattr(each, name) for name in rollups.COUNTED
        )
        for each in DailyRollup.objects.all()
    }


def test_rollups_are_what_a_recount_gives(jobs, monkeypatch):
    """Runs of several days and jobs that end in any order, backfilled and by hand among them."""
    monkeypatch.setattr(rollups, "CHUNK", 7)
    chance, number, roller = random.Random(5), 0, Roller()
    for _ in range(12):
        made = []
        for _ in range(chance.randrange(25)):
            number += 1
            made.append(
                row(
                    chance.choice(jobs),
                    number,
                    chance.choice(list(Status)).value,
                    due=NOON + number * SECOND - timedelta(days=chance.choice([0, 0, 1, 40])),
                    kind=chance.choice(["schedule", "run_now", "backfill"]),
                    dry_run=chance.random() < 0.1,
                )
            )
            if made[-1].status in {"skipped", "missed"}:
                made[-1].started_at = None
        Run.objects.bulk_create(made)
        going = list(Run.objects.filter(finished_at__isnull=True).order_by("?"))
        for run in going[: len(going) // 2]:
            run.status, run.finished_at = "success", run.scheduled_at + timedelta(days=2)
            run.save()
        roll(roller if chance.random() < 0.7 else Roller())
        assert rolled() == recount()
        active = Run.objects.filter(finished_at__isnull=True)
        assert RollupLeft.objects.count() == active.count()
    assert len(rolled()) > 20


def test_a_step_that_is_undone_is_done_again(jobs):
    Run.objects.bulk_create([row(jobs[0], n, due=NOON + n * SECOND) for n in range(9)])
    roller = Roller()
    with transaction.atomic(using=ALIAS):
        roller.step()
        transaction.set_rollback(True, using=ALIAS)
    assert rolled() == {}
    roll(roller)
    assert rolled() == recount()


def test_two_runners_at_once_count_each_run_once(jobs):
    Run.objects.bulk_create([row(jobs[0], n, due=NOON + n * SECOND) for n in range(900)])
    failures = []

    def work():
        try:
            roll(Roller())
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)
        finally:
            connections[ALIAS].close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert rolled() == recount()


@pytest.mark.skipif("connections[ALIAS].vendor != 'postgresql'", reason="SQLite has one writer")
@pytest.mark.parametrize("guarded", [True, False])
def test_a_run_committed_after_one_with_a_larger_id_is_counted(jobs, guarded, monkeypatch):
    """On PostgreSQL; with the look at other writers taken away it is lost."""
    if not guarded:
        monkeypatch.setattr(rollups, "_WRITERS", "SELECT '' WHERE FALSE")
    inserted, go_on = threading.Event(), threading.Event()

    def slow_writer():
        with transaction.atomic(using=ALIAS):
            row(jobs[0], 1).save()
            inserted.set()
            go_on.wait(10)
        connections[ALIAS].close()

    thread = threading.Thread(target=slow_writer)
    thread.start()
    assert inserted.wait(10)
    row(jobs[0], 2, due=NOON + SECOND).save()
    roller = Roller()
    roll(roller)
    go_on.set()
    thread.join()
    roll(roller)
    roll(roller)
    assert (rolled() == recount()) is guarded


def test_figures_of_a_busy_job_cover_the_whole_window(jobs, monkeypatch):
    """Counts exact, rolled up or not yet; spreads at most a fifth too long."""
    monkeypatch.setattr(statistics, "WINDOW_RUNS", 10)
    Run.objects.bulk_create(
        row(
            jobs[0], n, "error" if n % 10 == 0 else "success",
            due=NOON - timedelta(hours=n),
            finished_at=NOON - timedelta(hours=n) + timedelta(milliseconds=7 * n, seconds=n),
        )
        for n in range(100, 0, -1)
    )  # fmt: skip
    roll(Roller())
    row(jobs[0], 101, "cancelled", due=NOON).save()
    found = statistics.job_figures(jobs[0].pk, NOON)
    assert found.complete
    assert (found.whole.succeeded, found.whole.failed, found.whole.not_run) == (90, 10, 1)
    assert sum(figures.carried_out for _, figures in found.days) == 100
    assert len(found.days) == 5
    assert 50 <= found.whole.duration.median <= 60
    assert 96 <= found.whole.duration.most <= 100
    monkeypatch.setattr(statistics, "WINDOW_RUNS", 1000)
    assert statistics.job_figures(jobs[0].pk, NOON).whole.duration == statistics.Spread(50, 96)


def test_a_bucket_holds_what_is_at_most_a_fifth_apart():
    for low, high in pairwise(BOUNDS):
        assert low < high <= low * 1.2
        assert bucket(low) + 1 == bucket(low + 1) == bucket(high)
    assert bucket(-5) == bucket(0) == 0
    assert bucket(BOUNDS[-1] + 1) == len(BOUNDS)
    assert below({0: 1, len(BOUNDS): 1}, 1, BOUNDS[-1] * 3) == BOUNDS[-1] * 3
