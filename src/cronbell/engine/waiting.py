"""Waiting for time to pass or for something to happen, whichever comes first."""

from __future__ import annotations

import asyncio

from cronbell.clock import Clock


async def wait_or(event: asyncio.Event, clock: Clock, seconds: float) -> None:
    """Wait until an event is set, for at most so long; the event is clear afterwards."""
    timer = asyncio.ensure_future(clock.wait(seconds))
    happened = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({timer, happened}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        happened.cancel()
    event.clear()
