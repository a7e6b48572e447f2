"""Pytest fixtures; load them with ``pytest_plugins = ["cronbell.testing.fixtures"]``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cronbell.testing.clock import FakeClock
from cronbell.testing.target import ScriptedTarget


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that stands at 2026-11-22T00:00:00Z until the test moves it."""
    return FakeClock()


@pytest.fixture
def scripted_target() -> Iterator[ScriptedTarget]:
    """A target on loopback, closed after the test."""
    with ScriptedTarget() as target:
        yield target
