"""The dashboard's tables: sign-ins that failed, for as long as they count; API tokens; a probe."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from cronbell.dashboard.scopes import Scope
from cronbell.runlog.fields import InstantField, OptionalInstantField


class SignInFailure(models.Model):
    """One failed sign-in.

    The account is kept as a digest: people type passwords into the wrong box.
    """

    account = models.CharField(max_length=64)
    # The network address, or the id of a browser this account has signed in from before.
    source = models.CharField(max_length=64)
    known_source = models.BooleanField(default=False)
    at = InstantField(db_index=True)

    class Meta:
        indexes = [
            models.Index(fields=["account", "source"], name="failure_by_account"),
            models.Index(fields=["source"], name="failure_by_source"),
        ]

    def __str__(self) -> str:
        return f"{self.account[:8]} {self.source} {self.at}"


class ApplicationProbe(models.Model):
    """One row that is written to see whether the application's database can be."""

    at = InstantField()

    def __str__(self) -> str:
        return f"{self.at}"


class ApiToken(models.Model):
    """An API token: a digest of it, never the token. A revoked one keeps its row."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=100)
    scope = models.CharField(max_length=16, choices=[(one.word, one.word) for one in Scope])
    # The part of the token that finds the row; the digest is of the other.
    lookup = models.CharField(max_length=16, unique=True)
    digest = models.CharField(max_length=64)
    created_at = InstantField()
    expires_at = OptionalInstantField(null=True, blank=True)
    revoked_at = OptionalInstantField(null=True, blank=True)
    revoked_by = models.CharField(max_length=150, blank=True, default="")
    last_used_at = OptionalInstantField(null=True, blank=True)
    last_used_from = models.CharField(max_length=64, blank=True, default="")

    def __str__(self) -> str:
        return f"{self.name} ({self.scope})"
