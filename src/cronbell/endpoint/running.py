"""Hold ─► ending: one run of a job in this process, from its first line to its settled receipt."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from datetime import timedelta

from cronbell.clock import Clock
from cronbell.endpoint.answer import (
    Answer,
    Ending,
    JobResultError,
    as_result,
    cancelled,
    raised,
    taken_over,
    timed_out,
    worked,
)
from cronbell.endpoint.context import JobContext
from cronbell.endpoint.receipt import Hold, ReceiptStore
from cronbell.endpoint.recorder import Call, Recording, RunRecorder
from cronbell.endpoint.registry import Job
from cronbell.errors import StorageError
from cronbell.states import Status
from cronbell.tracing import Tracing

log = logging.getLogger("cronbell.endpoint")
calls = logging.getLogger("cronbell.calls")

# Seconds between tries to write a receipt whose job is done: together under the default lease,
# after which another process may run it again anyway.
SETTLE_WAITS = (0.1, 0.5, 2.0, 5.0)


class _RollBackError(Exception):
    """Leaves the transaction of an atomic job without keeping its effect."""

    def __init__(self, ending: Ending, *, mine: bool, lost: bool = False) -> None:
        super().__init__()
        self.ending = ending
        self.mine = mine
        self.lost = lost


class Reply:
    """The one answer of a run: given by the job when it ends, or before that at the deadline."""

    def __init__(self) -> None:
        self.future: Future[Answer] = Future()
        # A future that runs cannot be cancelled: a caller who hangs up changes nothing.
        self.future.set_running_or_notify_cancel()
        self._lock = threading.Lock()
        self._taken = False

    def take(self) -> bool:
        """Reserve the right to answer; False when someone else has it."""
        with self._lock:
            if self._taken:
                return False
            self._taken = True
            return True

    def give(self, answer: Answer) -> None:
        """Answer, unless that was done."""
        with self._lock:
            if not self.future.done():
                self.future.set_result(answer)


class Running:
    """One run at work.

    Args:
        job: the job.
        call: the call that asked for it.
        hold: the right to run it.
        store: where its receipt is.
        recorder: the run log.
        clock: where the time comes from.
        lease: seconds the hold lasts unless renewed.
        grace: seconds past ``max_duration`` after which the caller is answered all the same.
        traceparent: which trace the call is part of; may be empty.
        tracing: spans the job; None where nothing is traced.
    """

    def __init__(
        self,
        *,
        job: Job,
        call: Call,
        hold: Hold,
        store: ReceiptStore,
        recorder: RunRecorder,
        clock: Clock,
        lease: float,
        grace: float,
        traceparent: str = "",
        tracing: Tracing | None = None,
    ) -> None:
        self.job = job
        self.call = call
        self.hold = hold
        self.reply = Reply()
        self._store = store
        self._clock = clock
        self._lease = lease
        self._tracing = tracing
        self._recording = Recording(recorder, clock)
        self._ran: tuple[Ending, bool] | None = None
        self.answer_by = clock.monotonic() + job.max_duration + grace
        self.renew_at = clock.monotonic() + lease / 3
        self.stop_known = False
        self.context = JobContext(
            job.name,
            max_duration=job.max_duration,
            run_id=call.run_id or call.key,
            scheduled_at=call.scheduled_at,
            attempt=call.attempt,
            dry_run=call.dry_run,
            parameters=call.parameters,
            clock=clock,
            traceparent=traceparent,
            on_progress=self._recording.progress,
            on_log=self._recording.log,
        )

    def renew(self) -> None:
        """Keep the receipt and the run's row; a lost receipt tells the job to stop."""
        self.renew_at = self._clock.monotonic() + self._lease / 3
        expires_at = self._clock.now() + timedelta(seconds=self._lease)
        try:
            if not self._store.renew(self.hold, expires_at) and not self._is_settled():
                log.error("%s: the receipt of %s is lost", self.job.name, self.call.key)
                self.context.stop()
        except Exception:  # one run's trouble must not keep the others from being renewed
            log.exception("%s: the lease could not be renewed; trying again", self.job.name)
            self.renew_at = self._clock.monotonic() + min(1.0, self._lease / 10)
        self._recording.renew()

    def look_for_stop(self) -> None:
        """Tell the job to stop where the run log says that its run was cancelled."""
        if self._recording.stop_wanted():
            self.stop_known = True
            log.info("%s: its run was cancelled; told to stop", self.job.name)
            self.context.cancel()

    def give_up_waiting(self) -> None:
        """Answer that it timed out; the job is still at work and keeps its receipt."""
        if self.reply.take():
            log.error("%s: still at work past its deadline; answered 504", self.job.name)
            self.context.stop()
            self.reply.give(timed_out(self.job, self.context.items).answer)

    def execute(self) -> None:
        """Run the job, settle its receipt, tell the run log, answer. Never raises."""
        self._recording.open(self.call)
        ending, mine = self._ended() if self._tracing is None else self._traced(self._tracing)
        self._recording.close(ending.outcome)
        self._tell(ending)
        if mine:
            self.reply.give(ending.answer)

    def _tell(self, ending: Ending) -> None:
        outcome = ending.outcome
        level = logging.INFO if outcome.status is Status.SUCCESS else logging.WARNING
        if calls.isEnabledFor(level):
            took = (self._clock.now() - self.call.started_at).total_seconds()
            calls.log(
                level,
                "the job ended",
                extra={
                    "event": "job",
                    "attempt": self.call.attempt,
                    "status": outcome.status.value,
                    "reason": outcome.reason.value if outcome.reason else "",
                    "seconds": took,
                },
            )

    def _traced(self, tracing: Tracing) -> tuple[Ending, bool]:
        with tracing.job(self.job.name, self.call.key, self.context.traceparent) as span:
            ending, mine = self._ended()
            span.ended(ending.outcome)
            return ending, mine

    def _ended(self) -> tuple[Ending, bool]:
        return self._atomically() if self.job.atomic else self._plainly()

    def _plainly(self) -> tuple[Ending, bool]:
        ending, mine = self._run()
        return self._settled(ending), mine

    def _atomically(self) -> tuple[Ending, bool]:
        try:
            return self._in_transaction()
        except _RollBackError as undone:
            ending, mine = undone.ending, undone.mine
            if undone.lost:
                return ending, mine
        except Exception as error:
            log.exception("%s: its transaction failed", self.job.name)
            if self._ran is not None and self._is_settled():
                return self._ran
            ending = raised(self.job, error, self.context.items)
            mine = self._ran[1] if self._ran is not None else self.reply.take()
        return self._settled(ending), mine

    def _in_transaction(self) -> tuple[Ending, bool]:
        with self._store.transaction():
            ending, mine = self._ran = self._run()
            if not ending.worked or self.call.dry_run:
                raise _RollBackError(ending, mine=mine)
            # Both commit, or neither: the effect stays if and only if the receipt says so.
            if not self._store.settle(self.hold, ending.settlement(self._clock.now())):
                lost = taken_over(self.job, self.context.items)
                raise _RollBackError(lost, mine=mine, lost=True)
            return ending, mine

    def _is_settled(self) -> bool:
        # A connection that breaks during COMMIT leaves open whether it took place: ask.
        try:
            receipt = self._store.read(self.hold)
        except StorageError:
            return False
        return (
            receipt is not None
            and receipt.owner == self.hold.owner
            and receipt.state is not Status.RUNNING
        )

    def _run(self) -> tuple[Ending, bool]:
        """Call the function; say how it ended and whether the caller still waits for that."""
        error: BaseException | None = None
        returned: object = None
        try:
            returned = self.job.function(self.context)
        except BaseException as caught:  # sys.exit() in a job ends the job, no more
            log.exception("%s: the job raised", self.job.name)
            error = caught
        mine = self.reply.take()
        items = self.context.items
        past = not mine or self.context.remaining() <= 0
        try:
            result = as_result(returned)
            if self.context.heeded:
                # One that never looked has done all its work, and says so.
                return cancelled(self.job, items, str(error or result.message)), mine
            if past and not (mine and error is None and result.partial):
                return timed_out(self.job, items, error), mine
            if error is not None:
                return raised(self.job, error, items), mine
            return worked(result, items, self._clock.now()), mine
        except JobResultError as unusable:
            log.error("%s: %s", self.job.name, unusable)  # noqa: TRY400 - ours, no trace needed
            return raised(self.job, unusable, items), mine

    def _settled(self, ending: Ending) -> Ending:
        settlement = ending.settlement(self._clock.now())
        for wait in (*SETTLE_WAITS, None):
            try:
                kept = self._store.settle(self.hold, settlement)
            except StorageError:
                log.exception("%s: its receipt could not be written", self.job.name)
                if wait is not None:
                    self._clock.sleep(wait)
            else:
                return ending if kept else taken_over(self.job, self.context.items)
        # The work is done, so the caller is told so; the receipt is left to its lease.
        return ending
