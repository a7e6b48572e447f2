"""How often a password may be tried: enough for a person, too seldom for a machine.

Three limits, each over the same window: tries at one account from one source, tries from one
source at any account (one password, many names), and tries at one account from anywhere (many
addresses). A browser that has signed in to the account before carries a signed cookie and is a
source of its own, bound by the first limit only: strangers can't lock the administrator out.
``cronbell password`` forgets an account's failures, for a browser that is new.
The address is ``addresses.client_address``: the connection's own, unless that is a proxy of ours.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core import signing
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from cronbell.dashboard.addresses import client_address
from cronbell.dashboard.models import SignInFailure

WINDOW = timedelta(minutes=15)
PER_ACCOUNT_AND_SOURCE = 5
PER_SOURCE = 20
PER_ACCOUNT = 50
DEVICE_COOKIE = "cronbell_device"
DEVICE_SECONDS = 180 * 24 * 3600
# Any number, the same in every process.
SIGN_IN_LOCK = 0x63726F73
_SALT = "cronbell.dashboard.device"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at signing in.

    Attributes:
        account: digest of the name that was typed.
        source: network address, or id of a known browser.
        known: whether ``source`` is a browser this account has signed in from before.
    """

    account: str
    source: str
    known: bool


def attempt_of(request: HttpRequest, username: str) -> Attempt:
    """Return who tries what from where."""
    account = _digest(username)
    device = _device(request, account)
    if device:
        return Attempt(account, device, known=True)
    return Attempt(account, client_address(request)[:64], known=False)


def seconds_to_wait(attempt: Attempt, now: datetime) -> int:
    """Return how many seconds this attempt has to wait; 0 where it may be made now."""
    recent = SignInFailure.objects.filter(at__gt=now - WINDOW)
    limits = [
        (recent.filter(account=attempt.account, source=attempt.source), PER_ACCOUNT_AND_SOURCE)
    ]
    if not attempt.known:
        limits += [
            (recent.filter(source=attempt.source), PER_SOURCE),
            (recent.filter(account=attempt.account, known_source=False), PER_ACCOUNT),
        ]
    waits = [0]
    for failures, limit in limits:
        # The limit-th newest failure is the one whose ageing out makes room again.
        newest = list(failures.order_by("-at").values_list("at", flat=True)[limit - 1 : limit])
        waits += [int((at + WINDOW - now).total_seconds()) + 1 for at in newest if at]
    return max(waits)


def begin(attempt: Attempt, now: datetime) -> int:
    """Count an attempt as failed before it is made, and forget those that no longer count.

    Counting first, one at a time, is what bounds a thousand attempts made at the same moment:
    each sees those before it. ``record_success`` takes it back.

    Returns:
        0, or the seconds to wait where it may not be made now; then it is not counted.
    """
    with transaction.atomic():
        _one_at_a_time()
        wait = seconds_to_wait(attempt, now)
        if not wait:
            SignInFailure.objects.filter(at__lte=now - WINDOW).delete()
            SignInFailure.objects.create(
                account=attempt.account, source=attempt.source, known_source=attempt.known, at=now
            )
    return wait


def forget_account(username: str) -> None:
    """Forget an account's failures: its password was reset by whoever runs the machine."""
    SignInFailure.objects.filter(account=_digest(username)).delete()


def _one_at_a_time() -> None:
    # SQLite's transactions are immediate: there BEGIN has done it.
    connection = transaction.get_connection()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SIGN_IN_LOCK])


def record_success(
    request: HttpRequest, response: HttpResponse, username: str, attempt: Attempt
) -> None:
    """Forget this source's failures and let its browser be known from now on."""
    SignInFailure.objects.filter(account=attempt.account, source=attempt.source).delete()
    account = _digest(username)
    device = _device(request, account) or secrets.token_hex(16)
    response.set_cookie(
        DEVICE_COOKIE,
        signing.dumps([account, device], salt=_SALT),
        max_age=DEVICE_SECONDS,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure(),
    )


def _device(request: HttpRequest, account: str) -> str:
    try:
        known_account, device = signing.loads(
            request.COOKIES.get(DEVICE_COOKIE, ""), salt=_SALT, max_age=DEVICE_SECONDS
        )
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    return str(device) if known_account == account else ""


def _digest(username: str) -> str:
    return hashlib.sha256(username.strip().casefold().encode("utf-8", "replace")).hexdigest()
