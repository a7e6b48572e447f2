"""What is asked of a large log, how long it may take, and what the right answer is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode

from django.db.models import Count, Sum

from cronbell.clock import iso
from cronbell.runlog.log_count_tables import LogCount
from cronbell.runlog.log_counts import ALL_JOBS
from cronbell.runlog.models import DailyRollup, Job, Run
from cronbell.states import ACTIVE, Status

# Milliseconds at p95.
PAGE, WIDE, SEARCH, DEEP = 20.0, 50.0, 200.0, 500.0
LIMIT = 50
PAGES_NEAR = (1, 2, 100, 200)
# Of all runs, those of a job that fires every minute.
BUSY = 1 / 13.3
SHARES = (0.25, 0.5, 0.75, 0.99)
LOG = "/admin/cron-logs"


@dataclass(frozen=True, slots=True)
class Question:
    """A request whose time is promised.

    Attributes:
        kind: what it stands for.
        path: what is asked for.
        limit: milliseconds at p95.
        query: its parameters.
        compared: whether it may take no more than so many times what it takes at 10,000 runs. Pages
            deep down and searches, which have limits of their own, may: a search looks at 20,000
            runs where there are as many.
    """

    kind: str
    path: str
    limit: float
    query: dict[str, str] = field(default_factory=dict)
    compared: bool = True

    @property
    def address(self) -> str:
        """The whole address."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class Facts:
    """What the questions need to know of the log.

    Attributes:
        newest: number of the newest run.
        total: how many runs there are, nearly.
        first: when the oldest was recorded.
        last: when the newest was.
        busy: a job that fires every minute.
        failing: one that fails half of the time.
        rare: one that fires once a day.
        drain: one whose runs have items.
    """

    newest: int
    total: int
    first: datetime
    last: datetime
    busy: Job
    failing: Job
    rare: Job
    drain: Job

    def at(self, share: float) -> str:
        """Return an instant so far back of the whole log, 0 for its end, as addresses carry it."""
        return iso(self.last - (self.last - self.first) * share)


def facts() -> Facts:
    """Look at the log."""
    runs = Run.objects.filter(kind="schedule").order_by("id")
    oldest, newest = runs[0], Run.objects.order_by("-id")[0]
    jobs = list(Job.objects.order_by("id"))
    return Facts(
        newest=newest.pk,
        total=newest.pk,
        first=oldest.queued_at,
        last=newest.queued_at,
        busy=jobs[0],
        failing=jobs[29],
        rare=jobs[-1],
        drain=next(job for job in jobs if job.name.startswith("verify-5m")),
    )


def questions() -> list[Question]:
    """Return every request that something is promised of."""
    known = facts()
    return [
        *_pages(known),
        *_filters(known),
        *_times(known),
        *_searches(known),
        *_others(known),
    ]


def _log(kind: str, limit: float = PAGE, *, compared: bool = True, **query: object) -> Question:
    texts = {name: str(value) for name, value in query.items()}
    return Question(kind, LOG, limit, texts, compared)


