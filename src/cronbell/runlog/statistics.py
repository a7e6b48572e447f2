"""What runs amount to: how each job stands, and its figures over the last weeks.

Every aggregate that pages show is read here and nowhere else. All of it is computed from a bounded
window of the newest rows and, where there are more, from the daily roll-ups, or by one look into an
index for each job and status; it says how far it reaches where that is not all there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from cronbell.clock import from_micros, to_micros
from cronbell.runlog.histogram import below
from cronbell.runlog.models import DailyRollup, Job, Run
from cronbell.runlog.queries import storable
from cronbell.runlog.rollups import days_of, merged
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import fetch, statement
from cronbell.states import Kind, Status

MICROS = 1_000_000
JOBS_JUDGED = 2_000
WINDOW_RUNS = 2_000
WINDOW_DAYS = 30
STREAK_CAP = 100
USUAL_RUNS = 100
LAST_ID = (1 << 63) - 1
NINETEEN_IN_TWENTY = 0.95

FAILED = (Status.ERROR, Status.TIMED_OUT, Status.UNKNOWN, Status.PARTIAL)
# A run of one of these was carried out, well or badly: rates are out of these.
DECIDED = frozenset({Status.SUCCESS, *FAILED})
_STOOD = (Status.SUCCESS, *FAILED, Status.MISSED)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a job stands.

    Attributes:
        job: its row, with its definition.
        newest: the number of its newest run of each status that says how it stands, 0 for none;
            dry runs are left out.
    """

    job: Job
    newest: Mapping[Status, int]

    @property
    def succeeded(self) -> int:
        """The number of its newest success; 0 for none."""
        return self.newest[Status.SUCCESS]

    @property
    def failed(self) -> int:
        """The number of its newest run that failed, wholly or in part; 0 for none."""
        return max(self.newest[status] for status in FAILED)

    @property
    def failing(self) -> bool:
        """Whether the last run that was carried out failed."""
        return self.failed > self.succeeded

    @property
    def missed(self) -> int:
        """The number of a missed row with no run carried out since; 0 for none."""
        missed = self.newest[Status.MISSED]
        return missed if missed > max(self.succeeded, self.newest[Status.PARTIAL]) else 0


@dataclass(frozen=True, slots=True)
class Streak:
    """Failures in a row.

    Attributes:
        count: how many, at most ``STREAK_CAP``.
        capped: whether there are more.
        since: when the first of those counted was due.
    """

    count: int
    capped: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """One run as a square shows it.

    Attributes:
        id: its number.
        status: as stored.
        kind: what made it.
        scheduled_at: when it was due.
        started_at: when it began; None where nothing did.
        finished_at: when it ended; None while it goes on.
    """

    id: int
    status: str
    kind: str
    scheduled_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def seconds(self) -> float | None:
        """How long it took; None where it did not start or end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def late_seconds(self) -> float | None:
        """Started − due; None where nothing started, or no schedule named the moment."""
        if self.started_at is None or self.kind != Kind.SCHEDULE:
            return None
        return (self.started_at - self.scheduled_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Spread:
    """How a length of time is spread.

    Attributes:
        median: seconds; half take no longer.
        most: seconds; nineteen in twenty take no longer.
    """

    median: float
    most: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What the runs of a day, or of the whole window, amount to.

    Attributes:
        succeeded: runs that did.
        failed: runs that failed, wholly or in part.
        not_run: fires that were skipped or missed, and runs that were cancelled.
        duration: how long those carried out took; None where none ended.
        lateness: how late those that a schedule asked for began; None where none did.
    """

    succeeded: int
    failed: int
    not_run: int
    duration: Spread | None
    lateness: Spread | None

    @property
    def carried_out(self) -> int:
        """How many runs were carried out, well or badly."""
        return self.succeeded + self.failed

    @property
    def rate(self) -> float | None:
        """The share that succeeded of those carried out, 0 to 1; None where none was."""
        return self.succeeded / self.carried_out if self.carried_out else None


