"""Who may call what in the JSON API: 401 for nobody, 403 for somebody who may not.

Three rights, each of which holds the ones before: ``read`` sees everything, ``run`` asks for runs
and cancels them, ``manage`` changes the rest. Administrators have all three, viewers ``read``; an
API token has what its scope says and its maker still has. A call that shows a token is judged by
it alone: a session beside it does not help, and CSRF is no matter, since no browser sends tokens
by itself.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import gettext as _
from ninja.errors import HttpError
from ninja.security import APIKeyCookie
from ninja.security.http import HttpAuthBase
from ninja.utils import check_csrf

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard import tokens
from cronbell.dashboard.access import SAFE_METHODS, is_admin, may_see
from cronbell.dashboard.addresses import client_address
from cronbell.dashboard.models import ApiToken
from cronbell.dashboard.scopes import Scope, scope_of


def needed(request: HttpRequest, scope: Scope | None) -> Scope:
    """Return what a call needs; an operation that does not say so needs all but for reading."""
    if scope is not None:
        return scope
    return Scope.READ if request.method in SAFE_METHODS else Scope.MANAGE


def require_role(request: HttpRequest, scope: Scope) -> None:
    """Refuse users who may not do what needs ``scope``.

    Raises:
        HttpError: 403.
    """
    if is_admin(request.user) or (scope is Scope.READ and may_see(request.user)):
        return
    if may_see(request.user):
        raise HttpError(403, _("You may look at everything and change nothing."))
    raise HttpError(403, _("Only administrators may do this."))


class TokenAccess(HttpAuthBase):
    """An API token in ``Authorization: Bearer …``; other schemes are somebody else's.

    Args:
        scope: what the operation needs; by its method where none is given.
    """

    openapi_scheme = "bearer"

    def __init__(self, scope: Scope | None = None) -> None:
        self.scope = scope
        super().__init__()

    def __call__(self, request: HttpRequest) -> ApiToken | None:
        """Return the token, whose user is the request's from here on; None where none is shown."""
        scheme, _blank, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != self.openapi_scheme:
            return None
        now = SYSTEM_CLOCK.now()
        with translation.override(settings.LANGUAGE_CODE):
            token = tokens.find(text, now)
            if token is None or not token.user.is_active:
                # One answer for all: who guesses learns nothing from it.
                raise HttpError(401, _("The API token is unknown, expired or revoked."))
            request.user, scope = token.user, needed(request, self.scope)
            if (scope_of(token.scope) or 0) < scope:
                raise HttpError(
                    403,
                    _("This needs an API token with the scope %(scope)s.") % {"scope": scope.word},
                )
            require_role(request, scope)
        tokens.note_use(token, client_address(request), now)
        return token


class SessionAccess(APIKeyCookie):
    """The session of a signed-in user: 401 signed out, 403 for others, then CSRF.

    Args:
        scope: what the operation needs; by its method where none is given.
    """

    param_name = settings.SESSION_COOKIE_NAME

    def __init__(self, scope: Scope | None = None) -> None:
        self.scope = scope
        super().__init__()

    def __call__(self, request: HttpRequest) -> Any:
        """Return the user; who calls comes before how, so that signed out is always 401."""
        with translation.override(settings.LANGUAGE_CODE):
            if not request.user.is_authenticated:
                raise HttpError(401, _("Sign in first."))
            require_role(request, needed(request, self.scope))
            if request.method not in SAFE_METHODS and check_csrf(request) is not None:
                raise HttpError(
                    403, _("The request carries no valid CSRF token (header X-CSRFToken).")
                )
        return request.user

    def authenticate(self, request: HttpRequest, key: str | None) -> None:
        """Let nobody in by the cookie's value alone; ``__call__`` asks for the session's user."""
        del request, key


def allowed(scope: Scope | None = None) -> list[Any]:
    """Return the guards of an operation, for its ``auth``."""
    return [TokenAccess(scope), SessionAccess(scope)]
