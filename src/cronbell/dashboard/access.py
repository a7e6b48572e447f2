"""Who may see and do what: one question, asked by pages, API and stock admin alike."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

ADMIN_GROUP = "ADMIN"
_CACHE = "_cronbell_is_admin"

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def is_admin(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Say whether ``user`` is an administrator: active, and in the group ``ADMIN`` or a superuser.

    The answer is kept on the user object, which lives for one request.
    """
    if not (user.is_authenticated and user.is_active):
        return False
    known = getattr(user, _CACHE, None)
    if known is None:
        groups = getattr(user, "groups", None)
        known = bool(getattr(user, "is_superuser", False)) or (
            groups is not None and groups.filter(name=ADMIN_GROUP).exists()
        )
        setattr(user, _CACHE, known)
    return bool(known)


class AdminGroupBackend(ModelBackend):
    """Django's own sign-in, with every permission for members of the group ``ADMIN``."""

    def has_perm(self, user_obj: Any, perm: str, obj: Model | None = None) -> bool:
        """Grant everything to administrators, and to others what they were given."""
        return is_admin(user_obj) or super().has_perm(user_obj, perm, obj)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Show every app to administrators."""
        return is_admin(user_obj) or super().has_module_perms(user_obj, app_label)


def local_path(request: HttpRequest, target: str) -> str:
    """Return ``target`` if it is a path on this very host, else where sign-in leads by default."""
    if url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return target
    return resolve_url(settings.LOGIN_REDIRECT_URL)


def sign_in_url(next_path: str) -> str:
    """Return the sign-in page's address, which leads back to ``next_path``."""
    return f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': next_path})}"


def refuse(request: HttpRequest) -> HttpResponse | None:
    """Return the answer for somebody who may not see a page; None for an administrator."""
    if is_admin(request.user):
        return None
    if request.user.is_authenticated:
        return render(request, "cronbell/not_admin.html", status=403)
    if request.headers.get("HX-Request") == "true":
        # A fragment must not be filled with the sign-in page: the whole page goes there.
        back = request.headers.get("HX-Current-URL", "")
        answer = HttpResponse(status=401)
        answer.headers["HX-Redirect"] = sign_in_url(local_path(request, back))
        return answer
    return HttpResponseRedirect(sign_in_url(request.get_full_path()))


def administrators_only(view: View[P]) -> View[P]:
    """Let only administrators reach ``view``; send others to sign in, or tell them why not."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        refusal = refuse(request)
        return view(request, *args, **kwargs) if refusal is None else refusal

    return guarded
