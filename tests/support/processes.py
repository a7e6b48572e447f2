"""Real processes in tests: started, captured, and always ended by their own process id."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.store import RUN_VARIABLE
from tests.support.waiting import wait_until

GRACE = 10.0  # seconds between asking and killing
PROC = Path("/proc")

lasting: set[int] = set()  # processes that rightly outlive the test that started them


def environment() -> dict[str, str]:
    """Return what a started process inherits: not the tests' settings, and no test database."""
    dropped = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "DJANGO_SECRET_KEY"}
    return {name: value for name, value in os.environ.items() if name not in dropped}


class Process:
    """One child process whose output goes to a file, so that no full pipe can stop it.

    Attributes:
        pid: its process id.
        log: the file with its standard output and standard error, in the order written.
    """

    def __init__(
        self,
        args: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.args = [str(arg) for arg in args]
        self.log = log
        with log.open("wb") as output:
            self.popen = subprocess.Popen(
                self.args,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environment(), **(env or {})},
                cwd=cwd,
            )
        self.pid = self.popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.popen.poll() is None

    def output(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str, timeout: float = 20.0) -> str:
        """Wait until its output holds ``text``; return the output.

        Raises:
            AssertionError: it ended or the time passed first; the output is in the message.
        """

        def seen() -> bool:
            # Asked before reading: what an ended process wrote is complete.
            ended = not self.running
            found = text in self.output()
            assert found or not ended, f"{self}: ended without {text!r}\n{self.output()}"
            return found

        try:
            wait_until(seen, timeout, what=f"{text!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self} wrote:\n{self.output()}") from None
        return self.output()

    def wait(self, timeout: float = 20.0) -> int:
        """Wait until it has ended by itself; return its exit code, negative for a signal."""
        wait_until(lambda: not self.running, timeout, what=f"{self} to end")
        return int(self.popen.returncode)

    def signal(self, number: signal.Signals) -> None:
        """Send it one signal; nothing else is signalled."""
        self.popen.send_signal(number)

    def kill(self) -> None:
        """End it the hard way (SIGKILL), as a crash would, and wait until it is gone."""
        self.popen.kill()
        self.popen.wait()

    def end(self) -> None:
        """Ask it to end, kill it if it does not; does nothing where it has ended."""
        end(self.popen)

    def __repr__(self) -> str:
        state = "running" if self.running else f"ended with {self.popen.returncode}"
        return f"<{' '.join(self.args)[:120]} (pid {self.pid}, {state})>"


def end(popen: subprocess.Popen[bytes], *, first: signal.Signals = signal.SIGTERM) -> None:
    """End one process: ``first``, and SIGKILL when that has not helped within the grace."""
    if popen.poll() is None:
        popen.send_signal(first)
        try:
            popen.wait(GRACE)
        except subprocess.TimeoutExpired:
            popen.kill()
    popen.wait()


def alive(pid: int) -> bool:
    """Say whether a process is still at work; one that only waits to be reaped is not."""
    try:
        return _stat(pid)[0] != "Z"
    except OSError:
        return False


def children() -> set[int]:
    """Return the processes this one started and has not waited for, but for the lasting ones."""
    lists = list(PROC.glob("self/task/*/children"))
    if lists:  # one small file per thread, where the kernel offers them
        return {int(pid) for one in lists for pid in _words(one)} - lasting
    me = os.getpid()
    return {pid for pid in _pids() if _parent(pid) == me} - lasting


def below(parent: int) -> list[int]:
    """Return the processes that a process started, and those that they started."""
    own = [pid for pid in _pids() if _parent(pid) == parent]
    return own + [further for pid in own for further in below(pid)]


def strays() -> set[int]:
    """Return every living process that descends from this test run, orphans included.

    A grandchild whose parent was killed belongs to init; what it inherited still names the run.
    """
    mark = f"{RUN_VARIABLE}={os.environ[RUN_VARIABLE]}".encode()
    found = set()
    for pid in _pids() - {os.getpid()} - lasting:
        try:
            ours = mark in (PROC / str(pid) / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if ours and alive(pid):
            found.add(pid)
    return found


def describe(pid: int) -> str:
    """Return the pid and the command line of a process."""
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        words = b""
    return f"pid {pid}: {words.decode(errors='replace').strip()[:200] or 'gone or a zombie'}"


def watchable() -> bool:
    """Say whether this system shows its processes as files; elsewhere strays go unseen."""
    return (PROC / "self" / "environ").exists()


def _pids() -> set[int]:
    if not watchable():
        return set()
    return {int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()}


def _parent(pid: int) -> int | None:
    try:
        return int(_stat(pid)[1])
    except OSError:
        return None


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:  # the thread has ended meanwhile
        return []


def _stat(pid: int) -> list[str]:
    # The second field is the command in parentheses and may hold anything, parentheses too.
    return (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()


def stop_between_commits(runner: Process, file: Path | None) -> None:
    """Stop a process while it holds no lock: one in an SQLite file only its holder gives up.

    Args:
        runner: the process.
        file: the SQLite file that it writes; None where it writes to a server.
    """
    while True:
        runner.signal(signal.SIGSTOP)
        if file is None:
            return
        connection = sqlite3.connect(file, timeout=1, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            runner.signal(signal.SIGCONT)
        else:
            return
        finally:
            connection.close()
