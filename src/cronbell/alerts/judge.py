"""Decides what is wrong, from the run log, in bounded steps; each to be called in a transaction.

Runs that ended come by themselves: the roll-up passes every one exactly once and leaves the jobs
that may be worth a look on a list (``note``). What has not ended, and what never began, is looked
for anew each time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.db import connections, transaction

from cronbell.alerts.incidents import close, key_of, open_incident, open_keys
from cronbell.clock import iso
from cronbell.config.alerts import Alerts, Condition, Rule
from cronbell.errors import CronbellError
from cronbell.runlog import judging
from cronbell.runlog.alert_tables import Incident, Suspect
from cronbell.runlog.models import Job, Run
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statistics import FAILED, usual_seconds
from cronbell.runlog.totals import Row
from cronbell.states import Kind, Status

log = logging.getLogger("cronbell.alerts")

MICROS = 1_000_000
# Jobs judged, and jobs looked at for an overdue fire, in one transaction: some milliseconds.
SUSPECTS = 10
CHUNK = 25
PIECES = 20
LEAST_LATE = 10 * MICROS  # nothing shorter can be configured
# Twice what is usual, and at least so much more: as the home page has it.
MUCH_LONGER = 2.0
LONGER_BY = timedelta(seconds=60)
_BAD = frozenset({status.value for status in FAILED} | {Status.MISSED.value})
_CARRIED_OUT = frozenset({Status.SUCCESS.value, Status.PARTIAL.value})


class Judge:
    """Judges by one configuration of alerts.

    Args:
        alerts: it.
    """

    def __init__(self, alerts: Alerts) -> None:
        self.alerts = alerts
        self._after = self._pieces = 0
        self._told = alerts.told
        self._backlogs: frozenset[int] | None = None

    def note(self, rows: Sequence[Row]) -> None:
        """Put jobs on the list of which a run ended that may matter.

        To be called in the transaction that rolls the runs up, so that none is passed over.
        """
        rows = [row for row in rows if not row.dry_run]
        jobs = {row.job_id for row in rows if self._matters(row)}
        others = {row.job_id for row in rows} - jobs
        if others:
            known = Incident.objects.filter(job_id__in=others, recovered_at__isnull=True)
            jobs.update(pk for pk in known.values_list("job_id", flat=True) if pk is not None)
        Suspect.objects.bulk_create(
            [Suspect(job_id=job) for job in sorted(jobs)], ignore_conflicts=True
        )

    def _matters(self, row: Row) -> bool:
        if row.status in _BAD:
            return True
        began_late = (
            row.kind == Kind.SCHEDULE
            and row.started_at is not None
            and row.started_at - row.scheduled_at >= LEAST_LATE
        )
        return began_late or (row.status in _CARRIED_OUT and row.job_id in self._with_backlog())

    def _with_backlog(self) -> frozenset[int]:
        """Return the jobs of whose answers the number pending is read."""
        if self._backlogs is None:
            names = [
                name for name, own in self.alerts.jobs.items() if own.get("backlog") is not None
            ]
            jobs = Job.objects.filter(removed_at__isnull=True)
            if self.alerts.rule.backlog is None:
                jobs = jobs.filter(name__in=names)
            self._backlogs = frozenset(jobs.values_list("pk", flat=True))
        return self._backlogs

    def steps(self) -> list[Callable[[datetime], bool]]:
        """Return what is to be done at each look, each until it says that nothing is left."""
        looks: list[Callable[[datetime], bool]] = [self.suspects]
        if {Condition.LATE, Condition.TOO_LONG} & self._told:
            looks.append(self.unfinished)
        if Condition.LATE in self._told:
            looks.append(self.overdue)
        if Condition.RUNNER_DOWN in self._told:
            looks.append(self.runners)
        return looks

    def suspects(self, now: datetime) -> bool:
        """Judge some of the jobs on the list."""
        listed = Suspect.objects.select_for_update(skip_locked=True).order_by("pk")
        ids = list(listed.values_list("pk", flat=True)[:SUSPECTS])
        # Taken off before their runs are read: what ends from here on puts them on again.
        Suspect.objects.filter(pk__in=ids).delete()
        for job in Job.objects.filter(pk__in=ids):
            self._guarded(job, now, self._judge)
        return len(ids) == SUSPECTS

    def _guarded(self, job: Job, now: datetime, act: Callable[[Job, Rule, datetime], None]) -> None:
        """Judge one job so that what is wrong with its rows is no other job's trouble."""
        try:
            with transaction.atomic(using=ALIAS):
                act(job, self.alerts.rule_of(job.name), now)
        except Exception:
            if connections[ALIAS].needs_rollback:
                raise
            log.exception("the job %s could not be judged for alerts", job.name)

    def _judge(self, job: Job, rule: Rule, now: datetime) -> None:
        wanted = self._wanted(job)
        if unwanted := [each for each in Condition if each not in wanted]:
            close([key_of(each, job.pk) for each in unwanted], now, silently=True)
        if Condition.FAILED in wanted:
            self._failures(job, rule, now)
        if Condition.MISSED in wanted:
            self._missed(job, now)
        if Condition.LATE in wanted:
            self._lateness(job, rule, now)
        if rule.backlog is not None and Condition.BACKLOG in wanted:
            self._backlog(job, rule.backlog, now)

    def _wanted(self, job: Job) -> set[Condition]:
        """Return the conditions of which there is a channel to tell about a job."""
        if job.removed_at is not None:
            return set()
        return {each for each in Condition if self.alerts.channels_for(each, job.name)}

    def _failures(self, job: Job, rule: Rule, now: datetime) -> None:
        found = judging.streak(job.pk, partial=rule.partial)
        if found.run is not None and found.failures >= rule.after:
            run = found.run
            data = {
                "count": found.failures,
                "status": run.status,
                "reason": run.reason,
                "reason_data": run.reason_data,
                "details": run.details[:500],
            }
            open_incident(Condition.FAILED, now, job=job.pk, run=run.pk, data=data)
        elif found.well:
            close([key_of(Condition.FAILED, job.pk)], now)

    def _missed(self, job: Job, now: datetime) -> None:
        row = judging.missed(job.pk)
        if row is None:
            close([key_of(Condition.MISSED, job.pk)], now)
            return
        data = {"count": max(1, row.missed_count), "due": iso(row.scheduled_at)}
        open_incident(Condition.MISSED, now, job=job.pk, run=row.pk, data=data)
        # What never came is late no more.
        close([key_of(Condition.LATE, job.pk)], now, silently=True)

    def _lateness(self, job: Job, rule: Rule, now: datetime) -> None:
        found = judging.lateness(job)
        if found is None:
            return
        run, by = found
        if by > timedelta(seconds=rule.late):
            data = {"seconds": int(by.total_seconds()), "due": iso(run.scheduled_at)}
            open_incident(Condition.LATE, now, job=job.pk, run=run.pk, data=data)
        else:
            close([key_of(Condition.LATE, job.pk)], now)

    def _backlog(self, job: Job, least: int, now: datetime) -> None:
        counts = judging.pending_counts(job.pk)
        if not counts:
            return
        newest, *before = counts
        if newest >= least and all(a > b for a, b in zip(counts, before, strict=False)):
            data = {"count": newest, "before": counts[-1], "runs": len(counts)}
            open_incident(Condition.BACKLOG, now, job=job.pk, data=data)
        elif newest < least or newest < before[0]:
            close([key_of(Condition.BACKLOG, job.pk)], now)

    def unfinished(self, now: datetime) -> bool:
        """Look at the runs that wait and those that go on."""
        least = timedelta(microseconds=LEAST_LATE)
        # Where nobody is there to run anything, that is what there is to tell.
        for run in judging.waiting(now - least) if judging.somebody_runs(now) else ():
            rule = self.alerts.rule_of(run.job.name)
            by = now - run.available_at
            if by > timedelta(seconds=rule.late) and Condition.LATE in self._wanted(run.job):
                data = {"seconds": int(by.total_seconds()), "due": iso(run.scheduled_at)}
                open_incident(Condition.LATE, now, job=run.job_id, run=run.pk, data=data)
        for run in judging.going_on(now - least):
            limit = self._limit(run)
            if limit is not None and run.started_at is not None:
                took = now - run.started_at
                if took > limit and Condition.TOO_LONG in self._wanted(run.job):
                    data = {
                        "seconds": int(took.total_seconds()),
                        "limit": int(limit.total_seconds()),
                    }
                    open_incident(Condition.TOO_LONG, now, job=run.job_id, run=run.pk, data=data)
        opened = {one.run: one.key for one in open_keys(Condition.TOO_LONG) if one.run}
        close([opened[run] for run in judging.ended(list(opened))], now)
        return False

    def _limit(self, run: Run) -> timedelta | None:
        rule = self.alerts.rule_of(run.job.name)
        if rule.too_long is not None:
            return timedelta(seconds=rule.too_long)
        usual = usual_seconds(run.job_id)
        if usual is None:
            return None
        expected = timedelta(seconds=usual)
        return max(expected * MUCH_LONGER, expected + LONGER_BY)

    def overdue(self, now: datetime) -> bool:
        """Go through some of the jobs for fires that are due and have no row."""
        if not judging.somebody_runs(now):
            return False
        jobs = judging.jobs_after(self._after, CHUNK)
        for job in jobs:
            self._guarded(job, now, self._overdue)
        self._after = jobs[-1].pk if len(jobs) == CHUNK else 0
        # A few hundred at a look; whoever has a hundred thousand jobs is told a little later.
        self._pieces = (self._pieces + 1) % PIECES
        return len(jobs) == CHUNK and self._pieces > 0

    def _overdue(self, job: Job, rule: Rule, now: datetime) -> None:
        try:
            by = judging.overdue(job, now)
        except CronbellError:
            return  # the home page names definitions that can't be read
        if by is None or by <= timedelta(seconds=rule.late):
            return
        if Condition.LATE in self._wanted(job):
            data = {"seconds": int(by.total_seconds()), "due": iso(now - by)}
            open_incident(Condition.LATE, now, job=job.pk, data=data)

    def runners(self, now: datetime) -> bool:
        """See whether anybody is there to run anything."""
        silent = timedelta(seconds=self.alerts.runner_down)
        hosts = judging.runners(now)
        alive = {one.host for one in hosts if not one.stopped and one.seen >= now - silent}
        if alive:
            well = {one.host for one in hosts if one.stopped} | alive
            close([key_of(Condition.RUNNER_DOWN, host) for host in ("", *sorted(well))], now)
            for one in hosts:
                if one.host not in well:
                    data = {"host": one.host, "seen": iso(one.seen)}
                    open_incident(Condition.RUNNER_DOWN, now, subject=one.host, data=data)
        elif (last := judging.last_runner()) is not None:
            facts = {"host": last.host, "seen": iso(last.seen_at), "all": True}
            open_incident(Condition.RUNNER_DOWN, now, data=facts)
        self._forget(now, {one.host for one in hosts})
        return False

    def _forget(self, now: datetime, known: set[str]) -> None:
        """Close what is said of hosts that have been silent for a day: they are no more."""
        gone = [
            one.key
            for one in open_keys(Condition.RUNNER_DOWN)
            if one.subject and one.subject not in known
        ]
        close(gone, now, silently=True)
