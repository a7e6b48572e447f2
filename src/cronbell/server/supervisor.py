"""Keeps the web process and the runner up, and takes both down in the right order."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType

from cronbell.clock import Clock
from cronbell.errors import StartError
from cronbell.server.lifeline import SUPERVISED

log = logging.getLogger("cronbell.supervisor")

LOOK_SECONDS = 0.2
READY_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# A child that lived this long starts its next trouble with a short pause again.
SETTLED_SECONDS = 60.0
WEB_GRACE_SECONDS = 12.0
WEB = "web"


@dataclass(slots=True)
class Child:
    """A process that is kept up."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS


def web_command(host: str, port: int) -> list[str]:
    """Return the command line of the web process."""
    return [sys.executable, "-m", "cronbell.server.web", "--host", host, "--port", str(port)]


PORT_HINTS = {
    errno.EADDRINUSE: "is it running already? Or choose another with --port",
    errno.EACCES: "choose one above 1023 with --port, which every user may",
}


def check_port(host: str, port: int) -> None:
    """See that the port is free before anything is started.

    Raises:
        StartError: something listens there already, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartError(
                f"cannot listen on {host}:{port}: {error.strerror}",
                hint=PORT_HINTS.get(
                    error.errno or 0, "name an address of this machine with --host"
                ),
            ) from error


class Supervisor:
    """Starts children, restarts those that die, stops them on a signal.

    Args:
        children: in the order of starting, the web process first if it is among them; they are
            stopped in the reverse order, so that a runner ends its calls while the web process
            that answers them is still there.
        clock: what time it is.
        grace_seconds: how long the last child (the runner) may take to end its calls.
    """

    def __init__(self, children: Sequence[Child], clock: Clock, *, grace_seconds: float) -> None:
        self.children = list(children)
        self.clock = clock
        self.grace_seconds = grace_seconds
        self._signals = 0
        self._told = threading.Event()

    def run(self, host: str, port: int) -> int:
        """Run until a signal comes; return the exit code, 1 if a child had to be killed."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        first, *rest = self.children
        self._start(first)
        if first.name == WEB:
            self._wait_until_up(first, host, port)
        for child in rest:
            self._start(child)
        while not self._signals:
            for child in self.children:
                self._look_after(child)
            self._told.wait(LOOK_SECONDS)
        return self._stop()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        self._told.set()

    def _start(self, child: Child) -> None:
        # A session of its own: Ctrl-C reaches the supervisor alone, which then stops the
        # children in order instead of all at once.
        child.process = subprocess.Popen(  # noqa: S603 - our own modules
            child.command,
            env=os.environ | {SUPERVISED: str(os.getpid())},
            start_new_session=True,
        )
        child.started_at = self.clock.monotonic()

    def _wait_until_up(self, web: Child, host: str, port: int) -> None:
        give_up = self.clock.monotonic() + READY_SECONDS
        while self.clock.monotonic() < give_up and not self._signals:
            if web.process is not None and web.process.poll() is not None:
                raise StartError(
                    "the web process ended while starting", hint="see its output above"
                )
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                probe.settimeout(1)
                if probe.connect_ex((_reachable(host), port)) == 0:
                    return
            self.clock.sleep(0.05)

    def _look_after(self, child: Child) -> None:
        now = self.clock.monotonic()
        if child.process is not None:
            code = child.process.poll()
            if code is None:
                return
            if now - child.started_at > SETTLED_SECONDS:
                child.pause = FIRST_PAUSE_SECONDS
            log.error(
                "the %s process ended (%s); started again in %.1f s", child.name, code, child.pause
            )
            child.process = None
            child.start_again_at = now + child.pause
            child.pause = min(child.pause * 2, LONGEST_PAUSE_SECONDS)
        elif now >= child.start_again_at:
            self._start(child)

    def _stop(self) -> int:
        log.info("stopping: running calls have %.0f s to end", self.grace_seconds)
        in_order = True
        for child in reversed(self.children):
            patience = WEB_GRACE_SECONDS if child.name == WEB else self.grace_seconds + 5
            in_order &= self._end(child, patience)
        return 0 if in_order else 1

    def _end(self, child: Child, patience: float) -> bool:
        """End a child; say whether it ended by itself."""
        process = child.process
        if process is None or process.poll() is not None:
            return True
        process.terminate()
        give_up = self.clock.monotonic() + patience
        while process.poll() is None:
            told_again = self._signals > 1
            if told_again or self.clock.monotonic() >= give_up:
                why = "is ended at once" if told_again else "did not end in time and is killed"
                log.warning("the %s process %s", child.name, why)
                # Its group, which is its own session's: the web process has workers.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return False
            self.clock.sleep(0.05)
        return True


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only
