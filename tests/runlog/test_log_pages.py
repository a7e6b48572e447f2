"""Every page of the log is what reading all of it would give, whatever is counted already."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from tests.runlog.conftest import NOON, SECOND, roll, row

from cronbell.clock import to_micros
from cronbell.config.retention import Retention
from cronbell.runlog import (
    log_ahead,
    log_counts,
    log_pages,
    log_ranges,
    log_tree,
    prepared,
    rollups,
)
from cronbell.runlog.log_count_tables import LogBlock, LogCount
from cronbell.runlog.log_pages import Log
from cronbell.runlog.models import Job, RollupCursor, RollupLeft, Run
from cronbell.runlog.queries import LogFilter
from cronbell.runlog.retention import Pruner
from cronbell.runlog.rollups import Roller
from cronbell.runlog.router import ALIAS
from cronbell.states import FINAL, Kind, Status
from cronbell.testing import FakeClock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])

HOUR = timedelta(hours=1)
KINDS = ["schedule", "run_now", "rerun", "backfill", "call"]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Make everything small, so that two hundred runs are many blocks, segments and steps."""
    monkeypatch.setattr(log_counts, "BLOCK", 8)
    monkeypatch.setattr(log_counts, "FANOUT", 3)
    monkeypatch.setattr(log_counts, "WEEK", 40 * 60 * 1_000_000)
    monkeypatch.setattr(log_ranges, "WEEK", log_counts.WEEK)
    monkeypatch.setattr(log_tree, "LOOKED_UP", 60)
    monkeypatch.setattr(log_tree, "LOOKED_UP_IN_BLOCK", 6)
    monkeypatch.setattr(log_tree, "OPENING", 2)
    monkeypatch.setattr(log_tree, "OPENED", 6)
    monkeypatch.setattr(log_ranges, "SEGMENTS", 4)
    monkeypatch.setattr(log_pages, "WALKED", 10)
    monkeypatch.setattr(log_pages, "WALKED_OF_TIME", 3)
    monkeypatch.setattr(rollups, "CHUNK", 7)


def began(run: Run):
    return run.started_at or run.scheduled_at


def expected(wanted: LogFilter) -> list[Run]:
    """Filter all rows one by one, by another way than the code under test."""
    text = wanted.text.lower()
    return [
        run
        for run in Run.objects.select_related("job").order_by("-id")
        if (not wanted.job_name or run.job.name == wanted.job_name)
        and (wanted.status is None or run.status == wanted.status)
        and (wanted.since is None or began(run) >= wanted.since)
        and (wanted.until is None or began(run) < wanted.until)
        and (
            not text
            or text in run.details.lower()
            or text in run.job.name
            or text.removeprefix("#") == str(run.pk)
        )
    ]


def filters(chance: random.Random) -> LogFilter:
    def moment():
        # Now and then exactly when a run began, where < and <= differ.
        some = Run.objects.order_by("?").first()
        at = NOON + timedelta(seconds=chance.randrange(-4000, 4000))
        return began(some) if some and chance.random() < 0.3 else at

    return LogFilter(
        job_name=chance.choice(["", "", "one", "two", "three"]),
        status=chance.choice([None, None, *Status]),
        since=moment() if chance.random() < 0.4 else None,
        until=moment() if chance.random() < 0.4 else None,
        text=chance.choice(["", "", "", "TEN", "one", "#12"]),
    )


def add_runs(jobs, chance: random.Random, number: int, count: int) -> None:
    made = []
    for each in range(number, number + count):
        kind = chance.choice(["schedule"] * 5 + KINDS)
        # Now and then far from when it was recorded, as in a backfill that was skipped.
        away = chance.choice([0] * 9 + [-3000, 3000])
        made.append(
            row(
                chance.choice(jobs), each, chance.choice([*Status, Status.SUCCESS]).value,
                due=NOON + (each * 5 + away - 1000) * SECOND, kind=kind,
                dry_run=kind == Kind.RUN_NOW, details=chance.choice(["", "ten rows", "often"]),
            )
        )  # fmt: skip
        if made[-1].status in {"skipped", "missed", "pending"}:
            made[-1].started_at = None
    Run.objects.bulk_create(made)


