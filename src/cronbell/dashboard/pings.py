"""``/ping/<token>``: where jobs that Cronbell does not call say how they are.

Whoever knows the token may ping; there is no session, and a token that is wrong in whatever way is
the same 404. The answer is one word, so that ``curl -fsS`` in a crontab stays silent if told to.
"""

from __future__ import annotations

import logging
import threading

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from cronbell.clock import SYSTEM_CLOCK, Clock
from cronbell.runlog.heartbeats import Ping, Signal, readable, take
from cronbell.runlog.ping_tokens import heartbeat_of

logger = logging.getLogger(__name__)

METHODS = ("GET", "HEAD", "POST")
MOST_BYTES = 64 * 1024
LARGEST_EXIT_STATUS = 255
RETRY_SECONDS = 5
USAGE = "use /ping/TOKEN, /ping/TOKEN/start, /ping/TOKEN/fail or /ping/TOKEN/EXIT-STATUS (0 to 255)"


class Limiter:
    """Lets a heartbeat ping so many times a minute, in this process.

    It keeps a client that pings in a loop from filling the run log; guessing tokens needs no limit,
    with 128 bits to guess.

    Args:
        most: pings in a minute.
        clock: its monotonic time counts.
    """

    def __init__(self, most: int, clock: Clock) -> None:
        self.most = most
        self.clock = clock
        self._lock = threading.Lock()
        self._minutes: dict[int, tuple[int, int]] = {}

    def wait_for(self, job_id: int) -> int:
        """Count a ping; return the seconds to wait before it may come, 0 if it may now."""
        now = self.clock.monotonic()
        minute, second = divmod(int(now), 60)
        with self._lock:
            counted, pings = self._minutes.get(job_id, (minute, 0))
            if counted != minute:
                pings = 0
            if pings >= self.most:
                return 60 - second
            self._minutes[job_id] = (minute, pings + 1)
            return 0


limiter = Limiter(300, SYSTEM_CLOCK)


@csrf_exempt
def ping(request: HttpRequest, token: str, word: str = "") -> HttpResponse:
    """Take a ping: success, or what the last part of the address says."""
    if request.method not in METHODS:
        return _answer("use GET, HEAD or POST", 405, Allow=", ".join(METHODS))
    try:
        job_id = heartbeat_of(token)
        if job_id is None:
            return _answer("no such ping URL", 404)
        said = read_word(word)
        if said is None:
            return _answer(USAGE, 400)
        wait = limiter.wait_for(job_id)
        if wait:
            return _answer("too many pings", 429, **{"Retry-After": str(wait)})
        signal, exit_status = said
        text = readable(request.read(MOST_BYTES)) if request.method == "POST" else ""
        taken = take(job_id, Ping(signal, exit_status, text))
    except DatabaseError:
        # The client asks again; what it has to say must not be lost to a busy disk.
        logger.exception("a ping could not be recorded")
        return _answer("not recorded, try again", 503, **{"Retry-After": str(RETRY_SECONDS)})
    return _answer("OK", 200) if taken is not None else _answer("no such ping URL", 404)


def read_word(word: str) -> tuple[Signal, int | None] | None:
    """Return what the end of a ping URL says; None where it says nothing known."""
    if word in {"", Signal.START.value, Signal.FAIL.value}:
        return (Signal(word) if word else Signal.SUCCESS), None
    if not (word.isascii() and word.isdigit() and len(word) <= len(str(LARGEST_EXIT_STATUS))):
        return None
    status = int(word)
    if status > LARGEST_EXIT_STATUS:
        return None
    return (Signal.FAIL, status) if status else (Signal.SUCCESS, None)


def _answer(text: str, status: int, **headers: str) -> HttpResponse:
    # Never kept and never indexed: an answer from a cache is a ping that does not arrive.
    headers |= {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
    return HttpResponse(
        f"{text}\n", status=status, content_type="text/plain; charset=utf-8", headers=headers
    )


ping_urls = [path("ping/<str:token>", ping), path("ping/<str:token>/<str:word>", ping)]
