"""Backlog ─► items: claim, call, settle each record by itself, go on after a failure."""

from __future__ import annotations

import logging
import math
import os
import socket
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import Error, router, transaction

from cronbell.drain import claim as claims
from cronbell.drain.budget import (
    COLUMNS,
    Budget,
    Caps,
    Reached,
    Usage,
)
from cronbell.drain.callers import Answered, Callers, Sending
from cronbell.drain.claim import Backlog, Hold, Qualifying, Records
from cronbell.drain.pace import LONGEST_PAUSE, Pace
from cronbell.drain.settings import LARGEST_BATCH, BatchSize
from cronbell.drain.summary import Stop, Tally, looked, result
from cronbell.drain.target import Caller, Reply, Verdict, reply_to
from cronbell.drain.turn import Intents, Returned
from cronbell.endpoint.context import JobContext, JobResult
from cronbell.errors import ConfigError

log = logging.getLogger("cronbell.drain")

GATHER = 0.04  # seconds from one turn to the next while all threads are busy
# Seconds of work that the threads have lying ready, so that none waits for a turn or a claim:
# the slowest in a hundred of either took 50 to 100 ms on a busy disk.
AHEAD = 0.15
LONG_CALL = 1.0  # seconds; where calls take longer, a few milliseconds between them are nothing
LONGEST_NAP = 1.0  # seconds; between two looks at ``should_stop`` while a pause lasts
# A run counts what is left no further than this: some milliseconds.
MOST_PENDING = 100_000
LEASE_MARGIN = 30.0  # seconds between the end of the longest call and that of its lease
MOST_CALLERS = 100
LONGEST_NAME = 100  # what the counters' column takes

