"""Setting a password from outside a session."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from cronbell.dashboard import throttle, tokens
from cronbell.runlog import audit

LONGEST = 4096


def set_password(user: User, password: str, *, actor: str, revoke_tokens: bool = False) -> int:
    """Set a user's password; every session of the user ends with it.

    Django keeps a digest of the password's hash in each session and ends those that do not match.
    Failed sign-ins of the account are forgotten, so that whoever resets it gets in at once.

    Args:
        user: whose.
        password: the new one; the rules of ``AUTH_PASSWORD_VALIDATORS`` hold.
        actor: who sets it.
        revoke_tokens: revoke the user's API tokens as well.

    Returns:
        How many tokens were revoked.

    Raises:
        ValueError: the password breaks a rule; says which.
    """
    if not password or len(password) > LONGEST or "\0" in password:
        raise ValueError(f"a password has 1 to {LONGEST} characters and no NUL")
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValueError(" ".join(error.messages)) from None
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        throttle.forget_account(user.get_username())
        revoked = tokens.revoke_all(user, actor=actor) if revoke_tokens else 0
        audit.record(audit.Action.PASSWORD, "user", user.get_username(), by=actor)
    return revoked
