"""Who may call what in the JSON API: 401 for nobody, 403 for somebody who may not.

Three rights, each of which holds the ones before: ``read`` sees everything, ``run`` asks for runs
and cancels them, ``manage`` changes the rest. Administrators have all three, viewers ``read``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import gettext as _
from ninja.errors import HttpError
from ninja.security import APIKeyCookie
from ninja.utils import check_csrf

from cronbell.dashboard.access import SAFE_METHODS, is_admin, may_see


class Scope(IntEnum):
    """What a call does; a larger one includes the smaller."""

    READ = 1
    RUN = 2
    MANAGE = 3


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
    return [SessionAccess(scope)]
