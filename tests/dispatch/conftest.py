"""A dispatcher on the real client, a target on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cronbell.dispatch import AttemptCall, Dispatcher, PyreqwestTransport
from cronbell.domain import JobSpec, Outcome
from cronbell.testing import FakeClock, ScriptedTarget

SECRET = "a-secret-of-some-length"
DUE = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
KEY = "cb1-0123456789abcdef0123456789abcdef"
SPEC = JobSpec(
    name="update-rankings", path="/api/cron/update-rankings", schedule="0 0 * * *", url=""
)
CALL = AttemptCall(key=KEY, scheduled_at=DUE, attempt=1)

Call = Callable[..., Outcome]


@pytest.fixture
def target():
    with ScriptedTarget() as running:
        yield running


@pytest.fixture
def call() -> Call:
    """Make one attempt at a URL and return its outcome.

    The host of the URL is allowed unless ``allowed`` says which are.
    """

    def make(
        url: str,
        *,
        timeout: float = 10.0,
        allowed: frozenset[str] | None = None,
        trusted: tuple[bytes, ...] = (),
        secret: str | None = SECRET,
        **changes: Any,
    ) -> Outcome:
        async def attempt() -> Outcome:
            transport = PyreqwestTransport(trusted=trusted)
            hosts = allowed if allowed is not None else frozenset(filter(None, [authority_of(url)]))
            dispatcher = Dispatcher(
                transport, secret=secret, allowed_hosts=hosts, clock=FakeClock(DUE)
            )
            try:
                spec = replace(SPEC, url=url, **changes)
                return await dispatcher.call(spec, CALL, timeout=timeout)
            finally:
                await transport.close()

        return asyncio.run(attempt())

    return make


def authority_of(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]
