"""What the service keeps. The statements in ``jobs/`` name these columns: change both together."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.core.validators import MinLengthValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from cronbell.clock import SYSTEM_CLOCK

TITLE_LENGTH = 200
DESCRIPTION_LENGTH = 5000


def created_now() -> datetime:
    """Return the present instant; a function of its own, because migrations name it."""
    return SYSTEM_CLOCK.now()


class Category(models.Model):
    """A shelf of ideas. It cannot be deleted while ideas are on it."""

    slug = models.SlugField(_("slug"), max_length=60, unique=True)
    name = models.CharField(_("name"), max_length=80, unique=True)
    name_ko = models.CharField(_("Korean name"), max_length=80, blank=True, default="")

    class Meta:
        ordering = ["name"]
        verbose_name = _("category")
        verbose_name_plural = _("categories")

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """The name in the reader's language."""
        return self.name_ko if self.name_ko and get_language() == "ko" else self.name


class Idea(models.Model):
    """One idea.

    ``ranking_score`` is what the job ``update-rankings`` last wrote (SPEC section 6); it is never
    computed on the way to a page.
    """

    category = models.ForeignKey(
        Category,
        on_delete=models.PROTECT,
        related_name="ideas",
        verbose_name=_("category"),
        db_index=False,  # the ranking index begins with it
    )
    view_count = models.PositiveBigIntegerField(_("views"), default=0)
    ranking_score = models.FloatField(_("score"), default=0.0)
    is_temporary = models.BooleanField(
        _("temporary"),
        default=False,
        help_text=_("Deleted after 30 days unless somebody buys or claims it."),
    )
    is_ai_generated = models.BooleanField(_("AI-generated"), default=False)
    created_at = models.DateTimeField(_("created"), default=created_now)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="ideas",
        verbose_name=_("author"),
    )
    title = models.CharField(
        _("title"), max_length=TITLE_LENGTH, validators=[MinLengthValidator(1)]
    )
    description = models.TextField(_("description"), max_length=DESCRIPTION_LENGTH)

    class Meta:
        ordering = ["-ranking_score", "-id"]
        verbose_name = _("idea")
        verbose_name_plural = _("ideas")
        constraints = [
            models.CheckConstraint(condition=~Q(title=""), name="idea_has_title"),
        ]
        indexes = [
            models.Index(fields=["category", "-ranking_score", "-id"], name="idea_by_category"),
            models.Index(fields=["-ranking_score", "-id"], name="idea_by_score"),
            models.Index(
                fields=["created_at", "id"],
                condition=Q(is_temporary=True),
                name="idea_temporary",
            ),
        ]

    def __str__(self) -> str:
        return self.title


class Purchase(models.Model):
    """A user bought an idea; at most once."""

    idea = models.ForeignKey(
        Idea,
        # A bought idea is part of what its buyer paid for: it is not deleted from under them.
        on_delete=models.PROTECT,
        related_name="purchases",
        verbose_name=_("idea"),
        db_index=False,  # the unique index begins with it
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="purchases",
        verbose_name=_("user"),
    )
    created_at = models.DateTimeField(_("created"), default=created_now)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("purchase")
        verbose_name_plural = _("purchases")
        constraints = [
            # (idea, user) in this order: counting an idea's purchases reads this index alone.
            models.UniqueConstraint(
                fields=["idea", "user"],
                name="purchase_once",
                violation_error_message=_("This user has already bought this idea."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} → {self.idea_id}"


class Claim(models.Model):
    """A user took an idea on, to build it; an idea has at most one claim."""

    idea = models.OneToOneField(
        Idea, on_delete=models.PROTECT, related_name="claim", verbose_name=_("idea")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="claims",
        verbose_name=_("user"),
    )
    created_at = models.DateTimeField(_("created"), default=created_now)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("claim")
        verbose_name_plural = _("claims")

    def __str__(self) -> str:
        return f"{self.user_id} → {self.idea_id}"


class JobPosition(models.Model):
    """How far a job came before its deadline: its next run begins behind ``last_id``."""

    job = models.CharField(_("job"), max_length=100, primary_key=True)
    last_id = models.BigIntegerField(_("last id"), default=0)
    updated_at = models.DateTimeField(_("updated"))

    class Meta:
        verbose_name = _("job position")
        verbose_name_plural = _("job positions")

    def __str__(self) -> str:
        return f"{self.job}: {self.last_id}"


class GeneratedBatch(models.Model):
    """What one run of ``generate-ideas`` did for one category.

    Written in the transaction that writes its ideas: a run that is sent again after a crash finds
    it and leaves the category alone. ``run_id`` is the same for every attempt at a run.
    """

    run_id = models.CharField(_("run"), max_length=300)
    category = models.ForeignKey(
        Category, on_delete=models.CASCADE, related_name="batches", verbose_name=_("category")
    )
    finished = models.BooleanField(
        _("finished"), default=False, help_text=_("A failed one is tried again by the same run.")
    )
    updated_at = models.DateTimeField(_("updated"))
    model = models.CharField(_("model"), max_length=200)
    ideas = models.JSONField(_("ideas"), default=list, help_text=_("Their ids and titles."))
    duplicates = models.PositiveIntegerField(_("duplicates dropped"), default=0)
    dropped = models.PositiveIntegerField(_("unusable"), default=0)
    calls = models.PositiveIntegerField(_("calls"), default=0)
    prompt_tokens = models.PositiveBigIntegerField(_("tokens in"), default=0)
    completion_tokens = models.PositiveBigIntegerField(_("tokens out"), default=0)
    cost = models.DecimalField(
        _("cost in US dollars"), max_digits=18, decimal_places=8, null=True, default=Decimal(0)
    )
    error = models.TextField(_("error"), blank=True, default="")

    class Meta:
        ordering = ["-id"]
        verbose_name = _("generated batch")
        verbose_name_plural = _("generated batches")
        constraints = [
            models.UniqueConstraint(fields=["run_id", "category"], name="batch_once"),
        ]
        indexes = [
            # Who was served longest ago is asked for each category at the start of a run.
            models.Index(
                fields=["category", "-updated_at"],
                condition=Q(finished=True),
                name="batch_last_finished",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}: {self.category_id}"


class ProviderPause(models.Model):
    """A provider asked not to be called before an instant that no run could wait for."""

    provider = models.CharField(_("provider"), max_length=300, primary_key=True)
    not_before = models.DateTimeField(_("not before"))

    class Meta:
        verbose_name = _("provider's pause")
        verbose_name_plural = _("providers' pauses")

    def __str__(self) -> str:
        return self.provider
