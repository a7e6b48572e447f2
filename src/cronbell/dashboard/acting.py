"""Tells the audit who stands behind a request; asked only when something is recorded."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from cronbell.dashboard.addresses import client_address
from cronbell.dashboard.models import ApiToken
from cronbell.dashboard.tokens import label
from cronbell.runlog.audit import Actor, Means, acting

NOBODY = "?"


def actor_of(request: HttpRequest) -> Actor:
    """Return who makes a request, through what, and from which address."""
    token = getattr(request, "auth", None)
    name = request.user.get_username() if request.user.is_authenticated else NOBODY
    source = client_address(request)
    if isinstance(token, ApiToken):
        return Actor(name, Means.TOKEN, source, label(token))
    return Actor(name, Means.SESSION, source)


def middleware(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Have what a request changes recorded as its sender's doing; after Django's authentication."""

    def named(request: HttpRequest) -> HttpResponse:
        with acting(lambda: actor_of(request)):
            return get_response(request)

    return named
