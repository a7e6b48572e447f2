"""One run, and a kill at each system call that writes or sends: exhaustive, not random.

``strace`` counts a system call for each thread by itself, so one thread is traced at a time: a
first runner is watched to see which threads make which calls for one run; then, for each thread,
call and number, a runner is killed just before that call takes effect, and another finishes.
"""

from __future__ import annotations

import random
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cronbell.testing import answers
from tests.faults.audit import corrupt, read
from tests.faults.report import Finding
from tests.faults.settings import Settings
from tests.faults.world import World, job, pause, until
from tests.support import machine
from tests.support.processes import Process

CALLS = ("write", "pwrite64", "writev", "sendto", "sendmsg", "fdatasync", "fsync", "connect")
# A run takes well under a second of a runner's life; this is what is watched.
WATCH_SECONDS = 1.0
AFTER_SECONDS = 0.5
LEASE = 1.0
SHORT = 8  # points of each store and delivery
ASK = (
    "import sys, django; django.setup();"
    " from cronbell.runlog.requests import request_run;"
    " name = 'once' if sys.argv[1] == 'at_most_once' else 'again';"
    " [request_run(name, nonce=line, actor='faults') and print('asked', flush=True)"
    " for line in map(str.strip, sys.stdin) if line]"
)


class Point(NamedTuple):
    """Before which call of which thread the runner is killed."""

    thread: int  # as in the order in which the process started them
    call: str
    number: int


@dataclass
class Bench:
    """A world with one job of each delivery, asked to run by a process that stays."""

    world: World
    delivery: str

    def __post_init__(self) -> None:
        world = self.world
        world.target.script("/run", answers.ok())
        keys = {"schedule": "0 0 1 1 *", "timeout": "5s", "deadline": "60s", "overlap": "allow"}
        world.jobs(
            job("again", "/run", delivery="at_least_once", **keys)
            + job("once", "/run?once", delivery="at_most_once", **keys)
        )
        self.runner = self._start()
        self.asker = subprocess.Popen(
            [world.python, "-c", ASK, self.delivery],
            env=world.environment(),
            cwd=world.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.asked = 0

    def _start(self) -> Process:
        runner = self.world.engine(lease=LEASE)
        self.world.ready(runner)
        return runner

    def ask(self) -> None:
        """Ask for one run and wait until it is asked for."""
        self.asked += 1
        assert self.asker.stdin is not None
        assert self.asker.stdout is not None
        self.asker.stdin.write(f"{self.asked}\n")
        self.asker.stdin.flush()
        assert self.asker.stdout.readline().strip() == "asked"

    def close(self) -> None:
        """End the asker."""
        self.asker.kill()
        self.asker.wait()

    def threads(self) -> list[int]:
        """Return the runner's threads in the order of their start."""
        return sorted(int(one.name) for one in Path(f"/proc/{self.runner.pid}/task").iterdir())

    def watch(self) -> list[Point]:
        """Let one run go by; return every call that each thread made meanwhile."""
        self.ask()  # the first run starts threads and connections that later ones find
        until(lambda: not self.world.active(), 20, "the first run's end")
        threads = self.threads()
        log = self.world.home / "watched"
        tracer = self._trace(["-f", "-p", str(self.runner.pid), "-o", str(log)])
        self.ask()
        pause(WATCH_SECONDS)
        _stop(tracer)
        counted: Counter[tuple[int, str]] = Counter()
        for line in log.read_text(errors="replace").splitlines():
            found = re.match(r"(\d+) +(\w+)\(", line)
            if found and found[2] in CALLS and int(found[1]) in threads:
                counted[threads.index(int(found[1])), found[2]] += 1
        return [
            Point(thread, call, number)
            for (thread, call), count in sorted(counted.items())
            for number in range(1, count + 1)
        ]

    def kill_at(self, point: Point) -> bool:
        """Do one run with the runner killed at a point; say whether the point was reached."""
        threads = self.threads()
        if point.thread >= len(threads):
            return False
        inject = f"inject={point.call}:signal=KILL:when={point.number}"
        tracer = self._trace(["-p", str(threads[point.thread]), "-e", inject, "-o", "/dev/null"])
        self.ask()
        until(lambda: not (self.runner.running and self.world.active()), 20, "kill or end")
        # What comes after the run's end, and belongs to it or to a beat, is killed too.
        reached = until(lambda: not self.runner.running, AFTER_SECONDS, "the kill")
        _stop(tracer)
        if reached:
            self.runner = self._start()
        until(lambda: not self.world.active(), 20, "the run's end")
        return reached

    def _trace(self, words: list[str]) -> subprocess.Popen[bytes]:
        strace = machine.find("strace")
        said = self.world.home / f"strace-{self.asked}"
        with said.open("wb") as output:
            tracer = subprocess.Popen(
                [strace, "-e", f"trace={','.join(CALLS)}", *words], stderr=output
            )
        until(lambda: b"attached" in said.read_bytes(), 10, "strace to attach")
        return tracer


def _stop(tracer: subprocess.Popen[bytes]) -> None:
    if tracer.poll() is None:
        tracer.send_signal(signal.SIGINT)
    tracer.wait(10)


def experiment(store: str, delivery: str, most: int | None, rng: random.Random) -> Finding:
    """Kill at every point, or at so many drawn from them."""
    found = Finding(f"killed at each write or send of one run, {store}, {delivery}")
    if machine.find("strace") is None:
        found.skipped = machine.INSTALL["strace"]
        return found
    with World(store) as world:
        bench = Bench(world, delivery)
        try:
            points = bench.watch()
            chosen = points if most is None else rng.sample(points, min(most, len(points)))
            reached = sum(bench.kill_at(point) for point in chosen)
            found.promise("stuck", world.active())
            _judge(found, bench)
        finally:
            bench.close()
    threads = len({point.thread for point in points})
    found.trials = f"{len(chosen)} of {len(points)} points of {threads} threads"
    found.figures["kills"] = reached
    found.figures["points that this run did not come to"] = len(chosen) - reached
    found.require("no point was reached: the experiment did nothing", holds=reached > 0)
    return found


def _judge(found: Finding, bench: Bench) -> None:
    ledger = read(bench.world)
    found.promise("runs without a row", bench.asked - len(ledger.rows))
    found.promise("corrupt", corrupt(bench.world))
    sent = [ledger.sent[row.key] for row in ledger.rows]
    again = sum(max(0, count - 1) for count in sent)
    parked = [row for row in ledger.rows if row.status == "unknown"]
    unsent = sum(row.status == "success" and not ledger.sent[row.key] for row in ledger.rows)
    found.promise("success that was not sent", unsent)
    if bench.delivery == "at_most_once":
        found.promise("sent twice", again)
        found.figures["parked"] = len(parked)
        found.figures["of these had arrived"] = sum(bool(ledger.sent[row.key]) for row in parked)
    else:
        found.promise("lost", sum(row.status != "success" for row in ledger.rows))
        found.figures["sent again"] = again


def run(settings: Settings) -> Iterator[Finding]:
    """Do each store and delivery, side by side."""
    rng = random.Random(settings.seed)
    most = None if settings.full else SHORT
    plans = [
        (store, delivery, most, random.Random(rng.random()))
        for store in settings.stores
        for delivery in ("at_least_once", "at_most_once")
    ]
    for store in settings.stores:
        with World(store):  # makes what the others are copies of
            pass
    with ThreadPoolExecutor(4) as pool:
        yield from pool.map(lambda plan: experiment(*plan), plans)
