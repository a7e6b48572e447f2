"""Two runners at one run log."""

from __future__ import annotations

import pytest

from cronbell.runlog.store import RunStore


@pytest.fixture
def store():
    return RunStore("runner-a")


@pytest.fixture
def other():
    return RunStore("runner-b")
