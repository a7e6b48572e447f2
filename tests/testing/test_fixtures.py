"""The fixtures as a user's project loads them."""

from __future__ import annotations

import http.client

from cronbell.testing import FakeClock, ScriptedTarget, answers
from cronbell.testing.fixtures import fake_clock, scripted_target

__all__ = ["fake_clock", "scripted_target"]


def test_the_fixtures_give_a_clock_and_a_listening_target(fake_clock, scripted_target):
    assert isinstance(fake_clock, FakeClock)
    assert isinstance(scripted_target, ScriptedTarget)
    scripted_target.script("/", answers.answer(204))
    connection = http.client.HTTPConnection(scripted_target.host, scripted_target.port, timeout=5)
    connection.request("GET", "/")
    assert connection.getresponse().status == 204
    connection.close()
