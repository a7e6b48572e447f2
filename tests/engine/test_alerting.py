"""A runner tells of what fails, once, whoever else runs and whoever died before."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from datetime import timedelta

import pytest
from django.db import connections, transaction
from tests.engine.conftest import aside, lost_run, running, until
from tests.support import forks

from cronbell.alerts import outbox
from cronbell.alerts.judge import Judge
from cronbell.clock import to_micros
from cronbell.config.alerts import Alerts, Channel, ChannelType
from cronbell.engine.loop import RunnerSettings
from cronbell.runlog.alert_tables import Delivery, Incident
from cronbell.runlog.jobs import live_alerts
from cronbell.runlog.models import Run
from cronbell.runlog.rollups import Roller
from cronbell.runlog.router import ALIAS
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
HOOK = "/hook"


@pytest.fixture
def alerts(target, monkeypatch) -> Alerts:
    monkeypatch.setenv("HOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    channel = Channel(
        name="ops", type=ChannelType.WEBHOOK, url=target.url(HOOK), secret=("env:HOOK_SECRET",),
        digest=0.0, on=("failed", "recovered"),
    )  # fmt: skip
    target.script(HOOK, answers.answer(204))
    return Alerts(channels={"ops": channel}, hosts=frozenset({"127.0.0.1"}))


def watching(alerts: Alerts) -> RunnerSettings:
    return RunnerSettings(poll_seconds=0.1, grace_seconds=2, alerts=alerts)


async def look(*runners) -> None:
    """Have runners roll up and look, all at once, as their beats do every five seconds."""
    await asyncio.gather(*(runner.housekeeping.roll_up() for runner in runners))
    await asyncio.gather(*(runner.alerting.beat() for runner in runners))


def arrived(number: int) -> bool:
    return Delivery.objects.filter(sent=True).count() == number


async def look_until_arrived(number: int, *runners) -> None:
    """Look until so many messages have arrived: a runner's own beat may have one in hand."""
    for _ in range(200):
        await look(*runners)
        if await aside(arrived, number):
            return
        await runners[0].clock.wait(0.05)
    raise AssertionError(f"{number} messages never arrived")


def texts(target) -> list[str]:
    return [json.loads(request.body)["data"]["text"] for request in target.requests_to(HOOK)]


def over(number: int) -> bool:
    return Run.objects.filter(finished_at__isnull=False).count() >= number


def test_a_job_that_fails_and_recovers_is_told_of_by_two_runners_once_each(
    make_spec, clock, target, alerts
):
    spec = make_spec()
    target.script(spec.path, answers.answer(500), answers.ok())

    async def go() -> None:
        async with (
            running([spec], clock, target, settings=watching(alerts)) as one,
            running([spec], clock, target, settings=watching(alerts)) as two,
        ):
            for number in (1, 2):
                clock.show_second(59.9)
                await until(lambda number=number: over(number))
                await look_until_arrived(number, one, two)
            await look(one, two)
            assert await aside(live_alerts) == alerts

    asyncio.run(go())
    first, second = texts(target)
    assert "tick: the last run failed" in first
    assert "right again" in second
    requests = target.requests_to(HOOK)
    assert [request.header("authorization") for request in requests] == [None, None]
    assert Delivery.objects.filter(sent=True).count() == 2


def test_without_channels_nothing_is_kept_at_all(make_spec, clock, target):
    spec = make_spec()
    target.script(spec.path, answers.answer(500))

    async def go() -> None:
        async with running([spec], clock, target) as runner:
            clock.show_second(59.9)
            await until(lambda: over(1))
            await look(runner)

    asyncio.run(go())
    assert Incident.objects.count() == 0


def written_by_one_who_dies(alerts: Alerts, clock, *, claimed: bool) -> None:
    """Write a message, claim it or not, commit, and be killed before anything is sent."""

    def work() -> None:
        now, judge = clock.now(), Judge(alerts)
        for step in (
            Roller(judge.note).step,
            lambda: judge.suspects(now),
            lambda: outbox.route(alerts, now),
            lambda: outbox.gather(alerts, now, "en"),
        ):
            with transaction.atomic(using=ALIAS):
                step()
        if claimed:
            with transaction.atomic(using=ALIAS):
                assert outbox.claim("who dies", now, to_micros(now))
        os.kill(os.getpid(), signal.SIGKILL)

    connections.close_all()
    pid = forks.start(work)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("claimed", [False, True])
def test_killed_between_commit_and_send_the_next_runner_sends_it_once(
    make_spec, clock, target, alerts, claimed
):
    spec = make_spec(schedule="0 0 1 1 *")
    now = clock.now()
    lost_run(spec, clock, status="error", started_at=now, finished_at=now, lease_expires_at=None)
    written_by_one_who_dies(alerts, clock, claimed=claimed)
    assert Delivery.objects.get().finished_at is None

    async def go() -> None:
        async with running([spec], clock, target, settings=watching(alerts)) as runner:
            await look(runner)
            if claimed:
                # A message that somebody had in hand is left to him while his lease lasts.
                assert target.requests_to(HOOK) == []
            else:
                await look_until_arrived(1, runner)
            clock.show(clock.now() + timedelta(seconds=outbox.LEASE_SECONDS + 1))
            await runner.keeper.rescue()
            await look_until_arrived(1, runner)
            await look(runner)

    asyncio.run(go())
    (request,) = target.requests_to(HOOK)
    message = Delivery.objects.get()
    assert request.header("webhook-id") == message.key
    assert (message.sent, message.attempts) == (True, 2 if claimed else 1)


def test_a_channel_that_is_away_holds_up_no_run(make_spec, clock, target, alerts):
    spec = make_spec()
    target.script(spec.path, answers.answer(500))
    target.script(HOOK, answers.hang())

    async def go() -> None:
        async with running([spec], clock, target, settings=watching(alerts)) as runner:
            clock.show_second(59.9)
            await until(lambda: over(1))
            beat = asyncio.ensure_future(look(runner))
            await until(lambda: bool(target.requests_to(HOOK)))
            clock.show_second(59.9)
            await until(lambda: over(2))
            assert await aside(lambda: Delivery.objects.get().finished_at is None)
            target.close()
            await beat

    asyncio.run(go())
    message = Delivery.objects.get()
    assert (message.sent, message.http_status, message.attempts) == (False, 0, 1)
    assert message.finished_at is None
