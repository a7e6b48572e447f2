"""Does what a runner does for alerts where no runner is alive to do it.

A dead runner tells nobody that it is dead. The web process looks every quarter of a minute, and
``cronbell alerts check`` whenever an outside cron calls it; where a runner on another machine is
alive, it needs neither.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from datetime import datetime

from django.conf import settings
from django.db import connections, transaction

from cronbell.alerts import outbox
from cronbell.alerts.judge import Judge
from cronbell.alerts.send import send
from cronbell.clock import Clock
from cronbell.config.alerts import Alerts, Channel
from cronbell.dispatch import Dispatcher, PyreqwestTransport
from cronbell.runlog import audit
from cronbell.runlog.alert_tables import Delivery
from cronbell.runlog.jobs import live_alerts
from cronbell.runlog.judging import somebody_runs
from cronbell.runlog.lease_time import LeaseTime, lease_time_for
from cronbell.runlog.router import ALIAS

log = logging.getLogger("cronbell.alerts")

LOOK_SECONDS = 15.0


class StandIn:
    """Judges and sends in this thread.

    Args:
        clock: what time it is.
        lease_time: whose clock judges leases; the store's unless ``clock`` is a made-up one.
    """

    def __init__(self, clock: Clock, lease_time: LeaseTime | None = None) -> None:
        self.clock = clock
        self.lease_time = lease_time or lease_time_for(clock)
        self.owner = f"{socket.gethostname()[:24]}:{os.getpid()}:{secrets.token_hex(8)}"

    def look_if_needed(self) -> bool:
        """Judge and send if nobody else does; say whether it was done."""
        alerts = live_alerts()
        if not alerts.channels or somebody_runs(self.clock.now()):
            return False
        self.look(alerts)
        return True

    def look(self, alerts: Alerts) -> int:
        """Judge and send, whoever else does; return how many messages were sent."""
        language = settings.LANGUAGE_CODE
        steps: list[Callable[[datetime], bool]] = [
            *Judge(alerts).steps(),
            lambda now: outbox.route(alerts, now),
            lambda now: outbox.remind(alerts, now),
            lambda now: outbox.gather(alerts, now, language),
        ]
        for step in steps:
            while self._do(step):
                pass
        with transaction.atomic(using=ALIAS):
            claimed = outbox.claim(self.owner, self.clock.now(), self._lease_now())
        return sum(self._send(alerts, claimed)) if claimed else 0

    def test(self, alerts: Alerts, channel: Channel) -> Delivery:
        """Send a message that only says that a channel works; return it with what became of it."""
        with transaction.atomic(using=ALIAS):
            language = settings.LANGUAGE_CODE
            audit.record(audit.Action.ALERT_TESTED, "channel", channel.name)
            one = outbox.write_test(alerts, channel, self.clock.now(), language)
            outbox.claim_one(one, self.owner, self._lease_now())
        self._send(alerts, [one])
        return Delivery.objects.get(pk=one.pk)

    def _do(self, step: Callable[[datetime], bool]) -> bool:
        with transaction.atomic(using=ALIAS):
            return step(self.clock.now())

    def _lease_now(self) -> int:
        return self.clock.micros() + self.lease_time.ahead(self.clock)

    def _send(self, alerts: Alerts, messages: list[Delivery]) -> list[bool]:
        results = asyncio.run(self._all(alerts, messages))
        sent = []
        for one, result in zip(messages, results, strict=True):
            with transaction.atomic(using=ALIAS):
                outbox.settle(one, result, self.clock.now())
            sent.append(result.sent)
        return sent

    async def _all(self, alerts: Alerts, messages: list[Delivery]) -> list[outbox.Result]:
        transport = PyreqwestTransport()
        try:
            dispatcher = Dispatcher(
                transport, secret=None, allowed_hosts=alerts.hosts, clock=self.clock
            )
            return await asyncio.gather(
                *(send(dispatcher, alerts, one, self.clock) for one in messages)
            )
        finally:
            await transport.close()


def keep_looking(clock: Clock) -> threading.Thread:
    """Look every quarter of a minute, in a thread that ends with the process."""

    def run() -> None:
        stand_in = StandIn(clock)
        while True:
            clock.sleep(LOOK_SECONDS)
            try:
                stand_in.look_if_needed()
            except Exception:
                log.exception("looking for what is to be told failed and is repeated")
            finally:
                connections.close_all()

    thread = threading.Thread(target=run, name="alerts-standin", daemon=True)
    thread.start()
    return thread
