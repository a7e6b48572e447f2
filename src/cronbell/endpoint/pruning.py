"""Forgets old receipts: a little after a call, so that no process of its own is needed."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from cronbell.clock import Clock
from cronbell.endpoint.receipt import ReceiptStore
from cronbell.errors import StorageError

log = logging.getLogger("cronbell.endpoint")

# A key comes again only before its run's deadline, which is 30 days at most; one more for clocks
# that are apart and for what takes its time.
KEEP_DAYS = 31.0
EVERY_SECONDS = 60.0
MOST = 500  # rows in one go: a few milliseconds of the write lock


class Pruner:
    """Deletes at most ``MOST`` receipts a minute that ended long ago.

    Args:
        store: where receipts are kept.
        clock: what time it is.
        keep: how long a receipt is kept after its end.
    """

    def __init__(self, store: ReceiptStore, clock: Clock, keep: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._keep = keep
        self._next = clock.monotonic()
        self._lock = threading.Lock()

    def after_a_call(self) -> None:
        """Delete what is due. A failure is logged: the call it follows has been answered."""
        with self._lock:
            now = self._clock.monotonic()
            if now < self._next:
                return
            self._next = now + EVERY_SECONDS
        try:
            with self._store.session():
                gone = self._store.prune(self._clock.now() - self._keep, MOST)
        except StorageError:
            log.warning("old receipts could not be deleted; tried again later", exc_info=True)
        else:
            if gone:
                log.info("%d receipts of long ago were deleted", gone)
