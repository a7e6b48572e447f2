"""One call, step by step: authenticate, identify, claim the receipt, run, settle, answer.

``admit`` does what needs no storage, ``begin`` claims and starts, ``call`` waits for the answer.
An adapter turns its framework's request into a ``Request`` and the ``Answer`` back.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import os
import socket
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, fields
from datetime import timedelta

from cronbell.clock import SYSTEM_CLOCK, Clock
from cronbell.endpoint.answer import Answer, answer, raised, refuse, refuse_for_now
from cronbell.endpoint.auth import Gate, LiveGate
from cronbell.endpoint.identify import (
    BadRequestError,
    Identity,
    LatestFire,
    Request,
    identify,
    latest_vercel_fire,
    parameters_of,
)
from cronbell.endpoint.keeper import Keeper
from cronbell.endpoint.pruning import KEEP_DAYS, Pruner
from cronbell.endpoint.receipt import (
    Full,
    Hold,
    Overlap,
    ReceiptStore,
    Refusal,
    Replay,
    StillRunning,
    Want,
)
from cronbell.endpoint.recorder import Call, NullRecorder, RunRecorder
from cronbell.endpoint.registry import REGISTRY, Job, JobDefinitionError, Registry
from cronbell.endpoint.running import Running
from cronbell.errors import ConfigError, StorageError
from cronbell.logs import about
from cronbell.tracing import Tracing, traceparent_of

log = logging.getLogger("cronbell.endpoint")

METHODS = ("GET", "POST")
# An OPTIONS request that carries this header asks whether its secret is taken, and runs nothing.
PROBE = b"x-cronbell-probe"
LONGEST_KEEP_DAYS = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one process allows itself.

    Attributes:
        threads: jobs at work at once; a call beyond it is answered 503, never queued. Keep it
            below the number of requests the server handles at once, so that pages stay quick.
        lease_seconds: after a crash, how long until another call may run the job again.
        grace_seconds: how long past ``max_duration`` a job that was told to stop is waited for.
        keep_days: how long a receipt is kept after its end. Its key would run again after that, so
            not less than the longest deadline of a run.

    Raises:
        ConfigError: a number is not positive, or ``keep_days`` more than a hundred years.
    """

    threads: int = 16
    lease_seconds: float = 30.0
    grace_seconds: float = 3.0
    keep_days: float = KEEP_DAYS

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            wanted = int if field.name == "threads" else int | float
            good = isinstance(value, wanted) and not isinstance(value, bool)
            if not good or not math.isfinite(value) or value <= 0:
                raise ConfigError(
                    f"the endpoint's {field.name} is {value!r}", hint="write a positive number"
                )
        if self.keep_days > LONGEST_KEEP_DAYS:
            raise ConfigError(
                f"the endpoint's keep_days is {self.keep_days!r}",
                hint=f"write at most {LONGEST_KEEP_DAYS}",
            )


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that may run, as far as its headers tell.

    Attributes:
        job: what it asks for.
        target: the request target, query included.
        identity: which run it is.
        traceparent: which trace it is part of; empty where it does not say.
        parameters: of the query, those the job declares.
    """

    job: Job
    target: str
    identity: Identity
    traceparent: str = ""
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)


class _Slot:
    """At most one of the process's job threads, for one call."""

    def __init__(self, slots: threading.BoundedSemaphore) -> None:
        self._slots = slots
        self._taken = False

    def reserve(self) -> bool:
        """Take it if one is free; True as well when it was taken before."""
        self._taken = self._taken or self._slots.acquire(blocking=False)
        return self._taken

    def release(self) -> None:
        """Give it back, if it was taken."""
        if self._taken:
            self._taken = False
            self._slots.release()


