"""The two tables of ``log_counts``: how many runs the log holds, and where."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from cronbell.runlog.fields import InstantField


class LogCount(models.Model):
    """How many runs of a status a job has in the log, of those the roll-ups' cursor has passed.

    Job 0 stands for all jobs. Unlike a roll-up it counts dry runs, and not what was removed.
    """

    job_number = models.BigIntegerField()
    status = models.CharField(max_length=16)
    runs = models.BigIntegerField()

    class Meta:
        verbose_name = _("count of the log")
        verbose_name_plural = _("counts of the log")
        constraints = [
            models.UniqueConstraint(fields=["job_number", "status"], name="log_count_once"),
        ]

    def __str__(self) -> str:
        return f"{self.job_number} {self.status} {self.runs}"


class LogBlock(models.Model):
    """Runs among neighbouring ids that began in one week; see ``log_counts``."""

    # How many neighbouring ids: 0 the fewest, each level so many blocks of the one before.
    level = models.SmallIntegerField()
    block = models.BigIntegerField()
    # Empty: of any status.
    status = models.CharField(max_length=16)
    # Weeks since 1970. Runs that began long before or after their neighbours have their own row.
    week = models.BigIntegerField()
    runs = models.BigIntegerField()
    # Between which instants they began, or were due where nothing began.
    oldest = InstantField()
    newest = InstantField()
    # Between which ids they are.
    first = models.BigIntegerField()
    last = models.BigIntegerField()

    class Meta:
        verbose_name = _("block of the log")
        verbose_name_plural = _("blocks of the log")
        constraints = [
            models.UniqueConstraint(fields=["level", "status", "block", "week"], name="block_once"),
        ]

    def __str__(self) -> str:
        return f"{self.level} {self.block} {self.week} {self.status} {self.runs}"
