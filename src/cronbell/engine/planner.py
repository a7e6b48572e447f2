"""Due fires to rows: which job is due when, and what each due fire becomes.

The planner keeps one integer a job, its next fire, in a heap. It never asks "does this minute
match": it asks the schedule for the fires between the job's cursor (every fire up to there has
its row) and now. Rows and cursors move in one transaction, so a crash in between loses nothing:
the next planner starts from the same cursor.
"""

from __future__ import annotations

import hashlib
import heapq
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cronbell.domain import Blackout, Delivery, Dialect, JobSpec, Overlap, fire_key_at
from cronbell.errors import ScheduleError
from cronbell.runlog.recorder import object_text
from cronbell.runlog.store import FireRow
from cronbell.schedule import Schedule, schedule_of
from cronbell.schedule.blackout import Blackouts, blackouts_of, window_data
from cronbell.schedule.policy import Missed, Plan, never, plan_fires
from cronbell.states import Reason, Status

log = logging.getLogger("cronbell.engine.planner")

MICROS = 1_000_000
# Seconds a fire may be late without counting as one that no runner was up for.
GRACE = 60
OVERLAP = Reason.OVERLAP.value
# Looked up once: a member of an enumeration costs a tenth of a microsecond to find.
AT_MOST_ONCE = Delivery.AT_MOST_ONCE
# Microseconds a fire may be late and still be recorded by the row that was put together ahead: its
# deadline counts from when it was due. Where that is more than a sixtieth of it, none is made.
ON_TIME = MICROS
SHORT_DEADLINE = 60
# Microseconds that jobs may stay off the heap after their fires; those that fire within twice as
# long do not.
PUT_BACK = 2 * MICROS
# Fires may be recorded so long before they are due (microseconds): a thousandth of a second's work
# for each dozen. Those nearer than that are left for their instant, since whoever pauses or changes
# a job may take a row back up to ``runlog.early.MARGIN`` before it is due.
LEAD = MICROS
NEAREST = MICROS // 5
# Of several runners each records its own part first. What the others have left by then, if they
# are still there, is anybody's.
LEFT = MICROS // 2
ID_BITS = 40  # a million new jobs a day for three thousand years
ID_MASK = (1 << ID_BITS) - 1


@dataclass(slots=True)
class PlannedJob:
    """A job as the planner knows it; ``cursor`` and ``delay`` (its jitter) in microseconds."""

    id: int
    spec: JobSpec
    target: str  # what the keys of its fires are made of, beside schedule and instant
    schedule: Schedule
    cursor: int
    delay: int
    blackouts: Blackouts | None = None
    due: int | None = None  # epoch second of the next fire; an older entry in the heap is void
    following: int | None = None  # the fire after ``due``
    key: str = ""  # of the fire at ``due``
    row: FireRow | None = None  # likewise, put together ahead; for one that is on time


