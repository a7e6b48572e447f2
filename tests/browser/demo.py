"""A service that has been at work for a month: something of everything the pages can show."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import Group, User
from tests.browser.demo_records import demo_records
from tests.drain.backlog.models import Letter

from cronbell.alerts.incidents import open_incident
from cronbell.clock import iso
from cronbell.config.alerts import Alerts, Channel, ChannelType, Condition
from cronbell.dashboard.scopes import Scope
from cronbell.dashboard.tokens import make as make_token
from cronbell.domain import Dialect, JobSpec, Overlap, Parameter, RetryPolicy
from cronbell.drain.drain import Drain
from cronbell.drain.models import Stage
from cronbell.drain.target import HttpTarget
from cronbell.endpoint.registry import Registry, cron_job
from cronbell.runlog.alert_tables import Delivery
from cronbell.runlog.audit import Actor, Means, acting
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Attempt, Configuration, Item, Job, LogLine, Run, Runner
from cronbell.states import ACTIVE, Status

NAME, PASSWORD = "administrator", "correct horse battery"
TARGET = "http://127.0.0.1:9"
DAY = timedelta(days=1)


def spec(name: str, schedule: str, **changes: Any) -> JobSpec:
    path = f"/api/cron/{name}"
    values = {"name": name, "path": path, "url": TARGET + path, "schedule": schedule}
    return JobSpec(**(values | {"deadline": 900.0} | changes))


SPECS = [
    spec("update-rankings", "0 0 * * *", timeout=300.0),
    spec("clean-data", "0 3 * * 0", timeout=60.0, dry_run=True),
    spec(
        "generate-ideas",
        "0 12 * * 1,4",
        dry_run=True,
        parameters=(
            Parameter(
                name="category",
                label="Only this category",
                choices=("food", "travel", "education"),
                required=True,
            ),
            Parameter(name="topic", label="What the ideas are about"),
        ),
    ),
    spec(
        "verify-records",
        "*/5 * * * *",
        overlap=Overlap.QUEUE_ONE,
        retry=RetryPolicy(max_attempts=3, backoff=10.0),
    ),
    spec(
        "morning-digest",
        "30 2 * * *",
        dialect=Dialect.STANDARD,
        timezone="America/New_York",
        jitter=120.0,
    ),
    spec("warm-cache", "15 * * * *"),
    spec("import-prices", "30 6 * * 1-5"),
    spec("old-report", "0 9 1 * *", enabled=False),
    spec("a-job-with-a-name-that-is-really-rather-long-for-a-phone", "0 0 1 1 *"),
]


def demo_registry() -> Registry:
    """Return the endpoints of the service: one drains letters."""
    registry = Registry()
    target = HttpTarget(f"{TARGET}/api/admin/records", token="a-token-nobody-must-see")
    letters = Drain(name="letters", qualifying=Letter.objects.all, call=target)
    cron_job("verify-records", max_duration=60, registry=registry)(letters.run)
    return registry


class Demo:
    """Fills both databases; ``runs`` names the runs the tests look at."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        # The newest fire of what runs every five minutes.
        self.fifth = now.replace(minute=now.minute // 5 * 5, second=0, microsecond=0)
        self.random = random.Random(7)
        self.number = 0
        user = User.objects.create_user(NAME, password=PASSWORD)
        user.groups.add(Group.objects.get_or_create(name="ADMIN")[0])
        with acting(lambda: Actor(NAME, Means.SESSION, "203.0.113.7")):
            for name, scope in (("deploy", Scope.RUN), ("status page", Scope.READ)):
                make_token(user, name=name, scope=scope)
        start = now - 31 * DAY
        sync_jobs(
            [*SPECS, spec("forgotten", "0 1 * * *")],
            start,
            target=TARGET,
            applied_by="cronbell.toml",
        )
        self.jobs: dict[str, Job] = sync_jobs(SPECS, now - DAY, applied_by="cronbell.toml")
        # A runner that is up has every fire accounted for.
        Job.objects.update(cursor_at=now)
        Job.objects.filter(name="import-prices").update(
            paused_at=now - 2 * DAY, pause_reason="the supplier moves its API", paused_by="kim"
        )
        past = (run for run in self._history() if run.scheduled_at < now - timedelta(minutes=1))
        history = sorted(past, key=lambda run: run.queued_at)
        Run.objects.bulk_create(history)
        self.skipped = Run.objects.filter(status="skipped", reason="overlap").latest("id")
        self.runs = self._special()
        self._runners()
        self._alerts()
        self.letters = self._letters()
        self.records = demo_records(user, now)

    def run(self, job: str, at: datetime, status: str = "success", **columns: Any) -> Run:
        self.number += 1
        seconds = columns.pop("seconds", 2.0)
        late = timedelta(milliseconds=columns.pop("late", 30))
        begun = at + late
        final = Status(status) not in ACTIVE
        values: dict[str, Any] = {
            "key": f"cb1-{self.number:032x}",
            "kind": "schedule",
            "scheduled_at": at,
            "queued_at": at,
            "available_at": at,
            "started_at": begun,
            "finished_at": begun + timedelta(seconds=seconds) if final else None,
            "deadline_at": at + timedelta(minutes=15),
            "http_status": 200 if status == "success" else None,
        }
        return Run(job=self.jobs[job], status=status, **(values | columns))

    def _history(self) -> Iterator[Run]:
        midnight = self.now.replace(hour=0, minute=0, second=0, microsecond=0)
        for day in range(30, -1, -1):
            at = midnight - day * DAY
            taken = 8 + self.random.random() * 6 + (30 - day) / 5
            details = f"{118_000 + 400 * (30 - day):,} ideas re-ranked"
            yield self.run("update-rankings", at, seconds=taken, details=details)
            yield self.run("morning-digest", at + timedelta(hours=7, minutes=30), seconds=1.4)
        for hours in range(60, 0, -1):
            at = self.now.replace(minute=15, second=0, microsecond=0) - timedelta(hours=hours)
            bad = hours < 4
            status, extra = ("success", {}) if not bad else ("error", self._refused())
            yield self.run("warm-cache", at, status, seconds=0.4, late=20 + 5 * hours, **extra)
        for minutes in range(600, 5, -5):
            at = self.fifth - timedelta(minutes=minutes)
            if minutes % 95 == 0:
                yield self.run(
                    "verify-records", at, "skipped", reason="overlap", started_at=None,
                    finished_at=at,
                )  # fmt: skip
            else:
                yield self.run("verify-records", at, seconds=20, details="20 records verified")

    def _refused(self) -> dict[str, Any]:
        return {"reason": "connect", "reason_data": {"host": "127.0.0.1:9"}, "http_status": 0}

    def _special(self) -> dict[str, Run]:
        now = self.now
        sunday = now.replace(hour=3, minute=0, second=0, microsecond=0)
        sunday -= (now.weekday() + 1) % 7 * DAY
        sunday -= 7 * DAY if sunday > now - timedelta(minutes=1) else 0 * DAY
        found = {
            "missed": self.run(
                "clean-data", sunday, "missed", reason="outage", started_at=None,
                finished_at=sunday + timedelta(minutes=1), missed_first_at=sunday - 7 * DAY,
                missed_count=2,
            ),
            "partial": self.run(
                "verify-records", self.fifth - timedelta(minutes=5), "partial", seconds=41,
                reason="body_partial", reason_data={"failed": 8, "total": 60}, http_status=200,
                sent_at=self.fifth - timedelta(minutes=5) + timedelta(seconds=15),
                details="52 of 60 records verified", items_total=60, items_failed=8, attempt=2,
                body=json.dumps({"success": True, "status": "partial", "processed": 60,
                                 "message": "52 of 60 records verified"}),
            ),
            "late": self.run(
                "generate-ideas", self.fifth - timedelta(hours=9), late=190_000, seconds=64
            ),
            "running": self.run(
                "generate-ideas", now - timedelta(minutes=12), "running", kind="run_now",
                actor="kim", progress_done=3, progress_total=12, lease_owner="r1",
                lease_expires_at=now + DAY, deadline_at=now + DAY,
            ),
        }  # fmt: skip
        for run in found.values():
            run.save()
        self._details(found["partial"])
        return found

    def _details(self, run: Run) -> None:
        began = run.scheduled_at + timedelta(milliseconds=30)
        Attempt.objects.create(
            run=run, number=1, term=1, started_at=began, finished_at=began + timedelta(seconds=5),
            reason="http_status", reason_data={"status": 503}, http_status=503,
        )  # fmt: skip
        Item.objects.bulk_create(
            Item(
                run=run,
                job=run.job,
                record_id=f"rec-{number:04d}",
                ok=number % 8 != 3,
                http_status=200 if number % 8 != 3 else 0,
                error="" if number % 8 != 3 else "the verifier did not answer within 30 s",
                body={"verdict": "approved"} if number % 8 != 3 else None,
            )
            for number in range(60)
        )
        for number, words in enumerate(("60 records are due", "claimed 60", "8 left for later")):
            LogLine.objects.create(run=run, at=began + timedelta(seconds=number), message=words)

    def _letters(self) -> list[Letter]:
        """Fill the backlog: some wait, some are done, three were set aside; the last ones."""
        now = self.now
        waiting = [
            Letter(drain_entered_at=now - timedelta(minutes=7 * number)) for number in range(1, 24)
        ]
        done = [
            Letter(
                drain_state=Stage.DONE.value, drain_entered_at=now - timedelta(minutes=90),
                drain_settled_at=now - timedelta(minutes=number),
            )
            for number in range(1, 40)
        ]  # fmt: skip
        Letter.objects.bulk_create([*waiting, *done])
        errors = (
            "HTTP 500",
            "HTTP 422: the attachment is not a PDF",
            "The verifier's answer was no JSON: <html><head><title>502 Bad Gateway</title></head>",
        )
        dead = [
            Letter.objects.create(
                drain_state=Stage.DEAD.value, drain_failures=3, drain_term=3, drain_error=words,
                drain_entered_at=now - 2 * DAY, drain_settled_at=now - number * DAY / 3,
                drain_available_at=now - number * DAY / 3,
            )
            for number, words in enumerate(errors, start=1)
        ]  # fmt: skip
        runs = Run.objects.filter(job=self.jobs["verify-records"], status="success")
        said = ("", "HTTP 500", "connect: nobody listens")
        for run, error in zip(reversed(runs[:3]), said, strict=True):  # as they came
            Item.objects.create(
                run=run, job=run.job, record_id=str(dead[0].pk), ok=not error, error=error,
                http_status=200, microseconds=1_340_000, tokens=1_812, micromoney=2_300,
                body=None if error else {"verdict": "needs_review"},
            )  # fmt: skip
        return dead

    def _runners(self) -> None:
        Runner.objects.create(
            id="r1", host="web-1", pid=4711, version="0.1.0", started_at=self.now - DAY,
            seen_at=self.now + timedelta(hours=1), jobs=8,
        )  # fmt: skip
        Runner.objects.create(
            id="r0", host="web-1", pid=3120, version="0.1.0", started_at=self.now - 9 * DAY,
            seen_at=self.now - DAY, stopped_at=self.now - DAY, jobs=9,
        )  # fmt: skip

    def _alerts(self) -> None:
        """Have one channel, something wrong of each kind, and messages that arrived or did not."""
        ops = Channel(
            name="ops", type=ChannelType.WEBHOOK, url="https://hooks.example.com/cronbell",
            secret=("env:A_VARIABLE_THAT_IS_NOT_SET",), jobs=("*",),
        )  # fmt: skip
        Configuration.objects.update(alerts=Alerts(channels={"ops": ops}).plain())
        since = self.now - timedelta(hours=3)
        job = self.jobs["warm-cache"].pk
        for condition, facts in {
            Condition.FAILED: {"count": 4, "reason": "http_status", "reason_data": {"status": 500}},
            Condition.LATE: {"seconds": 420, "due": iso(since)},
        }.items():
            open_incident(condition, since, job=job, run=self.runs["partial"].pk, data=facts)
        open_incident(
            Condition.RUNNER_DOWN,
            since,
            subject="web-2",
            data={"host": "web-2", "seen": iso(since)},
        )
        for number, sent in enumerate((True, False)):
            Delivery.objects.create(
                channel="ops", key=f"msg_{number}", subject="Cronbell: warm-cache: failed",
                created_at=since, available_at=since, finished_at=since, attempts=1 + number,
                sent=sent, reason="" if sent else "connect", notices=1,
            )  # fmt: skip


def addresses(demo: Demo) -> dict[str, str]:
    """Return every page worth a picture, by the picture's name."""
    jobs, runs = demo.jobs, demo.runs
    return {
        "home": "/admin/",
        "logs": "/admin/cron-logs",
        "logs-empty": "/admin/cron-logs?status=cancelled",
        "logs-range": "/admin/cron-logs?"
        + urlencode({"since": iso(demo.now - DAY), "until": iso(demo.now), "status": "success"}),
        "jobs": "/admin/jobs",
        "jobs-none": "/admin/jobs?text=nothing+is+called+so",
        "job": f"/admin/jobs/{jobs['verify-records'].pk}",
        "job-failing": f"/admin/jobs/{jobs['warm-cache'].pk}",
        "job-zone": f"/admin/jobs/{jobs['morning-digest'].pk}",
        "job-paused": f"/admin/jobs/{jobs['import-prices'].pk}",
        "pause": f"/admin/jobs/{jobs['clean-data'].pk}/pause",
        "run-now": "/admin/run-now?job_name=clean-data",
        "run-now-parameters": "/admin/run-now?job_name=generate-ideas",
        "run-now-chosen": "/admin/run-now?"
        + urlencode(
            {"job_name": "generate-ideas", "p.category": "food", "p.topic": "빵", "dry_run": "on"}
        ),
        "run-partial": f"/admin/runs/{runs['partial'].pk}",
        "run-running": f"/admin/runs/{runs['running'].pk}",
        "run-missed": f"/admin/runs/{runs['missed'].pk}",
        "settings": "/admin/settings",
        "tokens": "/admin/tokens",
        "audit": "/admin/audit",
        "alerts": "/admin/alerts",
        "records": "/admin/records",
        "drain": "/admin/records/verify-records",
        "record": f"/admin/record?job=verify-records&record={demo.letters[0].pk}",
        "retry": f"/admin/records/verify-records/retry?record={demo.letters[0].pk}",
        "backfill": f"/admin/jobs/{jobs['update-rankings'].pk}/backfill?"
        + urlencode({"since": iso(demo.now - 9 * DAY)}),
        "rerun": f"/admin/runs/{runs['partial'].pk}/rerun",
        "cancel-run": f"/admin/runs/{runs['running'].pk}/cancel",
        "reviews": "/admin/reviews",
        "reviews-decided": "/admin/reviews?show=decided",
        "review": f"/admin/reviews/{demo.records['doubt'].pk}?text=on",
        "review-orders": f"/admin/reviews/{demo.records['orders'].pk}?text=on",
        "why-form": "/admin/why",
        "why-skipped": "/admin/why?"
        + urlencode({"job": "verify-records", "at": iso(demo.skipped.scheduled_at)}),
        "why-not-due": "/admin/why?"
        + urlencode({"job": "morning-digest", "at": iso(demo.now.replace(minute=7))}),
    }
