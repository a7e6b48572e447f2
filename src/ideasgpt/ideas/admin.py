"""The stock admin for the service's tables, bounded so that a million rows stay quick."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from ideasgpt.ideas.models import (
    Category,
    Claim,
    GeneratedBatch,
    Idea,
    JobPosition,
    ProviderPause,
    Purchase,
)

if TYPE_CHECKING:
    AnyAdmin = admin.ModelAdmin[Any]
    AnyPaginator = Paginator[Any]
else:  # Django's own classes take no parameters
    AnyAdmin = admin.ModelAdmin
    AnyPaginator = Paginator

MOST_LISTED = 10_000


class _CappedPaginator(AnyPaginator):
    """Counts no further than anybody pages; what lies behind is found by search."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        return rows.order_by()[:MOST_LISTED].count() if isinstance(rows, QuerySet) else len(rows)


class _BigTable(AnyAdmin):
    """A table that may have millions of rows: nothing counts or sorts all of them."""

    paginator = _CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    ordering = ("-id",)
    sortable_by = ()


@admin.register(Category)
class CategoryAdmin(AnyAdmin):
    """Few rows: everything is allowed."""

    list_display = ("name", "name_ko", "slug")
    search_fields = ("name", "name_ko", "slug")
    prepopulated_fields = {"slug": ("name",)}


@admin.register(Idea)
class IdeaAdmin(_BigTable):
    """Ideas; the score is shown and not edited, since the next ranking would undo it."""

    list_display = (
        "id",
        "title",
        "category",
        "ranking_score",
        "view_count",
        "is_temporary",
        "is_ai_generated",
        "created_at",
    )
    list_display_links = ("id", "title")
    list_filter = ("category", "is_temporary", "is_ai_generated")
    list_select_related = ("category",)
    search_fields = ("title",)
    autocomplete_fields = ("author",)
    readonly_fields = ("ranking_score",)
    fields = (
        "title",
        "description",
        "category",
        "author",
        "is_temporary",
        "is_ai_generated",
        "view_count",
        "ranking_score",
        "created_at",
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look a number up by its id; only words are looked for in the titles."""
        term = search_term.strip()
        if term.isascii() and term.isdigit():
            return queryset.filter(pk=int(term[:18])), False
        return super().get_search_results(request, queryset, search_term)


class _OfIdea(_BigTable):
    list_display = ("id", "idea", "user", "created_at")
    list_select_related = ("idea", "user")
    autocomplete_fields = ("idea", "user")
    search_fields = ("idea__id", "user__username")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look a number up as the idea's id, anything else as a user's exact name."""
        del request
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.isascii() and term.isdigit():
            return queryset.filter(idea_id=int(term[:18])), False
        return queryset.filter(user__username=term), False


@admin.register(Purchase)
class PurchaseAdmin(_OfIdea):
    """Purchases."""


@admin.register(Claim)
class ClaimAdmin(_OfIdea):
    """Claims."""


class _WrittenByJobs(AnyAdmin):
    """To be read; deleting a row is how a person undoes what it remembers."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only jobs write these."""
        del request
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only jobs write these."""
        del request, obj
        return False


@admin.register(JobPosition)
class JobPositionAdmin(_WrittenByJobs):
    """Where jobs had to stop; deleting one makes the job begin at the beginning."""

    list_display = ("job", "last_id", "updated_at")


@admin.register(GeneratedBatch)
class GeneratedBatchAdmin(_WrittenByJobs):
    """What ``generate-ideas`` did, and what it cost."""

    list_display = (
        "id",
        "category",
        "updated_at",
        "finished",
        "model",
        "duplicates",
        "prompt_tokens",
        "completion_tokens",
        "cost",
        "error",
    )
    list_filter = ("finished", "category")
    list_select_related = ("category",)
    search_fields = ("run_id",)


@admin.register(ProviderPause)
class ProviderPauseAdmin(_WrittenByJobs):
    """Deleting one lets the next run ask the provider at once."""

    list_display = ("provider", "not_before")
