"""API tokens: how programs call the API without a session.

A token is ``cbt_ID_SECRET``. The id finds the row, the secret (256 random bits) is compared as a
digest; only that digest is kept, and a plain one is enough: there is nothing to guess from it. A
token is its maker's: it may do what its scope says and the maker still may.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet

from cronbell.clock import SYSTEM_CLOCK, Clock
from cronbell.dashboard.access import is_admin
from cronbell.dashboard.models import ApiToken
from cronbell.dashboard.scopes import Scope
from cronbell.errors import CronbellError
from cronbell.runlog import audit
from cronbell.runlog.queries import storable

PREFIX = "cbt"
LONGEST_NAME = 100
LONGEST_DAYS = 3650
USUAL_DAYS = 90
# A row is written at most so often to say when its token was used: reading must stay reading.
USED_EVERY = timedelta(minutes=1)
LAST_ID = 2**63 - 1
_LOOKUP_BYTES, _SECRET_BYTES = 8, 32
_FORM = re.compile(rf"{PREFIX}_([0-9a-f]{{16}})_([A-Za-z0-9_-]{{43}})", re.ASCII)
# Compared with where no row is found, so that an unknown id costs what a wrong secret does.
_NOBODYS = hashlib.sha256(b"nobody's").hexdigest()


class TokenError(CronbellError):
    """A token that cannot be made or revoked."""

    code = "token"


def make(
    user: User,
    *,
    name: str,
    scope: Scope,
    days: int | None = USUAL_DAYS,
    clock: Clock = SYSTEM_CLOCK,
) -> tuple[ApiToken, str]:
    """Make a token; its text is returned once and kept nowhere.

    Args:
        user: whose token it is; an administrator.
        name: what it is for, 1 to 100 characters; no other valid token of the user has it.
        scope: what it may be used for.
        days: how long it is valid, 1 to 3650; None for ever.
        clock: what time it is.

    Raises:
        TokenError: the user, the name or the days are none of these.
    """
    name = name.strip()
    if not is_admin(user):
        raise TokenError(
            f"{user.get_username()} is not an administrator",
            hint="tokens are made for members of the group ADMIN",
        )
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or not storable(name):
        raise TokenError(
            f"the name must be text of 1 to {LONGEST_NAME} characters",
            hint="name what will use the token, so that it is known what revoking it stops",
        )
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise TokenError(
            f"a token is valid for 1 to {LONGEST_DAYS} days, not {days}",
            hint=f"the usual time is {USUAL_DAYS} days",
        )
    now = clock.now()
    if valid(now).filter(user=user, name=name).exists():
        raise TokenError(
            f"{user.get_username()} has a token {name!r} already",
            hint="revoke it first, or choose another name",
        )
    lookup, secret = secrets.token_hex(_LOOKUP_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    with transaction.atomic():
        token = ApiToken.objects.create(
            user=user,
            name=name,
            scope=scope.word,
            lookup=lookup,
            digest=_digest(secret),
            created_at=now,
            expires_at=None if days is None else now + timedelta(days=days),
        )
        details = {"user": user.get_username(), "scope": scope.word, "days": days}
        audit.record(audit.Action.TOKEN_MADE, "token", label(token), details, user.get_username())
    return token, f"{PREFIX}_{lookup}_{secret}"


def find(text: str, now: datetime) -> ApiToken | None:
    """Return the valid token whose text this is, with its user; None for every other text."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    token = ApiToken.objects.select_related("user").filter(lookup=match[1]).first()
    right = hmac.compare_digest(token.digest if token else _NOBODYS, _digest(match[2]))
    return token if token is not None and right and is_valid(token, now) else None


def is_valid(token: ApiToken, now: datetime) -> bool:
    """Say whether a token is neither revoked nor expired."""
    return token.revoked_at is None and (token.expires_at is None or now < token.expires_at)


def valid(now: datetime) -> QuerySet[ApiToken]:
    """Return the tokens that are neither revoked nor expired."""
    current = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    return ApiToken.objects.filter(current, revoked_at__isnull=True)


def note_use(token: ApiToken, address: str, now: datetime) -> None:
    """Write down when and from where a token was used, once a minute at most."""
    if token.last_used_at is not None and now - token.last_used_at < USED_EVERY:
        return
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=now, last_used_from=address[:64])


def revoke(token_id: int, *, actor: str, clock: Clock = SYSTEM_CLOCK) -> ApiToken:
    """Make a token useless from now on; its row stays, to say what it was. Twice is once.

    Raises:
        TokenError: there is none of that number.
    """
    known = 0 < token_id <= LAST_ID
    token = ApiToken.objects.select_related("user").filter(pk=token_id).first() if known else None
    if token is None:
        raise TokenError(f"there is no token {token_id}", hint="`cronbell tokens` lists them")
    _revoke(ApiToken.objects.filter(pk=token_id), actor, clock)
    token.refresh_from_db()
    return token


def revoke_all(user: User, *, actor: str, clock: Clock = SYSTEM_CLOCK) -> int:
    """Make all tokens of a user useless; return how many still were valid."""
    return _revoke(valid(clock.now()).filter(user=user), actor, clock)


def label(token: ApiToken) -> str:
    """Return how the audit names a token: by its name, and by the number no other has."""
    return f"{token.name} ({token.pk})"


def _revoke(tokens: QuerySet[ApiToken], actor: str, clock: Clock) -> int:
    with transaction.atomic():
        current = list(tokens.filter(revoked_at__isnull=True).select_related("user"))
        for token in current:
            details = {"user": token.user.get_username()}
            audit.record(audit.Action.TOKEN_REVOKED, "token", label(token), details, by=actor)
        return ApiToken.objects.filter(
            pk__in=[token.pk for token in current], revoked_at__isnull=True
        ).update(revoked_at=clock.now(), revoked_by=actor[:150])


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
