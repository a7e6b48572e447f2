"""A month of fifty jobs on a clock that jumps from fire to fire, across changes of the clocks.

Planner and store are the product's; the rows they leave are compared with Debian cron's model,
which shares no code with them. Now and then the runner dies between planning and recording, or
another one plans the same fires; and now and then none is up for minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from tests.faults.report import Finding
from tests.faults.settings import Settings
from tests.faults.world import World
from tests.support.debian import DAY, Debian, steps

MICROS = 1_000_000
LEASE = 15 * MICROS
LONGEST_OUTAGE = 20  # minutes: within ``catch_up = all``, so that every fire is made up for
MONTHS = {
    # America on 8 March, Europe on the 29th, Lord Howe on 5 April
    "spring": (datetime(2026, 3, 7, tzinfo=UTC), 31),
    # Lord Howe on 4 October, Europe on the 25th, America on 1 November
    "autumn": (datetime(2026, 10, 3, tzinfo=UTC), 31),
}
ZONES = ("UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Seoul")
EXPRESSIONS = (
    "30 2 * * *", "30 1 * * *", "0 1-4 * * *", "15 */2 * * *", "*/30 * * * *",
    "10 2,3 * * *", "0 * * * *", "0 3 * * 0", "15 2 1-7 * *", "45 */3 8-14 * 0",
)  # fmt: skip
# In the full version each zone's first job fires every minute.
EVERY_MINUTE = "* * * * *"


def jobs(*, full: bool) -> list[tuple[str, str, str]]:
    """Return name, expression and zone of fifty jobs."""
    made = []
    for zone in ZONES:
        for number, expression in enumerate(EXPRESSIONS):
            chosen = EVERY_MINUTE if full and number == 0 else expression
            made.append((f"{zone.rpartition('/')[2].lower()}-{number}", chosen, zone))
    return made


def expected(first: int, days: int, *, full: bool) -> set[tuple[str, int]]:
    """Return what Debian cron starts: (job, epoch second), each instant once."""
    walked = {zone: steps(zone, first, first + days * DAY) for zone in ZONES}
    return {
        (name, minute * 60)
        for name, expression, zone in jobs(full=full)
        for minute in Debian(expression).fires(walked[zone])
    }


class Month:
    """The runner's planning over a month, in this process, on the store of its environment."""

    def __init__(self, start: datetime, days: int, rng: random.Random, *, full: bool) -> None:
        from cronbell.domain import CatchUp, Dialect, JobSpec, Overlap
        from cronbell.runlog.jobs import sync_jobs
        from cronbell.runlog.store import RunStore

        self.rng = rng
        self.end = int(start.timestamp()) + days * 86_400
        self.store = RunStore("month")
        self.specs = [
            JobSpec(
                name=name, path=f"/api/cron/{name}", url=f"http://127.0.0.1:1/{name}",
                schedule=expression, timezone=zone, dialect=Dialect.STANDARD,
                overlap=Overlap.ALLOW, catch_up=CatchUp.ALL,
            )
            for name, expression, zone in jobs(full=full)
        ]  # fmt: skip
        # A schedule in force at that moment has its first fire after it.
        begun = start.replace(tzinfo=UTC).timestamp() - 1
        with self.store.transaction():
            self.ids = {
                name: job.pk
                for name, job in sync_jobs(self.specs, datetime.fromtimestamp(begun, UTC)).items()
            }
        self.planner = self.restart()
        self.counts = {"restarts": 0, "planned twice": 0, "outages": 0}

    def restart(self):
        """Return the planner of a new runner, from the cursors in the store."""
        from cronbell.clock import to_micros
        from cronbell.engine.planner import Planner
        from cronbell.runlog.models import Job

        planner = Planner()
        cursors = dict(Job.objects.values_list("pk", "cursor_at"))
        planner.load(
            (self.ids[spec.name], spec, to_micros(cursors[self.ids[spec.name]]))
            for spec in self.specs
        )
        return planner

    def go(self) -> dict[str, int]:
        """Go from fire to fire until the month is over."""
        while (due := self.planner.next_due()) is not None and due < self.end:
            late = self.rng.random() * 2
            if self.rng.random() < 0.01:
                self.counts["outages"] += 1
                late += self.rng.uniform(60, LONGEST_OUTAGE * 60)
            now = min(int((due + late) * MICROS), self.end * MICROS - 1)
            rows = self.planner.plan(now, 500, 500)
            if not rows:
                continue
            chance = self.rng.random()
            if chance < 0.01:
                # Killed before the commit: the next runner finds the same cursors.
                self.counts["restarts"] += 1
                self.planner = self.restart()
                continue
            self.record(rows, now)
            if chance < 0.02:
                # Another runner had planned the same.
                self.counts["planned twice"] += 1
                self.record(rows, now, again=True)
        return self.counts

    def record(self, rows, now: int, *, again: bool = False) -> None:
        """Record fires, and end those that were started."""
        with self.store.transaction(durable=False):
            recorded = self.store.record_fires(rows, now, now + LEASE)
            assert not (again and (recorded.moved or recorded.started))
            started = recorded.started + self.store.claim(500, now, now + LEASE)
            self.finish(started, now)
        if not again:
            self.planner.planned(rows)

    def finish(self, started, now: int) -> None:
        """End runs as a success."""
        from cronbell.runlog.store import FinishRow

        rows = [
            FinishRow(run.id, run.term, now, now, "success", "", "{}", 200, "", "", 0, 0)
            for run in started
        ]
        if rows:
            assert len(self.store.finish(rows, [])) == len(rows)


def simulate() -> int:
    """Simulate one month in this process; print what was left as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("month", choices=MONTHS)
    parser.add_argument("seed", type=int)
    parser.add_argument("--full", action="store_true")
    told = parser.parse_args()
    import django

    django.setup()
    from cronbell.runlog.models import Run

    start, days = MONTHS[told.month]
    month = Month(start, days, random.Random(told.seed), full=told.full)
    counts = month.go()
    from cronbell.clock import to_micros

    found = [
        (name, to_micros(at) // MICROS, status)
        for name, at, status in Run.objects.values_list("job__name", "scheduled_at", "status")
    ]
    sys.stdout.write(json.dumps({"counts": counts, "rows": found}))
    return 0


def experiment(store: str, month: str, seed: int, *, full: bool) -> Finding:
    """Compare a month's rows with the model's instants."""
    start, days = MONTHS[month]
    found = Finding(f"fifty jobs, a month of {month} {start.year}, {store}", f"{days} days")
    with World(store) as world:
        words = ["-m", "tests.faults.month", month, str(seed), *(["--full"] if full else [])]
        child = world.start(*words)
        code = child.popen.wait(3600)
        assert code == 0, child.output()
        told = json.loads(child.output().splitlines()[-1])
    rows = [(name, second) for name, second, _ in told["rows"]]
    wanted = expected(int(start.timestamp()) // 60, days, full=full)
    found.figures["fires"] = len(wanted)
    found.promise("missing", len(wanted - set(rows)))
    found.promise("extra", len(set(rows) - wanted))
    found.promise("double", len(rows) - len(set(rows)))
    found.promise("not a success", sum(status != "success" for _, _, status in told["rows"]))
    found.figures |= told["counts"]
    return found


def run(settings: Settings) -> Iterator[Finding]:
    """Do one month, or both on each store."""
    if not settings.full:
        yield experiment("sqlite", "autumn", settings.seed, full=False)
        return
    for store in settings.stores:
        for month in MONTHS:
            yield experiment(store, month, settings.seed, full=True)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    raise SystemExit(simulate())
