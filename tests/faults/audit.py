"""The oracle: what the target heard, what the endpoint did and what the run log says, compared.

It reads the databases from outside and shares no code with what it judges. The jobs it looks at
fire at whole seconds (``every``), so which fires there must be is arithmetic; a job whose name
ends with ``-2s`` fires every two. Its fires may be recorded before they are due, those of a job
that fires each second are not.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.faults.report import Finding
from tests.faults.world import World

MICROS = 1_000_000
PERIOD = re.compile(r"-(\d+)s$")
ROWS = (
    "SELECT job.name, run.key, run.status, run.reason, run.scheduled_at, run.started_at,"
    " run.finished_at, run.missed_first_at, run.missed_count"
    " FROM runlog_run run JOIN runlog_job job ON job.id = run.job_id ORDER BY run.id"
)
FINALS = (
    "SELECT id, status, finished_at, details FROM runlog_run"
    " WHERE status NOT IN ('pending', 'running')"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A run as it stands in the log; instants in microseconds."""

    job: str
    key: str
    status: str
    reason: str
    scheduled_at: int
    started_at: int | None
    finished_at: int | None
    missed_first_at: int | None
    missed_count: int


@dataclass
class Ledger:
    """Everything an experiment is judged by."""

    rows: list[Row]
    sent: Counter[str]
    effects: Counter[str]
    keys_of: dict[tuple[str, str], set[str]] = field(default_factory=dict)


def read(world: World) -> Ledger:
    """Gather the target's log, the endpoint's effects and the run log."""
    rows = [Row(*found) for found in world.query(ROWS)]
    keys: dict[tuple[str, str], set[str]] = defaultdict(set)
    sent: Counter[str] = Counter()
    for request in world.target.requests:
        key = request.header("Idempotency-Key") or "no key"
        sent[key] += 1
        keys[request.path, request.header("X-Cronbell-Scheduled-At") or ""].add(key)
    done = [key for (key,) in world.query("SELECT run_key FROM faults_effect", app=True)]
    return Ledger(rows, sent, Counter(done), dict(keys))


def period_of(job: str) -> int:
    """Return how many seconds lie between a job's fires."""
    told = PERIOD.search(job)
    return int(told[1]) if told else 1


def fires(rows: Iterable[Row]) -> tuple[int, int]:
    """Count fires without a row, and with more than one, from each job's first to its last."""
    covered: dict[str, Counter[int]] = defaultdict(Counter)
    for row in rows:
        last = row.scheduled_at // MICROS
        first = last if row.missed_first_at is None else row.missed_first_at // MICROS
        covered[row.job].update(range(first, last + 1, period_of(row.job)))
    missing = double = 0
    for job, seconds in covered.items():
        whole = range(min(seconds), max(seconds) + 1, period_of(job))
        missing += len(whole) - len(seconds)
        double += sum(count - 1 for count in seconds.values())
    return missing, double


def corrupt(world: World) -> int:
    """Ask each store whether its files are whole; return how many complaints it has."""
    if world.database_url:
        world.change("CREATE EXTENSION IF NOT EXISTS amcheck")
        world.query(
            "SELECT bt_index_check(c.oid, true) FROM pg_class c"
            " JOIN pg_am a ON a.oid = c.relam AND a.amname = 'btree'"
            " JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'"
            " WHERE c.relkind = 'i'"
        )  # raises where an index is at fault
        return 0
    complaints = 0
    for app in (False, True):
        complaints += world.query("PRAGMA integrity_check", app=app) != [("ok",)]
        complaints += len(world.query("PRAGMA foreign_key_check", app=app))
    return complaints


def judge(found: Finding, world: World, *, stuck: int, stepped: bool = False) -> Ledger:
    """Count what the promises of a world's jobs are about; note what was broken.

    A job whose name begins with ``once`` is delivered at most once.

    Args:
        found: where it is noted.
        world: settled: nothing fires any more.
        stuck: runs that did not end.
        stepped: the clock was stepped past deadlines: runs that had not been sent yet may end by
            theirs.
    """
    ledger = read(world)
    once = {row.key for row in ledger.rows if row.job.startswith("once")}
    missing, double = fires(ledger.rows)
    found.figures["fires"] = sum(max(row.missed_count, 1) for row in ledger.rows)
    found.figures["calls"] = sum(ledger.sent.values()) + sum(ledger.effects.values())
    found.promise("fires without a row", missing)
    found.promise("fires with two", double)
    found.promise("calls without a row", len(ledger.sent.keys() - {row.key for row in ledger.rows}))
    found.promise("stuck", stuck)
    found.promise("corrupt", corrupt(world))
    found.promise("two keys for a fire", sum(len(keys) > 1 for keys in ledger.keys_of.values()))
    again = {key: count - 1 for key, count in ledger.sent.items()}
    parked = [row for row in ledger.rows if row.status == "unknown"]
    if once:
        found.promise("at most once sent twice", sum(again.get(key, 0) for key in once))
        arrived = sum(bool(ledger.sent[row.key] or ledger.effects[row.key]) for row in parked)
        found.figures["parked"] = len(parked)
        found.figures["of these had arrived"] = arrived
    if any(row.key not in once for row in ledger.rows):
        found.promise("parked at least once", sum(row.key not in once for row in parked))
        overdue = [row for row in ledger.rows if stepped and row.reason == "deadline"]
        again_rows = [row for row in ledger.rows if row.key not in once and row not in overdue]
        found.promise("lost", lost(again_rows))
        if lost(again_rows):
            ends = Counter(f"{row.status} {row.reason}" for row in again_rows)
            found.figures["how they ended"] = ", ".join(f"{n} × {end}" for end, n in ends.items())
            waits = [row.started_at - row.scheduled_at for row in again_rows if row.started_at]
            found.figures["longest wait for a start"] = f"{max(waits, default=0) / MICROS:.0f} s"
        if stepped:
            found.figures["unsent past their deadline"] = len(overdue)
        found.figures["sent again"] = sum(n for key, n in again.items() if key not in once)
    found.promise("effects twice", sum(count - 1 for count in ledger.effects.values()))
    found.promise("success without an effect", unfounded(ledger))
    return ledger


def lost(rows: Iterable[Row]) -> int:
    """Count runs that ended other than they had to with a target that answers well."""
    good = {("success", ""), ("skipped", "overlap"), ("missed", "outage")}
    return sum((row.status, row.reason) not in good for row in rows)


def unfounded(ledger: Ledger) -> int:
    """Count runs called a success that neither the target nor the endpoint knows of."""
    return sum(
        row.status == "success" and not (ledger.sent[row.key] or ledger.effects[row.key])
        for row in ledger.rows
    )


class Finals:
    """Watches that a run that is over never changes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen: dict[int, tuple[object, ...]] = {}
        self.changed = 0

    def look(self) -> None:
        """Compare what is over now with what was over before."""
        now = {row[0]: row[1:] for row in self.world.query(FINALS)}
        self.changed += sum(now.get(run) != was for run, was in self.seen.items())
        self.seen = now
