"""Page views ─► ``view_count``, many at a time.

A write for every view would queue all readers behind the write lock, and behind a job's chunks.
So views are added up in memory and written together, at most every second, when too many ideas are
waiting, and when the process ends. ``kill -9`` loses at most that second of views.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections import Counter

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from ideasgpt.ideas.models import Idea

log = logging.getLogger("ideasgpt.views")

MOST_WAITING = 1000  # ideas, so that one write stays within a chunk's 10 ms
MOST_KEPT = 100_000  # ideas kept while the database cannot be written; further ones are dropped


class ViewCounter:
    """Adds up views and writes them in short turns.

    Args:
        interval: seconds views may wait; 0 writes each at once.
        most_waiting: ideas with waiting views at which they are written without waiting longer.
    """

    def __init__(self, interval: float, most_waiting: int = MOST_WAITING) -> None:
        self.interval = interval
        self.most_waiting = most_waiting
        self._waiting: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, idea_id: int) -> None:
        """Count one view of an idea."""
        with self._lock:
            if idea_id in self._waiting or len(self._waiting) < MOST_KEPT:
                self._waiting[idea_id] += 1
            full = len(self._waiting) >= self.most_waiting
        if full or self.interval <= 0:
            self.flush()
        else:
            self._see_to_it()

    def waiting(self, idea_id: int) -> int:
        """Return how many of an idea's views this process has not written yet."""
        with self._lock:
            return self._waiting.get(idea_id, 0)

    def flush(self) -> int:
        """Write what is waiting; return how many views were written.

        What cannot be written now (an idea that is being changed on PostgreSQL, a database that
        is away) waits for the next time.
        """
        written = 0
        with self._writing:
            while batch := self._take():
                try:
                    done = _write(batch)
                except DatabaseError:
                    log.exception("%d views could not be written yet", batch.total())
                    self._give_back(batch)
                    break
                written += done.total()
                if rest := batch - done:
                    self._give_back(rest)
                    break
        return written

    def close(self) -> None:
        """Stop the thread and write what is left; a later view starts it again."""
        self._ending.set()
        thread = self._thread
        if thread is not None:
            thread.join(timeout=10)
        self._ending.clear()
        self.flush()

    def _take(self) -> Counter[int]:
        with self._lock:
            ids = sorted(self._waiting)[: self.most_waiting]
            return Counter({idea_id: self._waiting.pop(idea_id) for idea_id in ids})

    def _give_back(self, batch: Counter[int]) -> None:
        with self._lock:
            self._waiting.update(batch)

    def _see_to_it(self) -> None:
        # Started with a view and not at import: a server may fork in between.
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = threading.Thread(target=self._keep_writing, name="views", daemon=True)
            self._thread.start()

    def _keep_writing(self) -> None:
        """Write until nothing is waiting; no thread and no connection sits idle."""
        try:
            while not self._ending.wait(self.interval):
                self.flush()
                with self._lock:
                    if not self._waiting:
                        self._thread = None
                        return
        finally:
            connection.close()


def _write(batch: Counter[int]) -> Counter[int]:
    """Write a batch in one transaction; return the part that is dealt with.

    The rows are taken in id order and without waiting for any: so this writer holds nobody up and
    can be part of no deadlock. Views of an idea that is gone are dealt with: nobody wants them.
    """
    with transaction.atomic():
        rows = Idea.objects.filter(pk__in=batch).order_by("pk")
        free = set(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))
        for idea_id in sorted(free):
            Idea.objects.filter(pk=idea_id).update(view_count=F("view_count") + batch[idea_id])
        # SQLite has no row locks: what is not free there does not exist.
        held = set() if len(free) == len(batch) else set(rows.values_list("pk", flat=True)) - free
    return Counter({pk: views for pk, views in batch.items() if pk not in held})


COUNTER = ViewCounter(settings.VIEW_FLUSH_SECONDS)
atexit.register(COUNTER.close)
