"""The run log's tables. Hot statements in ``sql/`` name these columns: change both together.

Columns that lists need come first and the long text last, so that a page of rows never reads a
body. Lists are ordered by ``id``: an integer that grows with time.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from cronbell.runlog import alert_tables as _alert_tables  # noqa: F401 - tables of this app
from cronbell.runlog import counters  # noqa: F401 - its tables are this app's too
from cronbell.runlog.audit_row import AuditRow as AuditRow  # noqa: PLC0414 - one of the tables
from cronbell.runlog.fields import InstantField, OptionalInstantField
from cronbell.runlog.log_count_tables import LogBlock, LogCount  # noqa: F401 - Django looks for them here
from cronbell.states import ACTIVE, FINAL, Kind, Status

STATUS_CHOICES = [
    (Status.PENDING.value, _("pending")),
    (Status.RUNNING.value, _("running")),
    (Status.SUCCESS.value, _("success")),
    (Status.PARTIAL.value, _("partial")),
    (Status.ERROR.value, _("error")),
    (Status.TIMED_OUT.value, _("timed out")),
    (Status.CANCELLED.value, _("cancelled")),
    (Status.SKIPPED.value, _("skipped")),
    (Status.MISSED.value, _("missed")),
    (Status.UNKNOWN.value, _("unknown")),
]
KIND_CHOICES = [
    (Kind.SCHEDULE.value, _("schedule")),
    (Kind.RUN_NOW.value, _("run now")),
    (Kind.RERUN.value, _("rerun")),
    (Kind.BACKFILL.value, _("backfill")),
    (Kind.CALL.value, _("direct call")),
]
ACTIVE_VALUES = sorted(status.value for status in ACTIVE)
# The most frequent end first: a list is searched from its beginning.
FINAL_VALUES = [Status.SUCCESS.value, *sorted({s.value for s in FINAL} - {Status.SUCCESS.value})]


class Job(models.Model):
    """A job as the configuration last defined it, and how far its fires are accounted for.

    A job that leaves the configuration keeps its row and its runs; ``removed_at`` says when.
    """

    name = models.CharField(max_length=600, unique=True)
    path = models.CharField(max_length=2100)
    schedule = models.CharField(max_length=256, blank=True)
    dialect = models.CharField(max_length=16)
    timezone = models.CharField(max_length=64, default="UTC")
    method = models.CharField(max_length=16, default="GET")
    enabled = models.BooleanField(default=True)
    # The whole JobSpec, so that pages and command line need no configuration file.
    spec = models.JSONField(default=dict)
    # Every fire due at or before this instant has its row. It starts at the moment the schedule
    # took effect, so that a new or changed schedule makes up no fire in the past.
    cursor_at = InstantField()
    # A person's decision, which no reload of the configuration touches: fires due from here on are
    # skipped until the job is resumed.
    paused_at = OptionalInstantField(null=True, blank=True)
    pause_reason = models.CharField(max_length=500, blank=True, default="")
    paused_by = models.CharField(max_length=150, blank=True, default="")
    # Counts how often a heartbeat's ping URL was replaced; part of what the URL is derived from.
    ping_rotation = models.PositiveIntegerField(default=0)
    created_at = InstantField()
    removed_at = OptionalInstantField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        verbose_name = _("job")
        verbose_name_plural = _("jobs")

    def __str__(self) -> str:
        return self.name


class JobVersion(models.Model):
    """A definition of a job from the moment it came into force; rows are only ever added.

    What was due, and whether a job was there at all, can so be told for any moment of the past.
    """

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="versions", db_index=False)
    # The job's name then: a job that is renamed can be asked for by the name it had.
    name = models.CharField(max_length=600, db_index=True)
    at = InstantField()
    # None: the job left the configuration.
    spec = models.JSONField(null=True)
    applied_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        ordering = ["id"]
        verbose_name = _("job version")
        verbose_name_plural = _("job versions")
        indexes = [models.Index(fields=["job", "at"], name="version_by_job")]

    def __str__(self) -> str:
        return f"{self.name} {self.at}"


class Configuration(models.Model):
    """The configuration in force: one row, whose number tells runners that it has changed."""

    generation = models.PositiveBigIntegerField(default=0)
    target = models.CharField(max_length=2100, blank=True, default="")
    applied_at = InstantField()
    applied_by = models.CharField(max_length=150, blank=True, default="")
    # ``Retention.plain()``; empty before a configuration was brought into force.
    retention = models.JSONField(default=dict)
    # ``Alerts.plain()``: the web process and the command line go by it, too.
    alerts = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("configuration")
        verbose_name_plural = _("configurations")

    def __str__(self) -> str:
        return f"{self.generation}"


class Backfill(models.Model):
    """A range of a job's fires that a person asked for; runners record its runs bit by bit.

    Its state is told by ``paused_at`` and ``ended_at``; its runs point here.
    """

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="backfills")
    # The click's or command's id: asking twice makes one backfill. Part of every run's key.
    nonce = models.CharField(max_length=64, unique=True)
    # Its fires are those with since <= fire <= until; every one up to cursor_at has its row.
    since = InstantField()
    until = InstantField()
    cursor_at = InstantField()
    overlap = models.CharField(max_length=16)
    # Only fires that a "missed" row of the job stands for.
    missed_only = models.BooleanField(default=False)
    fires = models.PositiveIntegerField()
    actor = models.CharField(max_length=150, blank=True, default="")
    created_at = InstantField()
    paused_at = OptionalInstantField(null=True, blank=True)
    # All its fires have rows, or it was cancelled.
    ended_at = OptionalInstantField(null=True, blank=True)
    cancelled_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        ordering = ["-id"]
        verbose_name = _("backfill")
        verbose_name_plural = _("backfills")
        indexes = [
            models.Index(
                fields=["id"], condition=Q(ended_at__isnull=True), name="backfill_going_on"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk}"


class Run(models.Model):
    """One execution of a job, or the reason why a due fire had none."""

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="runs", db_index=False)
    # Also sent as Idempotency-Key and X-Cronbell-Run-Id.
    key = models.CharField(max_length=200)
    kind = models.CharField(max_length=16, choices=KIND_CHOICES)
    status = models.CharField(max_length=16, choices=STATUS_CHOICES)
    reason = models.CharField(max_length=32, blank=True, default="")
    dry_run = models.BooleanField(default=False)
    # Recorded by the endpoint itself: nobody will send it again after a crash.
    by_endpoint = models.BooleanField(default=False)
    scheduled_at = InstantField()
    queued_at = InstantField()
    available_at = InstantField()
    started_at = OptionalInstantField(null=True, blank=True)
    finished_at = OptionalInstantField(null=True, blank=True)
    deadline_at = InstantField()
    # Recorded while another run of its job went on: claimed only when no earlier one is active
    # and none is running.
    waits = models.BooleanField(default=False)
    # Asked for after the fact (replay, backfill): every other run of its job goes first, and one
    # that only waits is in nobody's way.
    gives_way = models.BooleanField(default=False, db_default=False)
    # Nobody sends this run's request a second time (delivery = at_most_once).
    at_most_once = models.BooleanField(default=False)
    # The number sent as X-Cronbell-Attempt. Only a failure makes it grow: a request sent again
    # after a crash, or because the endpoint asked to wait, is the same attempt.
    attempt = models.PositiveIntegerField(default=1)
    # The lease: who may finish this run, in which term, until when it is trusted to be alive.
    lease_owner = models.CharField(max_length=64, blank=True, default="")
    lease_term = models.PositiveIntegerField(default=0)
    lease_expires_at = OptionalInstantField(null=True, blank=True)
    # A person asked a running run to end; whoever holds its lease, or finds it expired, ends it.
    cancel_requested_at = OptionalInstantField(null=True, blank=True)
    cancelled_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    # When the last attempt was sent; ``started_at`` is the first one's.
    sent_at = OptionalInstantField(null=True, blank=True)
    # The run that this one does once more. No constraint: old runs are deleted before newer ones.
    origin = models.ForeignKey(
        "self",
        on_delete=models.DO_NOTHING,
        related_name="reruns",
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
    )
    backfill = models.ForeignKey(
        Backfill,
        on_delete=models.PROTECT,
        related_name="runs",
        null=True,
        blank=True,
        db_index=False,
    )
    http_status = models.IntegerField(null=True, blank=True)
    # A row that stands for an outage: the first fire it covers and how many (scheduled_at: last).
    missed_first_at = OptionalInstantField(null=True, blank=True)
    missed_count = models.PositiveIntegerField(default=0)
    progress_done = models.PositiveBigIntegerField(null=True, blank=True)
    progress_total = models.PositiveBigIntegerField(null=True, blank=True)
    items_total = models.PositiveIntegerField(default=0)
    items_failed = models.PositiveIntegerField(default=0)
    # What its items add up to; null where none of them said.
    tokens = models.PositiveBigIntegerField(null=True, blank=True)
    micromoney = models.PositiveBigIntegerField(null=True, blank=True)
    actor = models.CharField(max_length=150, blank=True, default="")
    # What was chosen of the job's parameters, by name; null where nothing was.
    parameters = models.JSONField(null=True, blank=True)
    details = models.TextField(blank=True, default="")
    reason_data = models.JSONField(default=dict, blank=True)
    body = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-id"]
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        constraints = [
            # One constraint, not two: SQLite judges it at every insert and every end of a run.
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True, status__in=ACTIVE_VALUES)
                | Q(finished_at__isnull=False, status__in=FINAL_VALUES),
                name="run_final_iff_finished",
            ),
            # The promise itself: one row for one due instant of a job, however many runners.
            models.UniqueConstraint(
                fields=["job", "scheduled_at"],
                condition=Q(kind=Kind.SCHEDULE.value),
                name="run_one_per_fire",
            ),
            # Not ``unique=True``: Django would add a second index on PostgreSQL, for LIKE, which
            # nobody asks for and every insert and end of a run would write.
            models.UniqueConstraint(fields=["key"], name="run_key"),
        ]
        indexes = [
            models.Index(fields=["job", "-id"], name="run_by_job"),
            # Runs that are over only: one that goes on changes its status twice, and each index
            # it is in costs both times. Queries name the same condition.
            models.Index(
                fields=["status", "-id"],
                condition=Q(finished_at__isnull=False),
                name="run_by_status",
            ),
            models.Index(
                fields=["job", "status", "-id"],
                condition=Q(finished_at__isnull=False),
                name="run_by_job_status",
            ),
            # The conditions are written as the statements write them: SQLite uses a partial
            # index only where the query repeats its condition.
            models.Index(
                fields=["available_at"],
                condition=Q(status=Status.PENDING.value),
                name="run_pending",
            ),
            models.Index(
                fields=["lease_expires_at"],
                condition=Q(status=Status.RUNNING.value),
                name="run_running",
            ),
            # Nearly always empty, and looked at every second.
            models.Index(
                fields=["cancel_requested_at"],
                condition=Q(status=Status.RUNNING.value, cancel_requested_at__isnull=False),
                name="run_cancelling",
            ),
            models.Index(
                fields=["job"], condition=Q(status__in=ACTIVE_VALUES), name="run_active_of_job"
            ),
            # What people and callers asked for, by when; a fire's rows have their own index.
            models.Index(
                fields=["job", "scheduled_at"],
                condition=~Q(kind=Kind.SCHEDULE.value),
                name="run_by_hand",
            ),
            # These four hold only what people asked for after the fact.
            models.Index(
                fields=["job", "-id"],
                condition=Q(gives_way=True, status=Status.PENDING.value),
                name="run_giving_way",
            ),
            models.Index(
                fields=["origin"], condition=Q(origin__isnull=False), name="run_by_origin"
            ),
            models.Index(
                fields=["backfill", "status"],
                condition=Q(backfill__isnull=False),
                name="run_by_backfill",
            ),
            models.Index(
                fields=["job", "scheduled_at"],
                condition=Q(backfill__isnull=False),
                name="run_filling",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.job_id} {self.status}"


class Attempt(models.Model):
    """One try that did not end its run: failed and retried, lost in a crash, or asked to wait.

    The try that ended the run is the run's own row; nothing is kept twice.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    term = models.PositiveIntegerField()
    started_at = InstantField()
    finished_at = InstantField()
    reason = models.CharField(max_length=32)
    reason_data = models.JSONField(default=dict)
    http_status = models.IntegerField(null=True)

    class Meta:
        ordering = ["id"]
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")

    def __str__(self) -> str:
        return f"{self.run_id}/{self.number} {self.reason}"


