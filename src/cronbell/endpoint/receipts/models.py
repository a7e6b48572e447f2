"""The receipts' table."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from cronbell.states import Status

STATES = (
    Status.RUNNING,
    Status.SUCCESS,
    Status.PARTIAL,
    Status.ERROR,
    Status.TIMED_OUT,
    Status.CANCELLED,
    Status.UNKNOWN,
)


class Receipt(models.Model):
    """What became of one idempotency key of one job; see ``cronbell.endpoint.receipt.Receipt``."""

    job = models.CharField(_("job"), max_length=100)
    dry_run = models.BooleanField(_("dry run"), default=False)
    key = models.CharField(_("idempotency key"), max_length=200)
    state = models.CharField(
        _("status"), max_length=20, choices=[(str(state), str(state)) for state in STATES]
    )
    attempt = models.PositiveIntegerField(_("attempt"), default=1)
    owner = models.CharField(_("held by"), max_length=120)
    term = models.PositiveIntegerField(_("term"), default=1)
    lease_expires_at = models.DateTimeField(_("lease ends"), null=True, blank=True)
    http_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True, blank=True)
    # Text, not JSON: a replay repeats the very bytes.
    answer = models.TextField(_("answer"), blank=True)
    created_at = models.DateTimeField(_("created"))
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        # Pruning asks for the oldest ends each minute.
        indexes = [models.Index(fields=["finished_at"], name="receipt_finished")]
        constraints = [
            models.UniqueConstraint(fields=["job", "dry_run", "key"], name="receipt_key"),
            models.UniqueConstraint(
                fields=["job", "dry_run"],
                condition=models.Q(state=str(Status.RUNNING)),
                name="receipt_one_running",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.job} {self.key}: {self.state}"
