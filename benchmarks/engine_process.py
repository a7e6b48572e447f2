"""The engine as ``cronbell up`` runs it, in a process of its own, and what it takes of the machine.

Linux only: processor time and memory are read from ``/proc``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cronbell.clock import SYSTEM_CLOCK

SECRET = "only-for-this-benchmark"  # noqa: S105
UP = " is up with "
TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
# Where the name of the program ends, which may hold blanks, the numbers begin with the third.
UTIME, STIME, CHILDREN_UTIME, CHILDREN_STIME = 11, 12, 13, 14


class NotReadyError(Exception):
    """The engine ended, or was not up in time; its log is in the message."""


@dataclass(slots=True)
class EngineProcess:
    """A running engine.

    Attributes:
        popen: the process.
        log: its output.
        environment: what it was started with; Django's settings read from it find the same store.
    """

    popen: subprocess.Popen[bytes]
    log: Path
    environment: Mapping[str, str]

    def cpu_seconds(self) -> float:
        """Return the processor time of the process and its children, ended ones included."""
        return sum(_cpu_seconds(pid) for pid in _with_children(self.popen.pid))

    def megabytes(self) -> float:
        """Return the memory that process and children hold now (resident, 10^6 bytes)."""
        return sum(_kilobytes(pid, "VmRSS:") for pid in _with_children(self.popen.pid)) * 1.024e-3

    def peak_megabytes(self) -> float:
        """Return the most that the process itself held since it began."""
        return _kilobytes(self.popen.pid, "VmHWM:") * 1.024e-3

    def wait_until_up(self, seconds: float) -> None:
        """Wait until it says that it is up.

        Raises:
            NotReadyError: it ended or the time passed first.
        """
        give_up = SYSTEM_CLOCK.monotonic() + seconds
        while UP not in self.output():
            if self.popen.poll() is not None or SYSTEM_CLOCK.monotonic() > give_up:
                raise NotReadyError(f"the engine is not up:\n{self.output()}")
            SYSTEM_CLOCK.sleep(0.05)

    def output(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text("utf-8", errors="replace")


@contextmanager
def running_engine(
    folder: Path, *, target: str, crons: Sequence[Mapping[str, str]] = (), toml: str = "",
    patience: float = 120.0,
) -> Iterator[EngineProcess]:  # fmt: skip
    """Run the engine on an empty SQLite store with these jobs; end it by its process.

    Args:
        folder: for store, configuration and log; empty.
        target: the application's address.
        crons: of ``vercel.json``.
        toml: of ``cronbell.toml``.
        patience: seconds until it must be up.
    """
    if sys.platform != "linux":
        sys.exit("this benchmark needs Linux: it reads processor time and memory from /proc")
    dropped = {"DATABASE_URL", "DJANGO_SETTINGS_MODULE"}
    environment = {name: value for name, value in os.environ.items() if name not in dropped} | {
        "CRONBELL_DATA": str(folder / "data"),
        "CRON_SECRET": SECRET,
        "DJANGO_SETTINGS_MODULE": "cronbell.server.settings",
    }
    (folder / "data").mkdir(mode=0o700)
    (folder / "vercel.json").write_text(json.dumps({"crons": list(crons)}))
    (folder / "cronbell.toml").write_text(toml)
    migrate = [sys.executable, "-m", "django", "migrate", "runlog", "--database", "runlog", "-v0"]
    subprocess.run(migrate, env=environment, check=True)
    command = [sys.executable, "-m", "cronbell.engine", "--target", target]
    command += ["--config", str(folder / "vercel.json"), "--toml", str(folder / "cronbell.toml")]
    log = folder / "engine.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    engine = EngineProcess(popen, log, environment)
    try:
        engine.wait_until_up(patience)
        yield engine
    finally:
        popen.terminate()
        try:
            popen.wait(60)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()


def watch(seconds: float, look: Callable[[], None], *, every: float = 1.0) -> float:
    """Let so many seconds pass, looking now and then; return how many passed."""
    begun = SYSTEM_CLOCK.monotonic()
    while (passed := SYSTEM_CLOCK.monotonic() - begun) < seconds:
        SYSTEM_CLOCK.sleep(min(every, seconds - passed))
        look()
    return SYSTEM_CLOCK.monotonic() - begun


def _numbers(pid: int) -> list[str]:
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _cpu_seconds(pid: int) -> float:
    numbers = _numbers(pid)
    ticks = (UTIME, STIME, CHILDREN_UTIME, CHILDREN_STIME)
    return sum(int(numbers[place]) for place in ticks) / TICKS


def _kilobytes(pid: int, name: str) -> int:
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise NotReadyError(f"process {pid} says nothing of {name}")


def _with_children(pid: int) -> list[int]:
    tasks = (PROC / str(pid) / "task").glob("*/children")
    return [pid, *(int(child) for task in tasks for child in task.read_text().split())]
