"""A bench to call an endpoint on: a real receipt store and a clock that the test moves."""

from __future__ import annotations

import pytest
from tests.endpoint.support import Bench


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)
