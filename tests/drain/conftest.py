"""Letters to be drained, and the time they are drained at."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
from tests.drain.backlog.models import Letter

from cronbell.drain import claim as claims
from cronbell.drain.drain import Drain
from cronbell.drain.target import HttpTarget
from cronbell.endpoint import JobContext
from cronbell.endpoint.answer import worked
from cronbell.testing import FakeClock, ScriptedTarget, answers

PATH = "/letters"


@pytest.fixture
def clock():
    """Waits on it cost no time and move it."""
    return FakeClock(auto=True)


@pytest.fixture
def letters(clock):
    """Make letters, the first the oldest, a second apart and all of them due."""

    def make(count, **fields):
        start = clock.now() - timedelta(seconds=count)
        instants = [start + timedelta(seconds=number) for number in range(count)]
        return Letter.objects.bulk_create(
            Letter(text=f"{number}", drain_available_at=at, drain_entered_at=at, **fields)
            for number, at in enumerate(instants)
        )

    return make


@pytest.fixture
def take(clock):
    """Claim letters as a run would."""

    def claim(limit=20, *, lease=60.0, qualifying=None):
        return claims.claim(
            claims.pending_records(lambda: qualifying or Letter.objects.filter(stamped=True)),
            limit=limit,
            owner=uuid.uuid4().hex,
            now=clock.now(),
            due=clock.now(),
            lease=lease,
        )

    return claim


@pytest.fixture
def target():
    with ScriptedTarget() as running:
        running.script(PATH, answers.ok())
        yield running


@pytest.fixture
def drain(target):
    """Make a drain that posts letters to the scripted target."""

    def make(**values):
        return Drain(
            **{
                "name": "post",
                "qualifying": lambda: Letter.objects.filter(stamped=True),
                "call": HttpTarget(target.url(PATH), token="let-me-in"),
                **values,
            }
        )

    return make


@pytest.fixture
def run(clock):
    """Run a drain once; give the answer an endpoint would make of it."""

    def start(drain, seconds=300.0, *, context=None):
        context = context or JobContext("post", max_duration=seconds, clock=clock)
        result = drain.run(context)
        return json.loads(worked(result, context.items, clock.now()).answer.body)

    return start
