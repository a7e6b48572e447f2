"""Two more of the run log's tables, which need none of the others; ``models`` loads them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from cronbell.runlog.fields import InstantField


class RunTotal(models.Model):
    """What a job's runs of one status add up to since there is a run log; see ``totals``."""

    # Not a foreign key: 0 stands for all jobs together.
    job_number = models.BigIntegerField()
    status = models.CharField(max_length=16)
    runs = models.PositiveBigIntegerField(default=0)
    retries = models.PositiveBigIntegerField(default=0)
    items_total = models.PositiveBigIntegerField(default=0)
    items_failed = models.PositiveBigIntegerField(default=0)
    timed = models.PositiveBigIntegerField(default=0)
    duration_sum = models.BigIntegerField(default=0)
    awaited = models.PositiveBigIntegerField(default=0)
    lateness_sum = models.BigIntegerField(default=0)
    durations = models.JSONField(default=dict)
    latenesses = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("total of runs")
        verbose_name_plural = _("totals of runs")
        constraints = [
            models.UniqueConstraint(fields=["job_number", "status"], name="total_once"),
        ]

    def __str__(self) -> str:
        return f"{self.job_number} {self.status}"


class RunLogProbe(models.Model):
    """One row that is written to see whether the run log can be; its content says nothing."""

    at = InstantField()

    class Meta:
        verbose_name = _("run log probe")
        verbose_name_plural = _("run log probes")

    def __str__(self) -> str:
        return f"{self.at}"
