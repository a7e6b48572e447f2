"""Keeps the runs of this process alive in the store, and their callers from waiting for ever."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from cronbell.clock import Clock
from cronbell.endpoint.running import Running

log = logging.getLogger("cronbell.endpoint")

LOOK_EVERY = 1.0  # seconds between two looks whether a run was cancelled
AFTER_A_FAULT = 1.0  # seconds until a step that raised is tried again


class Ticker:
    """A daemon thread that calls a step whenever it is due; started by the first ``poke``.

    Args:
        step: does what is due; returns the seconds until more is, or None for "when poked".
        name: the thread's name.
    """

    def __init__(self, step: Callable[[], float | None], name: str) -> None:
        self._step = step
        self._name = name
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def poke(self) -> None:
        """Make the thread look again."""
        with self._lock:
            # A fork takes the object along but not the thread.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                self._thread.start()
        self._wake.set()

    def _loop(self) -> None:
        while True:
            self._wake.clear()
            try:
                pause = self._step()
            except Exception:
                log.exception("%s: a step failed", self._name)
                pause = AFTER_A_FAULT
            self._wake.wait(pause)


class Keeper:
    """The runs at work in this process.

    Three threads, so that a renewal which waits for a locked database delays no answer.

    Args:
        clock: where the time comes from.
        session: surrounds every use of the store.
    """

    def __init__(self, clock: Clock, session: Callable[[], AbstractContextManager[None]]) -> None:
        self._clock = clock
        self._session = session
        self._lock = threading.Lock()
        self._runs: dict[str, Running] = {}
        self._tickers = (
            Ticker(self.renew_due, "cronbell-leases"),
            Ticker(self.answer_due, "cronbell-deadlines"),
            Ticker(self.look_for_stops, "cronbell-cancels"),
        )

    def add(self, run: Running) -> None:
        """Watch a run."""
        with self._lock:
            self._runs[run.hold.owner] = run
        for ticker in self._tickers:
            ticker.poke()

    def remove(self, run: Running) -> None:
        """Stop watching a run: its receipt is settled."""
        with self._lock:
            self._runs.pop(run.hold.owner, None)

    def live(self) -> frozenset[str]:
        """Return the owners whose jobs are at work here, whatever their leases say."""
        with self._lock:
            return frozenset(self._runs)

    def stop_all(self) -> None:
        """Tell every job to stop."""
        for run in self._snapshot():
            run.context.stop()

    def renew_due(self) -> float | None:
        """Renew the leases that are due; return the seconds until the next one."""
        due = [run for run in self._snapshot() if run.renew_at <= self._clock.monotonic()]
        if due:
            with self._session():
                for run in due:
                    run.renew()
        return self._until(run.renew_at for run in self._snapshot())

    def answer_due(self) -> float | None:
        """Answer for the jobs that are past their grace; return the seconds until the next one."""
        now = self._clock.monotonic()
        waiting = [run for run in self._snapshot() if not run.reply.future.done()]
        for run in waiting:
            if run.answer_by <= now:
                run.give_up_waiting()
        return self._until(run.answer_by for run in waiting if run.answer_by > now)

    def look_for_stops(self) -> float | None:
        """Tell the runs that were cancelled to stop; return the seconds until the next look."""
        asked = [run for run in self._snapshot() if not run.stop_known]
        if not asked:
            return None
        with self._session():
            for run in asked:
                run.look_for_stop()
        return LOOK_EVERY

    def _snapshot(self) -> list[Running]:
        with self._lock:
            return list(self._runs.values())

    def _until(self, instants: Iterable[float]) -> float | None:
        first = min(instants, default=None)
        return None if first is None else max(0.0, first - self._clock.monotonic())