def end_some(chance: random.Random) -> None:
    going = list(Run.objects.filter(finished_at__isnull=True).order_by("id"))
    for run in chance.sample(going, len(going) // 2):
        run.status, run.finished_at = "success", run.scheduled_at + 2 * HOUR
        run.started_at = run.scheduled_at + chance.choice([SECOND, HOUR])
        run.save()


def rerun_some(jobs, chance: random.Random, number: int) -> None:
    for origin in Run.objects.filter(status="error").order_by("?")[:3]:
        number += 1
        row(
            jobs[0] if origin.job_id == jobs[0].pk else jobs[1], number, "success",
            kind="rerun", origin=origin, due=origin.scheduled_at,
            started_at=NOON + chance.randrange(3000) * SECOND,
        ).save()  # fmt: skip


def prune_some() -> int:
    """Remove what is older than a day, two days later; return how many went."""
    before = Run.objects.count()
    pruner, kept = Pruner(FakeClock(NOON + 48 * HOUR)), Retention(dict.fromkeys(FINAL, 86_400.0), 9)
    for _ in range(100):
        with transaction.atomic(using=ALIAS):
            more = pruner.step(kept)
        if not more:
            break
    return before - Run.objects.count()


def check_counts() -> None:
    """Totals and blocks are a recount of the ended runs that the cursor has passed."""
    going = set(RollupLeft.objects.values_list("run_id", flat=True))
    cursor = RollupCursor.objects.filter(pk=rollups.CURSOR).first()
    upto = cursor.upto if cursor else 0
    counted = [run for run in Run.objects.filter(id__lte=upto) if run.pk not in going]
    by_job = Counter((run.job_id, run.status) for run in counted)
    by_job.update((log_counts.ALL_JOBS, run.status) for run in counted)
    kept = {(t.job_number, t.status): t.runs for t in LogCount.objects.filter(runs__gt=0)}
    assert kept == by_job
    blocks: dict = {}
    for run in counted:
        week = to_micros(began(run)) // log_counts.WEEK
        for level in range(log_counts.LEVELS):
            place = run.pk // log_counts.size_of(level)
            blocks.setdefault((level, place, run.status, week), []).append(run)
            blocks.setdefault((level, place, log_counts.ANY, week), []).append(run)
    known = {
        (each.level, each.block, each.status, each.week): each for each in LogBlock.objects.all()
    }
    assert known.keys() == blocks.keys()
    for key, runs in blocks.items():
        times, numbers = [began(run) for run in runs], [run.pk for run in runs]
        assert known[key].runs == len(runs)
        assert known[key].oldest <= min(times)
        assert known[key].newest >= max(times)
        assert known[key].first <= min(numbers)
        assert known[key].last >= max(numbers)


def check_page(wanted: LogFilter, chance: random.Random, *, exact: bool) -> None:
    everything = expected(wanted)
    log, limit = Log(wanted, cap=10_000 if exact else 15), chance.choice([1, 4, 10])
    number = chance.randrange(1, len(everything) // limit + 3)
    page = log.page(number, limit)
    assert list(page.runs) == everything[(number - 1) * limit : number * limit], wanted
    if exact or wanted.text:
        assert (page.total.number, page.total.capped) == (len(everything), False), wanted
    else:
        # What is not exact says so, and never says too much.
        assert page.total.number <= len(everything)
        assert page.total.capped or page.total.number == len(everything), wanted
    if everything:
        at = chance.randrange(len(everything))
        after = Log(wanted).before(everything[at].pk, limit).runs
        assert list(after) == everything[at + 1 : at + 1 + limit], wanted


def check_ahead(wanted: LogFilter, jobs, chance: random.Random) -> None:
    """What is asked ahead of a page changes nothing of it."""
    everything = expected(wanted)
    number, limit = chance.choice([1, 1, 1, 2, 3]), chance.choice([1, 4, 10])
    at = chance.choice([None, None, *range(len(everything))])
    first = (number - 1) * limit if at is None else at + 1
    cursor = None if at is None else everything[at].pk
    plain, ids = Log(wanted), [job.pk for job in jobs]
    with prepared.page(connections[ALIAS]):
        log_ahead.ask(log_ahead.log(wanted))
        log = Log(wanted)
        log.ask_ahead(number, limit, cursor, ids)
        page = log.listed(number, limit, cursor)
        assert [run.pk for run in page.runs] == [
            run.pk for run in everything[first : first + limit]
        ], (wanted, number, limit, cursor)
        assert (log.statuses, log.jobs(ids)) == (plain.statuses, plain.jobs(ids)), wanted


def check_chips(wanted: LogFilter, jobs) -> None:
    chips = Log(wanted).statuses
    found = Counter(run.status for run in expected(replace(wanted, status=None)))
    assert {s.value: t.number for s, t in chips.items() if t.number} == found, wanted
    counts, capped = Log(wanted).jobs([job.pk for job in jobs])
    ours = Counter(run.job_id for run in expected(replace(wanted, job_name="")))
    assert {pk: counts.get(pk, 0) for pk in ours} == ours, wanted
    assert not capped


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_counted_pages_are_what_reading_all_gives(jobs, monkeypatch, seed):
    """Runs recorded, ended in any order, rerun, removed, counted or not; pages in between."""
    chance, roller, number, removed = random.Random(seed), Roller(), 1, 0
    blocks = 0
    for turn in range(9):
        count = chance.randrange(5, 25)
        add_runs(jobs, chance, number, count)
        number += count
        end_some(chance)
        rerun_some(jobs, chance, 10_000 + 10 * turn)
        if chance.random() < 0.7:
            roll(roller if chance.random() < 0.7 else Roller())
        if turn % 4 == 3:
            Job.objects.update(cursor_at=NOON + 48 * HOUR)
            removed += prune_some()
        check_counts()
        blocks = max(blocks, LogBlock.objects.count())
        for _ in range(6):
            check_page(filters(chance), chance, exact=True)
            check_chips(filters(chance), jobs)
            check_ahead(filters(chance), jobs, chance)
        with monkeypatch.context() as patch:
            # As where no runner has counted for long.
            patch.setattr(log_counts, "UNCOUNTED_MOST", 0)
            for _ in range(3):
                check_page(filters(chance), chance, exact=False)
    assert removed > 20
    assert blocks > 20


@pytest.mark.parametrize("guarded", [True, False])
def test_a_run_that_ends_after_its_block_was_counted_is_found_in_time(jobs, guarded, monkeypatch):
    """With the look at the runs left taken away it is lost."""
    late = row(jobs[0], 1, "pending", started_at=None)
    late.save()
    Run.objects.bulk_create(row(jobs[0], n, due=NOON + n * SECOND) for n in range(2, 30))
    roll(Roller())
    Run.objects.filter(pk=late.pk).update(
        status="success", started_at=NOON + 5 * HOUR, finished_at=NOON + 6 * HOUR
    )
    if not guarded:
        monkeypatch.setattr(log_ranges, "_left", list)
    found = Log(LogFilter(since=NOON + HOUR)).page(1, 10).runs
    assert list(found) == ([late] if guarded else [])


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("by", ["page", "cursor"])
def test_runs_that_are_counted_while_a_range_is_looked_at(jobs, by, guarded, monkeypatch):
    """Neither missed nor taken twice: it is looked at again; looked at once they are."""
    runs = [row(jobs[0], n, due=NOON + n * SECOND) for n in range(60)]
    runs[0].save()
    # So many that the last of them is within a block, which then grows.
    counted = 20 + (3 - 20 - runs[0].pk) % log_counts.BLOCK
    Run.objects.bulk_create(runs[1 : counted + 1])
    roll(Roller())
    Run.objects.bulk_create(runs[counted + 1 :])
    if not guarded:
        monkeypatch.setattr(Log, "_moved", lambda _log, _offset: False)
    turns = []

    def count_first(execute, sql, params, many, context):
        if not turns and ("blocks_counted" in sql or "GROUP BY found.status, found.part" in sql):
            turns.append(sql)
            roll(Roller())
        return execute(sql, params, many, context)

    log = Log(LogFilter(since=NOON - HOUR))
    newest = Run.objects.latest("id").pk
    with connections[ALIAS].execute_wrapper(count_first):
        page = log.page(1, 5) if by == "page" else log.before(newest + 1, 5)
    assert turns
    assert [run.pk for run in page.runs] == list(range(newest, newest - 5, -1))
    assert (page.total.number == 60) is guarded


@pytest.mark.parametrize("apart", [True, False])
def test_runs_that_began_long_before_their_neighbours_split_no_range(jobs, apart, monkeypatch):
    """As in a backfill that was skipped; were weeks not apart, their blocks would be walked."""
    if not apart:
        monkeypatch.setattr(log_counts, "WEEK", 1 << 62)
        monkeypatch.setattr(log_ranges, "WEEK", 1 << 62)
    runs = [row(jobs[0], n, due=NOON + n * SECOND) for n in range(160)]
    for number in (30, 70, 110):
        runs[number].scheduled_at -= 1_000 * HOUR
        runs[number].started_at = None
    Run.objects.bulk_create(runs)
    roll(Roller())
    log = Log(LogFilter(since=NOON - HOUR))
    assert log.page(1, 200).runs == list(reversed([r for r in runs if r.started_at is not None]))
    # All are counted, so that none is beside them.
    ranges = log._segments
    walked = [segment for segment in ranges if not segment.certain]
    assert (len(ranges), len(ranges[0].out), bool(walked)) == (
        (1, 3, False) if apart else (4, 0, True)
    )
    before = Log(LogFilter(until=NOON - HOUR))
    assert [run.pk for run in before.page(1, 200).runs] == [
        runs[number].pk for number in (110, 70, 30)
    ]
    only = [segment.only for segment in before._segments]
    assert [len(each) for each in only if each is not None] == ([3] if apart else [])


def test_a_search_for_a_number_finds_it_however_old(jobs, monkeypatch):
    monkeypatch.setattr(log_pages, "SEARCH_WINDOW", 3)
    Run.objects.bulk_create(row(jobs[0], n, due=NOON + n * SECOND) for n in range(20))
    oldest = Run.objects.order_by("id")[0]
    assert list(Log(LogFilter(text=f"#{oldest.pk}")).page(1, 5).runs) == [oldest]
    assert Log(LogFilter(text=str(oldest.pk), status=Status.ERROR)).page(1, 5).runs == []


FILTERS = {
    "all": {},
    "status": {"status": Status.ERROR},
    "job": {"job_name": "one"},
    "job and status": {"job_name": "one", "status": Status.SUCCESS},
    "time": {"since": NOON, "until": NOON + HOUR},
    "time and status": {"since": NOON, "until": NOON + HOUR, "status": Status.ERROR},
    "time and job": {"since": NOON, "until": NOON + HOUR, "job_name": "one"},
    "all of them": {
        "since": NOON, "until": NOON + HOUR, "job_name": "one", "status": Status.SUCCESS
    },
    "text": {"text": "ten"},
    "text in a job's": {"text": "ten", "job_name": "one"},
}  # fmt: skip


def plans(statements: list[str]) -> list[str]:
    connection = connections[ALIAS]
    found = []
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # A few rows are always quicker read whole; told not to, it scans only what it must.
            cursor.execute("SET enable_seqscan = off")
            cursor.execute("SET enable_bitmapscan = off")
            # Of what is prepared: made anew under these rules.
            cursor.execute("DISCARD PLANS")
        for sql in statements:
            words = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
            cursor.execute(words + sql)
            found.append(sql + "\n" + "\n".join(str(line[-1]) for line in cursor.fetchall()))
        if connection.vendor == "postgresql":
            cursor.execute("RESET enable_seqscan")
            cursor.execute("RESET enable_bitmapscan")
            cursor.execute("DISCARD PLANS")
    return found


def scans(plan: str) -> bool:
    """Say whether runs are read whole, or an index of them: neither begins at a place in it."""
    return bool(re.search(r"SCAN (runlog_run|run|U\d)\b(?!.*runlog_job)", plan)) or bool(
        re.search("Seq Scan on runlog_run\\b(?!_)", plan)
    )


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_walks_an_index(jobs, name):
    """No statement of a page, its chips or its counts by job reads the runs whole."""
    add_runs(jobs, random.Random(1), 1, 120)
    roll(Roller())
    wanted = LogFilter(**FILTERS[name])
    with CaptureQueriesContext(connections[ALIAS]) as queried:
        log = Log(wanted)
        log.page(1, 5)
        log.page(7, 5)
        log.before(60, 5)
        assert log.statuses
        log.jobs([job.pk for job in jobs])
    asked = [query["sql"] for query in queried.captured_queries]
    asked = [sql for sql in asked if sql.lstrip().startswith(("SELECT", "WITH", "EXECUTE"))]
    assert len(asked) > 3
    # With two upper bounds SQLite may begin at the higher and go over all that is between.
    assert not [sql for sql in asked if re.search(r'"id" <= .*"id" < ', sql)]
    assert not [sql for sql in asked if re.search(r'"id" <= .*"id" <= ', sql)]
    for plan in plans(asked):
        assert not scans(plan), plan


def test_a_scan_is_recognised(jobs):
    """Of the rows, and of a whole index, which at ten million runs took a second."""
    for plan in plans(
        ["SELECT * FROM runlog_run WHERE details = 'x'",
         "SELECT job_id, COUNT(*) FROM runlog_run AS run WHERE id > 7 GROUP BY job_id"]
    )[: 1 if connections[ALIAS].vendor == "postgresql" else 2]:  # fmt: skip
        assert scans(plan), plan
