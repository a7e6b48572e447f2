"""Backlog ─► items: claim, call, settle each record by itself, go on after a failure."""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from django.db import Error, router, transaction

from cronbell.drain import claim as claims
from cronbell.drain.budget import Budget, Caps, Reached, Usage
from cronbell.drain.callers import Answered, Callers, Sending
from cronbell.drain.claim import Backlog, Hold, Qualifying, Records
from cronbell.drain.pace import LONGEST_PAUSE, Pace
from cronbell.drain.settings import LARGEST_BATCH, BatchSize
from cronbell.drain.summary import Stop, Tally, looked, result
from cronbell.drain.target import Caller, Reply, Verdict, reply_to
from cronbell.endpoint.context import JobContext, JobResult
from cronbell.errors import ConfigError

log = logging.getLogger("cronbell.drain")

LONGEST_NAP = 1.0  # seconds; between two looks at ``should_stop`` while a pause lasts
LEASE_MARGIN = 30.0  # seconds between the end of the longest call and that of its lease
MOST_CALLERS = 100
LONGEST_NAME = 100  # what the counters' column takes

Settle = Callable[[Any, Reply], None]


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
        self.flying = 0
        self.batches = drain.batches

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
        return result(self.tally, self.drain.batch, self.budget.used)

    def _records(self) -> Records:
        return claims.pending_records(self.drain.qualifying)

    def _work(self, callers: Callers) -> None:
        try:
            while self._has_more() or (self.flying and self.tally.stop is None):
                if self.flying >= self.drain.concurrency or not self.waiting:
                    self._settle(callers.answered())
                elif wait := self._wait():
                    self._nap(callers, wait)
                else:
                    self._send(callers)
        finally:
            while self.flying:
                self._settle(callers.answered())

    def _has_more(self) -> bool:
        """Say whether a record waits to be sent; claim the next batch where none does."""
        if self.tally.stop is not None:
            return False
        if not self.waiting and self.batches == 0:
            return False
        if self.context.should_stop:
            self._stop(Stop.TOLD if self.context.remaining() > 0 else Stop.DEADLINE)
            return False
        if not self.waiting:
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

    def _nap(self, callers: Callers, seconds: float) -> None:
        seconds = min(seconds, LONGEST_NAP)
        if self.flying:
            self._settle(callers.answered(seconds))
        else:
            self.clock.sleep(seconds)

    def _send(self, callers: Callers) -> None:
        """Write down that the next record is about to be sent, and send it."""
        if self.tally.stop is not None:
            return
        hold = self.waiting[0]
        with transaction.atomic(using=self.using):
            reserved = self.budget.reserve()
            ours = not isinstance(reserved, Reached) and claims.intend(
                hold, self._records(), now=self.clock.now(), lease=self.lease
            )
            if not ours:
                transaction.set_rollback(True, using=self.using)
        if isinstance(reserved, Reached):
            self.tally.cap = reserved
            self._stop(Stop.CAP)
            return
        self.waiting.popleft()
        if not ours:
            self.tally.passed += 1
            log.info("%s: %s changed or was taken over; not sent", self.drain.name, hold.record.pk)
            # Released all the same: it may still be ours and only not qualify any more.
            with transaction.atomic(using=self.using):
                claims.release(hold)
            return
        self.budget.book(reserved)
        self.flying += 1
        seconds = min(self.drain.timeout, self.context.remaining())
        begun = self.clock.monotonic()
        callers.send(Sending(hold=hold, reserved=reserved, begun=begun, seconds=seconds))

    def _settle(self, answered: Answered | None) -> None:
        if answered is None:
            return
        self.flying -= 1
        reply = answered.reply
        if not _is_json(reply.body):
            reply = replace(reply, body=None)
        try:
            self._take_in_pace(answered, reply)
            trouble = self._settled(answered, reply)
        except Error as error:
            # Its lease runs out, and the key is the same: sent again, it has no second effect.
            log.exception("%s: %s could not be settled", self.drain.name, answered.sending.hold)
            trouble = reply_to(error).error
        self._report(answered.sending.hold, reply, trouble)
        if reply.verdict is Verdict.SHUT_OUT:
            self.tally.status = reply.status
            self._stop(Stop.SHUT_OUT)

    def _settled(self, answered: Answered, reply: Reply) -> str:
        """Settle one record in its own transaction; say what went wrong beside the reply."""
        with transaction.atomic(using=self.using):
            trouble = self._applied(answered.sending.hold, reply)
            # Last: the day's row is every run's, so it is held for as short as can be.
            self.budget.correct(answered.sending.reserved, reply.usage)
        return trouble

    def _applied(self, hold: Hold, reply: Reply) -> str:
        if reply.verdict is not Verdict.DONE:
            return self._failed(hold, reply)
        settle = self.drain.settle
        if settle is None:
            return "" if claims.finish(hold, now=self.clock.now()) else LOST
        try:
            with transaction.atomic(using=self.using):
                if not claims.finish(hold, now=self.clock.now()):
                    return LOST
                settle(hold.record, reply)
        except Exception as error:  # what the application raises is this record's trouble
            log.exception("%s: %s could not be applied", self.drain.name, hold.record.pk)
            refused = reply_to(error)
            return self._failed(hold, replace(refused, status=None)) or refused.error
        return ""

    def _failed(self, hold: Hold, reply: Reply) -> str:
        own = reply.verdict is Verdict.OWN
        ours, dead = claims.fail(
            hold,
            error=reply.trouble,
            now=self.clock.now(),
            wait=max(min(reply.retry_after or 0.0, LONGEST_PAUSE), self.drain.retry_wait),
            strikes=self.drain.strikes if own else None,
        )
        if ours and dead:
            self.tally.dead += 1
        return "" if ours else LOST

    def _take_in_pace(self, answered: Answered, reply: Reply) -> None:
        if reply.too_fast:
            self.pace.slow_down(
                reply.retry_after,
                begun=answered.sending.begun,
                now=self.clock.now(),
                monotonic=self.clock.monotonic(),
            )
        elif reply.verdict is Verdict.DONE:
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


LOST = "the record changed or was taken over while it was handled; it is handled again"


def _is_json(body: Any) -> bool:
    # One answer that JSON cannot say must not cost the run its own answer.
    try:
        msgspec.json.encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False
    return True
