"""The threads that make a run's calls; everything else is done by the thread of the job."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from django.db import connections

from cronbell.clock import Clock
from cronbell.drain.budget import Reserved
from cronbell.drain.claim import Hold
from cronbell.drain.target import Caller, Reply, Verdict, reply_to

LONGEST_QUEUED = 5.0  # seconds a record may wait for a thread; its lease counts from before that


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One record to be sent.

    Attributes:
        hold: the right to it.
        reserved: what was set aside for it.
        queued: when it was handed over, on the monotonic clock.
        seconds: how long its call may take.
        ends: when the run's time is over, on the monotonic clock.
    """

    hold: Hold
    reserved: Reserved
    queued: float
    seconds: float
    ends: float


@dataclass(frozen=True, slots=True)
class Answered:
    """A record that is back.

    Attributes:
        sending: what was sent.
        reply: what came of it, with the seconds it took; None where it was not sent after all.
        begun: when its call began, on the monotonic clock.
    """

    sending: Sending
    reply: Reply | None
    begun: float


class Callers:
    """As many threads as records may be on their way at once, or fewer; a context manager.

    More records than threads may be handed over: the others wait, and a thread that is done takes
    the next one at once. One that waits when the target asks for a pause, or lets nobody in, comes
    back unsent.

    Args:
        call: handles one record.
        count: how many threads at most; one is started when none is free.
        clock: measures how long each call took.

    Attributes:
        flying: records handed over that have not been given back by ``answered``.
    """

    def __init__(self, call: Caller, count: int, clock: Clock) -> None:
        self._call = call
        self._clock = clock
        self._to_send: queue.SimpleQueue[Sending | None] = queue.SimpleQueue()
        self._answered: queue.SimpleQueue[Answered] = queue.SimpleQueue()
        self._count = count
        self._threads: list[threading.Thread] = []
        self.flying = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.withdraw()
        for _ in self._threads:
            self._to_send.put(None)
        for thread in self._threads:
            thread.join()

    def send(self, sending: Sending) -> None:
        """Hand a record to a thread that is free, or will be next."""
        self.flying += 1
        if len(self._threads) < min(self.flying, self._count):
            name = f"drain-{len(self._threads)}"
            self._threads.append(threading.Thread(target=self._work, name=name, daemon=True))
            self._threads[-1].start()
        self._to_send.put(sending)

    def answered(self, seconds: float | None = None) -> list[Answered]:
        """Wait until a record is back, give it and all others that are; none after ``seconds``."""
        back: list[Answered] = []
        with suppress(queue.Empty):
            back.append(self._answered.get(timeout=seconds))
            while True:
                back.append(self._answered.get_nowait())
        self.flying -= len(back)
        return back

    def withdraw(self) -> None:
        """Have records that wait for a thread come back unsent."""
        with suppress(queue.Empty):
            while (sending := self._to_send.get_nowait()) is not None:
                self._answered.put(Answered(sending, None, sending.queued))

    def _work(self) -> None:
        try:
            while (sending := self._to_send.get()) is not None:
                begun = self._clock.monotonic()
                if begun - sending.queued > LONGEST_QUEUED:
                    self._answered.put(Answered(sending, None, begun))
                    continue
                reply = self._reply(sending, begun)
                if reply.too_fast or reply.verdict is Verdict.SHUT_OUT:
                    # Before this thread or another takes the next one.
                    self.withdraw()
                took = max(self._clock.monotonic() - begun, 0.0)
                used = replace(reply.usage, seconds=took)
                self._answered.put(Answered(sending, replace(reply, usage=used), begun))
        finally:
            connections.close_all()  # what the calls of this thread may have opened

    def _reply(self, sending: Sending, begun: float) -> Reply:
        try:
            seconds = min(sending.seconds, max(sending.ends - begun, 0.0))
            reply: object = self._call(sending.hold, seconds)
        except BaseException as error:  # noqa: BLE001 - sys.exit() must not leave a run waiting
            return reply_to(error)
        if not isinstance(reply, Reply):
            return Reply(error=f"the drain's call returned {type(reply).__name__}, not a Reply")
        return reply
