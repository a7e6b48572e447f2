"""Receipts in the stock admin: to be looked at, never edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest

from cronbell.endpoint.receipts.models import Receipt

if TYPE_CHECKING:
    ReadOnly = admin.ModelAdmin[Receipt]
else:  # Django's own class takes no type parameter
    ReadOnly = admin.ModelAdmin


@admin.register(Receipt)
class ReceiptAdmin(ReadOnly):
    """A receipt changed by hand would make a fire work twice, or never."""

    list_display = ("id", "job", "key", "dry_run", "state", "attempt", "started_at", "finished_at")
    list_filter = ("job", "state", "dry_run")
    search_fields = ("key",)
    ordering = ("-id",)

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Receipt | None = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Receipt | None = None) -> bool:
        """Refuse."""
        return False
