"""``/admin/tokens``: the API tokens there are, a new one, and the end of one."""

from __future__ import annotations

import re

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard import tokens
from cronbell.dashboard.access import administrators_only
from cronbell.dashboard.models import ApiToken
from cronbell.dashboard.pages.live import SEE_OTHER
from cronbell.dashboard.scopes import Scope, scope_of
from cronbell.errors import CronbellError

MOST_SHOWN = 200
FOR_EVER = "never"
SCOPES = {
    Scope.READ: gettext_lazy("read: see everything"),
    Scope.RUN: gettext_lazy("run: and run, rerun and cancel"),
    Scope.MANAGE: gettext_lazy("manage: and pause, resume, backfill, try records again"),
}
DAYS = {
    "7": gettext_lazy("7 days"),
    "30": gettext_lazy("30 days"),
    "90": gettext_lazy("90 days"),
    "365": gettext_lazy("a year"),
    FOR_EVER: gettext_lazy("until revoked"),
}
_NUMBER = re.compile(r"[0-9]{1,4}", re.ASCII)


@require_http_methods(["GET", "HEAD", "POST"])
@administrators_only
def tokens_page(request: HttpRequest) -> HttpResponse:
    """List the tokens and offer a form (GET), or make one and show it this once (POST)."""
    if request.method != "POST":
        return _page(request)
    days = request.POST.get("days", "")
    scope = scope_of(request.POST.get("scope", ""))
    if scope is None or not (days == FOR_EVER or _NUMBER.fullmatch(days)):
        return _page(request, problem=_("The form was incomplete. Check and confirm."))
    assert isinstance(request.user, User)  # noqa: S101 - the guard let nobody else in
    try:
        made, text = tokens.make(
            request.user,
            name=request.POST.get("name", ""),
            scope=scope,
            days=None if days == FOR_EVER else int(days),
        )
    except CronbellError as error:
        return _page(request, problem=f"{error.message}. {error.hint}")
    response = _page(request, made=made, text=text)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@administrators_only
@require_POST
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    """Make a token useless and lead back to the list."""
    try:
        tokens.revoke(token_id, actor=request.user.get_username())
    except CronbellError as error:
        return _page(request, problem=f"{error.message}. {error.hint}")
    away = HttpResponseRedirect(reverse("cronbell:tokens"))
    away.status_code = SEE_OTHER
    return away


def _page(
    request: HttpRequest, *, problem: str = "", made: ApiToken | None = None, text: str = ""
) -> HttpResponse:
    now = SYSTEM_CLOCK.now()
    newest = ApiToken.objects.select_related("user").order_by("-id")[:MOST_SHOWN]
    context = {
        "nav": "settings",
        "page_title": _("API tokens"),
        "now": now,
        "lines": [(token, _state(token)) for token in newest],
        "scopes": [(scope.word, words) for scope, words in SCOPES.items()],
        "days": list(DAYS.items()),
        "given": request.POST if problem else {"scope": Scope.READ.word, "days": "90"},
        "longest": tokens.LONGEST_NAME,
        "problem": problem,
        "made": made,
        "text": text,
    }
    return render(request, "cronbell/tokens.html", context, status=400 if problem else 200)


def _state(token: ApiToken) -> tuple[str, str, str]:
    """Return a token's colour, shape and word."""
    if token.revoked_at is not None:
        return "quiet", "stop", _("revoked")
    if not tokens.is_valid(token, SYSTEM_CLOCK.now()):
        return "quiet", "clock", _("expired")
    return "good", "check", _("valid")