@dataclass(frozen=True, slots=True)
class JobFigures:
    """A job's figures.

    Attributes:
        whole: over the whole window.
        days: for each day in UTC, oldest first; days before the window's first run are left out.
        since: when the oldest run looked at was due; None where there is none.
        complete: whether the window's days are covered; if not, only the newest runs were.
    """

    whole: Figures
    days: Sequence[tuple[date, Figures]]
    since: datetime | None
    complete: bool


def standings(*, text: str = "", limit: int = JOBS_JUDGED) -> tuple[list[Standing], bool]:
    """Return how the configured jobs stand, by name.

    Args:
        text: only jobs whose name or path has this in it, whatever the case.
        limit: how many at most.

    Returns:
        The standings, and whether there are more jobs.
    """
    if not storable(text):
        return [], False
    found = _standings(text, (0, LAST_ID), limit + 1)
    return found[:limit], len(found) > limit


def standing_of(job: Job) -> Standing:
    """Return how one job stands, whether it is configured still or not."""
    return _standings("", (job.pk, job.pk), 1, removed=True)[0]


def streak(standing: Standing) -> Streak:
    """Return how often a failing job has failed since it last succeeded."""
    failures = Run.objects.filter(
        job_id=standing.job.pk,
        id__gt=standing.succeeded,
        status__in=[status.value for status in FAILED],
        finished_at__isnull=False,
        dry_run=False,
    ).order_by("-id")
    due = list(failures.values_list("scheduled_at", flat=True)[: STREAK_CAP + 1])
    counted = due[:STREAK_CAP]
    return Streak(len(counted), len(due) > STREAK_CAP, counted[-1])


def last_marks(job_id: int, most: int) -> list[Mark]:
    """Return a job's newest runs, oldest first, at most ``most``."""
    return _read(fetch(connections[ALIAS], "newest_marks", [job_id, most]))[::-1]


def usual_seconds(job_id: int) -> float | None:
    """Return how long a job's runs take: nineteen in twenty of the newest that succeeded.

    Returns:
        Seconds; None where none has succeeded.
    """
    succeeded = Run.objects.filter(
        job_id=job_id, status=Status.SUCCESS.value, finished_at__isnull=False
    )
    spread = _spread(mark.seconds for mark in _marks(succeeded, USUAL_RUNS))
    return None if spread is None else spread.most


def job_figures(job_id: int, now: datetime) -> JobFigures:
    """Return a job's figures over the last ``WINDOW_DAYS`` days.

    Where the newest ``WINDOW_RUNS`` runs are all there are, they are read and everything is exact.
    Where there are more, or some were removed by retention, days are read from the roll-ups, with
    what is not rolled up yet: counts are exact still, spreads are rounded up by at most a fifth.
    Only where no runner rolls up is the window cut short at ``WINDOW_RUNS``. Days are cut off here
    rather than in the query, which would walk the whole log for a job that has long been silent.
    """
    start = datetime.combine(now.date() - timedelta(days=WINDOW_DAYS - 1), datetime.min.time(), UTC)
    kept = days_of(job_id, to_micros(start), WINDOW_RUNS)
    # Reading runs that roll-ups say more of took most of a busy job's page.
    told = kept.complete and sum(rollup.runs for rollup in kept.rollups) > WINDOW_RUNS
    runs = Run.objects.filter(job_id=job_id, dry_run=False)
    marks = [] if told else _marks(runs, WINDOW_RUNS)
    within = [mark for mark in marks if mark.scheduled_at >= start]
    rolled: dict[date, list[DailyRollup]] = {}
    for rollup in kept.rollups:
        rolled.setdefault(rollup.day.date(), []).append(rollup)
    by_day: dict[date, list[Mark]] = {}
    for mark in within:
        by_day.setdefault(mark.scheduled_at.date(), []).append(mark)
    first = min([*by_day, *rolled], default=now.date())
    span = (now.date() - first).days + 1 if by_day or rolled else 0
    days = [first + timedelta(days=number) for number in range(max(span, 0))]
    since = [mark.scheduled_at for mark in within[-1:]]
    if not within or first < within[-1].scheduled_at.date():
        since = [rollup.day for rollup in rolled.get(first, ())[:1]]
    return JobFigures(
        whole=_exact_or_rolled(within, kept.rollups),
        days=[(day, _exact_or_rolled(by_day.get(day, []), rolled.get(day, []))) for day in days],
        since=since[0] if since else None,
        complete=kept.complete or len(marks) < WINDOW_RUNS or len(within) < len(marks),
    )


