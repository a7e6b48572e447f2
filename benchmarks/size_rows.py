"""A run log of any size, made in minutes: 60 jobs that fire every minute to once a day.

Rows come from one ``INSERT … SELECT`` over minutes and jobs, the same text on both stores, so that
the same number of rows is the same log on both, but for the instant at which it ends. A smaller log
is a younger one, not a thinner one. What a run became is drawn from a hash of its minute and job.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice

from django.db import connections, transaction
from django.db.models import UniqueConstraint

from cronbell.clock import SYSTEM_CLOCK, to_micros
from cronbell.domain import JobSpec
from cronbell.runlog import rollups
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Attempt, Backfill, Item, Job, LogLine, Run, Runner
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import DIALECT_WORDS
from cronbell.states import Status

MINUTE = 60_000_000
# (how many jobs, minutes between two fires, their expressions): 13.3 runs a minute in all.
RHYTHMS = (
    (8, 1, "* * * * *"),
    (20, 5, "{phase}-59/5 * * * *"),
    (16, 15, "{phase}-59/15 * * * *"),
    (12, 60, "{phase} * * * *"),
    (4, 1440, "{phase} 0 * * *"),
)
WORDS = ("rank", "clean", "sync", "mail", "verify", "report", "prune", "import", "bill", "watch")
CHUNK_MINUTES = 10_000
ROLLED_UP_AT_ONCE = 50_000
ITEMS_FOR, ITEMS = 2_000, 20
GOING_ON = 12

JOBS_TABLE = """
CREATE TEMPORARY TABLE size_jobs (
    id BIGINT PRIMARY KEY, period BIGINT, phase BIGINT, slow BIGINT, errors BIGINT
)
"""

# h1 to h3 are three numbers below 10,000 for each run. Parameters: first minute, last minute,
# minute that the log ends in, its instant, backfill's id.
ROWS = """
WITH RECURSIVE minutes (n) AS (
    SELECT CAST(%s AS BIGINT) UNION ALL SELECT n + 1 FROM minutes WHERE n < %s
),
due AS (
    SELECT n, job.id, job.slow, job.errors, (n * 64 + job.id) * 2654435761 %% 4294967296 AS h
    FROM minutes CROSS JOIN size_jobs AS job
    WHERE n %% job.period = job.phase
),
drawn AS (
    SELECT
        n, id, slow, errors, h, h / 65536 %% 10000 AS h1,
        (h * 48271 + 11) %% 2147483647 / 128 %% 10000 AS h2,
        (h * 69621 + 7) %% 2147483647 / 256 %% 10000 AS h3,
        (n - %s) * 60000000 + %s AS at
    FROM due
),
kinds AS (
    SELECT drawn.*, CASE
        WHEN h2 < 50 THEN 'run_now' WHEN h2 < 80 THEN 'rerun' WHEN h2 < 110 THEN 'backfill'
        WHEN h2 < 160 THEN 'call' ELSE 'schedule' END AS kind
    FROM drawn
),
made AS (
    SELECT kinds.*, CASE
        WHEN h1 < errors THEN 'error'
        WHEN h1 >= 9960 THEN 'timed_out'
        WHEN h1 >= 9930 THEN 'partial'
        WHEN h1 >= 9870 THEN 'skipped'
        WHEN h1 >= 9862 THEN 'cancelled'
        WHEN h1 >= 9860 THEN 'unknown'
        WHEN h1 >= 9845 AND kind = 'schedule' THEN 'missed'
        ELSE 'success' END AS status,
        -- Backfills are for fires of long ago.
        at - CASE WHEN kind = 'backfill' THEN 17280000000000 ELSE 0 END AS due_at,
        at + h3 * 200 + CASE WHEN h2 %% 997 = 0 THEN 90000000 ELSE 0 END AS began
    FROM kinds
)
INSERT INTO runlog_run (
    job_id, key, kind, status, reason, dry_run, by_endpoint,
    scheduled_at, queued_at, available_at, started_at, finished_at, deadline_at,
    waits, gives_way, at_most_once, attempt, lease_owner, lease_term, lease_expires_at,
    cancelled_by, sent_at, backfill_id, http_status, missed_first_at, missed_count,
    items_total, items_failed, actor, details, reason_data, body
)
SELECT
    id, 'cb1-' || CAST(100000000000 + n * 64 + id AS TEXT) || '-0123456789abcdef', kind, status,
    CASE status
        WHEN 'error' THEN 'http_status' WHEN 'timed_out' THEN 'timeout'
        WHEN 'skipped' THEN 'overlap' WHEN 'cancelled' THEN 'cancelled'
        WHEN 'missed' THEN 'outage' WHEN 'unknown' THEN 'runner_lost' ELSE '' END,
    h2 BETWEEN 50 AND 54, kind = 'call',
    due_at, at + h3, due_at,
    CASE WHEN status IN ('skipped', 'missed') THEN NULL ELSE began END,
    CASE WHEN status IN ('skipped', 'missed') THEN at + h3 ELSE began + slow * (5000 + h1) END,
    due_at + 3600000000,
    FALSE, kind IN ('rerun', 'backfill'), FALSE, 1, 'runner-a', 1, NULL,
    '', CASE WHEN status IN ('skipped', 'missed') THEN NULL ELSE began END,
    CASE WHEN kind = 'backfill' THEN %s END,
    CASE WHEN status = 'error' THEN 500 WHEN status IN ('success', 'partial') THEN 200 END,
    CASE WHEN status = 'missed' THEN due_at END, CASE WHEN status = 'missed' THEN 1 ELSE 0 END,
    0, 0, CASE WHEN kind IN ('run_now', 'rerun', 'backfill') THEN 'administrator' ELSE '' END,
    CASE
        WHEN status = 'error' THEN 'HTTP 500: the upstream gave up after ' || CAST(h3 AS TEXT)
            || ' ms (request ' || CAST(h AS TEXT) || ')'
        WHEN status IN ('success', 'partial') THEN CAST(h3 AS TEXT) || ' ideas ranked, '
            || CAST(h2 AS TEXT) || ' left as they were'
        ELSE '' END,
    CASE WHEN status = 'error' THEN {json}('{"status": 500}') ELSE {json}('{}') END,
    CASE WHEN status IN ('success', 'partial')
        THEN '{"success": true, "message": "' || CAST(h3 AS TEXT)
            || ' ideas ranked", "timestamp": "2026-11-22T09:00:00Z", "took": ' || CAST(h2 AS TEXT)
            || '}' ELSE '' END
