"""A child ends when its parent is gone, also where that was before it could look."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from tests.support.processes import alive

from cronbell.clock import SYSTEM_CLOCK
from cronbell.server.lifeline import LOOK_SECONDS, SUPERVISED

PATIENCE_SECONDS = 20.0
CHILD = f"""
from cronbell.clock import SYSTEM_CLOCK
from cronbell.server.lifeline import end_with_parent
end_with_parent()
SYSTEM_CLOCK.sleep({3 * LOOK_SECONDS})
"""
# A server that is killed while its worker still imports, and a worker that looks only then.
SERVER = """
import multiprocessing, os, signal
from cronbell.clock import SYSTEM_CLOCK

def work(master):
    while os.getppid() == master:
        SYSTEM_CLOCK.sleep(0.01)
    from cronbell.server.lifeline import end_with_parent
    end_with_parent()
    SYSTEM_CLOCK.sleep(600)

worker = multiprocessing.get_context("fork").Process(target=work, args=[os.getpid()])
worker.start()
print(worker.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def run(program, supervisor):
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, SUPERVISED: supervisor},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("named", [True, False])
def test_it_lives_while_its_parent_does(named):
    child = run(CHILD, str(os.getpid()) if named else "yes")
    child.communicate(timeout=PATIENCE_SECONDS)
    assert child.returncode == 0


def test_it_ends_where_the_supervisor_was_gone_before_it_looked():
    gone = subprocess.Popen(["true"])
    gone.wait()
    child = run(CHILD, str(gone.pid))
    child.communicate(timeout=PATIENCE_SECONDS)
    assert child.returncode == -signal.SIGTERM


def test_a_worker_ends_though_its_server_was_killed_before_it_looked():
    server = run(SERVER, "yes")
    # The pipe is the worker's too: it is at its end when both are gone.
    told, _ = server.communicate(timeout=PATIENCE_SECONDS)
    assert server.returncode == -signal.SIGKILL
    give_up = SYSTEM_CLOCK.monotonic() + PATIENCE_SECONDS
    while alive(int(told)) and SYSTEM_CLOCK.monotonic() < give_up:
        SYSTEM_CLOCK.sleep(0.05)
    assert not alive(int(told))
