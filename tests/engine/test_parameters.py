"""What was chosen for a run travels from the row to the endpoint, and with whatever repeats it."""

from __future__ import annotations

import asyncio

import pytest
from tests.engine.conftest import aside, running, until

from cronbell.domain import Parameter
from cronbell.runlog.again import rerun
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Run
from cronbell.runlog.requests import request_run
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


def test_a_run_and_its_rerun_send_what_was_chosen_and_a_fire_does_not(make_spec, clock, target):
    target.script("/api/cron/tick", answers.ok())
    spec = make_spec(parameters=(Parameter(name="b"), Parameter(name="a", required=True)))
    sync_jobs([spec], clock.now())
    chosen = {"b": "x y", "a": "1"}
    asked = request_run("tick", nonce="n" * 16, actor="me", parameters=chosen, clock=clock)

    def ended(number: int) -> bool:
        return Run.objects.filter(status="success").count() == number

    async def go() -> None:
        async with running([spec], clock, target):
            await until(lambda: ended(1))
            await aside(rerun, asked, nonce="m" * 16, actor="me", clock=clock)
            await until(lambda: ended(2))
            clock.show_second(59.9)
            await until(lambda: ended(3))

    asyncio.run(go())
    assert [call.path for call in target.requests_to("/api/cron/tick")] == [
        "/api/cron/tick?a=1&b=x%20y", "/api/cron/tick?a=1&b=x%20y", "/api/cron/tick"
    ]  # fmt: skip
    rows = Run.objects.order_by("id").values_list("parameters", flat=True)
    assert list(rows) == [chosen, chosen, None]