FROM made
ORDER BY at, h
"""


def make(rows: int) -> int:
    """Fill an empty run log with about so many runs, the newest just now; return how many.

    What hangs on runs (items, attempts, lines) is made for the newest ones, and a few go on.
    """
    now = SYSTEM_CLOCK.now().replace(second=0, microsecond=0)
    per_minute = sum(count / minutes for count, minutes, _ in RHYTHMS)
    minutes = int(rows / per_minute)
    jobs = _jobs(now - timedelta(minutes=minutes))
    first = Job.objects.order_by("id")[0]
    filled = Backfill.objects.create(
        job=first, nonce="size", since=now, until=now, cursor_at=now, overlap="queue_all",
        fires=1, actor="administrator", created_at=now, ended_at=now,
    )  # fmt: skip
    last = to_micros(now) // MINUTE
    connection = connections[ALIAS]
    text = ROWS.replace("{json}", DIALECT_WORDS[connection.vendor]["{json}"])
    with _indexes_last(), connection.cursor() as cursor:
        cursor.execute(JOBS_TABLE)
        cursor.executemany("INSERT INTO size_jobs VALUES (%s, %s, %s, %s, %s)", jobs)
        for begin in range(last - minutes + 1, last + 1, CHUNK_MINUTES):
            end = min(begin + CHUNK_MINUTES - 1, last)
            with transaction.atomic(using=ALIAS):
                cursor.execute(text, [begin, end, last, to_micros(now), filled.pk])
        cursor.execute("DROP TABLE size_jobs")
    Job.objects.update(cursor_at=now)
    _hang_on(now)
    _go_on(now)
    return Run.objects.count()


@contextmanager
def _indexes_last() -> Iterator[None]:
    """Have the indexes of runs made at the end: sorted once they take a part of the time."""
    connection, meta = connections[ALIAS], Run._meta
    unique = [rule for rule in meta.constraints if isinstance(rule, UniqueConstraint)]
    # One of all rows is part of the table on SQLite.
    partial = [rule for rule in unique if rule.condition is not None]
    with connection.schema_editor() as editor:
        for rule in partial:
            editor.remove_constraint(Run, rule)
        for index in meta.indexes:
            editor.remove_index(Run, index)
    yield
    with connection.schema_editor() as editor:
        for rule in partial:
            editor.add_constraint(Run, rule)
        for index in meta.indexes:
            editor.add_index(Run, index)


def roll_up() -> None:
    """Have everything counted as a runner does it, in far larger steps."""
    rollups.CHUNK = ROLLED_UP_AT_ONCE
    roller, more = rollups.Roller(), True
    while more:
        with transaction.atomic(using=ALIAS):
            more = roller.step()


def _jobs(since: datetime) -> list[tuple[int, int, int, int, int]]:
    specs, drawn = [], []
    for count, period, expression in RHYTHMS:
        for number in range(count):
            name = f"{WORDS[len(specs) % len(WORDS)]}-{period}m-{number:02}"
            phase = number * 7 % min(period, 60)
            # A tenth of the jobs never fails, one fails half of the time.
            errors = 5_000 if len(specs) == 29 else 0 if number % 10 == 3 else 120
            specs.append(
                JobSpec(
                    name=name, path=f"/api/cron/{name}", url=f"http://127.0.0.1:9/api/cron/{name}",
                    schedule=expression.format(phase=phase), deadline=600.0,
                )
            )  # fmt: skip
            drawn.append((name, period, phase, 10 + 37 * number, errors))
    known = sync_jobs(specs, since)
    return [(known[name].pk, *rest) for name, *rest in drawn]


def _hang_on(now: datetime) -> None:
    """Items for the newest runs of one job, an attempt and a line for the newest of all."""
    drain = Job.objects.filter(name__startswith="verify-5m").order_by("id")[0]
    runs = list(Run.objects.filter(job=drain).order_by("-id")[:ITEMS_FOR])
    items = (
        Item(
            run=run, job=drain, record_id=f"record-{run.pk % 97}-{n}", ok=n % 19 > 0,
            http_status=200, attempts=1, microseconds=50_000 + n,
            error="" if n % 19 else "HTTP 500",
        )
        for run in runs
        for n in range(ITEMS)
    )  # fmt: skip
    while chunk := list(islice(items, 5_000)):
        Item.objects.bulk_create(chunk)
    Run.objects.filter(pk__in=[run.pk for run in runs[:500]]).update(
        items_total=ITEMS, items_failed=2
    )
    newest = list(Run.objects.order_by("-id")[:500])
    Attempt.objects.bulk_create(
        Attempt(
            run=run, number=1, term=1, started_at=run.queued_at, finished_at=run.queued_at,
            reason="connect", http_status=0,
        )
        for run in newest
    )  # fmt: skip
    LogLine.objects.bulk_create(
        LogLine(run=run, at=run.queued_at, message=f"line {n}") for run in newest for n in range(3)
    )
    Runner.objects.create(
        id="runner-a", host="size", pid=1, version="0", started_at=now, seen_at=now, jobs=60
    )


def _go_on(now: datetime) -> None:
    jobs = list(Job.objects.order_by("-id")[:GOING_ON])
    for number, job in enumerate(jobs):
        running = number % 2 == 0
        Run.objects.create(
            job=job, key=f"cb1-size-{number}", kind="run_now",
            status=(Status.RUNNING if running else Status.PENDING).value,
            scheduled_at=now, queued_at=now, available_at=now,
            started_at=now if running else None, deadline_at=now + timedelta(hours=1),
            lease_owner="runner-a" if running else "", lease_term=1,
            lease_expires_at=now + timedelta(hours=1) if running else None,
        )  # fmt: skip
