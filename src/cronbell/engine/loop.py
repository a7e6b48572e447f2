"""A runner: starts the parts, gives each its beat, and stops them in the right order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import secrets
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cronbell.clock import Clock, from_micros
from cronbell.config.alerts import NO_ALERTS, Alerts
from cronbell.config.loader import Config
from cronbell.config.retention import Retention
from cronbell.dispatch import Dispatcher
from cronbell.domain import JobSpec
from cronbell.engine.alerting import BEAT_SECONDS, Alerting
from cronbell.engine.due import HOLD_SECONDS, Due
from cronbell.engine.early import Early
from cronbell.engine.executors.embedded import EmbeddedExecutor
from cronbell.engine.heartbeats import Heartbeats
from cronbell.engine.housekeeping import PRUNE_SECONDS, Housekeeping
from cronbell.engine.keeper import Keeper
from cronbell.engine.listen import listen_forever
from cronbell.engine.planner import Planner
from cronbell.engine.pool import Pool
from cronbell.engine.processor import OneProcessor, quick_turns
from cronbell.engine.rewind import Rewinder
from cronbell.engine.session import prepare_connection, put_journal_away
from cronbell.engine.settle import Settler
from cronbell.engine.waiting import wait_or
from cronbell.engine.watch import Watcher
from cronbell.engine.writer import Writer
from cronbell.runlog.applying import (
    InForce,
    bring_into_force,
    let_go_of_pages,
    rows_in_force,
)
from cronbell.runlog.backfilling import feed
from cronbell.runlog.jobs import live_alerts, live_configuration, live_retention, spec_from
from cronbell.runlog.lease_time import LeaseTime, lease_time_for
from cronbell.runlog.store import RunStore
from cronbell.runlog.totals import Row
from cronbell.runlog.wakeup import listen

log = logging.getLogger("cronbell.engine")

MICROS = 1_000_000
# Jobs made ready between two looks at the time: half a millisecond's work.
WARM_CHUNK = 100
# Requests are put together this long before they are due; each waits in 3 KB.
SOON_SECONDS = 15
# A change is live within two seconds: seen within this, read, and taken over before the next plan.
WATCH_SECONDS = 0.5
# Between two looks for jobs that a wrong clock has left standing still, in polls: each goes through
# all jobs there are.
REWIND_POLLS = 15
ROLL_UP_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSettings:
    """How a runner behaves.

    Attributes:
        concurrency: how many runs go on at once at most.
        lease_seconds: how long a dead runner's runs stay its own; renewed at a third of it.
        grace_seconds: how long running calls may take to end once the runner is told to stop.
        poll_seconds: how often the run log is looked at when nobody pokes.
        retention: how long ended runs are kept, until the configuration says otherwise.
        alerts: who is told about what, likewise.
    """

    concurrency: int = 100
    lease_seconds: float = 15.0
    grace_seconds: float = 30.0
    poll_seconds: float = 1.0
    retention: Retention = field(default_factory=Retention)
    alerts: Alerts = NO_ALERTS


class Runner:
    """Plans and executes the jobs of one configuration.

    Args:
        specs: the jobs.
        dispatcher: makes the calls.
        clock: what time it is.
        settings: see ``RunnerSettings``.
        directory: the data directory, for the socket that wakes this runner; None for none.
        target: the application's address, kept beside the jobs.
        watcher: tells when the configuration files changed; None where they are not watched.
        dispatcher_for: makes the dispatcher of a changed configuration (its hosts may differ).
        rng: spreads retries.
        loaded: called after a configuration was put into force.
        lease_time: whose clock judges leases; the store's unless ``clock`` is a made-up one.
    """

    def __init__(
        self,
        specs: Sequence[JobSpec],
        dispatcher: Dispatcher,
        *,
        clock: Clock,
        settings: RunnerSettings | None = None,
        directory: Path | None = None,
        target: str = "",
        watcher: Watcher | None = None,
        dispatcher_for: Callable[[Config], Dispatcher] | None = None,
        rng: random.Random | None = None,
        loaded: Callable[[], None] = lambda: None,
        lease_time: LeaseTime | None = None,
    ) -> None:
        self.settings = settings or RunnerSettings()
        self.clock = clock
        self.directory = directory
        self.watcher = watcher
        self.dispatcher_for = dispatcher_for
        self.loaded = loaded
        self._changed: Config | None = None
        self._target, self._generation = target, 0
        self._stopping = self._behind = False
        self._configured = specs
        self.specs: dict[int, JobSpec] = {}
        self.writer = _writer(clock, self.settings.lease_seconds)
        self.planner = Planner()
        self.heartbeats = Heartbeats(self.writer, clock)
        in_hand: dict[int, int] = {}
        self.settler = Settler(self.writer, clock, in_hand, self._released)
        spread = rng or random.Random()  # noqa: S311 - spreads retries
        self.executor = EmbeddedExecutor(dispatcher, self.specs, clock, spread)
        self.keeper = Keeper(
            self.writer,
            clock,
            in_hand,
            self._drop,
            lease_seconds=self.settings.lease_seconds,
            lease_time=lease_time or lease_time_for(clock),
        )
        clocks = self.keeper.clocks
        self._one_processor = OneProcessor(clock, lambda: clocks.place_here)
        self.rewinder = Rewinder(self.writer, self.planner, self.heartbeats, clock, clocks)
        self.pool = Pool(
            self.writer,
            self.settler,
            self.executor,
            clock,
            in_hand,
            concurrency=self.settings.concurrency,
            lease_seconds=self.settings.lease_seconds,
            clocks=clocks,
        )
        self.due = Due(self.pool, self.planner, self._one_processor.hold, self._guard)
        self.early = Early(self.pool, self.planner, self._one_processor.hold, self._replan)
        behind, kept = self.pool.behind, self.settings.retention
        self.housekeeping = Housekeeping(self.writer, clock, kept, note=self._note, behind=behind)
        self.alerting = Alerting(self.housekeeping, clocks, self.executor, self.settings.alerts)
        self.ready, self._poked = asyncio.Event(), asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set, then drain within the grace period."""
        with quick_turns(self._one_processor):
            await self._run(stop)

    async def _run(self, stop: asyncio.Event) -> None:
        self.writer.start()
        self.keeper.behind = self._planning_behind
        # Known before anything is planned, and its clock compared with the others'.
        await self.keeper.register(len(self._configured))
        await self._load()
        beats = [
            self._plan_forever(),
            self.pool.claim_forever(),
            self.early.hand_over_forever(),
            self._every(self.settings.lease_seconds / 3, self.keeper.renew),
            self._every(self.settings.poll_seconds, self._rescue),
            self._every(self.settings.poll_seconds, self._look_at_heartbeats),
            self._every(self.settings.poll_seconds * REWIND_POLLS, self.rewinder.look),
            self._every(WATCH_SECONDS, self._watch),
            self._every(ROLL_UP_SECONDS, self.housekeeping.roll_up),
            self._every(PRUNE_SECONDS, self.housekeeping.prune),
            self._every(BEAT_SECONDS, self.alerting.beat),
            self._hear_pokes(),
            listen_forever(self._poked.set, self.clock),
        ]
        tasks = [asyncio.create_task(self._guard(beat)) for beat in beats]
        self.ready.set()
        log.info("runner %s is up with %d jobs", self.keeper.id, len(self.specs))
        try:
            await stop.wait()
        finally:
            await self._shut_down(tasks)

    async def _load(self) -> None:
        now = self.clock.micros()
        target, who, kept = self._target, self.keeper.id, self.housekeeping.retention
        alerts = self.alerting.alerts

        def sync(_store: RunStore) -> tuple[dict[str, InForce], int]:
            at = from_micros(now)
            jobs = bring_into_force(
                self._configured, at, target=target, applied_by=who, retention=kept, alerts=alerts,
                clock=self.clock,
            )  # fmt: skip
            return jobs, _generation()

        jobs, self._generation = await self.writer.submit(sync)
        await self._put_into_force([(jobs[spec.name], spec) for spec in self._configured])

    async def _put_into_force(self, jobs: list[tuple[InForce, JobSpec]]) -> None:
        self.specs.clear()
        self.specs.update({job.id: spec for job, spec in jobs})
        self.executor.dispatcher.warm(spec for _, spec in jobs if not spec.heartbeat)
        known = [(job.id, spec, job.cursor) for job, spec in jobs]
        self.planner.load(known)
        self.heartbeats.load(known)
        await self.writer.submit(lambda _store: let_go_of_pages())
        await asyncio.to_thread(self.loaded)

    async def _follow(self) -> None:
        """Take over what ``cronbell apply`` or another runner has brought into force."""

        def read(_store: RunStore) -> tuple[list[tuple[InForce, JobSpec]], int]:
            self.housekeeping.retention = live_retention()
            self.alerting.load(live_alerts())
            return [(job, spec_from(plain)) for job, plain in rows_in_force()], _generation()

        jobs, self._generation = await self.writer.submit(read)
        await self._put_into_force(jobs)
        await self.keeper.report_configuration(len(jobs), "")
        log.info("the configuration was changed elsewhere: %d jobs", len(jobs))

    async def _plan_forever(self) -> None:
        # What waits already need not wait until all is ready.
        self.pool.wake()
        while not self._stopping:
            if self._changed is not None:
                await self._take_over(self._changed)
            elif self._behind:
                self._behind = False
                await self._follow()
            if await self.due.plan():
                continue
            self._one_processor.expire()
            if await self.early.record():
                continue
            if self._get_ready():
                await self.clock.wait(0)
                continue
            await self._nap()
            self.pool.wake()

    async def _watch(self) -> None:
        """Look at the configuration files; a good change is taken over between two plans."""
        if self.watcher is None:
            return
        found = await asyncio.to_thread(self.watcher.look)
        if found is None:
            return
        if found.config is None:
            await self.keeper.report_configuration(None, found.fault)
        else:
            self._changed = found.config
            self._poked.set()

    async def _take_over(self, config: Config) -> None:
        """Put a changed configuration into force: runs that go on end as they began."""
        self._changed = None
        self._configured = config.jobs
        self._target = config.target
        if self.dispatcher_for is not None:
            self.executor.dispatcher = self.dispatcher_for(config)
        self.pool.concurrency = config.concurrency
        self.housekeeping.retention = config.retention
        self.alerting.load(config.alerts)
        await self._load()
        await self.keeper.report_configuration(len(self.specs), "")

    async def _nap(self) -> None:
        """Wait for the next fire, a poke, or the poll, whichever comes first."""
        due, wait = self.planner.next_due(), self.settings.poll_seconds
        moments = [None if due is None else due * MICROS, self.early.next()]
        for at in [] if self.keeper.clocks.aside else filter(None, moments):
            wait = min(wait, max(0.0, (at - self.clock.micros()) / MICROS))
        if self.planner.put_back(self.clock.micros(), 0):
            wait = min(wait, HOLD_SECONDS)
        await wait_or(self._poked, self.clock, wait)

    def _get_ready(self) -> bool:
        """Prepare some of what the next fires need; say whether there may be more.

        Not while runs wait to be sent, or somebody has asked for one: it can wait, those can't.
        """
        if self.pool.behind() or self._poked.is_set():
            return False
        if self.planner.put_back(self.clock.micros(), WARM_CHUNK):
            return True
        if self.planner.warm(WARM_CHUNK):
            return True
        until = self.clock.micros() // MICROS + SOON_SECONDS
        jobs = self.planner.soon(until, WARM_CHUNK)
        for job in jobs:
            self.executor.make_ready(job.spec, job.key, (job.due or 0) * MICROS)
        return bool(jobs)

    def _planning_behind(self) -> int:
        due = self.planner.next_due()
        if due is None or self.keeper.clocks.aside:
            return 0
        return max(0, self.clock.micros() - due * MICROS)

    def _note(self, rows: Sequence[Row]) -> None:
        self.alerting.note(rows)

    def _replan(self) -> None:
        self._poked.set()

    def _drop(self, run_id: int, term: int) -> None:
        self.pool.drop(run_id, term)

    async def _look_at_heartbeats(self) -> None:
        if not self.keeper.clocks.aside:
            await self.heartbeats.beat()

    def _released(self, due: int) -> None:
        delay = max(0.0, (due - self.clock.micros()) / MICROS)
        if delay < self.settings.poll_seconds:
            asyncio.get_running_loop().call_later(delay, self.pool.wake)

    async def _rescue(self) -> None:
        generation = await self.writer.submit(lambda _store: _generation())
        if generation != self._generation:
            self._behind = True
            self._poked.set()
        rescued = await self.keeper.rescue()
        now = self.clock.micros()
        fed = await self.writer.submit(lambda _store: feed(now))
        if fed or rescued.runs or rescued.unknown or rescued.cancelled:
            self.pool.wake()

    async def _every(self, seconds: float, step: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await step()
            except Exception:
                log.exception("a beat failed and is repeated")
            await self.clock.wait(seconds)

    async def _hear_pokes(self) -> None:
        heard = None if self.directory is None else listen(self.directory)
        if heard is None:
            return
        receiver, path = heard
        try:
            while True:
                await asyncio.get_running_loop().sock_recv(receiver, 16)
                self._poked.set()
        finally:
            receiver.close()
            path.unlink(missing_ok=True)

    async def _guard(self, beat: Coroutine[Any, Any, None]) -> None:
        # A part that ends by an error would leave a runner that looks alive and does nothing;
        # the process ends instead and the supervisor starts it anew.
        try:
            await beat
        except asyncio.CancelledError:
            raise
        except Exception:
            log.critical("a part of the runner failed; the runner ends", exc_info=True)
            os._exit(70)

    async def _shut_down(self, tasks: list[asyncio.Task[None]]) -> None:
        planner, *others = tasks
        log.info(
            "told to stop: %d calls are under way and have %.0f s to end; told again,"
            " the runner ends at once",
            self.pool.busy,
            self.settings.grace_seconds,
        )
        # Not cancelled: what it is recording now it may also have started.
        self._stopping = True
        self._poked.set()
        await asyncio.wait({planner}, timeout=self.settings.grace_seconds)
        await self.due.recorded(self.settings.grace_seconds)
        planner.cancel()
        grace = self.settings.grace_seconds
        with contextlib.suppress(TimeoutError):  # a store that is away; leases run out
            await asyncio.wait_for(self.early.stop(), grace)
        await asyncio.gather(self.pool.stop(grace), self.alerting.stop(grace))
        for task in others:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self.keeper.leave()
        await self.writer.stop()
        log.info("runner %s has stopped", self.keeper.id)


def _writer(clock: Clock, lease_seconds: float) -> Writer:
    store = RunStore(_new_owner())
    prepare = partial(prepare_connection, store.using, lease_seconds)
    return Writer(store, clock, prepare=prepare, tidy=partial(put_journal_away, store.using))


def _new_owner() -> str:
    return f"{socket.gethostname()[:24]}:{os.getpid()}:{secrets.token_hex(8)}"


def _generation() -> int:
    configuration = live_configuration()
    return 0 if configuration is None else configuration.generation
