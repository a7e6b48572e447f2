"""The runner's half of a heartbeat: silence is noticed on time, by one of however many runners."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from tests.engine.conftest import NOON, aside, running, until

from cronbell.domain import Dialect, JobSpec
from cronbell.runlog.heartbeats import Ping, Signal, take
from cronbell.runlog.models import Job, Run

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


def heartbeat(name: str, **changes) -> JobSpec:
    values = {"schedule": "* * * * *", "dialect": Dialect.STANDARD, "grace": 20.0, "timeout": 5.0}
    return JobSpec(name=name, path="", heartbeat=True, **{**values, **changes})


def rows() -> list[tuple[str, str, str]]:
    found = Run.objects.order_by("job__name", "id")
    return list(found.values_list("job__name", "status", "reason"))


def test_two_runners_record_silence_once_and_call_nothing(clock, target):
    specs = [heartbeat("backup"), heartbeat("mirror"), heartbeat("off", enabled=False)]

    def ping() -> None:
        take(Job.objects.get(name="mirror").pk, Ping(Signal.START), clock)

    async def go():
        async with running(specs, clock, target), running(specs, clock, target):
            clock.show_second(59.9)
            await aside(ping)
            clock.show(NOON + timedelta(minutes=1, seconds=19.7))
            await until(lambda: len(rows()) == 2)
            await until(lambda: ("mirror", "timed_out", "no_end") in rows())

    asyncio.run(go())
    assert rows() == [("backup", "missed", "no_ping"), ("mirror", "timed_out", "no_end")]
    assert {run.scheduled_at for run in Run.objects.all()} == {NOON + timedelta(minutes=1)}
    assert target.requests == []


def test_a_heartbeat_whose_rows_the_store_refuses_does_not_stop_the_others(
    clock, target, monkeypatch
):
    from cronbell.engine import heartbeats

    kept = heartbeats.look

    def refusing(store, job_ids, now):
        if Job.objects.filter(pk__in=job_ids, name="bad").exists():
            raise ValueError("a row that cannot be written")
        return kept(store, job_ids, now)

    monkeypatch.setattr(heartbeats, "look", refusing)

    async def go():
        async with running([heartbeat("bad"), heartbeat("good")], clock, target):
            clock.show(NOON + timedelta(minutes=1, seconds=19.9))
            await until(lambda: rows() == [("good", "missed", "no_ping")])

    asyncio.run(go())
