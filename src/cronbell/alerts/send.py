"""One attempt to send a message, by the channel's own way; the result is a value."""

from __future__ import annotations

import asyncio
import json
import logging

from cronbell import __version__
from cronbell.alerts import mail
from cronbell.alerts.outbox import Result
from cronbell.alerts.secrets import keys_of, url_of
from cronbell.alerts.signing import signed_headers
from cronbell.clock import Clock, to_micros
from cronbell.config.alerts import Alerts, Channel, ChannelType
from cronbell.dispatch import Dispatcher
from cronbell.domain import Outcome
from cronbell.errors import SecretError
from cronbell.runlog.alert_tables import Delivery

log = logging.getLogger("cronbell.alerts")

MICROS = 1_000_000
SECONDS = 10.0
USER_AGENT = f"Cronbell/{__version__}"
_SUCCESSES = range(200, 300)


async def send(dispatcher: Dispatcher, alerts: Alerts, one: Delivery, clock: Clock) -> Result:
    """Make one attempt and say what became of it; only a cancellation passes.

    Args:
        dispatcher: obeys the rules that jobs' calls obey.
        alerts: what is configured now; a channel that is gone sends nothing more.
        one: the message.
        clock: what time it is.
    """
    channel = alerts.channels.get(one.channel)
    if channel is None:
        return Result(sent=False, http_status=410, reason="channel_removed")
    try:
        if channel.type is ChannelType.EMAIL:
            return await _mail(dispatcher, channel, one, clock)
        url = url_of(channel)
        headers, body = (
            _webhook(channel, one, clock) if channel.type is ChannelType.WEBHOOK else _slack(one)
        )
    except SecretError as error:
        return Result(sent=False, reason="no_secret", data={"error": str(error)})
    try:
        return _result(await dispatcher.deliver(url, headers, body, timeout=SECONDS))
    except Exception as error:
        log.exception("a message to %s failed unexpectedly", channel.name)
        return Result(sent=False, reason="mail", data={"error": type(error).__name__})


async def _mail(dispatcher: Dispatcher, channel: Channel, one: Delivery, clock: Clock) -> Result:
    found = await dispatcher.find(channel.smtp, timeout=SECONDS)
    if isinstance(found, Outcome):
        return _result(found)
    return await asyncio.to_thread(mail.post, channel, one, clock, found)


def _webhook(
    channel: Channel, one: Delivery, clock: Clock
) -> tuple[tuple[tuple[str, str], ...], bytes]:
    body = one.body.encode()
    keys = keys_of(channel)
    signed = signed_headers(one.key, to_micros(clock.now()) // MICROS, body, keys)
    return (*_common(), *signed), body


def _slack(one: Delivery) -> tuple[tuple[tuple[str, str], ...], bytes]:
    # Slack's three: everything else in a text is what it is.
    text = one.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _common(), json.dumps({"text": text}, ensure_ascii=False).encode()


def _common() -> tuple[tuple[str, str], ...]:
    return ("User-Agent", USER_AGENT), ("Content-Type", "application/json; charset=utf-8")


def _result(outcome: Outcome) -> Result:
    status = outcome.http_status
    # What a cron endpoint says in its body about its work means nothing here.
    if status is not None and status in _SUCCESSES:
        return Result(sent=True, http_status=status)
    return Result(
        sent=False,
        http_status=status,
        reason="" if outcome.reason is None else outcome.reason.value,
        data=dict(outcome.reason_data),
        wait=outcome.ask_again_after,
    )
