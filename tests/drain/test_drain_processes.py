"""Whole processes over one backlog: killed in mid-batch, and eight of them side by side."""

from __future__ import annotations

import json
import re
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from tests.support.waiting import wait_until

from cronbell.drain.models import Stage
from cronbell.testing import ScriptedTarget, answers

ROOT = Path(__file__).resolve().parents[2]
PATH = "/letters"


@pytest.fixture
def work(process):
    """Start the command ``work``; all of a test's processes share one database."""

    def start(*words):
        variables = {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
            "DJANGO_SETTINGS_MODULE": "tests.drain.backlog.settings",
        }
        return process(sys.executable, "-m", "django", "work", *map(str, words), env=variables)

    return start


def told(process):
    assert process.wait(60) == 0, process.output()
    return json.loads(process.output().splitlines()[-1])


def sent(target):
    """Return what an idempotent target would have done: record by key, and how often asked."""
    asked = [
        (request.header("Idempotency-Key"), json.loads(request.body)["recordId"])
        for request in target.requests
    ]
    return dict(asked), Counter(record for _, record in asked)


def test_killed_in_mid_batch_nothing_is_lost_and_nothing_done_twice(work):
    gate = threading.Event()
    with ScriptedTarget() as target:
        # Six are answered; then four are on their way, ten wait in the batch, twenty beside it.
        target.script(PATH, *[answers.ok()] * 6, answers.held(gate, answers.ok()))
        told(work("fill", 40))
        first = work("drain", target.url(PATH), 0)
        target.wait_for(10, timeout=30)
        settled = wait_until(lambda: done(work) == 6, 30, what="six settled letters")
        assert settled
        first.signal(signal.SIGKILL)
        assert first.wait() == -signal.SIGKILL
        gate.set()
        at_once = told(work("drain", target.url(PATH), 0))
        assert at_once["processed"] == 20
        rest = told(work("drain", target.url(PATH), 3600))
        assert rest["processed"] == 14
        effects, asked = sent(target)
    letters = told(work("show"))["letters"]
    assert [letter[1:] for letter in letters] == [[Stage.DONE, "", 1, 0]] * 40
    # One key for each record, so one effect, although four were asked for twice.
    assert sorted(effects.values()) == [letter[0] for letter in letters]
    assert sorted(asked.values()) == [1] * 36 + [2] * 4


def done(work):
    return sum(state == Stage.DONE for _, state, *_ in told(work("show"))["letters"])


def test_eight_processes_send_each_record_once(work):
    with ScriptedTarget(default=answers.ok()) as target:
        told(work("fill", 200))
        several = [work("drain", target.url(PATH), 0) for _ in range(8)]
        handled = [record for one in several for record in told(one)["handled"]]
        _, asked = sent(target)
    assert set(asked.values()) == {1}
    assert len(asked) == len(handled) == len(set(handled)) == 200


def killing(process, store_url, *words):
    arguments = ["--seed", "11", "--store", store_url, *words]
    variables = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    done = process(sys.executable, "-m", "tests.drain.kills", *arguments, env=variables)
    return done.wait(100), done.output()


def test_killed_at_any_moment_nothing_is_lost_stuck_or_done_twice(process, store_url):
    code, output = killing(process, store_url, "--kills", "30")
    assert code == 0, output
    told = json.loads(output.splitlines()[-1])
    # Enough of them were killed at work for this to say something: some letters went out twice.
    assert told["kills"] >= 5, told
    assert told["asked"] > told["letters"] >= 360


def test_sabotage_a_key_of_its_own_for_each_try_is_found_out(process, store_url):
    code, output = killing(process, store_url, "--kills", "2", "--sabotage")
    assert code == 1
    assert re.search(r"state and effects are \('done', [2-9]\), not \('done', 1\)", output)
