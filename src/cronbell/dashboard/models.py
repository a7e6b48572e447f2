"""The dashboard's tables: sign-ins that failed, for as long as they count, and a probe."""

from __future__ import annotations

from django.db import models

from cronbell.runlog.fields import InstantField


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
