"""Pages of the log and the numbers beside them, at a bounded cost however long the log is.

Numbers of runs by job and status are exact, from ``log_counts``; where those are not kept up (no
runner rolls up) counts stop at a cap. Rows are found by walking an index over few of them: a page
by number begins at the block its first row is in, a range of time is a few ranges of ids, and a
search looks at the newest rows only. The log is ordered by id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from django.db.models import Count, F, QuerySet
from django.db.models.functions import Coalesce
from django.db.models.lookups import GreaterThanOrEqual, LessThan

from cronbell.clock import to_micros
from cronbell.runlog import log_ahead, log_counts, log_ranges, log_search, log_walks
from cronbell.runlog.log_counts import EVER
from cronbell.runlog.log_ranges import Found, Segment
from cronbell.runlog.log_rows import ListedRun, listed_runs, rows_question, whole_runs
from cronbell.runlog.log_search import Match
from cronbell.runlog.log_tallies import sum_of, tallies
from cronbell.runlog.log_tree import Times
from cronbell.runlog.models import ACTIVE_VALUES, Run
from cronbell.runlog.queries import (
    COUNT_CAP,
    LogFilter,
    LogPage,
    Tally,
    job_id,
    storable,
)
from cronbell.states import Status, is_final

SEARCH_WINDOW, SEARCH_WINDOW_OF_JOB = 20_000, 10_000
# Where runs of a range of time, or of a search, are told apart by job: among so many of the newest.
JOBS_WINDOW = 2_000
# Further down than this a page is looked for in the blocks instead of being walked to: by an index
# alone, or by looking at runs.
WALKED, WALKED_OF_TIME = 12_288, 1_024
# How often pages are read again when what is counted changed meanwhile.
TRIES = 5
_LONGEST_ID = 18  # digits that always fit a 64-bit integer


class Log:
    """The log through a filter, as one request sees it; what it reads once it keeps.

    Args:
        wanted: which runs.
        cap: where counting stops that no totals are kept for.
    """

    def __init__(self, wanted: LogFilter, *, cap: int = COUNT_CAP) -> None:
        self.wanted = wanted
        self.cap = cap

    def page(self, page: int, limit: int) -> LogPage[Run]:
        """Return one page of runs, newest first; past the end it is empty.

        Args:
            page: 1-based, however deep.
            limit: rows per page.
        """
        runs = whole_runs(self._page_ids((page - 1) * limit, limit))
        return LogPage(runs=runs, total=self.total, page=page, limit=limit)

    def before(self, cursor: int, limit: int) -> LogPage[Run]:
        """Return the runs that come after the one with id ``cursor`` in the list, however deep."""
        runs = whole_runs(self._page_ids(0, limit, below=cursor))
        return LogPage(runs=runs, total=self.total, page=1, limit=limit)

    def listed(self, page: int, limit: int, cursor: int | None = None) -> LogPage[ListedRun]:
        """Return what a list shows of one page, or of the runs that come after a cursor."""
        page = page if cursor is None else 1
        ids = self._page_ids((page - 1) * limit, limit, below=cursor, rows=True)
        return LogPage(runs=listed_runs(ids), total=self.total, page=page, limit=limit)

    def ask_ahead(
        self, page: int, limit: int, cursor: int | None = None, job_ids: Sequence[int] = ()
    ) -> None:
        """Have asked together what ``listed`` and the numbers beside it are going to ask.

        Args:
            page: as of ``listed``.
            limit: as of ``listed``.
            cursor: as of ``listed``.
            job_ids: whose numbers of runs will be wanted.
        """
        if self.wanted.text or self._nothing or not self._state.near:
            return
        status, job_id, segments = self.wanted.status, self._job_id, self._segments
        offset = (page - 1) * limit if cursor is None else 0
        if not self._timed:
            value = status.value if status else log_counts.ANY
            questions = [log_counts.status_question(job_id, self._state)]
            questions += [log_counts.job_question(job_ids, value, self._state)] if job_ids else []
        else:
            walked = job_id is None or self._walked_over <= WALKED
            of_job = None if job_id is None else (job_id, self.cap + 1)
            questions = log_ahead.of_time(segments, self._instants, of_job) if walked else []
            if job_id is None and offset > WALKED_OF_TIME:
                questions += log_ahead.seeks(segments, status)
            if job_ids:
                newest = JOBS_WINDOW + 1
                questions += log_ahead.by_job(segments, self._times, status, newest, job_ids)
        if offset <= WALKED_OF_TIME:
            rest = [part if cursor is None else part.below(cursor) for part in segments]
            rows = slice(offset, offset + limit)
            questions += log_ahead.walks(rest, self._times, job_id, status, rows)
        log_ahead.ask(questions)

    def _page_ids(
        self, offset: int, limit: int, below: int | None = None, *, rows: bool = False
    ) -> Sequence[int]:
        ids: Sequence[int] = []
        for _ in range(TRIES):
            total = self.total
            past = below is None and not total.capped and offset >= total.number
            ids = [] if past else self._ids(offset, limit, below)
            if rows and ids and self._timed:
                log_ahead.ask([log_counts.state_question(), rows_question(ids)])
            if not self._moved(offset):
                break
        return ids

    @cached_property
    def total(self) -> Tally:
        """How many runs match."""
        if self.wanted.status is not None:
            return self.statuses[self.wanted.status]
        return sum_of(self.statuses.values(), self.cap)

    @cached_property
    def statuses(self) -> Mapping[Status, Tally]:
        """How many runs each status would show if the filter named it, in a fixed order."""
        if self._nothing:
            return {status: Tally(0) for status in Status}
        if self.wanted.text:
            return self._statuses_found()
        if self._timed:
            return self._statuses_timed()
        if self._state.near:
            return tallies(log_counts.by_status(self._job_id, self._state))
        return {status: self._capped(self._runs(status)) for status in Status}

    def jobs(self, job_ids: Sequence[int]) -> tuple[dict[int, int], bool]:
        """Return how many runs match of each of these jobs, whatever job the filter names.

        Returns:
            Counts by job id, and whether they are only those of the newest runs.
        """
        wanted = self.wanted
        if not wanted.text and not self._timed and self._state.near:
            status = wanted.status.value if wanted.status else ""
            return log_counts.by_job(job_ids, status, self._state), False
        whole = self
        if wanted.job_name:
            whole = Log(LogFilter(status=wanted.status, since=wanted.since, until=wanted.until,
                                  text=wanted.text), cap=self.cap)  # fmt: skip
            # A range of time is where it is, whatever the job.
            shared = ("_state", "_segments")
            whole.__dict__ |= {n: self.__dict__[n] for n in shared if n in self.__dict__}
        if wanted.text:
            return self._jobs_found(whole)
        if log_walks.walkable(wanted.status):
            newest, segments = JOBS_WINDOW + 1, whole._segments
            counts = log_walks.by_job(segments, whole._times, wanted.status, newest, job_ids)
            return dict(counts), counts.total() > JOBS_WINDOW
        counts = Counter()
        for runs, _ in whole._walk(wanted.status):
            left = JOBS_WINDOW + 1 - counts.total()
            counts.update(runs.values_list("job_id", flat=True)[:left])
        return dict(counts), counts.total() > JOBS_WINDOW

    @cached_property
    def _state(self) -> log_counts.State:
        return log_counts.state()

    @property
    def _timed(self) -> bool:
        return self.wanted.since is not None or self.wanted.until is not None

    @cached_property
    def _job_id(self) -> int | None:
        return job_id(self.wanted.job_name)

    @property
    def _nothing(self) -> bool:
        unknown = bool(self.wanted.job_name) and self._job_id is None
        return unknown or not storable(self.wanted.text)

    @property
    def _instants(self) -> tuple[int | None, int | None]:
        since, until = self.wanted.since, self.wanted.until
        return (None if since is None else to_micros(since),
                None if until is None else to_micros(until))  # fmt: skip

    @property
    def _times(self) -> Times:
        return log_ranges.times(*self._instants)

    def _moved(self, offset: int) -> bool:
        """Say whether blocks were used and have changed meanwhile; forget what was read then."""
        if not self._timed and offset <= WALKED:
            return False
        if log_counts.state().version == self._state.version:
            return False
        for name in ("_state", "_segments", "_numbers", "statuses", "total"):
            self.__dict__.pop(name, None)
        return True

    @cached_property
    def _segments(self) -> Sequence[Segment]:
        if self._timed:
            return log_ranges.segments(*self._instants, self._state)
        return [Segment(1, EVER, certain=True)]

    def _deep(self) -> Sequence[Segment]:
        """Return what is not counted yet and what is apart, for only the latter is in blocks."""
        known = self._state
        return [Segment(known.upto + 1, EVER, certain=True), Segment(1, known.upto, certain=True)]

    def _runs(self, status: Status | None) -> QuerySet[Run]:
        """Return the runs of the job asked for, and of a status."""
        runs = Run.objects.order_by("-id")
        if self._job_id is not None:
            runs = runs.filter(job_id=self._job_id)
        if status is None:
            return runs
        runs = runs.filter(status=status.value)
        # Says nothing new, and is what the indexes of runs that are over, or not, are limited to.
        if is_final(status):
            return runs.filter(finished_at__isnull=False)
        runs = runs.filter(status__in=ACTIVE_VALUES) if self._job_id is not None else runs
        # Few go on; in the order of ids SQLite looked for them among all there are, for minutes at
        # ten million. So it is asked for another order, which is the same.
        return runs.alias(number=F("id") + 0).order_by("-number")

    def _within(self, runs: QuerySet[Run], segment: Segment) -> QuerySet[Run]:
        if segment.only is not None:
            return runs.filter(id__in=self._ids_of(segment.only))
        number = "number" if "number" in runs.query.annotations else "id"
        runs = runs.filter(**{f"{number}__gte": segment.low, f"{number}__lte": segment.high})
        if not segment.certain:
            return self._of_time(runs)
        out = self._ids_of(segment.out)
        return runs.exclude(id__in=out) if out else runs

    def _ids_of(self, known: Sequence[Found], status: Status | None = None) -> list[int]:
        """Return the numbers of those that are of the job asked for, and of a status."""
        job_id = self._job_id
        return [
            run.id
            for run in known
            if (job_id is None or run.job_id == job_id)
            and (status is None or run.status == status.value)
        ]

    def _of_time(self, runs: QuerySet[Run]) -> QuerySet[Run]:
        began = Coalesce("started_at", "scheduled_at")
        if self.wanted.since is not None:
            runs = runs.filter(GreaterThanOrEqual(began, to_micros(self.wanted.since)))
        if self.wanted.until is not None:
            runs = runs.filter(LessThan(began, to_micros(self.wanted.until)))
        return runs

    def _walk(self, status: Status | None) -> Iterator[tuple[QuerySet[Run], Segment]]:
        runs = self._runs(status)
        for segment in self._segments:
            yield self._within(runs, segment), segment

    def _ids(self, offset: int, limit: int, below: int | None = None) -> list[int]:
        """Return the numbers of the rows of a page."""
        if self._nothing:
            return []
        status = self.wanted.status
        if self.wanted.text:
            found = [match.id for match in self._matches(status) if not below or match.id < below]
            return found[offset : offset + limit]
        if self._from_the_end(offset):
            return self._ids_upwards(offset, limit)
        ids: list[int] = []
        segments = self._segments
        if offset > WALKED and not self._timed and self._job_id is None and self._state.near:
            segments = self._deep()
        elif self._timed and offset <= WALKED_OF_TIME and log_walks.walkable(status):
            segments = log_walks.joined(segments)
        for segment in segments:
            # One bound, not two: SQLite begins at whichever it likes and goes over what is between.
            part = segment if below is None else segment.below(below)
            if part.high < part.low:
                continue
            if part.only is not None:
                some = self._ids_of(part.only, status)
                ids += some[offset : offset + limit - len(ids)]
                offset = max(0, offset - len(some))
            else:
                if offset and segment is not segments[-1]:
                    above = self._above(part, offset)
                    if above < offset:
                        offset -= above
                        continue
                # As many as of the first: what was asked ahead did not know how many are left.
                ids += self._ids_in(part, offset, limit)[: limit - len(ids)]
                offset = 0
            if len(ids) == limit:
                break
        return ids

    def _ids_in(self, segment: Segment, offset: int, limit: int) -> Sequence[int]:
        status = self.wanted.status
        if offset > (WALKED_OF_TIME if self._timed else WALKED) and self._in_blocks(segment):
            if not self._timed:
                segment = replace(segment, plus=log_ranges.left())
            value = status.value if status else log_counts.ANY
            high, above = log_ranges.seek(segment, value, offset)
            segment, offset = segment.below(high + 1), offset - above
        if offset <= WALKED_OF_TIME and log_walks.walkable(status):
            part = slice(offset, offset + limit)
            return log_walks.ids(segment, self._times, self._job_id, status, part)
        some = self._within(self._runs(status), segment).values_list("id", flat=True)
        return list(some[offset : offset + limit])

    def _in_blocks(self, segment: Segment) -> bool:
        """Say whether the blocks know how many of the runs asked for a segment has."""
        known = segment.certain and segment.high <= self._state.upto
        return known and self._job_id is None and self._state.near

    def _above(self, segment: Segment, most: int) -> int:
        """Return how many runs a segment has, at most ``most``: those above the next segment's."""
        if self._timed and self._job_id is None and self._state.near:
            counted = self._numbers[segment.low]
            status = self.wanted.status
            return min(most, counted[status] if status else counted.total())
        runs = self._within(self._runs(self.wanted.status), segment)
        return runs.order_by().values("id")[:most].count()

    def _from_the_end(self, offset: int) -> bool:
        if self._timed or self._job_id is None or self.total.capped:
            return False
        return offset > max(WALKED, self.total.number // 2)

    def _ids_upwards(self, offset: int, limit: int) -> list[int]:
        """Return a page of a job by walking from its oldest run, which is nearer."""
        number = self.total.number
        rising = self._runs(self.wanted.status).reverse().values_list("id", flat=True)
        return list(rising[max(0, number - offset - limit) : number - offset])[::-1]

    @cached_property
    def _numbers(self) -> Mapping[int, Counter[str]]:
        """How many runs of each status each segment of a range of time has, whatever the job."""
        return log_ranges.by_status(self._segments, *self._instants)

    def _capped(self, runs: QuerySet[Run]) -> Tally:
        # Unordered, so that the shortest index is walked and no row is read.
        number = runs.order_by().values("id")[: self.cap + 1].count()
        return Tally(min(number, self.cap), capped=number > self.cap)

    def _statuses_timed(self) -> Mapping[Status, Tally]:
        """Count a range of time: from the blocks, else by looking at no more runs than the cap."""
        job_id = self._job_id
        numbers: Counter[str] = Counter()
        if job_id is None and self._state.near:
            for found in self._numbers.values():
                numbers.update(found)
            return tallies(numbers)
        more, together = False, job_id is not None and self._walked_over <= WALKED
        if job_id is not None and together:
            numbers.update(log_ranges.walked(self._segments, *self._instants, job_id))
        for segment in self._segments:
            if segment.certain and job_id is not None:
                most = self.cap + 1
                numbers.update(log_walks.by_status_of_job(segment, self._times, job_id, most))
            elif not together:
                some = self._within(self._runs(None), segment).values("id")[: self.cap + 1]
                kept = Run.objects.filter(id__in=some).order_by().values_list("status")
                pairs = dict(kept.annotate(n=Count("id")))
                more |= sum(pairs.values()) > self.cap
                numbers.update(pairs)
        counts = tallies(numbers, self.cap)
        if not more:
            return counts
        # Where looking stopped, what was not looked at may be of any status.
        counts = {s: Tally(t.number, capped=True) for s, t in counts.items()}
        status = self.wanted.status
        return counts if status is None else {**counts, status: self._of_status(status)}

    @property
    def _walked_over(self) -> int:
        """How many runs are walked over where it is not known whether they are of the range."""
        newest = self._state.newest
        return sum(min(s.high, newest) - s.low + 1 for s in self._segments if not s.certain)

    def _of_status(self, status: Status) -> Tally:
        number = 0
        for runs, _ in self._walk(status):
            number += runs.order_by().values("id")[: self.cap + 1 - number].count()
            if number > self.cap:
                return Tally(self.cap, capped=True)
        return Tally(number)

    def _statuses_found(self) -> Mapping[Status, Tally]:
        status = self.wanted.status
        if status is None:
            return tallies(Counter([match.status for match in self._matches(None)]))
        # The newest runs of one status reach further back than the newest of all.
        chosen = Tally(len(self._matches(status)))
        others = Counter(match.status for match in self._search(None, self._room_beside))
        more = self._more_than(self._runs(None), self._room_beside)
        return {s: Tally(others[s.value], capped=more) for s in Status} | {status: chosen}

    def _jobs_found(self, whole: Log) -> tuple[dict[int, int], bool]:
        status, job_id = self.wanted.status, self._job_id
        if whole is self:
            return dict(Counter(match.job_id for match in self._matches(status))), False
        room = SEARCH_WINDOW if status is None else self._room_beside
        counts = dict(Counter(match.job_id for match in whole._search(status, room)))
        if job_id is not None:
            counts[job_id] = len(self._matches(status))
        return counts, whole._more_than(whole._runs(status), room)

    @property
    def _room_beside(self) -> int:
        """How many runs are looked at for the numbers beside a search: of other statuses and jobs.

        A job's runs, or those of one status, lie far apart: looking at as many again as for the
        search itself would take as long again, for each of the two.
        """
        return min(JOBS_WINDOW if self.wanted.job_name else SEARCH_WINDOW, SEARCH_WINDOW)

    @property
    def search_window(self) -> int:
        """How many runs a search looks at; a job's lie far apart and take several times as long."""
        return SEARCH_WINDOW_OF_JOB if self.wanted.job_name else SEARCH_WINDOW

    @staticmethod
    def _more_than(runs: QuerySet[Run], number: int) -> bool:
        return (
            number < SEARCH_WINDOW and runs.order_by().values("id")[: number + 1].count() > number
        )

    def _matches(self, status: Status | None) -> list[Match]:
        """Return what a search finds, newest first, among the newest runs only."""
        kept: dict[Status | None, list[Match]] = self.__dict__.setdefault("_found", {})
        if status not in kept:
            kept[status] = self._search(status, self.search_window)
        return kept[status]

    def _search(self, status: Status | None, room: int) -> list[Match]:
        if self._nothing:
            return []
        text = self.wanted.text
        found: list[Match] = []
        for runs, segment in self._walk(status):
            found += log_search.hits(runs, segment, text, room, job_id=self._job_id, status=status)
            window = runs.values("id")[:room]
            room -= window.count() if len(self._segments) > 1 else 0
            if room <= 0:
                break
        number = text.removeprefix("#")
        if number.isascii() and number.isdigit() and len(number) <= _LONGEST_ID:
            # A number is looked up, however old its run is.
            named = self._of_time(self._runs(status).filter(id=int(number)))
            found += log_search.matches(named)
            found = sorted({match.id: match for match in found}.values(), key=lambda m: -m.id)
        return found


def log_page(
    wanted: LogFilter, *, page: int = 1, limit: int = 50, cap: int = COUNT_CAP
) -> LogPage[Run]:
    """Return one page of runs, newest first.

    Args:
        wanted: which runs.
        page: 1-based; past the end it is empty.
        limit: rows per page.
        cap: where counting stops that no totals are kept for; pages beyond it are answered too.
    """
    return Log(wanted, cap=cap).page(page, limit)


def log_before(
    wanted: LogFilter, *, cursor: int, limit: int = 50, cap: int = COUNT_CAP
) -> LogPage[Run]:
    """Return the runs that come after the one with id ``cursor`` in the list, however deep.

    Args:
        wanted: which runs.
        cursor: id of the last row already seen.
        limit: how many at most.
        cap: where counting stops; what is counted is all that match, not just those left.
    """
    return Log(wanted, cap=cap).before(cursor, limit)