class Planner:
    """Knows every enabled job's next fire and turns due ones into rows."""

    def __init__(self) -> None:
        self.jobs: dict[int, PlannedJob] = {}
        # Instant and job in one integer: half the memory of pairs, and quicker to compare.
        self._heap: list[int] = []
        # Entries of the heap: those to be made warm, and then, a heap too, those ``soon`` has not
        # told of.
        self._cold: list[int] = []
        self._untold: list[int] = []
        # Likewise those whose rows are put together and may be recorded early; each once. Then
        # those that are another runner's to record, for a while.
        self._early: list[int] = []
        self._others: list[int] = []
        # Cursors by job of fires that are recorded, of jobs not yet back on the heap.
        self._recorded: dict[int, int] = {}
        self._recorded_since = 0

    def load(self, jobs: Iterable[tuple[int, JobSpec, int]]) -> None:
        """Replace what is planned.

        Args:
            jobs: (id, definition, cursor in microseconds) of every configured job.
        """
        self.jobs.clear()
        self._heap.clear()
        self._cold.clear()
        self._untold.clear()
        self._early.clear()
        self._others.clear()
        self._recorded.clear()
        planned = [one for one in jobs if one[1].enabled and not one[1].heartbeat]
        targets = key_targets(spec for _, spec, _ in planned)
        for job_id, spec, cursor in planned:
            try:
                schedule, blackouts = schedule_of(spec), blackouts_of(spec)
            except ScheduleError:
                # The loader judged it; an older row of another version may still hold one that
                # this version refuses. One bad job must not stop the others.
                log.exception("job %s is not scheduled", spec.name)
                continue
            self.jobs[job_id] = PlannedJob(
                job_id, spec, targets[spec.name], schedule, cursor, jitter_of(spec), blackouts
            )
            self._push(job_id)

    def next_due(self) -> int | None:
        """Return the epoch second of the earliest fire not yet planned."""
        # What was recorded early has left its entry behind.
        while self._heap and self._job_of(self._heap[0]) is None:
            heapq.heappop(self._heap)
        return self._heap[0] >> ID_BITS if self._heap else None

    def plan(self, now: int, limit: int, room: int = 0) -> list[FireRow]:
        """Take due jobs off the heap and return the rows that account for their fires.

        The jobs stay off until ``planned`` or ``moved`` puts them back with their cursor.

        Args:
            now: microseconds.
            limit: at most this many jobs.
            room: so many of the fires may be started at once; the others wait to be claimed.
        """
        rows: list[FireRow] = []
        for _ in range(limit):
            if not self._heap or (self._heap[0] >> ID_BITS) * MICROS > now:
                break
            entry = heapq.heappop(self._heap)
            due = entry >> ID_BITS
            job = self._job_of(entry)
            if job is None:
                continue
            # By far the most frequent case, and the only one a herd meets: one fire, on time.
            if room > 0 and job.row is not None and now - job.row.scheduled_at <= ON_TIME:
                room -= 1
                rows.append(job.row)
                continue
            _warm(job)
            another = job.following is not None and job.following * MICROS <= now
            if another or now > (due + GRACE) * MICROS:
                rows.extend(rows_for(job, now))
                continue
            if job.blackouts is not None and (window := job.blackouts.covering(due)) is not None:
                rows.append(blackout_row(job, due, now, due * MICROS, window))
                continue
            start = room > 0 and not job.delay
            room -= start
            rows.append(fire_row(job, due, now, cursor_new=due * MICROS, start=start))
        return rows

    def planned(self, rows: Iterable[FireRow]) -> None:
        """Put jobs back whose rows are committed."""
        for job_id, cursor in {row.job_id: row.cursor_new for row in rows}.items():
            self._move(job_id, cursor)

    def recorded(self, rows: Iterable[FireRow], now: int) -> None:
        """Take note of rows that are committed; their jobs are put back when there is time.

        Those are put back at once whose next fire is near, or not known yet.

        Args:
            rows: the committed ones.
            now: microseconds.
        """
        if not self._recorded:
            self._recorded_since = now
        near = (now + 2 * PUT_BACK) // MICROS
        others: list[FireRow] = []
        for row in rows:
            job = self.jobs.get(row.job_id)
            if job is not None and job.row is row and (job.following or 0) > near:
                self._recorded[row.job_id] = row.cursor_new
            else:
                others.append(row)
        self.planned(others)

    def put_back(self, now: int, limit: int) -> bool:
        """Put jobs back whose fires are ``recorded``; say whether more are left.

        Args:
            now: microseconds.
            limit: so many at most; all of them where they have waited for long.
        """
        if not 0 <= now - self._recorded_since < PUT_BACK:
            limit = len(self._recorded)
        for _ in range(min(limit, len(self._recorded))):
            self._move(*self._recorded.popitem())
        return bool(self._recorded)

    def moved(self, cursors: Mapping[int, int]) -> None:
        """Put jobs back whose cursor another runner has moved, where it now is."""
        for job_id, cursor in cursors.items():
            self._move(job_id, cursor)

    def _move(self, job_id: int, cursor: int) -> None:
        self._recorded.pop(job_id, None)
        job = self.jobs.get(job_id)
        if job is not None:
            job.cursor = cursor
            self._push(job_id)

    def _push(self, job_id: int) -> None:
        job = self.jobs[job_id]
        if job.following is not None and job.cursor == (job.due or 0) * MICROS:
            job.due = job.following
        else:
            job.due = job.schedule.next(job.cursor // MICROS)
        job.following, job.key, job.row = None, "", None
        if job.due is not None:
            entry = job.due << ID_BITS | job_id
            self._cold.append(entry)
            heapq.heappush(self._heap, entry)

    def warm(self, limit: int) -> bool:
        """Work out what the next rows will need, while there is time; say whether more is left.

        Args:
            limit: for so many jobs.
        """
        for _ in range(min(limit, len(self._cold))):
            entry = self._cold.pop()
            if (job := self._job_of(entry)) is not None:
                _warm(job)
                heapq.heappush(self._untold, entry)
        return bool(self._cold)

    def soon(self, until: int, limit: int) -> list[PlannedJob]:
        """Return jobs that fire by then, soonest first, each fire once; they are ``warm``.

        The rows of their fires are put together, too.

        Args:
            until: epoch second.
            limit: at most so many.
        """
        jobs: list[PlannedJob] = []
        while self._untold and self._untold[0] >> ID_BITS <= until and len(jobs) < limit:
            entry = heapq.heappop(self._untold)
            job = self._job_of(entry)
            if job is not None:
                job.row = _plain_row(job)
                jobs.append(job)
                if job.row is not None and not job.row.at_most_once:
                    heapq.heappush(self._early, entry)
        return jobs

    def next_early(self) -> int | None:
        """Return the instant (microseconds) from which on ``early`` has something to give."""
        moments = [
            (entries[0] >> ID_BITS) * MICROS - lead
            for entries, lead in ((self._early, LEAD), (self._others, LEFT))
            if entries
        ]
        return min(moments, default=None)

    def early(self, now: int, limit: int, *, number: int = 0, of: int = 1) -> list[FireRow]:
        """Return rows of fires that are due in a moment, all at the same instant, each once.

        Their jobs stay on the heap: what is not recorded early is planned when it is due.

        Args:
            now: microseconds.
            limit: at most so many.
            number: of this runner, from 0.
            of: so many runners share the fires; what is another's is returned half a second
                before it is due, since it may have died.
        """
        rows: list[FireRow] = []
        for entries, lead in ((self._early, LEAD), (self._others, LEFT)):
            while entries and len(rows) < limit:
                entry = entries[0]
                due = (entry >> ID_BITS) * MICROS
                if due - lead > now or (rows and rows[0].scheduled_at != due):
                    break
                heapq.heappop(entries)
                job = self._job_of(entry)
                if job is None or job.row is None or due - NEAREST < now:
                    continue
                if due - LEFT > now and job.id % of != number:
                    heapq.heappush(self._others, entry)
                else:
                    rows.append(job.row)
        return rows

    def _job_of(self, entry: int) -> PlannedJob | None:
        """Return the job whose next fire an entry of the heap stands for, if it still does."""
        job = self.jobs.get(entry & ID_MASK)
        return job if job is not None and job.due == entry >> ID_BITS else None


def _warm(job: PlannedJob) -> None:
    if job.due is not None and not job.key:
        job.following = job.schedule.next(job.due)
        job.key = fire_key_at(job.target, job.spec.schedule, job.due)


def _plain_row(job: PlannedJob) -> FireRow | None:
    """Return the row of the next fire, to be started at once, where nothing else is to be weighed.

    None where it is sent later than due, may fall into a window, or another fire follows closely.
    """
    if job.due is None or job.delay or job.blackouts or job.spec.deadline < SHORT_DEADLINE:
        return None
    if job.following is not None and job.following * MICROS <= job.due * MICROS + ON_TIME:
        return None
    due = job.due * MICROS
    return fire_row(job, job.due, due, cursor_new=due, start=True)


def key_targets(specs: Iterable[JobSpec]) -> dict[str, str]:
    """Return what the keys of each job's fires are made of, by the job's name.

    The request target, as Vercel and the endpoint know it. Jobs that share target and expression
    (on two hosts, in two zones, by two methods) have fires of their own all the same: one of
    them, from ``vercel.json`` if there is one, keeps the keys that Vercel's calls get.
    """
    plain: dict[tuple[str, str], JobSpec] = {}
    every = list(specs)
    for spec in every:
        holder = plain.setdefault((spec.path, spec.schedule), spec)
        if _claim_to_key(spec) < _claim_to_key(holder):
            plain[spec.path, spec.schedule] = spec
    return {
        # A request target has no blank in it, so the two forms cannot meet.
        spec.name: spec.path
        if plain[spec.path, spec.schedule] is spec
        else f"{spec.path} {spec.name}"
        for spec in every
    }


def _claim_to_key(spec: JobSpec) -> tuple[bool, str]:
    return spec.dialect is not Dialect.VERCEL, spec.name


def jitter_of(spec: JobSpec) -> int:
    """Return by how many microseconds a job's fires are sent later than due.

    It is the job's own and always the same, so that the distance between two fires is kept; jobs
    with the same schedule spread over the whole of their jitter.
    """
    digest = hashlib.sha256(spec.name.encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return int(share * spec.jitter * MICROS)


def rows_for(job: PlannedJob, now: int) -> list[FireRow]:
    """Return the rows that account for every fire of a job between its cursor and now."""
    plan: Plan = plan_fires(
        job.schedule,
        job.cursor // MICROS,
        now // MICROS,
        window=job.spec.catch_up_window,
        grace=GRACE,
        catch_up=job.spec.catch_up,
        closed=never if job.blackouts is None else job.blackouts.since,
    )
    cursor_new = plan.cursor * MICROS
    outages = [missed for missed in (plan.missed, plan.missed_after) if missed is not None]
    rows = [missed_row(job, missed, now, cursor_new) for missed in outages]
    due = plan.due
    if job.blackouts is not None:
        covering = {second: job.blackouts.covering(second) for second in due}
        rows += [
            blackout_row(job, second, now, cursor_new, window)
            for second, window in covering.items()
            if window is not None
        ]
        due = tuple(second for second in due if covering[second] is None)
    last = len(due) - 1
    for position, second in enumerate(due):
        # Of several fires due at once (the runner was held up for seconds) each meets those
        # before it still going on; where the newest wins, the others need not be begun.
        if job.spec.overlap is Overlap.CANCEL_RUNNING and position < last:
            status, reason, ahead = Status.SKIPPED, OVERLAP, 0
        elif job.spec.overlap is Overlap.CANCEL_RUNNING:
            status, reason, ahead = Status.PENDING, "", 0
        else:
            status, reason, ahead = Status.PENDING, "", position
        row = fire_row(job, second, now, cursor_new=cursor_new, status=status, reason=reason)
        rows.append(row._replace(ahead=ahead))
    # Ids grow with time, whatever kind of row a fire got.
    return sorted(rows, key=lambda row: row.scheduled_at)


def missed_row(job: PlannedJob, missed: Missed, now: int, cursor_new: int) -> FireRow:
    """Return the one row of fires that no runner was up for."""
    row = fire_row(
        job,
        missed.last,
        now,
        cursor_new=cursor_new,
        status=Status.MISSED,
        reason=Reason.OUTAGE.value,
    )
    return row._replace(missed_first_at=missed.first * MICROS, missed_count=missed.count)


def blackout_row(
    job: PlannedJob, second: int, now: int, cursor_new: int, window: Blackout
) -> FireRow:
    """Return the row of a fire that is skipped since it is due within a window."""
    row = fire_row(
        job,
        second,
        now,
        cursor_new=cursor_new,
        status=Status.SKIPPED,
        reason=Reason.BLACKOUT.value,
    )
    return row._replace(reason_data=object_text(window_data(window, job.spec.timezone)))


def fire_row(
    job: PlannedJob,
    second: int,
    now: int,
    *,
    cursor_new: int,
    status: Status = Status.PENDING,
    reason: str = "",
    start: bool = False,
) -> FireRow:
    """Return the row of one fire; ``second`` in epoch seconds, the other instants in micros."""
    scheduled_at = second * MICROS
    available_at = scheduled_at + job.delay
    return FireRow(
        job.id,
        job.cursor,
        job.key if second == job.due else fire_key_at(job.target, job.spec.schedule, second),
        cursor_new,
        scheduled_at,
        status,
        reason,
        max(now, available_at) + int(job.spec.deadline * MICROS),
        None,
        0,
        available_at,
        job.spec.overlap,
        0,
        job.spec.delivery is AT_MOST_ONCE,
        start,
    )
