"""The stock admin at ``/admin/data/``: plain editing, guarded by the same question as our pages."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from cronbell.dashboard.access import is_admin, local_path, refuse, sign_in_url
from cronbell.dashboard.sign_in import sign_out


class CronbellAdminSite(AdminSite):
    """Django's admin in our colours, for administrators only.

    Signing in and out happen on our pages, so that there is one place that throttles attempts.
    """

    site_title = _("Cronbell data")
    site_header = _("Cronbell data")
    index_title = _("Tables")
    site_url = "/admin/cron-logs"
    enable_nav_sidebar = True

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