def _pages(known: Facts) -> Iterator[Question]:
    for page in PAGES_NEAR:
        yield _log(f"page {page}", page=page)
    for share in SHARES:
        yield _log(f"cursor at {share:.0%}", cursor=max(1, int(known.newest * (1 - share))))
        deep = max(1, int(known.total * share) // LIMIT)
        yield _log(f"page by number at {share:.0%}", DEEP, compared=False, page=deep)
    job, success = {"job_name": known.busy.name}, {"status": Status.SUCCESS}
    until = {"until": known.at(0.1)}
    for name, query, part in (
        ("of a status", success, 0.95),
        ("of a job", job, BUSY),
        ("of a job and status", {**job, **success}, 0.95 * BUSY),
        ("of a range of time", until, 0.9),
        ("of a range of time and a job", {**job, **until}, 0.9 * BUSY),
    ):
        for share in (0.4, 0.9):
            page = max(1, int(known.total * part * share) // LIMIT)
            yield _log(f"page at {share:.0%} {name}", DEEP, compared=False, page=page, **query)


def _filters(known: Facts) -> Iterator[Question]:
    for status in Status:
        yield _log(f"status {status}", status=status)
    for name, job in (("busy", known.busy), ("failing", known.failing), ("rare", known.rare)):
        yield _log(f"{name} job", job_name=job.name)
        for status in (Status.SUCCESS, Status.ERROR, Status.MISSED):
            yield _log(f"{name} job, {status}", job_name=job.name, status=status)
    yield _log("a job, page 200", job_name=known.busy.name, page=200)
    yield _log("a job and a cursor", job_name=known.busy.name, cursor=known.newest // 2)
    yield _log("a status and a cursor", status=Status.ERROR, cursor=known.newest // 2)
    yield _log("a job that is not there", job_name="nobody")


def _times(known: Facts) -> Iterator[Question]:
    since, until = known.at(0.6), known.at(0.3)
    for kind, query in (
        ("since near the end", {"since": known.at(0.001)}),
        ("since", {"since": since}),
        ("until", {"until": until}),
        ("range", {"since": since, "until": until}),
        ("short range", {"since": known.at(0.301), "until": until}),
    ):
        yield _log(kind, **query)
        yield _log(f"{kind}, page 100", page=100, **query)
        yield _log(f"{kind}, failed", status=Status.ERROR, **query)
        yield _log(f"{kind}, busy job", job_name=known.busy.name, **query)
        yield _log(f"{kind}, rare job", job_name=known.rare.name, **query)
        both = {"job_name": known.busy.name, "status": Status.ERROR}
        yield _log(f"{kind}, busy job, failed", **both, **query)
    yield _log("range and a cursor", since=since, until=until, cursor=known.newest // 2)


def _searches(known: Facts) -> Iterator[Question]:
    for kind, text in (
        ("in many", "ideas"), ("in some", "upstream"), ("in none", "nowhere"),
        ("a job's name", known.rare.name), ("a number", "#77"),
    ):  # fmt: skip
        yield _search(f"search {kind}", text=text)
    yield _search("search, failed, of a job", text="upstream", status=Status.ERROR,
                  job_name=known.failing.name)  # fmt: skip
    yield _search("search in a range", text="upstream", since=known.at(0.6))


def _search(kind: str, **query: object) -> Question:
    return _log(kind, SEARCH, compared=False, **query)


def _others(known: Facts) -> Iterator[Question]:
    yield Question("home", "/admin/", WIDE)
    yield Question("jobs", "/admin/jobs", WIDE)
    for name, job in (("busy", known.busy), ("failing", known.failing), ("rare", known.rare)):
        yield Question(f"job, {name}", f"/admin/jobs/{job.pk}", WIDE)
    with_items = Run.objects.filter(job=known.drain).order_by("-id")[1]
    for name, number in (("new", known.newest - 50), ("old", 5), ("with items", with_items.pk)):
        yield Question(f"run, {name}", f"/admin/runs/{number}", WIDE)
    api = "/api/admin/cron-logs"
    yield Question("API", api, PAGE)
    yield Question("API, 200 rows of a range", api, WIDE, {"limit": "200", "until": known.at(0.3)})


def recount() -> bool:
    """Say whether totals and roll-ups are what counting every run gives."""
    ended = Run.objects.exclude(status__in=[status.value for status in ACTIVE])
    grouped = ended.order_by().values_list("status")
    counted = dict(grouped.annotate(n=Count("id")))
    real = dict(grouped.filter(dry_run=False).annotate(n=Count("id")))
    totals = dict(LogCount.objects.filter(job_number=ALL_JOBS).values_list("status", "runs"))
    days = DailyRollup.objects.order_by().values_list("status").annotate(n=Sum("runs"))
    return totals == counted and dict(days) == real
