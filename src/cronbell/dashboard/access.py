"""Who may see and do what: one question, asked by pages, API and stock admin alike."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group, User
from django.db import connections, router
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

ADMIN_GROUP = "ADMIN"
VIEWER_GROUP = "VIEWER"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_CACHE = "_cronbell_groups"
# Each request asks both anew; Django would put the same statements together each time, too, which
# takes it longer than asking. A column that is not named here would be asked for when it is used.
_USER = (
    "SELECT id, password, last_login, is_superuser, username, first_name, last_name, email,"
    " is_staff, is_active, date_joined FROM auth_user WHERE id = %s"
)
_GROUPS = (
    "SELECT g.name FROM auth_group g INNER JOIN auth_user_groups m ON m.group_id = g.id"
    " WHERE m.user_id = %s AND g.name IN (%s, %s)"
)

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def is_admin(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Say whether ``user`` is an administrator: active, and in the group ``ADMIN`` or a superuser.

    The answer is kept on the user object, which lives for one request.
    """
    return _is_active(user) and (
        bool(getattr(user, "is_superuser", False)) or ADMIN_GROUP in _groups(user)
    )


def may_see(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Say whether ``user`` may look at everything: an administrator, or in the group ``VIEWER``."""
    return is_admin(user) or (_is_active(user) and VIEWER_GROUP in _groups(user))


def _is_active(user: AbstractBaseUser | AnonymousUser) -> bool:
    return bool(user.is_authenticated and user.is_active)


def _groups(user: AbstractBaseUser | AnonymousUser) -> frozenset[str]:
    known: frozenset[str] | None = getattr(user, _CACHE, None)
    if known is None:
        known = _asked_groups(user)
        setattr(user, _CACHE, known)
    return known


def _asked_groups(user: AbstractBaseUser | AnonymousUser) -> frozenset[str]:
    if isinstance(user, User):
        with connections[router.db_for_read(Group)].cursor() as cursor:
            cursor.execute(_GROUPS, [user.pk, ADMIN_GROUP, VIEWER_GROUP])
            return frozenset(name for (name,) in cursor.fetchall())
    groups = getattr(user, "groups", None)
    ours = None if groups is None else groups.filter(name__in=[ADMIN_GROUP, VIEWER_GROUP])
    return frozenset() if ours is None else frozenset(ours.values_list("name", flat=True))


class AdminGroupBackend(ModelBackend):
    """Django's own sign-in, with every permission for members of the group ``ADMIN``."""

    def get_user(self, user_id: int) -> User | None:
        """Return a session's user as the store has it now; None where it is gone or inactive."""
        if get_user_model() is not User:
            return super().get_user(user_id)
        user = next(iter(User.objects.raw(_USER, [user_id])), None)
        return user if user is not None and self.user_can_authenticate(user) else None

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


def refuse(request: HttpRequest, *, looking: bool = False) -> HttpResponse | None:
    """Return the answer for somebody who may not reach a page; None for who may.

    Args:
        request: theirs.
        looking: the page only shows; whoever may see everything may see it.
    """
    if is_admin(request.user) or (looking and may_see(request.user)):
        return None
    if request.user.is_authenticated:
        context = {"viewer": may_see(request.user)}
        return render(request, "cronbell/not_admin.html", context, status=403)
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


def viewers_too(view: View[P]) -> View[P]:
    """Let those look at ``view`` who may see everything; only administrators may post to it."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        refusal = refuse(request, looking=request.method in SAFE_METHODS)
        return view(request, *args, **kwargs) if refusal is None else refusal

    return guarded
