"""The viewer's language, theme and time zone: kept in cookies, so that they need no account."""

from __future__ import annotations

import re
from datetime import UTC, tzinfo

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST
from django.views.i18n import set_language as django_set_language

from cronbell.errors import ScheduleError
from cronbell.schedule import zones

THEME_COOKIE = "cronbell_theme"
ZONE_COOKIE = "cronbell_tz"  # set by static/cronbell/cronbell.js from the browser's own setting
THEMES = ("auto", "light", "dark")
YEAR = 365 * 24 * 3600
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+){0,3}", re.ASCII)
_LONGEST_ZONE_NAME = 64
_KEPT = "_cronbell_zone"


def theme_of(request: HttpRequest) -> str:
    """Return the chosen theme, ``auto`` where none or an unknown one is asked for."""
    theme = request.COOKIES.get(THEME_COOKIE, "")
    return theme if theme in THEMES else "auto"


def viewer_zone(request: HttpRequest) -> tzinfo | None:
    """Return the zone the browser reported; None where it has not yet, or names no zone.

    The answer is kept on the request: a page has hundreds of instants.
    """
    known: tuple[tzinfo | None] | None = getattr(request, _KEPT, None)
    if known is None:
        known = (_reported_zone(request),)
        setattr(request, _KEPT, known)
    return known[0]


def _reported_zone(request: HttpRequest) -> tzinfo | None:
    name = request.COOKIES.get(ZONE_COOKIE, "").replace("%2F", "/")
    if len(name) > _LONGEST_ZONE_NAME or not _ZONE_NAME.fullmatch(name):
        return None
    return named_zone(name)


def named_zone(name: str) -> tzinfo | None:
    """Return the IANA zone ``name``, or None where there is no such zone."""
    if name == "UTC":
        return UTC
    try:
        return zones.zone_info(name)
    except ScheduleError:
        return None


@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Keep the chosen language in Django's own cookie and go back."""
    return django_set_language(request)


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen theme in a cookie and go back; an unknown theme means ``auto``."""
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}):
        back = "/"
    response = HttpResponseRedirect(back)
    theme = request.POST.get("theme", "")
    response.set_cookie(
        THEME_COOKIE,
        theme if theme in THEMES else "auto",
        max_age=YEAR,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure(),
    )
    return response
