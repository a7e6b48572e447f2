"""Configuration files that change while the runner is at work."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from tests.engine.conftest import NOON, SECRET, until

from cronbell.config.loader import load
from cronbell.dispatch import Dispatcher, PyreqwestTransport
from cronbell.engine.loop import Runner, RunnerSettings
from cronbell.engine.watch import Watcher
from cronbell.runlog.models import Job, Run
from cronbell.runlog.models import Runner as RunnerRow
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


def write(path, *schedules: tuple[str, str]) -> None:
    crons = [{"path": each, "schedule": schedule} for each, schedule in schedules]
    path.write_text(json.dumps({"crons": crons}))


async def with_watched_files(path, clock, target, work) -> None:
    watcher = Watcher(path, None, target=target.base_url)
    config = load(path, None, target=target.base_url)
    transport = PyreqwestTransport()

    def dispatcher_for(changed):
        return Dispatcher(transport, secret=SECRET, allowed_hosts=changed.allowed_hosts)

    runner = Runner(
        config.jobs,
        dispatcher_for(config),
        clock=clock,
        settings=RunnerSettings(poll_seconds=0.1, grace_seconds=1),
        watcher=watcher,
        dispatcher_for=dispatcher_for,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(runner.run(stop))
    await runner.ready.wait()
    try:
        await work()
    finally:
        stop.set()
        await task
        await transport.close()


def test_a_change_is_live_without_a_restart_and_makes_up_no_fire(tmp_path, clock, target):
    path = tmp_path / "vercel.json"
    write(path, ("/api/cron/a", "0 0 1 1 *"))
    target.script("/api/cron/a", answers.ok())
    target.script("/api/cron/b", answers.ok())

    async def work():
        write(path, ("/api/cron/a", "* * * * *"), ("/api/cron/b", "* * * * *"))
        await until(lambda: Job.objects.filter(schedule="* * * * *").count() == 2)
        await until(lambda: RunnerRow.objects.get().jobs == 2)
        clock.show(NOON + timedelta(seconds=59.7))
        await until(lambda: Run.objects.filter(status="success").count() == 2)

    asyncio.run(with_watched_files(path, clock, target, work))
    assert {run.scheduled_at for run in Run.objects.all()} == {NOON + timedelta(minutes=1)}


def test_a_removed_job_fires_no_more_and_keeps_its_history(tmp_path, clock, target):
    path = tmp_path / "vercel.json"
    write(path, ("/api/cron/a", "* * * * *"), ("/api/cron/b", "* * * * *"))
    target.script("/api/cron/a", answers.ok())
    target.script("/api/cron/b", answers.ok())

    async def work():
        clock.show(NOON + timedelta(seconds=59.7))
        await until(lambda: Run.objects.filter(status="success").count() == 2)
        write(path, ("/api/cron/b", "* * * * *"))
        await until(lambda: Job.objects.filter(removed_at__isnull=False).count() == 1)
        clock.show(NOON + timedelta(minutes=1, seconds=59.7))
        await until(lambda: Run.objects.filter(status="success").count() == 3)

    asyncio.run(with_watched_files(path, clock, target, work))
    assert Run.objects.filter(job__name="a").count() == 1
    assert Run.objects.filter(job__name="b").count() == 2


def test_a_bad_file_keeps_the_old_configuration_and_says_so(tmp_path, clock, target):
    path = tmp_path / "vercel.json"
    write(path, ("/api/cron/a", "* * * * *"))
    target.script("/api/cron/a", answers.ok())

    async def work():
        path.write_text('{"crons": [{"path": "/api/cron/a", "schedule": "99 * * * *"}]}')
        await until(lambda: "99" in RunnerRow.objects.get().config_fault)
        clock.show(NOON + timedelta(seconds=59.7))
        await until(lambda: Run.objects.filter(status="success").count() == 1)
        write(path, ("/api/cron/a", "*/2 * * * *"))
        await until(lambda: RunnerRow.objects.get().config_fault == "")

    asyncio.run(with_watched_files(path, clock, target, work))
    assert Job.objects.get().schedule == "*/2 * * * *"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"crons": 1}', "\x00", "null"])
def test_no_half_written_file_is_taken_over(tmp_path, text):
    path = tmp_path / "vercel.json"
    write(path, ("/api/cron/a", "* * * * *"))
    watcher = Watcher(path, None, target="http://127.0.0.1:1")
    assert watcher.look() is None
    path.write_text(text)
    changed = watcher.look()
    assert changed is not None
    assert changed.config is None
    assert changed.fault
    assert watcher.look() is None, "said once"


def test_a_file_that_vanishes_and_comes_back_is_noticed(tmp_path):
    path = tmp_path / "vercel.json"
    write(path, ("/api/cron/a", "* * * * *"))
    watcher = Watcher(path, None, target="http://127.0.0.1:1")
    path.unlink()
    gone = watcher.look()
    assert gone is not None
    assert gone.config is None, "a file in the middle of a checkout takes no job away"
    assert "is gone" in gone.fault
    write(path, ("/api/cron/a", "* * * * *"))
    back = watcher.look()
    assert back is not None
    assert back.config is not None
