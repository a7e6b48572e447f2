"""A process that has used the HTTP client ends with its own code, not by a signal."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from cronbell.testing import ScriptedTarget

ONE_CALL = """
import asyncio, atexit, sys
from cronbell.dispatch import PyreqwestTransport, Reach, Request
from cronbell.dispatch.request import canonical_url
from cronbell.process_end import end

class Torn:
    def __del__(self):
        sys.stderr.write("torn down")

async def call():
    transport = PyreqwestTransport()
    url, origin = canonical_url(sys.argv[1])
    answer = await transport.send(
        Request("GET", url, (), origin), timeout=20, reach=Reach.DIRECT
    )
    await transport.close()
    sys.stdout.write(str(answer.status))

torn = Torn()
atexit.register(sys.stdout.write, " and registered")
asyncio.run(call())
end(3)
"""
NO_CALL = """
import sys
from cronbell.process_end import end
assert "pyreqwest" not in sys.modules
sys.stdout.write("written")
end(4)
"""


def run(text: str, *arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-c", text, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_processes_that_made_a_call_end_with_their_code_and_their_output():
    with ScriptedTarget() as target, ThreadPoolExecutor(4) as several:
        found = list(several.map(lambda _: run(ONE_CALL, f"{target.base_url}/x"), range(12)))
    # Nothing of "torn down": the interpreter, which that may abort, was not taken down.
    assert found == [(3, "404 and registered", "")] * 12


def test_without_the_client_the_interpreter_ends_as_ever():
    assert run(NO_CALL) == (4, "written", "")
