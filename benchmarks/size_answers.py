"""Whether pages of a large log are right: found again by plain statements, in bounded time.

A plain statement reads everything: at ten million runs one takes seconds, those of all questions
many minutes. What was not compared within the time allowed is said to be just that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from django.db import OperationalError, connections
from django.db.models import Count, QuerySet
from django.db.models.functions import Coalesce

from benchmarks.size_questions import LIMIT, LOG, Question
from cronbell.clock import SYSTEM_CLOCK, to_micros
from cronbell.runlog.log_pages import SEARCH_WINDOW, SEARCH_WINDOW_OF_JOB
from cronbell.runlog.models import Run
from cronbell.runlog.router import ALIAS

API = "/api/admin/cron-logs"
RUN_ROW = re.compile(r'<a id="run-(\d+)"')
API_ROW = re.compile(r'"id": ?(\d+),')
CHIP = re.compile(r'<a id="chip-(\w+)".*?<span class="count">([\d,]+)(\+?)</span>', re.DOTALL)
# SQLite asks after so many of its steps whether time is up.
STEPS = 100_000


class Comparison:
    """Compares answers until the time allowed is up.

    Args:
        seconds: how long in all.
    """

    def __init__(self, seconds: float) -> None:
        self._until = SYSTEM_CLOCK.monotonic() + seconds
        self._counted: dict[tuple[str, ...], Counter[str]] = {}

    def right(self, question: Question, page: str) -> bool | None:
        """Say whether an answer is right; None where there was no time to find out.

        Of a page of the log: its rows, and the numbers of its statuses but for those of a search.
        Of the API's log: its rows. Nothing of other pages.
        """
        if not comparable(question):
            return True
        try:
            with self._bounded():
                if question.path == API:
                    return _numbers(API_ROW, page) == _rows(question.query)
                rows = _numbers(RUN_ROW, page) == _rows(question.query)
                return rows and ("text" in question.query or self._chips(question.query, page))
        except (OperationalError, TimeoutError):
            return None

    def _chips(self, query: Mapping[str, str], page: str) -> bool:
        known = {name: query[name] for name in ("job_name", "since", "until") if name in query}
        key = tuple(f"{name}={value}" for name, value in known.items())
        if key not in self._counted:
            grouped = _plainly(known).order_by().values_list("status").annotate(n=Count("id"))
            self._counted[key] = Counter(dict(grouped))
        counted = self._counted[key]
        shown = {
            name: (int(n.replace(",", "")), bool(more)) for name, n, more in CHIP.findall(page)
        }
        shown.pop("all", None)
        return counted.keys() <= shown.keys() and all(
            counted[status] >= number if more else counted[status] == number
            for status, (number, more) in shown.items()
        )

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        """Have the store give up a statement when the time is up."""
        left = self._until - SYSTEM_CLOCK.monotonic()
        if left <= 0:
            raise TimeoutError
        connection = connections[ALIAS]
        connection.ensure_connection()
        try:
            if connection.vendor == "sqlite":
                connection.connection.set_progress_handler(self._over, STEPS)
            else:
                _set_timeout(f"{max(1, int(left * 1000))}ms")
            yield
        finally:
            if connection.vendor == "sqlite":
                connection.connection.set_progress_handler(None, 0)
            else:
                _set_timeout("0")

    def _over(self) -> bool:
        return SYSTEM_CLOCK.monotonic() > self._until


def _set_timeout(text: str) -> None:
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", [text])


def comparable(question: Question) -> bool:
    """Say whether there is something to compare of an answer."""
    return question.path in {LOG, API}


def reads_everything(question: Question) -> bool:
    """Say whether comparing an answer takes seconds of a large log; others come first."""
    return question.path == LOG and "text" not in question.query


def _numbers(pattern: re.Pattern[str], page: str) -> list[int]:
    return [int(number) for number in pattern.findall(page)]


def _rows(query: Mapping[str, str]) -> list[int]:
    runs = _plainly(query).order_by("-id")
    limit = int(query.get("limit", LIMIT))
    start = (int(query.get("page", 1)) - 1) * limit
    if "text" in query:
        return _found(runs, query)[start : start + limit]
    if "cursor" in query:
        runs = runs.filter(id__lt=int(query["cursor"]))
    return list(runs.values_list("id", flat=True)[start : start + limit])


def _found(runs: QuerySet[Run], query: Mapping[str, str]) -> list[int]:
    """Return what a search finds: read one by one, as far as searches look."""
    text = query["text"].lower()
    window = SEARCH_WINDOW_OF_JOB if "job_name" in query else SEARCH_WINDOW
    newest = runs.values_list("id", "details", "job__name")[:window]
    found = {pk for pk, details, name in newest if text in details.lower() or text in name.lower()}
    number = text.removeprefix("#")
    if number.isdigit():
        found |= set(runs.filter(id=int(number)).values_list("id", flat=True))
    return sorted(found, reverse=True)


def _plainly(query: Mapping[str, str]) -> QuerySet[Run]:
    runs = Run.objects.alias(began=Coalesce("started_at", "scheduled_at"))
    if "job_name" in query:
        runs = runs.filter(job__name=query["job_name"])
    if "status" in query:
        runs = runs.filter(status=query["status"])
    if "since" in query:
        runs = runs.filter(began__gte=to_micros(datetime.fromisoformat(query["since"])))
    if "until" in query:
        runs = runs.filter(began__lt=to_micros(datetime.fromisoformat(query["until"])))
    return runs
