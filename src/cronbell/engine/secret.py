"""Follows a rotation: the runner sends another secret as soon as another is in force."""

from __future__ import annotations

import logging
from collections.abc import Callable

from cronbell.clock import Clock
from cronbell.config.rotation import InForce, SecretSource
from cronbell.dispatch import Dispatcher
from cronbell.engine.writer import Writer
from cronbell.runlog.models import Runner

log = logging.getLogger("cronbell.engine.secret")

LOOK_SECONDS = 0.5


class SecretFollower:
    """Looks at what is in force, and tells the run log which secret this runner sends.

    Args:
        source: tells the secrets.
        used: what was in force before the first dispatcher was made.
        dispatcher: returns the one in use; a reload exchanges it.
        writer: the run log's writer; its store's owner is the runner's id.
        clock: paces the looks.
    """

    def __init__(
        self,
        source: SecretSource,
        used: InForce,
        dispatcher: Callable[[], Dispatcher],
        writer: Writer,
        clock: Clock,
    ) -> None:
        self.source = source
        self.dispatcher = dispatcher
        self.writer = writer
        self.clock = clock
        self._used = used
        self._told: int | None = None

    async def follow_forever(self) -> None:
        """Take over each change."""
        while True:
            await self.step()
            await self.clock.wait(LOOK_SECONDS)

    async def step(self) -> bool:
        """Look once; say whether another secret is sent from now on."""
        found = self.source.look()
        other = found.written_at != self._used.written_at
        if other:
            self._used = found
            self.dispatcher().use_secret(found.accepted[0])
            log.info("another secret is sent from now on")
        if self._told != found.written_at:
            # Told once it is used, never before: whoever reads it forgets the old one.
            owner, written_at = self.writer.store.owner, found.written_at
            await self.writer.submit(
                lambda _store: Runner.objects.filter(id=owner).update(secret_of=written_at)
            )
            self._told = written_at
        return other