class Endpoint:
    """The cron endpoints of one process.

    Args:
        store: where receipts are kept.
        gate: whom to let in.
        registry: the jobs.
        recorder: the run log.
        clock: where the time comes from.
        limits: threads, lease, grace.
        new_key: makes the key of a call that nothing else identifies.
        latest_fire: see ``identify.latest_vercel_fire``.
        tracing: spans each job; None where nothing is traced.

    Raises:
        JobDefinitionError: a job is ``atomic`` and the store is not the application's database.
    """

    def __init__(
        self,
        *,
        store: ReceiptStore,
        gate: Gate | LiveGate,
        registry: Registry = REGISTRY,
        recorder: RunRecorder | None = None,
        clock: Clock = SYSTEM_CLOCK,
        limits: Limits | None = None,
        new_key: Callable[[], str] = lambda: str(uuid.uuid4()),
        latest_fire: LatestFire = latest_vercel_fire,
        tracing: Tracing | None = None,
    ) -> None:
        self.registry = registry
        self.keeper = Keeper(clock, store.session)
        self._store = store
        self._gate = gate
        self._recorder = recorder or NullRecorder()
        self._clock = clock
        self._limits = limits or Limits()
        self._pruner = Pruner(store, clock, timedelta(days=self._limits.keep_days))
        self._new_key = new_key
        self._latest_fire = latest_fire
        self._tracing = tracing
        self._slots = threading.BoundedSemaphore(self._limits.threads)
        for job in registry:
            self._check_atomic(job)
        if gate.fault:
            log.error("every cron call will be refused: %s", gate.fault)

    def call(self, request: Request) -> Answer:
        """Answer a request; blocks until its job has ended or is past its grace."""
        admitted = self.admit(request)
        if isinstance(admitted, Answer):
            return admitted
        begun = self.begin(admitted)
        return begun if isinstance(begun, Answer) else begun.result()

    def admit(self, request: Request) -> Admitted | Answer:
        """Find the job, authenticate, identify; no input or output."""
        job = self.registry.by_path(request.path)
        if job is None:
            return refuse(404, "no job is published at this path")
        probing = request.method == "OPTIONS" and bool(request.values(PROBE))
        if request.method not in METHODS and not probing:
            allowed = ", ".join(METHODS)
            return answer(405, {"error": f"use one of {allowed}"}, ("Allow", allowed))
        if answered := self._at_the_door(request, job, probing=probing):
            return answered
        try:
            identity = identify(
                request,
                now=self._clock.now(),
                new_key=self._new_key,
                latest_fire=self._latest_fire,
            )
            parameters = parameters_of(request, job.parameters)
        except BadRequestError as error:
            return refuse(400, str(error))
        if identity.dry_run and not job.dry_run:
            return refuse(400, f"the job {job.name} has no dry run; nothing was done")
        traceparent = traceparent_of(request.values(b"traceparent"))
        return Admitted(job, request.target, identity, traceparent, parameters)

    def begin(self, admitted: Admitted) -> Answer | Future[Answer]:
        """Claim the receipt and start the job in a thread of its own.

        Returns:
            The answer where there is one at once, else a future that will hold it. It cannot be
            cancelled and never fails.
        """
        try:
            return self._begin(admitted)
        except JobDefinitionError as error:
            log.exception("%s cannot run", admitted.job.name)
            return refuse(500, str(error))
        except StorageError as error:
            log.exception("%s: no receipt, so it was not run", admitted.job.name)
            return refuse_for_now(503, f"the job was not run: {error}")

    def stop(self) -> None:
        """Tell every job at work to stop: the process is about to end."""
        self.keeper.stop_all()

    def _at_the_door(self, request: Request, job: Job, *, probing: bool) -> Answer | None:
        """Return why the caller is not let in, or what a probe wanted to know."""
        refused = self._authenticate(request, job)
        if not probing:
            return refused
        if refused is None:
            return answer(200, {"probe": "taken"})
        return answer(refused.status, {"probe": "refused"})

    def _authenticate(self, request: Request, job: Job) -> Answer | None:
        """Return why the caller is not let in; None when it is."""
        if self._gate.fault:
            return refuse(500, self._gate.fault)
        which = self._gate.which(request.values(b"authorization"))
        if which is None:
            return refuse(401, "Unauthorized")
        if which:
            log.info("%s was called with another secret than the one that is sent now", job.name)
        return None

    def _begin(self, admitted: Admitted) -> Answer | Future[Answer]:
        self._check_atomic(admitted.job)
        slot = _Slot(self._slots)
        started = False
        try:
            claim = self._store.claim(self._want(admitted, slot))
            if not isinstance(claim, Hold):
                return self._refuse(admitted.job, claim)
            run = self._running(admitted, claim)
            self.keeper.add(run)
            try:
                threading.Thread(
                    target=self._work, args=(run, slot), name=f"job-{run.job.name}", daemon=True
                ).start()
            except RuntimeError as error:
                return self._not_started(run, error)
            started = True
            return run.reply.future
        finally:
            if not started:
                slot.release()

    def _want(self, admitted: Admitted, slot: _Slot) -> Want:
        return Want(
            job=admitted.job.name,
            key=admitted.identity.key,
            dry_run=admitted.identity.dry_run,
            attempt=admitted.identity.attempt,
            owner=f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex}",
            now=self._clock.now(),
            lease=timedelta(seconds=self._limits.lease_seconds),
            reserve=slot.reserve,
            live=self.keeper.live(),
        )

    def _running(self, admitted: Admitted, hold: Hold) -> Running:
        identity = admitted.identity
        return Running(
            job=admitted.job,
            call=Call(
                job=admitted.job.name,
                path=admitted.target,
                key=identity.key,
                run_id=identity.run_id,
                kind=identity.kind,
                schedule=identity.schedule,
                scheduled_at=identity.scheduled_at,
                attempt=hold.attempt,
                dry_run=identity.dry_run,
                parameters=admitted.parameters,
                started_at=self._clock.now(),
            ),
            hold=hold,
            traceparent=admitted.traceparent,
            tracing=self._tracing,
            store=self._store,
            recorder=self._recorder,
            clock=self._clock,
            lease=self._limits.lease_seconds,
            grace=self._limits.grace_seconds,
        )

    def _work(self, run: Running, slot: _Slot) -> None:
        """Be the job's thread."""
        try:
            with about(run.job.name, run.context.run_id, run.call.key), self._store.session():
                run.execute()
        except BaseException as error:
            log.exception("%s: its run broke down", run.job.name)
            run.reply.give(raised(run.job, error, ()).answer)
        finally:
            self.keeper.remove(run)
            slot.release()
        # Only now: neither the caller nor the next call waits for it.
        self._pruner.after_a_call()

    def _not_started(self, run: Running, error: RuntimeError) -> Answer:
        log.error("%s: no thread could be started: %s", run.job.name, error)
        self.keeper.remove(run)
        ending = raised(run.job, error, ())
        self._store.settle(run.hold, ending.settlement(self._clock.now()))
        return ending.answer

    def _refuse(self, job: Job, refusal: Refusal) -> Answer:
        match refusal:
            case Replay(http_status, text):
                return Answer(http_status, text.encode(), (("Idempotency-Replayed", "true"),))
            case StillRunning(seconds):
                return refuse_for_now(
                    409, f"this run of {job.name} is still going on", seconds=seconds, running=True
                )
            case Overlap():
                return refuse(409, f"another run of {job.name} is going on", skipped=True)
            case Full():
                return refuse_for_now(
                    503, f"all {self._limits.threads} job threads are busy; the job was not run"
                )

    def _check_atomic(self, job: Job) -> None:
        if job.atomic and not self._store.transactional:
            raise JobDefinitionError(
                f"{job.where}: atomic=True, but its receipts are not in the application's database",
                hint="keep receipts with the Django store, or make the job idempotent and drop it",
            )
