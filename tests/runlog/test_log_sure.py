"""Where roll-ups say that a job has more runs than are counted, it has."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from django.db import transaction
from tests.runlog import test_log_pages
from tests.runlog.conftest import NOON, SECOND, roll, row

from cronbell.config.retention import Retention
from cronbell.runlog import log_pages, log_ranges, log_walks
from cronbell.runlog.log_pages import Log
from cronbell.runlog.log_ranges import Segment
from cronbell.runlog.models import DailyRollup, Job, Run
from cronbell.runlog.queries import LogFilter
from cronbell.runlog.retention import Pruner
from cronbell.runlog.rollups import Roller
from cronbell.runlog.router import ALIAS
from cronbell.states import FINAL, Kind, Status
from cronbell.testing import FakeClock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
_small = test_log_pages._small
HOUR = timedelta(hours=1)
DAYS = 12
KINDS = ["schedule"] * 12 + ["run_now", "rerun", "backfill", "call"]


@pytest.fixture(autouse=True)
def _together(monkeypatch, _small):
    """Have ends of ranges looked at whole, however many runs they have."""
    monkeypatch.setattr(log_pages, "WALKED", 10_000)


def run_of(job, chance: random.Random, number: int) -> Run:
    """Return a run due within some days: now and then late, asked for by someone, or dry."""
    kind = chance.choice(KINDS)
    due = NOON + number * timedelta(minutes=40)
    late = chance.choice([SECOND, 3 * HOUR, 60 * HOUR, 60 * HOUR])
    run = row(
        job, number, chance.choice(["success"] * 5 + ["error", "skipped"]), due=due, kind=kind,
        started_at=due + late, finished_at=due + late + SECOND, dry_run=kind == Kind.RUN_NOW,
    )  # fmt: skip
    if run.status == "skipped":
        run.started_at = None
    return run


def some_days(jobs, chance: random.Random) -> None:
    Run.objects.bulk_create(
        run_of(chance.choice(jobs), chance, number) for number in range(DAYS * 36)
    )
    roll(Roller())


def prune_some() -> None:
    """Remove what is due before the middle."""
    Job.objects.update(cursor_at=NOON + 100 * 24 * HOUR)
    pruner = Pruner(FakeClock(NOON + DAYS * 36 * HOUR))
    with transaction.atomic(using=ALIAS):
        pruner.step(Retention(dict.fromkeys(FINAL, DAYS * 86_400.0), 9))


def wrong(chance: random.Random, rounds: int) -> int:
    """Compare numbers of random ranges with reading all; return how many are not the same."""
    runs = list(Run.objects.select_related("job"))
    found = 0
    for _ in range(rounds):
        begin = NOON + chance.randrange(-48, DAYS * 24) * HOUR
        since = chance.choice([None, begin])
        until = chance.choice([None, begin + chance.randrange(1, 200) * HOUR])
        cap = chance.choice([2, 5, 8, 12, 30])
        if since is None and until is None:
            continue
        real = Counter(
            run.status
            for run in runs
            if run.job.name == "one"
            and (since is None or (run.started_at or run.scheduled_at) >= since)
            and (until is None or (run.started_at or run.scheduled_at) < until)
        )
        log = Log(LogFilter(job_name="one", since=since, until=until), cap=cap)
        shown = {s.value: (t.number, t.capped) for s, t in log.statuses.items() if t.number}
        found += shown != {s: (min(n, cap), n > cap) for s, n in real.items()}
    return found


@pytest.mark.parametrize("seed", range(2))
def test_numbers_stop_where_there_are_more_and_nowhere_else(jobs, seed):
    chance = random.Random(seed)
    some_days(jobs, chance)
    assert wrong(chance, 60) == 0
    before = Run.objects.count()
    prune_some()
    assert 20 < Run.objects.count() < before
    assert wrong(chance, 60) == 0


@pytest.mark.parametrize("unknown", ["removed", "timed"])
def test_without_what_roll_ups_know_it_would_be_wrong(jobs, unknown):
    chance = random.Random(1)
    some_days(jobs, chance)
    prune_some()
    DailyRollup.objects.update(**{unknown: 0})
    assert wrong(chance, 200) > 0


@pytest.mark.parametrize("guarded", [True, False])
def test_runs_that_began_after_the_range_are_not_in_it(jobs, guarded):
    """Due within it, and late; without how late the roll-ups' days have been they would be."""
    early = [row(jobs[0], n, "error", due=NOON + (n - 100) * HOUR) for n in range(30)]
    late = [
        row(jobs[0], n, due=NOON + n * HOUR, started_at=NOON + (n + 60) * HOUR)
        for n in range(30, 70)
    ]
    for run in late:
        run.finished_at = run.started_at
    Run.objects.bulk_create([*early, *late])
    roll(Roller())
    if not guarded:
        DailyRollup.objects.update(lateness_max=None)
    wanted = LogFilter(job_name="one", status=Status.SUCCESS, until=NOON + 92 * HOUR)
    total = Log(wanted, cap=5).total
    assert (total.number, total.capped) == ((2, False) if guarded else (5, True))


def test_what_roll_ups_say_is_not_counted(jobs, monkeypatch):
    Run.objects.bulk_create(row(jobs[0], n, due=NOON + n * HOUR) for n in range(96))
    roll(Roller())
    nowhere, ever = Segment(1, 0, certain=True), log_ranges.times(None, None)

    def counted(most: int) -> int:
        return log_walks.by_status_of_job(nowhere, ever, jobs[0].pk, most)["success"]

    assert (counted(96), counted(97)) == (96, 0)
    monkeypatch.setattr(log_walks, "SURE", 0)
    assert counted(1) == 0
