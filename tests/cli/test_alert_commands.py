"""``cronbell alerts`` as a shell, or a cron outside of Cronbell, calls it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cronbell.testing import ScriptedTarget, answers

CRONBELL = Path(sys.executable).parent / "cronbell"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RUNNER_SEEN_LONG_AGO = """
import django
django.setup()
from datetime import timedelta
from cronbell.clock import SYSTEM_CLOCK
from cronbell.runlog.models import Runner
then = SYSTEM_CLOCK.now() - timedelta(hours=1)
Runner.objects.create(id="r", host="web-1", pid=1, version="0", started_at=then, seen_at=then)
"""


@pytest.fixture
def target():
    with ScriptedTarget() as running:
        running.script("/hook", answers.answer(204))
        yield running


@pytest.fixture
def command(process, prepared, target, tmp_path):
    """Run ``cronbell`` where a channel is in force and the only runner died an hour ago."""
    (tmp_path / "cronbell.toml").write_text(
        f'allowed_hosts = ["127.0.0.1"]\n[alerts.channels.ops]\ntype = "webhook"\n'
        f'url = "{target.url("/hook")}"\nsecret = "env:OPS"\ndigest = 0\n'
    )
    env = {**prepared, "OPS": SECRET, "DJANGO_SETTINGS_MODULE": "cronbell.server.settings"}

    def call(*args: str) -> tuple[int, str]:
        one = process(CRONBELL, *args, env=env, cwd=tmp_path)
        return one.wait(60), one.output()

    assert process(sys.executable, "-c", RUNNER_SEEN_LONG_AGO, env=env).wait(60) == 0
    code, output = call("apply")
    assert (code, "+ alerts.channels.ops" in output) == (0, True), output
    return call


def test_an_outside_cron_is_what_tells_of_a_dead_runner_and_tells_it_once(command, target):
    code, output = command("alerts", "check", "--json")
    found = json.loads(output)
    assert (code, found["ok"], found["runner"], found["sent"]) == (1, False, False, 1)
    assert [one["condition"] for one in found["incidents"]] == ["runner_down"]
    code, output = command("alerts", "check")
    assert code == 1
    assert "no runner is alive" in output
    assert len(target.requests) == 1


def test_a_test_message_is_sent_and_its_refusal_is_an_exit_code(command, target):
    assert command("alerts", "test", "ops") == (0, "ops: sent\n")
    target.script("/hook", answers.answer(500))
    code, output = command("alerts", "test", "ops", "--json")
    found = json.loads(output)
    assert (code, found["sent"], found["httpStatus"]) == (1, False, 500)
    code, output = command("doctor", "--json")
    finding = {one["name"]: one for one in json.loads(output)["findings"]}["alerts"]
    code, output = command("alerts", "list")
    assert (code, output.splitlines()[1].split("\t")[:2]) == (0, ["ops", "webhook"])
    assert (finding["ok"], "did not arrive" in finding["detail"]) == (False, True)
