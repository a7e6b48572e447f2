"""Jobs with runs, and one look as a runner takes it, on the store under test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.db import transaction

from cronbell.alerts import outbox
from cronbell.alerts.judge import Judge
from cronbell.alerts.send import send
from cronbell.alerts.standin import StandIn
from cronbell.clock import to_micros
from cronbell.config.alerts import Alerts, Channel, ChannelType, Rule
from cronbell.dispatch import Dispatcher, PyreqwestTransport
from cronbell.dispatch.egress import Resolver, system_resolver
from cronbell.domain import Dialect, JobSpec
from cronbell.runlog.alert_tables import Delivery, Incident
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Job, Run, Runner
from cronbell.runlog.rollups import Roller
from cronbell.runlog.router import ALIAS
from cronbell.states import ACTIVE, Status
from cronbell.testing import FakeClock, ScriptedTarget

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VARIABLE = "TEST_ALERT_SECRET"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def target():
    with ScriptedTarget() as running:
        yield running


def spec(name: str, **changes: Any) -> JobSpec:
    values: dict[str, Any] = {
        "name": name, "path": f"/{name}", "url": f"http://127.0.0.1:9/{name}",
        "schedule": "0 * * * *", "dialect": Dialect.STANDARD, "deadline": 600.0,
    }  # fmt: skip
    return JobSpec(**(values | changes))


@pytest.fixture
def jobs(transactional_db) -> Callable[..., dict[str, Job]]:
    """Return ``jobs("one", "two")``: brings them into force at 12:00."""
    return lambda *names: sync_jobs(
        [one if isinstance(one, JobSpec) else spec(one) for one in names], NOON
    )


_numbers = count(1)


def run_of(job: Job, status: str, at: datetime | None = None, **columns: Any) -> Run:
    """Record a run of a job that was due, and began, at an instant; just after noon by default."""
    number = next(_numbers)
    at = at or NOON + timedelta(milliseconds=number)
    ended = Status(status) not in ACTIVE
    began = None if status in {"missed", "skipped", "pending"} else at
    values: dict[str, Any] = {
        "key": f"k-{number}", "kind": "schedule", "scheduled_at": at, "queued_at": at,
        "available_at": at, "started_at": began, "finished_at": at if ended else None,
        "deadline_at": at + timedelta(hours=1),
    }  # fmt: skip
    return Run.objects.create(job=job, status=status, **(values | columns))


def alive(now: datetime, host: str = "here", **columns: Any) -> Runner:
    """Make a runner that was seen at an instant."""
    return Runner.objects.create(id=f"{host}-{next(_numbers)}", **(shown(now, host) | columns))


def shown(now: datetime, host: str) -> dict[str, Any]:
    return {"host": host, "pid": 1, "version": "0", "started_at": now, "seen_at": now}


def webhook(target: ScriptedTarget | None = None, **changes: Any) -> Channel:
    """Return a channel whose messages wait for nothing."""
    url = target.url("/hook") if target else "http://127.0.0.1:9/hook"
    values: dict[str, Any] = {
        "name": "ops", "type": ChannelType.WEBHOOK, "url": url, "secret": (f"env:{VARIABLE}",),
        "digest": 0.0, "remind": None,
    }  # fmt: skip
    return Channel(**(values | changes))


def alerts_with(*channels: Channel, **changes: Any) -> Alerts:
    """Return a configuration that allows loopback."""
    named = {channel.name: channel for channel in channels}
    values: dict[str, Any] = {"channels": named, "hosts": frozenset({"127.0.0.1"})}
    return Alerts(**(values | changes))


class Watched:
    """One who judges and writes messages, as a runner does at each beat, and sends nothing."""

    def __init__(self, alerts: Alerts, clock: FakeClock, *, runner: bool = True) -> None:
        self.alerts = alerts
        self.runner = runner
        self.clock = clock
        self.judge = Judge(alerts)
        self.roller = Roller(self.judge.note)

    def look(self, later: timedelta = timedelta(0)) -> list[Delivery]:
        """Let time pass, look once, and return the messages that came of it."""
        if later:
            self.clock.advance(later.total_seconds())
        before = set(Delivery.objects.values_list("pk", flat=True))
        now = self.clock.now()
        if self.runner:
            Runner.objects.update_or_create(id="mine", defaults=shown(now, "mine"))
        self._all(self.roller.step)
        for step in self.judge.steps():
            self._all(lambda step=step: step(now))
        self._all(lambda: outbox.route(self.alerts, now))
        self._all(lambda: outbox.remind(self.alerts, now))
        self._all(lambda: outbox.gather(self.alerts, now, "en"))
        return list(Delivery.objects.exclude(pk__in=before).order_by("id"))

    def told(self, later: timedelta = timedelta(0)) -> list[str]:
        """Look, take every message for sent, and return their texts."""
        return [sent(one, self.clock) for one in self.look(later)]

    @staticmethod
    def _all(step: Callable[[], bool]) -> None:
        for _ in range(500):
            with transaction.atomic(using=ALIAS):
                if not step():
                    return
        raise AssertionError("it never ends")


def attempt(
    alerts: Alerts, clock: FakeClock, one: Delivery, *, resolver: Resolver = system_resolver
) -> outbox.Result:
    """Send as a runner does; it has the secret of the jobs, which no message may carry."""

    async def go() -> outbox.Result:
        transport = PyreqwestTransport(resolver=resolver)
        dispatcher = Dispatcher(
            transport, secret="sixteen-characters-or-more", allowed_hosts=alerts.hosts, clock=clock
        )
        try:
            return await send(dispatcher, alerts, one, clock)
        finally:
            await transport.close()

    return asyncio.run(go())


@pytest.fixture
def message(jobs, watched):
    """Return a message about a job that failed with markup in its words."""

    def make(alerts) -> Delivery:
        job = jobs("one")["one"]
        run_of(job, "error", details="<b>no & disk</b>\r\nBcc: x@y.example")
        (one,) = watched(alerts).look()
        return one

    return make


def sent(one: Delivery, clock: FakeClock, owner: str = "me") -> str:
    """Have a message be sent, as far as the table goes, and return its text."""
    with transaction.atomic(using=ALIAS):
        assert outbox.claim_one(one, owner, to_micros(clock.now()))
        assert outbox.settle(one, outbox.Result(sent=True, http_status=200), clock.now())
    return one.text


@pytest.fixture
def watched(clock) -> Callable[..., Watched]:
    return lambda alerts, **options: Watched(alerts, clock, **options)


@pytest.fixture
def stand_in(clock) -> StandIn:
    return StandIn(clock)


def open_now() -> list[str]:
    """Return what is open, as ``condition job``."""
    found = Incident.objects.filter(recovered_at__isnull=True).select_related("job").order_by("id")
    return [f"{one.condition} {one.job.name if one.job else one.subject}".strip() for one in found]


def payload(one: Delivery) -> dict[str, Any]:
    return json.loads(one.body)


__all__ = ["Rule"]
