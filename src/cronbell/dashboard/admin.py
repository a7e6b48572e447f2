"""The run log in the stock admin: to be looked at, never changed.

Every list is bounded: no full counts, no facets, search by number or the beginning of a name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.forms.utils import pretty_name
from django.http import HttpRequest
from django.utils.functional import cached_property

from cronbell.addresses import shown_address
from cronbell.runlog.models import Attempt, Item, Job, LogLine, Run, Runner

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
    BasePaginator = Paginator[Any]
else:  # neither can be subscripted while the program runs
    Base = admin.ModelAdmin
    BasePaginator = Paginator

COUNT_CAP = 10_000
_LONGEST_ID = 18


def moment(field: str) -> Callable[[Model], str]:
    """Return a list column that writes an instant to the second, in UTC."""

    def column(row: Model) -> str:
        value = getattr(row, field)
        return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value else "-"

    name = str(pretty_name(field)).lower()
    return admin.display(description=name, empty_value="-")(column)


class CappedPaginator(BasePaginator):
    """Counts no further than the cap: a list of ten million rows costs what one of ten does."""

    @cached_property
    def count(self) -> int:
        """Return how many rows there are, at most the cap."""
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return int(rows.order_by().values("pk")[:COUNT_CAP].count())


class ReadOnlyAdmin(Base):
    """Nobody adds, changes or deletes here, not even a superuser: the record is the record."""

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = None
    list_per_page = 50
    list_max_show_all = 0
    sortable_by = ()

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        del request, obj
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        del request, obj
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        del request, obj
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look up a number by primary key, anything else by what the subclass can do cheaply."""
        del request
        term = search_term.strip()
        if not term:
            return queryset, False
        if "\0" in term:
            return queryset.none(), False
        if term.isascii() and term.isdigit() and len(term) <= _LONGEST_ID:
            found = self.by_number(queryset, int(term))
            return found, False
        return self.by_text(queryset, term), False

    def by_number(self, queryset: QuerySet[Any], number: int) -> QuerySet[Any]:
        """Find a row by its id."""
        return queryset.filter(pk=number)

    def by_text(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Find rows by text; none unless a subclass has an index for it."""
        del term
        return queryset.none()


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """Jobs as the configuration last defined them."""

    list_display = (
        "name",
        "schedule",
        "timezone",
        "method",
        "address",
        "enabled",
        moment("removed_at"),
    )
    list_filter = ("enabled", "timezone")
    search_fields = ("name",)
    # Shown as below: a definition may have a secret in its address.
    exclude = ("path", "spec")
    readonly_fields = ("address", "definition")

    @admin.display(description="path")
    def address(self, job: Job) -> str:
        """Return the job's path."""
        return shown_address(job.path)

    @admin.display(description="spec")
    def definition(self, job: Job) -> str:
        """Return the job's definition as JSON."""
        shown = {
            key: shown_address(value) if key in {"path", "url"} else value
            for key, value in job.spec.items()
        }
        return json.dumps(shown, ensure_ascii=False)

    def by_text(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Find jobs whose name begins so."""
        return queryset.filter(name__startswith=term)


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """Runs, newest first."""

    list_display = (
        "id",
        "job",
        "kind",
        "status",
        "reason",
        moment("scheduled_at"),
        moment("started_at"),
        moment("finished_at"),
    )
    list_display_links = ("id",)
    list_filter = ("status", "kind")
    list_select_related = ("job",)
    search_fields = ("id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave the bodies out of lists."""
        return super().get_queryset(request).defer("body", "reason_data", "job__spec")

    def by_text(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Find the runs of the job of that name."""
        return queryset.filter(job__in=Job.objects.filter(name=term).values("pk"))


class OfRunAdmin(ReadOnlyAdmin):
    """Rows that belong to a run; a number finds those of the run with that id."""

    search_fields = ("id",)

    def by_number(self, queryset: QuerySet[Any], number: int) -> QuerySet[Any]:
        """Find the rows of one run."""
        return queryset.filter(run_id=number)


@admin.register(Attempt)
class AttemptAdmin(OfRunAdmin):
    """Attempts that did not end their run."""

    list_display = (
        "id",
        "run_id",
        "number",
        "reason",
        "http_status",
        moment("started_at"),
        moment("finished_at"),
    )


@admin.register(Item)
class ItemAdmin(OfRunAdmin):
    """Records handled within runs."""

    list_display = ("id", "run_id", "record_id", "ok", "http_status", "error")

    def by_text(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Find one record over all runs."""
        return queryset.filter(record_id=term)


@admin.register(LogLine)
class LogLineAdmin(OfRunAdmin):
    """What jobs wrote while they ran."""

    list_display = ("id", "run_id", moment("at"), "message")


@admin.register(Runner)
class RunnerAdmin(ReadOnlyAdmin):
    """Runner processes."""

    list_display = (
        "id",
        "host",
        "pid",
        "version",
        moment("started_at"),
        moment("seen_at"),
        moment("stopped_at"),
        "jobs",
    )
    search_fields = ("id",)
