"""Tells people what is wrong, on the runner's beat: judge, write down, send."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime

from django.conf import settings

from cronbell.alerts import outbox
from cronbell.alerts.judge import Judge
from cronbell.alerts.outbox import Result
from cronbell.alerts.send import send
from cronbell.config.alerts import Alerts
from cronbell.engine.clocks import Clocks
from cronbell.engine.executors.embedded import EmbeddedExecutor
from cronbell.engine.housekeeping import Housekeeping
from cronbell.runlog.alert_tables import Delivery
from cronbell.runlog.totals import Row

BEAT_SECONDS = 5.0
REMIND_SECONDS = 60.0

Step = Callable[[datetime], bool]


class Alerting:
    """Judges and sends for one runner; others may do the same at the same time.

    Args:
        housekeeping: does the steps, each when the writer has nothing better to do.
        clocks: whose clock judges leases, and whether this runner has the wrong time.
        executor: has the dispatcher in force, by whose rules messages are sent.
        alerts: who is told about what, until another configuration is in force.
    """

    def __init__(
        self, housekeeping: Housekeeping, clocks: Clocks, executor: EmbeddedExecutor, alerts: Alerts
    ) -> None:
        self.housekeeping = housekeeping
        self.writer, self.clock = housekeeping.writer, housekeeping.clock
        self.clocks = clocks
        self.executor = executor
        self.load(alerts)
        self._reminded: float | None = None
        self._sending: asyncio.Task[None] | None = None

    def load(self, alerts: Alerts) -> None:
        """Go by a configuration from now on."""
        self.alerts = alerts
        self.judge = Judge(alerts)

    def note(self, rows: Sequence[Row]) -> None:
        """Be told of runs that have ended; see ``Judge.note``."""
        if self.alerts.channels:
            self.judge.note(rows)

    async def beat(self) -> None:
        """Judge what there is, and send what is due."""
        if not self.alerts.channels or self.clocks.aside:
            return
        for step in [*self.judge.steps(), *self._telling()]:
            await self._do(step)
        # Not cancelled with the beat: what is half sent would be sent again.
        self._sending = asyncio.ensure_future(self._send())
        await asyncio.shield(self._sending)

    async def stop(self, seconds: float) -> None:
        """Let what is being sent arrive, for so long at most."""
        if self._sending is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait({self._sending}, timeout=seconds)

    async def _do(self, step: Step) -> None:
        await self.housekeeping.piece_by_piece(lambda _store: step(self.clock.now()))

    def _telling(self) -> list[Step]:
        alerts, language = self.alerts, settings.LANGUAGE_CODE
        steps: list[Step] = [lambda now: outbox.route(alerts, now)]
        began = self.clock.monotonic()
        if self._reminded is None or began - self._reminded >= REMIND_SECONDS:
            self._reminded = began
            steps += [lambda now: outbox.remind(alerts, now), outbox.prune]
        steps.append(lambda now: outbox.gather(alerts, now, language))
        return steps

    async def _send(self) -> None:
        owner, now = self.writer.store.owner, self.clock.now()
        # Durable: what is sent must be known to have been claimed, and all before it with it.
        claimed = await self.writer.submit(
            lambda _store: outbox.claim(owner, now, self.clocks.now())
        )
        await asyncio.gather(*(self._send_one(one) for one in claimed))

    async def _send_one(self, one: Delivery) -> None:
        result: Result = await send(self.executor.dispatcher, self.alerts, one, self.clock)
        now = self.clock.now()
        await self.writer.submit(lambda _store: outbox.settle(one, result, now))
