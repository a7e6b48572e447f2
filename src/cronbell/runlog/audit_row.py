"""The audit's table; ``models`` has it among its own."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from cronbell.runlog.fields import InstantField


class AuditRow(models.Model):
    """A change somebody made; ``audit_guard`` has the database refuse to alter or remove it.

    It points to nothing: what it tells of may be gone one day, and it stays.
    """

    at = InstantField()
    actor = models.CharField(max_length=150)
    # A word of audit.Means, audit.Action.
    means = models.CharField(max_length=16)
    source = models.CharField(max_length=150, blank=True, default="")
    token = models.CharField(max_length=150, blank=True, default="")
    action = models.CharField(max_length=32)
    kind = models.CharField(max_length=32)
    subject = models.CharField(max_length=600)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("audit row")
        verbose_name_plural = _("audit")
        indexes = [
            models.Index(fields=["actor", "-id"], name="audit_by_actor"),
            models.Index(fields=["action", "-id"], name="audit_by_action"),
            models.Index(fields=["subject", "-id"], name="audit_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.subject}"
