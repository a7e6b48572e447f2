"""Jobs that call one path at the same moments: each has its own fire, its own key, its own row."""

from __future__ import annotations

import asyncio

import pytest
from tests.engine.conftest import running, statuses, until

from cronbell.clock import to_micros
from cronbell.domain import Dialect, fire_key
from cronbell.runlog.models import Run
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


def test_two_jobs_on_one_path_at_one_moment_both_run(make_spec, clock, target):
    own = {"path": "/api/cron/tick", "url": target.url("/api/cron/tick")}
    specs = [
        make_spec("again", **own, dialect=Dialect.STANDARD),
        make_spec("tick", **own),
        make_spec("seoul", **own, timezone="Asia/Seoul"),
    ]
    target.script(own["path"], answers.ok())

    async def go():
        async with running(specs, clock, target):
            due = clock.show_second(59.8) + 200_000
            await until(lambda: statuses() == ["success"] * 3)
            return due

    due = asyncio.run(go())
    runs = {run.job.name: run for run in Run.objects.select_related("job")}
    assert {to_micros(run.scheduled_at) for run in runs.values()} == {due}
    keys = {name: run.key for name, run in runs.items()}
    assert len(set(keys.values())) == 3
    assert {call.header("Idempotency-Key") for call in target.requests} == set(keys.values())
    # The one that Vercel may call too keeps the key that such a call gets.
    plain = fire_key(own["path"], "* * * * *", runs["seoul"].scheduled_at)
    assert [name for name, key in keys.items() if key == plain] == ["seoul"]