Settle = Callable[[Any, Reply], None]
Again = Callable[[Sequence[Any], str, datetime], Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """A drain, made once when its module is imported and run by a job.

    Attributes:
        name: of the counters; never change it, and use each for one model only.
        qualifying: gives the records that may be handled; asked anew for every statement. A
            condition on another table is written with ``Exists``.
        call: handles one record within the seconds given; ``HttpTarget``, or your own. It is
            called in threads of the drain's own, and may raise.
        batch: records per claim; ``settings.batch_size`` reads it from the environment.
        batches: claims per run; None goes on until nothing is due.
        concurrency: records on their way at once.
        pace: rate and pauses of the target; one of its own, named like the drain, unless given.
        timeout: seconds one call may take; less where the deadline is nearer.
        settle: writes what came of a record to the application's database, in the transaction
            that settles it; what it raises undoes both and counts as a failure of the record.
        again: what the application does with records that failed and that a person wants tried
            again (records, who, the instant), in the transaction that puts them back; returns
            those that may be. For where a record that failed does not qualify any more.
        strikes: failures of its own that set a record aside.
        retry_wait: seconds before a failed record may be claimed again.
        per_run: caps of each run.
        per_day: caps of each day (UTC), all runs together.
        most: the most that one call can use; what lets caps on tokens and money hold exactly.

    Raises:
        ConfigError: the name or a number makes no sense.
    """

    name: str
    qualifying: Qualifying
    call: Caller
    batch: BatchSize = field(default_factory=BatchSize)
    batches: int | None = 1
    concurrency: int = 1
    pace: Pace | None = None
    timeout: float = 30.0
    settle: Settle | None = None
    again: Again | None = None
    strikes: int = 3
    retry_wait: float = 60.0
    per_run: Caps = field(default_factory=Caps)
    per_day: Caps = field(default_factory=Caps)
    most: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        limits = {
            "name": 1 <= len(self.name) <= LONGEST_NAME,
            "batches": self.batches is None or self.batches >= 1,
            "concurrency": 1 <= self.concurrency <= MOST_CALLERS,
            "timeout": self.timeout > 0,
            "strikes": self.strikes >= 1,
            "retry_wait": self.retry_wait > 0,
        }
        for name, fine in limits.items():
            if not fine:
                raise ConfigError(
                    f"the drain {self.name} has {name}={getattr(self, name)!r}",
                    hint=f"write a number above 0; concurrency is at most {MOST_CALLERS}, "
                    f"a name has 1 to {LONGEST_NAME} characters",
                )

    def run(self, context: JobContext) -> JobResult:
        """Drain: claim, call, settle, until batches, deadline or a cap end it.

        Every record that was sent is reported with ``context.item``. Whatever ends the run, no
        record stays held that was not sent.

        Raises:
            BacklogError: ``qualifying`` gives what cannot be claimed from.
        """
        records = claims.pending_records(self.qualifying)
        return self._look(records, context) if context.dry_run else _Run(self, context).go()

    def backlog(self, context: JobContext) -> Backlog:
        """Return the backlog in numbers, as of the context's clock."""
        return claims.backlog(self.qualifying, now=context.clock.now())

    def _look(self, records: Records, context: JobContext) -> JobResult:
        now = context.clock.now()
        limit = min(self.batch.size * (self.batches or LARGEST_BATCH), LARGEST_BATCH)
        due = claims.due_records(records, now=now, due=now).values_list("pk", flat=True)
        pending = claims.backlog(self.qualifying, now=now).pending
        return looked([str(pk) for pk in due[:limit]], pending, self.batch)


class _Run:
    """One run; all of it but the calls is done by the thread of the job."""

    def __init__(self, drain: Drain, context: JobContext) -> None:
        self.drain = drain
        self.context = context
        self.clock = context.clock
        self.started = self.clock.now()
        self.using = router.db_for_write(self._records().model)
        self.pace = drain.pace or Pace(drain.name, using=self.using)
        self.budget = Budget(
            drain.name,
            run=drain.per_run,
            day=drain.per_day,
            most=drain.most,
            using=self.using,
            clock=self.clock,
        )
        self.lease = drain.timeout + LEASE_MARGIN
        self.tally = Tally()
        self.waiting: deque[Hold] = deque()
        self.batches = drain.batches
        self.call = 0.0  # seconds one takes, smoothed
        self.turned = self.clock.monotonic()

    def go(self) -> JobResult:
        """Work until the end, then give back what was not sent."""
        try:
            with Callers(self.drain.call, self.drain.concurrency, self.clock) as callers:
                self._work(callers)
        finally:
            # Like every write, in a transaction that begins as a writer.
            with transaction.atomic(using=self.using):
                for hold in self.waiting:
                    claims.release(hold)
                self.budget.write()
        pending = claims.waiting(self.drain.qualifying, now=self.clock.now(), most=MOST_PENDING)
        return result(self.tally, self.drain.batch, self.budget.used, pending)

    def _records(self) -> Records:
        return claims.pending_records(self.drain.qualifying)

    def _work(self, callers: Callers) -> None:
        try:
            while self._has_more(callers.flying) or (callers.flying and self.tally.stop is None):
                room = self._room(callers.flying) if self.waiting else 0
                if room and (wait := self._wait()):
                    self._turn(callers, self._nap(callers, wait), 0)
                elif room and self.tally.stop is None:
                    back = self._gathered(callers, [])
                    # Asked again: what came back meanwhile has left room, too.
                    self._turn(callers, back, self._room(callers.flying))
                elif callers.flying:
                    self._turn(callers, self._gathered(callers, callers.answered()), 0)
        finally:
            callers.withdraw()
            while callers.flying:
                self._turn(callers, callers.answered(), 0)

    def _room(self, flying: int) -> int:
        """Say how many records may be handed over: to free threads, and some to wait for one.

        While a turn or a claim is written threads become free. So that they need not wait for it,
        as many records as they send in ``AHEAD`` seconds are handed over beforehand. Not where each
        has the most that it could use set aside: a cap would seem reached long before it is.
        """
        if self.pace.rated:
            return 1 if flying < self.drain.concurrency else 0
        ahead = 0
        reserving = self.drain.most != Usage()
        if self.drain.concurrency > 1 and 0 < self.call < LONG_CALL and not reserving:
            ahead = math.ceil(self.drain.concurrency * AHEAD / self.call)
        # At most half a batch: what this run holds others cannot send.
        ahead = min(ahead, max(self.drain.concurrency, self.drain.batch.size // 2))
        return max(self.drain.concurrency + ahead - flying, 0)

    def _gathered(self, callers: Callers, back: list[Answered]) -> list[Answered]:
        """Collect what else comes back until it is time for the next turn.

        Each turn is a transaction and so a wait for the disk, whatever it holds.
        """
        while callers.flying:
            left = self.turned + GATHER - self.clock.monotonic()
            busy = callers.flying >= self.drain.concurrency
            idle = not busy and self.waiting
            more = callers.answered(0.0 if idle else max(left, 0.0))
            if not more:
                break
            back += more
        return back

    def _has_more(self, flying: int) -> bool:
        """Say whether a record waits to be sent; claim the next batch where one could be sent."""
        if self.tally.stop is not None:
            return False
        if not self.waiting and self.batches == 0:
            return False
        if self.context.should_stop:
            self._stop(Stop.TOLD if self.context.remaining() > 0 else Stop.DEADLINE)
            return False
        if not self.waiting and self._room(flying):
            self._claim()
        return bool(self.waiting)

    def _claim(self) -> None:
        with transaction.atomic(using=self.using):
            self.budget.write()
        holds = claims.claim(
            self._records(),
            limit=self.drain.batch.size,
            owner=f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex}",
            now=self.clock.now(),
            due=self.started,
            lease=self.lease,
        )
        self.waiting.extend(holds)
        self.tally.claimed += len(holds)
        if self.batches is not None:
            self.batches -= 1
        if not holds:
            self.batches = 0

    def _wait(self) -> float:
        paused = self.pace.paused(self.clock.now(), self.clock.monotonic())
        if paused > self.context.remaining():
            self._stop(Stop.PAUSED)
            return 0.0
        return paused or self.pace.turn(self.clock.monotonic())

    def _nap(self, callers: Callers, seconds: float) -> list[Answered]:
        seconds = min(seconds, LONGEST_NAP)
        if callers.flying:
            return callers.answered(seconds)
        self.clock.sleep(seconds)
        return []

    def _turn(self, callers: Callers, back: list[Answered], room: int) -> None:
        """Settle what came back and write down what is about to be sent, in one transaction."""
        self.turned = self.clock.monotonic()
        returned = [Returned.of(one) for one in back]
        for one in returned:
            self._take_in_pace(one)
        if back and self.pace.paused(self.clock.now(), self.clock.monotonic()):
            room = 0  # one of these answers asked for it
        if self.drain.settle is not None:
            # What the application does may take its time or fail: a transaction for each.
            for one in returned:
                self._settle_alone(one)
            returned = []
        if self.tally.stop is not None:
            room = 0
        chosen = [self.waiting.popleft() for _ in range(min(room, len(self.waiting)))]
        if returned or chosen:
            intents = self._written(returned, chosen)
            self._hand_over(callers, intents)

    def _written(self, returned: list[Returned], chosen: list[Hold]) -> Intents:
        intents = Intents()
        try:
            with transaction.atomic(using=self.using):
                settled = self._settled(returned)
                self._intend(chosen, intents)
        except Error:
            # Something of it cannot be written: by itself, so that it costs nobody else.
            for reserved in intents.reserved:
                self.budget.unbook(reserved)
            self.waiting.extendleft(reversed(chosen))
            if not returned:
                raise
            for one in returned:
                self._settle_alone(one)
            return Intents()
        self._report_all(returned, settled)
        return intents

    def _intend(self, chosen: list[Hold], intents: Intents) -> None:
        for _hold in chosen:
            reserved = self.budget.reserve()
            if isinstance(reserved, Reached):
                intents.reached = reserved
                break
            self.budget.book(reserved)
            intents.reserved.append(reserved)
        able = chosen[: len(intents.reserved)]
        intents.kept = chosen[len(intents.reserved) :]
        now = self.clock.now()
        intents.sendable = claims.intend_all(able, self._records(), now=now, lease=self.lease)
        lost = len(able) - len(intents.sendable)
        if lost:
            ours = {id(hold) for hold in intents.sendable}
            intents.passed = [hold for hold in able if id(hold) not in ours]
            nothing = dict.fromkeys(COLUMNS, 0)
            self.budget.store([(each, nothing) for each in intents.reserved[-lost:]])
            for hold in intents.passed:
                # Released all the same: it may still be ours and only not qualify any more.
                claims.release(hold)

    def _hand_over(self, callers: Callers, intents: Intents) -> None:
        for hold in intents.passed:
            self.tally.passed += 1
            self.budget.unbook(intents.reserved.pop())
            log.info("%s: %s changed or was taken over; not sent", self.drain.name, hold.record.pk)
        self.waiting.extendleft(reversed(intents.kept))
        if intents.reached is not None:
            self.tally.cap = intents.reached
            self._stop(Stop.CAP)
        now = self.clock.monotonic()
        ends = now + self.context.remaining()
        for hold, reserved in zip(intents.sendable, intents.reserved, strict=True):
            callers.send(
                Sending(
                    hold=hold,
                    reserved=reserved,
                    queued=now,
                    seconds=self.drain.timeout,
                    ends=ends,
                )
            )

    def _settle_alone(self, one: Returned) -> None:
        """Settle one record in its own transaction, and report it whatever comes of that."""
        try:
            with transaction.atomic(using=self.using):
                settled = self._settled([one])
        except Error as error:
            # Its lease runs out, and the key is the same: sent again, it has no second effect.
            log.exception("%s: %s could not be settled", self.drain.name, one.hold)
            settled = [(reply_to(error).error, False)]
        self._report_all([one], settled)

    def _settled(self, returned: list[Returned]) -> list[tuple[str, bool]]:
        """Settle records; say what went wrong beside the reply, and whether it was set aside."""
        now = self.clock.now()
        alike: list[Hold] = []
        if self.drain.settle is None:
            alike = [one.hold for one in returned if one.verdict is Verdict.DONE]
        finished = {id(hold) for hold in claims.finish_all(alike, now=now)}
        settled = []
        for one in returned:
            if one.reply is None:
                settled.append(("", False))
            elif one.verdict is Verdict.DONE and self.drain.settle is None:
                settled.append(("" if id(one.hold) in finished else LOST, False))
            else:
                settled.append(self._applied(one.hold, one.reply))
        # Last: the day's row is every run's, so it is held for as short as can be.
        self.budget.store([one.correction for one in returned])
        return settled

    def _report_all(self, returned: list[Returned], settled: list[tuple[str, bool]]) -> None:
        self.budget.take_in([one.correction for one in returned])
        for one, (trouble, dead) in zip(returned, settled, strict=True):
            if one.reply is None:
                self.waiting.appendleft(one.hold)
                continue
            self.tally.dead += dead
            self.call = _smoothed(self.call, one.reply.usage.seconds)
            self._report(one.hold, one.reply, trouble)
            if one.verdict is Verdict.SHUT_OUT:
                self.tally.status = one.reply.status
                self._stop(Stop.SHUT_OUT)

    def _applied(self, hold: Hold, reply: Reply) -> tuple[str, bool]:
        settle = self.drain.settle
        if reply.verdict is not Verdict.DONE or settle is None:
            return self._failed(hold, reply)
        try:
            with transaction.atomic(using=self.using):
                if not claims.finish(hold, now=self.clock.now()):
                    return LOST, False
                settle(hold.record, reply)
        except Exception as error:  # what the application raises is this record's trouble
            log.exception("%s: %s could not be applied", self.drain.name, hold.record.pk)
            refused = reply_to(error)
            trouble, dead = self._failed(hold, replace(refused, status=None))
            return trouble or refused.error, dead
        return "", False

    def _failed(self, hold: Hold, reply: Reply) -> tuple[str, bool]:
        own = reply.verdict is Verdict.OWN
        ours, dead = claims.fail(
            hold,
            error=reply.trouble,
            now=self.clock.now(),
            wait=max(min(reply.retry_after or 0.0, LONGEST_PAUSE), self.drain.retry_wait),
            strikes=self.drain.strikes if own else None,
        )
        return "" if ours else LOST, ours and dead

    def _take_in_pace(self, one: Returned) -> None:
        if one.reply is None:
            return
        if one.reply.too_fast:
            try:
                self.pace.slow_down(
                    one.reply.retry_after,
                    begun=one.begun,
                    now=self.clock.now(),
                    monotonic=self.clock.monotonic(),
                )
            except Error:
                # The pause is not kept, the record's own failure may still be.
                log.exception("%s: the pause could not be written", self.drain.name)
        elif one.verdict is Verdict.DONE:
            self.pace.accepted()

    def _report(self, hold: Hold, reply: Reply, trouble: str) -> None:
        ok = reply.verdict is Verdict.DONE and not trouble
        if ok:
            self.tally.done += 1
        else:
            self.tally.failed += 1
        error = trouble or reply.error
        used = reply.usage
        self.context.item(
            hold.record.pk,
            ok=ok,
            status=reply.status,
            body=reply.body,
            error=error,
            attempts=hold.term,
            seconds=used.seconds,
            # 0 is what a reply that does not know says, too.
            tokens=used.tokens or None,
            cost=used.money or None,
        )
        self.context.progress(self.tally.processed, self.tally.claimed)

    def _stop(self, why: Stop) -> None:
        if self.tally.stop is None:
            self.tally.stop = why


def _smoothed(before: float, now: float) -> float:
    return now if before == 0 else before + (now - before) / 8


LOST = "the record changed or was taken over while it was handled; it is handled again"