def _exact_or_rolled(marks: Sequence[Mark], rollups: Sequence[DailyRollup]) -> Figures:
    ended = sum(mark.finished_at is not None for mark in marks)
    # More marks than counted: some ended between the two looks, or their roll-ups were cut short.
    if ended >= sum(rollup.runs for rollup in rollups):
        return _figures(marks)
    decided = [rollup for rollup in rollups if rollup.status in DECIDED]
    all_decided = sum(rollup.runs for rollup in decided)
    succeeded = sum(rollup.runs for rollup in decided if rollup.status == Status.SUCCESS)
    return Figures(
        succeeded=succeeded,
        failed=all_decided - succeeded,
        not_run=sum(rollup.runs for rollup in rollups) - all_decided,
        duration=_rolled_spread((each.durations, each.duration_max) for each in decided),
        lateness=_rolled_spread((each.latenesses, each.lateness_max) for each in decided),
    )


def _rolled_spread(parts: Iterable[tuple[dict[int, int], int | None]]) -> Spread | None:
    counts: dict[int, int] = {}
    longest: int | None = None
    for part, most in parts:
        counts = merged(counts, part)
        longest = most if longest is None or (most is not None and most > longest) else longest
    known = sum(counts.values())
    if not known or longest is None:
        return None
    last = known - 1
    half, most_of = last // 2, min(last, int(NINETEEN_IN_TWENTY * known))
    return Spread(below(counts, half, longest) / MICROS, below(counts, most_of, longest) / MICROS)


def _marks(runs: QuerySet[Run], most: int) -> list[Mark]:
    newest = runs.order_by("-id").values_list(
        "id", "status", "kind", "scheduled_at", "started_at", "finished_at"
    )
    return [Mark(*row) for row in newest[:most]]


def _read(rows: Iterable[Sequence[Any]]) -> list[Mark]:
    return [Mark(*row[:3], *(None if at is None else from_micros(at) for at in row[3:]))
            for row in rows]  # fmt: skip


def _figures(marks: Sequence[Mark]) -> Figures:
    decided = [mark for mark in marks if mark.status in DECIDED]
    ended = [mark for mark in marks if mark.finished_at is not None]
    succeeded = sum(mark.status == Status.SUCCESS for mark in decided)
    return Figures(
        succeeded=succeeded,
        failed=len(decided) - succeeded,
        not_run=len(ended) - len(decided),
        duration=_spread(mark.seconds for mark in decided),
        lateness=_spread(mark.late_seconds for mark in decided),
    )


def _spread(values: Iterable[float | None]) -> Spread | None:
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    last = len(known) - 1
    return Spread(known[last // 2], known[min(last, int(NINETEEN_IN_TWENTY * len(known)))])


def _standings(
    text: str, ids: tuple[int, int], limit: int, *, removed: bool = False
) -> list[Standing]:
    connection = connections[ALIAS]
    pattern = f"%{connection.ops.prep_for_like_query(text)}%"
    statuses = [status.value for status in _STOOD]
    parameters = [*statuses, *ids, removed, pattern, pattern, limit]
    # The text is made once; Django took longer to make it than the store to answer it.
    jobs = Job.objects.using(ALIAS).raw(statement("standings", connection.vendor), parameters)
    return [_standing(job) for job in jobs]


def _standing(job: Job) -> Standing:
    numbers = (getattr(job, f"newest_{place}") or 0 for place in range(len(_STOOD)))
    return Standing(job, dict(zip(_STOOD, numbers, strict=True)))
