"""The threads that make a run's calls; everything else is done by the thread of the job."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from django.db import connections

from cronbell.clock import Clock
from cronbell.drain.budget import Reserved
from cronbell.drain.claim import Hold
from cronbell.drain.target import Caller, Reply, reply_to


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One record on its way.

    Attributes:
        hold: the right to it.
        reserved: what was set aside for it.
        begun: when, on the monotonic clock.
        seconds: how long it may take.
    """

    hold: Hold
    reserved: Reserved
    begun: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Answered:
    """A record that is back.

    Attributes:
        sending: what was sent.
        reply: what came of it, with the seconds it took.
    """

    sending: Sending
    reply: Reply


class Callers:
    """As many threads as records may be on their way at once, or fewer; a context manager.

    Args:
        call: handles one record.
        count: how many threads at most; one is started when none is free.
        clock: measures how long each call took.
    """

    def __init__(self, call: Caller, count: int, clock: Clock) -> None:
        self._call = call
        self._clock = clock
        self._to_send: queue.SimpleQueue[Sending | None] = queue.SimpleQueue()
        self._answered: queue.SimpleQueue[Answered] = queue.SimpleQueue()
        self._count = count
        self._on_their_way = 0
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for _ in self._threads:
            self._to_send.put(None)
        for thread in self._threads:
            thread.join()

    def send(self, sending: Sending) -> None:
        """Hand a record to a thread that is free, or will be next."""
        self._on_their_way += 1
        if len(self._threads) < min(self._on_their_way, self._count):
            name = f"drain-{len(self._threads)}"
            self._threads.append(threading.Thread(target=self._work, name=name, daemon=True))
            self._threads[-1].start()
        self._to_send.put(sending)

    def answered(self, seconds: float | None = None) -> Answered | None:
        """Wait for the next record to be back; None where none is within ``seconds``."""
        try:
            answered = self._answered.get(timeout=seconds)
        except queue.Empty:
            return None
        self._on_their_way -= 1
        return answered

    def _work(self) -> None:
        try:
            while (sending := self._to_send.get()) is not None:
                reply = self._reply(sending)
                took = self._clock.monotonic() - sending.begun
                used = replace(reply.usage, seconds=max(took, 0.0))
                self._answered.put(Answered(sending, replace(reply, usage=used)))
        finally:
            connections.close_all()  # what the calls of this thread may have opened

    def _reply(self, sending: Sending) -> Reply:
        try:
            reply: object = self._call(sending.hold, sending.seconds)
        except BaseException as error:  # noqa: BLE001 - sys.exit() must not leave a run waiting
            return reply_to(error)
        if not isinstance(reply, Reply):
            return Reply(error=f"the drain's call returned {type(reply).__name__}, not a Reply")
        return reply
