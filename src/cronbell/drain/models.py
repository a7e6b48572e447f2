"""The columns a record needs to be drained, and the counters that outlive a run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from django.db import models
from django.db.models.base import ModelBase
from django.utils.translation import gettext_lazy as _

from cronbell.clock import SYSTEM_CLOCK


class Stage(StrEnum):
    """Where a record stands. Whether it is held at the moment is its lease's to say."""

    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"  # set aside: it failed too often by itself


def entering() -> datetime:
    """Return the instant at which a record that is being made joins the backlog."""
    return SYSTEM_CLOCK.now()


class DrainState(models.Model):
    """Take this in with your model: ``class Record(DrainState): …``, then ``makemigrations``.

    The columns are the drain's own: it changes nothing else of a record. When what is to be
    handled has changed, call ``claim.mark_changed``: the new version gets a new idempotency key.

    Attributes:
        drain_state: a ``Stage``.
        drain_version: of what is to be handled; part of the idempotency key.
        drain_failures: of this version, those that are the record's own.
        drain_owner: who holds it or held it last; empty where nobody does.
        drain_term: how often it has been claimed; with the owner, what a settlement must name.
        drain_lease_expires_at: when others may take it over.
        drain_available_at: not to be claimed before; the order of claims. What failed goes to
            the back, so that nothing that keeps failing holds up the rest.
        drain_entered_at: since when it waits.
        drain_settled_at: when it was done or set aside.
        drain_error: what the last failure said.
    """

    drain_state = models.CharField(
        _("drain state"),
        max_length=10,
        default=Stage.PENDING.value,
        choices=[(stage.value, stage.value) for stage in Stage],
        editable=False,
    )
    drain_version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    drain_failures = models.PositiveIntegerField(_("failures"), default=0, editable=False)
    drain_owner = models.CharField(
        _("held by"), max_length=120, default="", blank=True, editable=False
    )
    drain_term = models.PositiveIntegerField(_("term"), default=0, editable=False)
    drain_lease_expires_at = models.DateTimeField(
        _("lease ends"), null=True, blank=True, editable=False
    )
    drain_available_at = models.DateTimeField(_("due"), default=entering, editable=False)
    drain_entered_at = models.DateTimeField(_("waiting since"), default=entering, editable=False)
    drain_settled_at = models.DateTimeField(_("settled"), null=True, blank=True, editable=False)
    drain_error = models.TextField(_("last error"), default="", blank=True, editable=False)

    class Meta:
        abstract = True
        indexes = [
            # The claim's order, so that it reads no further than the batch it takes.
            models.Index(fields=["drain_state", "drain_available_at"], name="%(class)s_drain_due"),
            models.Index(fields=["drain_settled_at"], name="%(class)s_drain_out"),
            models.Index(fields=["drain_entered_at"], name="%(class)s_drain_in"),
        ]

    def save(
        self,
        *,
        force_insert: bool | tuple[ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Save what is the application's; of a row that is there, never the drain's columns.

        A form or a job that read the row before it was settled and saves it afterwards would
        else undo the settlement.
        """
        if update_fields is None and not force_insert and not self._state.adding:
            deferred = self.get_deferred_fields()
            update_fields = [
                field.name
                for field in self._meta.concrete_fields
                if not (field.primary_key or field.name.startswith("drain_"))
                and field.attname not in deferred
            ]
        super().save(
            force_insert=force_insert,
            force_update=force_update,
            using=using,
            update_fields=update_fields,
        )


class DrainDay(models.Model):
    """What one drain has used on one day (UTC), all its runs together.

    Whole numbers only: seconds and money in millionths, because a cap must hold exactly.
    """

    drain = models.CharField(_("drain"), max_length=100)
    day = models.DateField(_("day"))
    items = models.BigIntegerField(_("items"), default=0)
    calls = models.BigIntegerField(_("calls"), default=0)
    tokens = models.BigIntegerField(_("tokens"), default=0)
    microseconds = models.BigIntegerField(_("microseconds"), default=0)
    micromoney = models.BigIntegerField(_("millionths of money"), default=0)

    class Meta:
        verbose_name = _("drain's day")
        verbose_name_plural = _("drains' days")
        constraints = [models.UniqueConstraint(fields=["drain", "day"], name="drain_day")]

    def __str__(self) -> str:
        return f"{self.drain} {self.day}"


class TargetPause(models.Model):
    """Until when a target asked to be left alone: every run, in any process, keeps to it."""

    target = models.CharField(_("target"), max_length=200, unique=True)
    until = models.DateTimeField(_("until"))

    class Meta:
        verbose_name = _("target's pause")
        verbose_name_plural = _("targets' pauses")

    def __str__(self) -> str:
        return f"{self.target}: {self.until}"