class Item(models.Model):
    """One record handled within a run."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="items", db_index=False)
    # The run's job once more, so that one record's history is one stretch of an index: record 1
    # of one job is not record 1 of another.
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+", db_index=False)
    record_id = models.CharField(max_length=255)
    ok = models.BooleanField()
    http_status = models.IntegerField(null=True)
    attempts = models.PositiveIntegerField(null=True)
    microseconds = models.PositiveBigIntegerField(null=True)
    tokens = models.PositiveBigIntegerField(null=True)
    micromoney = models.PositiveBigIntegerField(null=True)
    error = models.TextField(blank=True, default="")
    body = models.JSONField(null=True)

    class Meta:
        ordering = ["id"]
        verbose_name = _("item")
        verbose_name_plural = _("items")
        indexes = [
            models.Index(fields=["run", "ok"], name="item_by_run"),
            models.Index(fields=["job", "record_id", "-id"], name="item_by_record"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}: {self.record_id}"


class LogLine(models.Model):
    """What a job wrote with ``context.log`` while it ran."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="log_lines")
    at = InstantField()
    message = models.TextField()

    class Meta:
        ordering = ["id"]
        verbose_name = _("log line")
        verbose_name_plural = _("log lines")

    def __str__(self) -> str:
        return self.message


class Runner(models.Model):
    """A runner process and when it was last seen alive; pages warn when none is."""

    id = models.CharField(primary_key=True, max_length=64)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=32)
    started_at = InstantField()
    seen_at = InstantField(db_index=True)
    stopped_at = OptionalInstantField(null=True, blank=True)
    jobs = models.PositiveIntegerField(default=0)
    # Microseconds its clock is ahead of the store's.
    clock_ahead = models.BigIntegerField(default=0)
    # Microseconds the earliest fire had been due without a row when the runner was last seen.
    behind = models.BigIntegerField(default=0)
    # Which secret it sends: when the secret's file was written, in nanoseconds; 0 where it comes
    # from the environment and cannot be exchanged without a restart.
    secret_of = models.BigIntegerField(default=0)
    # Why a changed configuration file was not taken over; empty where the files are fine.
    config_fault = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-seen_at"]
        verbose_name = _("runner")
        verbose_name_plural = _("runners")

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class DailyRollup(models.Model):
    """What a job's runs of one status, due on one day in UTC, add up to; dry runs are left out.

    It outlives the runs it was counted from. Lengths of time are microseconds.
    """

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="days", db_index=False)
    # The day's first instant.
    day = InstantField()
    status = models.CharField(max_length=16, choices=STATUS_CHOICES)
    runs = models.PositiveBigIntegerField(default=0)
    items_total = models.PositiveBigIntegerField(default=0)
    items_failed = models.PositiveBigIntegerField(default=0)
    # Of those that started: how long they took.
    timed = models.PositiveBigIntegerField(default=0)
    duration_sum = models.BigIntegerField(default=0)
    duration_min = models.BigIntegerField(null=True)
    duration_max = models.BigIntegerField(null=True)
    # Of those that started and that a schedule asked for: how late they began.
    awaited = models.PositiveBigIntegerField(default=0)
    lateness_sum = models.BigIntegerField(default=0)
    lateness_max = models.BigIntegerField(null=True)
    # How many by bucket of ``histogram``; empty buckets are left out.
    durations = models.JSONField(default=dict)
    latenesses = models.JSONField(default=dict)
    # How many of these runs retention has removed.
    removed = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["job", "day", "status"]
        verbose_name = _("daily roll-up")
        verbose_name_plural = _("daily roll-ups")
        constraints = [
            models.UniqueConstraint(fields=["job", "day", "status"], name="rollup_once"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} {self.day} {self.status}"


class RollupCursor(models.Model):
    """How far runs are rolled up, one row: every run up to ``upto``, but for those left."""

    upto = models.BigIntegerField(default=0)
    # Grows with each change, so that a reader of several tables notices one in between.
    version = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("roll-up cursor")
        verbose_name_plural = _("roll-up cursors")

    def __str__(self) -> str:
        return f"{self.upto}"


class RollupLeft(models.Model):
    """A run that had not ended when the cursor passed it, and is not rolled up yet."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, primary_key=True, related_name="+")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+")

    class Meta:
        verbose_name = _("run left to roll up")
        verbose_name_plural = _("runs left to roll up")

    def __str__(self) -> str:
        return f"{self.pk}"
