"""Outcomes to rows: the one place where what happened becomes what is stored.

``decide`` is pure: given a claimed run and the outcome of its attempt it says whether the run
ends or is tried again and when. ``Settler`` gathers decisions and has the writer commit them a
batch at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from cronbell.clock import Clock
from cronbell.dispatch import retry_delay
from cronbell.domain import JobSpec, Outcome, Overlap
from cronbell.engine.waiting import wait_or
from cronbell.engine.writer import Writer
from cronbell.runlog.recorder import details_of, item_rows, object_text
from cronbell.runlog.store import (
    AttemptRow,
    Claimed,
    FinishRow,
    ItemRow,
    ReleaseRow,
    RunStore,
)
from cronbell.states import Reason, Status

log = logging.getLogger("cronbell.engine.settle")

MICROS = 1_000_000
# Finishes are held back this long, if others may come, so that many share a commit; a person does
# not notice.
GATHER_SECONDS = 0.05
PATIENT = frozenset({Reason.STILL_WORKING, Reason.OVERLAP})
# Failures before the first byte of a request was written.
NEVER_SENT = frozenset({Reason.CONNECT, Reason.DNS})
# A run that took another's place meets it still stopping: asked again after this.
STOPPING_SECONDS = 2.0
# Looked up once: a member of an enumeration costs a tenth of a microsecond to find.
SUCCESS, QUEUE_ONE, QUEUE_ALL = Status.SUCCESS, Overlap.QUEUE_ONE, Overlap.QUEUE_ALL


class Finish(msgspec.Struct, frozen=True, gc=False):
    """The run is over."""

    row: FinishRow
    items: list[ItemRow]
    # Another run of the job may be waiting for this one's end.
    awaited: bool = False


class Release(msgspec.Struct, frozen=True, gc=False):
    """The run is tried again at ``row.available_at``."""

    row: ReleaseRow
    attempt: AttemptRow | None


def decide(
    run: Claimed,
    spec: JobSpec | None,
    outcome: Outcome,
    started_at: int,
    finished_at: int,
    *,
    jitter: Callable[[], float],
) -> Finish | Release:
    """Say what becomes of a run after an attempt.

    An endpoint that asks to be left alone (409, 429, 503 with Retry-After) is asked again with
    the same attempt number; a failure is retried by the job's policy; neither past the deadline.
    A run that is delivered at most once is tried again only where nothing can have been sent.

    Args:
        run: the run as claimed.
        spec: its job; None where that left the configuration.
        outcome: what the attempt came to.
        started_at: microseconds, when the request was sent.
        finished_at: microseconds.
        jitter: gives a number in [0, 1) that spreads retries.
    """
    overlap = None if spec is None else spec.overlap
    awaited = run.gives_way or overlap is None or overlap is QUEUE_ONE or overlap is QUEUE_ALL
    if outcome.status is SUCCESS:
        return _finish(run, outcome, started_at, finished_at, awaited=awaited)
    wait = None if run.at_most_once else outcome.ask_again_after
    if outcome.status is Status.SKIPPED and overlap is Overlap.CANCEL_RUNNING:
        wait = STOPPING_SECONDS
    next_attempt = run.attempt
    may_retry = not run.at_most_once or outcome.reason in NEVER_SENT
    if wait is None and may_retry and outcome.retry_kind and spec is not None:
        if outcome.retry_kind in spec.retry.retry_on:
            wait = retry_delay(spec.retry, run.attempt, jitter())
        next_attempt = run.attempt + 1
    if wait is not None and finished_at + int(wait * MICROS) < run.deadline_at:
        return Release(
            ReleaseRow(
                run.id, run.term, finished_at + int(wait * MICROS), next_attempt, started_at
            ),
            _attempt(run, outcome, started_at, finished_at),
        )
    return _finish(run, outcome, started_at, finished_at, awaited=awaited)


def _attempt(
    run: Claimed, outcome: Outcome, started_at: int, finished_at: int
) -> AttemptRow | None:
    if outcome.reason in PATIENT:
        # Asked every few seconds while the endpoint works: that is no attempt.
        return None
    return AttemptRow(
        run_id=run.id,
        term=run.term,
        number=run.attempt,
        started_at=started_at,
        finished_at=finished_at,
        reason=outcome.reason.value if outcome.reason else "",
        reason_data=dict(outcome.reason_data),
        http_status=outcome.http_status,
    )


def _finish(
    run: Claimed, outcome: Outcome, started_at: int, finished_at: int, *, awaited: bool
) -> Finish:
    items = outcome.items
    # By position, in the order of the fields: by name it costs twice as much, for every run.
    row = FinishRow(
        run.id,
        run.term,
        started_at,
        finished_at,
        outcome.status,
        outcome.reason or "",
        object_text(outcome.reason_data),
        outcome.http_status,
        details_of(outcome),
        outcome.body,
        len(items),
        sum([not item.ok for item in items]) if items else 0,
    )
    return Finish(row, item_rows(run.id, items) if items else [], awaited)


@dataclass(slots=True)
class _Batch:
    finishes: list[Finish] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.finishes) + len(self.releases)

    def ids(self) -> list[int]:
        return [each.row.id for each in self.finishes] + [each.row.id for each in self.releases]


class Settler:
    """Gathers decisions and commits them together.

    Args:
        writer: the run log's writer.
        clock: paces the commits.
        in_hand: terms by id of the runs claimed and not yet settled; settled ones are taken out.
        released: called after runs were given back, or ended that others may have waited for,
            with the earliest moment (microseconds) at which there may be something to claim.
    """

    def __init__(
        self,
        writer: Writer,
        clock: Clock,
        in_hand: dict[int, int],
        released: Callable[[int], None],
    ) -> None:
        self.writer = writer
        self.in_hand = in_hand
        self.clock = clock
        self.released = released
        self._batch = _Batch()
        self._first_at: float | None = None  # when the batch's first was taken, monotonic
        self._unsettled = 0  # decisions taken and not committed yet
        self._flusher: asyncio.Task[None] | None = None
        self._few_others = asyncio.Event()

    def settle(self, decision: Finish | Release) -> None:
        """Take a decision; it is committed within about ``GATHER_SECONDS``.

        At once where fewer are still to come than have gathered: at the end of a herd the last
        ones would else wait for one large commit after another.
        """
        if self._first_at is None:
            self._first_at = self.clock.monotonic()
        if isinstance(decision, Finish):
            self._batch.finishes.append(decision)
        else:
            self._batch.releases.append(decision)
        self._unsettled += 1
        if len(self.in_hand) - self._unsettled < len(self._batch):
            self._few_others.set()
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())

    async def drain(self) -> None:
        """Wait until everything taken so far is committed."""
        while self._flusher is not None:
            await self._flusher

    async def _flush(self) -> None:
        try:
            while self._first_at is not None:
                # What came while the last batch was committed has waited already.
                left = GATHER_SECONDS - (self.clock.monotonic() - self._first_at)
                if left > 0:
                    await wait_or(self._few_others, self.clock, left)
                self._few_others.clear()
                batch, self._batch, self._first_at = self._batch, _Batch(), None
                await self._commit(batch)
                for run_id in batch.ids():
                    self.in_hand.pop(run_id, None)
                self._unsettled -= len(batch)
        finally:
            self._flusher = None

    async def _commit(self, batch: _Batch) -> None:
        try:
            ended, given = await self.writer.submit(
                lambda store: _write(store, batch), durable=False
            )
        except Exception:
            if len(batch) > 1:
                # One row the store refuses must not keep the others from being settled.
                for single in _split(batch):
                    await self._commit(single)
            else:
                log.exception("a run's end could not be stored as it was")
                await self._commit_bare(batch)
            return
        late = len(batch) - len(ended) - len(given)
        if late:
            log.warning("%d finishes came after their lease was lost and changed nothing", late)
        if any(finish.awaited for finish in batch.finishes):
            self.released(self.clock.micros())
        if batch.releases:
            self.released(min(release.row.available_at for release in batch.releases))

    async def _commit_bare(self, batch: _Batch) -> None:
        """Store that a run ended, without the text or items that the store refused."""
        rows = [
            finish.row._replace(
                reason_data="{}", body="", details=ascii(finish.row.details)[:1000],
                items_total=0, items_failed=0,
            )
            for finish in batch.finishes
        ]  # fmt: skip
        if not rows:
            return
        try:
            await self.writer.submit(lambda store: store.finish(rows, []))
        except Exception:
            log.exception("run %d stays with its lease until it is rescued", rows[0].id)


def _write(store: RunStore, batch: _Batch) -> tuple[set[int], set[int]]:
    ended: set[int] = set()
    given: set[int] = set()
    if batch.finishes:
        items = [item for finish in batch.finishes for item in finish.items]
        ended = store.finish([finish.row for finish in batch.finishes], items)
    if batch.releases:
        attempts = [each.attempt for each in batch.releases if each.attempt is not None]
        given = store.release([each.row for each in batch.releases], attempts)
    return ended, given


def _split(batch: _Batch) -> list[_Batch]:
    singles = [_Batch(finishes=[finish]) for finish in batch.finishes]
    return singles + [_Batch(releases=[release]) for release in batch.releases]


def cut_off(run: Claimed, now: int) -> Finish | Release:
    """Say what becomes of a run whose call this runner ends because it stops itself.

    Args:
        run: the run; its request was sent.
        now: microseconds.
    """
    if run.at_most_once:
        outcome = Outcome(
            status=Status.UNKNOWN, reason=Reason.RUNNER_LOST, reason_data={"at_most_once": True}
        )
        return _finish(run, outcome, now, now, awaited=True)
    lost = Outcome(status=Status.UNKNOWN, reason=Reason.RUNNER_LOST)
    return Release(unsent(run, now).row, _attempt(run, lost, now, now))


def unsent(run: Claimed, now: int) -> Release:
    """Give a claimed run back whose request was not sent."""
    return Release(ReleaseRow(run.id, run.term, now, run.attempt), None)


def gone(deadline_seconds: float) -> Outcome:
    """Return the outcome of a run whose deadline passed before it could be sent."""
    return Outcome(
        status=Status.TIMED_OUT,
        reason=Reason.DEADLINE,
        reason_data={"seconds": round(deadline_seconds)},
    )


def removed() -> Outcome:
    """Return the outcome of a run whose job left the configuration."""
    return Outcome(status=Status.ERROR, reason=Reason.JOB_REMOVED)
