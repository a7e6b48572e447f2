"""The stock admin at ``/admin/data/``: plain editing, guarded by the same question as our pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from cronbell.dashboard.access import is_admin, local_path, refuse, sign_in_url
from cronbell.dashboard.sign_in import sign_out
from cronbell.runlog import audit


class Audited:
    """Tells the audit what Django's own history of the stock admin is told.

    Django calls these in the transaction of the change; the audit's row is committed before it.
    """

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Record an addition."""
        _record(audit.Action.ADDED, obj, message)
        return super().log_addition(request, obj, message)  # type: ignore[misc]  # a mix-in

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Record a change; the message names fields, never what is in them."""
        _record(audit.Action.CHANGED, obj, message)
        return super().log_change(request, obj, message)  # type: ignore[misc]  # a mix-in

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Record each deletion."""
        for obj in queryset:
            _record(audit.Action.DELETED, obj, "")
        return super().log_deletions(request, queryset)  # type: ignore[misc]  # a mix-in


def _record(action: audit.Action, obj: Model, message: Any) -> None:
    named = f"{obj} ({obj.pk})"
    audit.record(action, obj._meta.label_lower, named, {"change": message} if message else None)


class CronbellAdminSite(AdminSite):
    """Django's admin in our colours, for administrators only.

    Signing in and out happen on our pages, so that there is one place that throttles attempts.
    """

    site_title = _("Cronbell data")
    site_header = _("Cronbell data")
    index_title = _("Tables")
    site_url = "/admin/cron-logs"
    enable_nav_sidebar = True

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: type[ModelAdmin[Any]] | None = None,
        **options: Any,
    ) -> None:
        """Register models as ever, each with an admin that records its changes in the audit."""
        base = admin_class or ModelAdmin
        audited = type(base.__name__, (Audited, base), {"__module__": base.__module__})
        super().register(model_or_iterable, audited, **options)

    def has_permission(self, request: HttpRequest) -> bool:
        """Ask the same question as every other page."""
        return is_admin(request.user)

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send whoever may not see the admin to our sign-in page, or tell them why not."""
        del extra_context
        wanted = local_path(request, request.GET.get("next", ""))
        if request.user.is_authenticated:
            return refuse(request) or HttpResponseRedirect(wanted)
        return HttpResponseRedirect(sign_in_url(wanted))

    def logout(  # type: ignore[override]  # a redirect, where Django renders a page
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Sign out on our page; only by POST, like everything that changes state."""
        del extra_context
        return sign_out(request)
