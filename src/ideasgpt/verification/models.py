"""What is to be verified, what was found, and who decided."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from cronbell.clock import SYSTEM_CLOCK
from cronbell.drain.models import DrainState

MOST_FIELDS = 20
LONGEST_LABEL, LONGEST_VALUE = 60, 200
LONGEST_NOTE = 2000
APPEND_ONLY = "what is written in the audit is never changed or deleted"


class Standing(StrEnum):
    """Where a record stands."""

    PENDING = "pending"
    SUBMITTED = "submitted"  # the verifier has taken it on
    APPROVED = "approved"
    REJECTED = "rejected"
    NEEDS_REVIEW = "needs_review"  # a person decides
    FAILED = "failed"  # set aside: verifying it failed three times


def created_now() -> datetime:
    """Return the present instant; a function of its own, because migrations name it."""
    return SYSTEM_CLOCK.now()


def check_fields(value: object) -> None:
    """Refuse claims that are not 1 to 20 short texts by name.

    Raises:
        ValidationError: what is wrong.
    """
    if not isinstance(value, dict) or not 1 <= len(value) <= MOST_FIELDS:
        raise ValidationError(
            _("Write a JSON object of 1 to %(n)d names and values."), params={"n": MOST_FIELDS}
        )
    for label, claim in value.items():
        if not _fits(label, LONGEST_LABEL) or not _fits(claim, LONGEST_VALUE):
            raise ValidationError(
                _("Each name has 1 to %(label)d characters, each value 1 to %(value)d."),
                params={"label": LONGEST_LABEL, "value": LONGEST_VALUE},
            )


def _fits(text: object, longest: int) -> bool:
    if not isinstance(text, str) or not 1 <= len(text) <= longest:
        return False
    return any(one.isalnum() for one in text) and all(one.isprintable() for one in text)


# What the verifier leaves behind: whatever moves a record on from here is a person's decision.
AFTER_THE_VERIFIER = [
    one.value
    for one in (Standing.APPROVED, Standing.REJECTED, Standing.NEEDS_REVIEW, Standing.FAILED)
]


class Record(DrainState):
    """Something a person claims, with the documents that are to show it.

    ``drain_version`` is the version of claims and documents together.

    Attributes:
        submitted_at: when the verifier took this version on.
        held_by: which verification holds it; empty where none does.
        held_until: when that one is taken for dead.
        awaits_review: a person is to look at it: undecided, or a sampled approval.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="records",
        verbose_name=_("owner"),
    )
    fields = models.JSONField(_("claimed fields"), validators=[check_fields])
    verification_status = models.CharField(
        _("verification status"),
        max_length=12,
        default=Standing.PENDING.value,
        choices=[(one.value, one.value) for one in Standing],
        editable=False,
    )
    submitted_at = models.DateTimeField(_("submitted"), null=True, blank=True, editable=False)
    held_by = models.CharField(max_length=40, default="", blank=True, editable=False)
    held_until = models.DateTimeField(null=True, blank=True, editable=False)
    awaits_review = models.BooleanField(_("awaits review"), default=False, editable=False)
    created_at = models.DateTimeField(_("created"), default=created_now, editable=False)

    class Meta(DrainState.Meta):
        verbose_name = _("record")
        verbose_name_plural = _("records")
        indexes = [
            *DrainState.Meta.indexes,
            models.Index(
                fields=["id"], condition=models.Q(awaits_review=True), name="record_awaits_review"
            ),
            models.Index(
                fields=["held_until"],
                condition=models.Q(verification_status="submitted"),
                name="record_submitted",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk}"


class Attachment(models.Model):
    """A document of a record; its file has the random id for a name, never the user's."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    record = models.ForeignKey(
        Record, on_delete=models.CASCADE, related_name="attachments", verbose_name=_("record")
    )
    name = models.CharField(_("name"), max_length=150)
    content_type = models.CharField(_("type"), max_length=40)
    sha256 = models.CharField("SHA-256", max_length=64)
    size = models.PositiveIntegerField(_("size"))
    created_at = models.DateTimeField(_("created"), default=created_now)

    class Meta:
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")

    def __str__(self) -> str:
        return self.name


class _AppendOnlyQuerySet(models.QuerySet[Any]):
    def update(self, **kwargs: Any) -> NoReturn:
        del kwargs
        raise TypeError(APPEND_ONLY)

    def delete(self) -> NoReturn:
        raise TypeError(APPEND_ONLY)


class _AppendOnly(models.Model):
    objects = _AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, **kwargs: Any) -> None:
        """Insert; a row that is there is never written again."""
        if not self._state.adding:
            raise TypeError(APPEND_ONLY)
        super().save(**{**kwargs, "force_insert": True})

    def delete(self, using: Any = None, keep_parents: bool = False) -> NoReturn:
        """Refuse.

        Raises:
            TypeError: always.
        """
        del using, keep_parents
        raise TypeError(APPEND_ONLY)


class Verdict(_AppendOnly):
    """What the verifier found for one version of a record: at most one, whatever is killed.

    ``evidence`` is what the model quoted for each claim, and whether the quote proves it; empty
    where no model was asked or none gave an answer that could be read.
    """

    record = models.ForeignKey(
        Record, on_delete=models.PROTECT, related_name="verdicts", verbose_name=_("record")
    )
    version = models.PositiveIntegerField(_("version"))
    key = models.CharField(max_length=60, unique=True)
    status = models.CharField(_("status"), max_length=12)
    reasons = models.JSONField(_("reasons"), default=list)
    checks = models.JSONField(_("checks"), default=list)
    evidence = models.JSONField(_("evidence"), default=list)
    documents = models.JSONField(_("documents"), default=list)
    model = models.CharField(_("model"), max_length=200, blank=True, default="")
    model_verdict = models.CharField(_("model's verdict"), max_length=20, blank=True, default="")
    prompt_version = models.CharField(max_length=20, blank=True, default="")
    calls = models.PositiveIntegerField(default=0)
    prompt_tokens = models.BigIntegerField(default=0)
    completion_tokens = models.BigIntegerField(default=0)
    cost = models.DecimalField(max_digits=20, decimal_places=9, null=True)
    decided_at = models.DateTimeField(_("decided"))

    class Meta:
        verbose_name = _("verdict")
        verbose_name_plural = _("verdicts")
        constraints = [models.UniqueConstraint(fields=["record", "version"], name="verdict_once")]

    def __str__(self) -> str:
        return f"{self.record_id}: {self.status}"


class AuditEntry(_AppendOnly):
    """One change of a record's status: who, when, from what, to what, why."""

    record = models.ForeignKey(
        Record, on_delete=models.PROTECT, related_name="audit", verbose_name=_("record")
    )
    version = models.PositiveIntegerField(_("version"))
    at = models.DateTimeField(_("when"))
    actor = models.CharField(_("who"), max_length=150)
    from_status = models.CharField(_("from"), max_length=12)
    to_status = models.CharField(_("to"), max_length=12)
    note = models.TextField(_("note"), blank=True, default="", max_length=LONGEST_NOTE)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        indexes = [
            # People decide after the verifier; its own entries, by far the most, come from others.
            models.Index(
                fields=["id"],
                condition=models.Q(from_status__in=AFTER_THE_VERIFIER),
                name="audit_by_people",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.record_id}: {self.from_status} → {self.to_status}"
