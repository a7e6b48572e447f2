"""What alerting keeps: what is wrong, who is to be told of it, and the messages that tell.

A message is a row before it is sent. What keeps one thing from being told twice are unique keys,
not an order of events: one open incident for what is wrong, one notice of a kind for an incident
and a channel, one unfinished message for a channel.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from cronbell.runlog.fields import InstantField, OptionalInstantField


class Suspect(models.Model):
    """A job of which something ended that may have to be told; judged, it is taken off the list."""

    job = models.OneToOneField(
        "runlog.Job", on_delete=models.CASCADE, primary_key=True, related_name="+"
    )

    class Meta:
        verbose_name = _("job to be judged")
        verbose_name_plural = _("jobs to be judged")

    def __str__(self) -> str:
        return f"{self.pk}"


class Incident(models.Model):
    """Something that is wrong, from when it was noticed until it was right again."""

    # What is wrong with what: there is one open incident for it at most.
    key = models.CharField(max_length=300)
    condition = models.CharField(max_length=16)
    job = models.ForeignKey("runlog.Job", on_delete=models.CASCADE, related_name="+", null=True)
    # A host, where it is not about a job.
    subject = models.CharField(max_length=255, blank=True, default="")
    # A run that shows it; no constraint, since runs are deleted before this is.
    run = models.BigIntegerField(null=True)
    # What the texts name: how often, how long, why.
    data = models.JSONField(default=dict)
    opened_at = InstantField()
    recovered_at = OptionalInstantField(null=True)
    # Channels have been given their notices of the opening, of the recovery.
    opening_told = models.BooleanField(default=False)
    recovery_told = models.BooleanField(default=False)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(recovered_at__isnull=True), name="incident_once"
            ),
        ]
        indexes = [
            models.Index(
                fields=["id"],
                condition=Q(opening_told=False)
                | Q(recovered_at__isnull=False, recovery_told=False),
                name="incident_to_tell",
            ),
            models.Index(fields=["recovered_at"], name="incident_recovered"),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.key}"


class Delivery(models.Model):
    """A message to a channel: written down whole, then sent, and kept with what became of it."""

    channel = models.CharField(max_length=200)
    # Sent as webhook-id, the same at every attempt: who receives it twice knows.
    key = models.CharField(max_length=64, unique=True)
    test = models.BooleanField(default=False)
    subject = models.CharField(max_length=300)
    text = models.TextField()
    # The webhook's body, as it is signed and sent.
    body = models.TextField()
    notices = models.PositiveIntegerField(default=0)
    created_at = InstantField()
    available_at = InstantField()
    attempts = models.PositiveIntegerField(default=0)
    # Who sends it, in which term, and until when nobody else may.
    lease_owner = models.CharField(max_length=64, blank=True, default="")
    lease_term = models.PositiveIntegerField(default=0)
    lease_expires_at = OptionalInstantField(null=True)
    finished_at = OptionalInstantField(null=True)
    sent = models.BooleanField(default=False)
    http_status = models.IntegerField(null=True)
    # Why the last attempt failed: a reason of runs' attempts with its data.
    reason = models.CharField(max_length=32, blank=True, default="")
    reason_data = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("alert message")
        verbose_name_plural = _("alert messages")
        constraints = [
            models.UniqueConstraint(
                fields=["channel"],
                condition=Q(finished_at__isnull=True, test=False),
                name="delivery_one_at_a_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["available_at"], condition=Q(finished_at__isnull=True), name="delivery_due"
            ),
            models.Index(fields=["channel", "-id"], name="delivery_by_channel"),
            models.Index(fields=["finished_at"], name="delivery_finished"),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.channel}"


class Notice(models.Model):
    """One channel is to be told one thing about one incident; gathered into a message."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notices")
    channel = models.CharField(max_length=200)
    kind = models.CharField(max_length=16)
    number = models.PositiveIntegerField(default=0)
    at = InstantField()
    delivery = models.ForeignKey(
        Delivery, on_delete=models.SET_NULL, related_name="told", null=True
    )
    done = models.BooleanField(default=False)

    class Meta:
        ordering = ["id"]
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        constraints = [
            models.UniqueConstraint(
                fields=["incident", "channel", "kind", "number"], name="notice_once"
            ),
        ]
        indexes = [
            models.Index(fields=["channel", "at"], condition=Q(done=False), name="notice_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.incident_id} {self.channel} {self.kind}"
