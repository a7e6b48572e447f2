"""The one thread of a runner that touches the run log: many steps, one commit.

The event loop hands in operations; the writer takes all that have gathered, runs them in one
immediate transaction and gives each its result after the commit. While it commits the next ones
gather, so the cost of making a commit durable is shared by whatever load there is.

A store that is locked, full or away makes operations wait here, in order and without being lost;
an operation that is itself at fault is run alone, so that it fails alone.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connections

from cronbell.clock import Clock
from cronbell.runlog.store import RunStore

log = logging.getLogger("cronbell.engine.writer")

T = TypeVar("T")
FIRST_RETRY_SECONDS = 0.05
LONGEST_RETRY_SECONDS = 2.0
# The store cannot be used now; the operation is not to blame and is tried again.
STORE_AWAY = (OperationalError, InterfaceError)
# PostgreSQL ended the connection of a process that was stopped in mid-transaction: an "internal
# error" to the driver, and nobody's fault.
IDLE_IN_TRANSACTION = "25P03"


@dataclass(slots=True)
class _Operation:
    act: Callable[[RunStore], Any]
    future: asyncio.Future[Any]
    durable: bool
    closing: bool
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs operations on the run log in a thread of its own.

    Args:
        store: the run log, with this runner's name for leases.
        clock: for pauses between tries while the store is away.
        prepare: run once on the new connection, and again after it was lost.
        tidy: what ``tidy_up`` has done, outside of any transaction.
    """

    def __init__(
        self,
        store: RunStore,
        clock: Clock,
        *,
        prepare: Callable[[], None] = lambda: None,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.prepare = prepare
        self.tidy = tidy
        self._written = 0  # transactions since the last ``tidy``
        self._untidy = False
        self.trouble = ""
        self._queue: list[_Operation] = []
        self._wanted = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="runlog-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start the thread; operations are answered on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def submit(
        self, act: Callable[[RunStore], T], *, durable: bool = True, closing: bool = False
    ) -> asyncio.Future[T]:
        """Have ``act`` run in the writer's next transaction; the future ends after its commit.

        Args:
            act: what to do with the run log.
            durable: the disk must have it before the future ends.
            closing: the transaction ends with it, whatever has gathered after it: calls wait for
                what is large, and need not wait for what comes next.
        """
        assert self._loop is not None, "start() comes first"  # noqa: S101 - programmer's error
        future: asyncio.Future[T] = self._loop.create_future()
        with self._wanted:
            self._queue.append(_Operation(act, future, durable, closing))
            self._wanted.notify()
        return future

    def tidy_up(self) -> None:
        """Have ``tidy`` called as soon as nothing waits to be written, if anything was written."""
        with self._wanted:
            self._untidy = self._written > 0
            self._wanted.notify()

    async def stop(self) -> None:
        """Finish what has been handed in, then end the thread."""
        with self._wanted:
            self._stopping = True
            self._wanted.notify()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            while (operations := self._take()) is not None:
                if operations:
                    self._perform(operations)
                    self._deliver(operations)
                else:
                    self._tidy()
        finally:
            connections[self.store.using].close()

    def _take(self) -> list[_Operation] | None:
        """Wait for operations; none where it is time to tidy up, None at the end."""
        with self._wanted:
            while not (self._queue or self._untidy or self._stopping):
                self._wanted.wait()
            closed = next((n for n, each in enumerate(self._queue, 1) if each.closing), None)
            operations = self._queue[:closed]
            del self._queue[:closed]
            return operations if operations or not self._stopping else None

    def _tidy(self) -> None:
        self._untidy, self._written = False, 0
        if connections[self.store.using].connection is None:
            return  # lost: what is next made anew is prepared first
        try:
            self.tidy()
        except DatabaseError as error:
            # Nothing is lost by it; whoever writes next meets the same and says so.
            log.debug("the run log could not be tidied up: %s", error)

    def _perform(self, operations: list[_Operation]) -> None:
        """Run operations in one transaction; where one is at fault, each in its own."""
        pause = FIRST_RETRY_SECONDS
        while True:
            try:
                self._transaction(operations)
            except Exception as error:  # noqa: BLE001 - handed to whoever asked
                if store_is_away(error):
                    if self._given_up(operations, error):
                        return
                    self.clock.sleep(pause)
                    pause = min(pause * 2, LONGEST_RETRY_SECONDS)
                    continue
                if len(operations) == 1:
                    operations[0].error = error
                    return
                for operation in operations:
                    self._perform([operation])
                return
            else:
                if self.trouble:
                    log.warning("the run log can be written again")
                    self.trouble = ""
                return

    def _transaction(self, operations: list[_Operation]) -> None:
        connection = connections[self.store.using]
        if connection.connection is None:
            connection.ensure_connection()
            self.prepare()
        durable = any(operation.durable for operation in operations)
        with self.store.transaction(durable=durable):
            for operation in operations:
                operation.result = operation.act(self.store)
        self._written += 1

    def _given_up(self, operations: list[_Operation], error: Exception) -> bool:
        """Say why the run log cannot be written; give up only where the runner is stopping."""
        if not self.trouble:
            log.error("the run log cannot be written, trying again: %s", error)
        self.trouble = str(error)
        connections[self.store.using].close()
        if not self._stopping:
            return False
        for operation in operations:
            operation.error = error
        return True

    def _deliver(self, operations: list[_Operation]) -> None:
        assert self._loop is not None  # noqa: S101 - set by start()
        self._loop.call_soon_threadsafe(_resolve, operations)


def store_is_away(error: Exception) -> bool:
    """Say whether the store, and not the operation, is why a transaction failed."""
    return isinstance(error, STORE_AWAY) or (
        getattr(error.__cause__, "sqlstate", None) == IDLE_IN_TRANSACTION
    )


def _resolve(operations: list[_Operation]) -> None:
    for operation in operations:
        if operation.future.done():
            continue
        if operation.error is not None:
            operation.future.set_exception(operation.error)
        else:
            operation.future.set_result(operation.result)
