"""The rule for ``CRON_SECRET``, the same for who sends it and who checks it."""

from __future__ import annotations

from collections.abc import Mapping

from cronbell.domain import Fault
from cronbell.errors import SecretError

SHORTEST = 16
VARIABLES = ("CRON_SECRET", "CRON_SECRET_PREVIOUS")


def check_secret(value: str) -> None:
    """See that a secret is long enough and can be sent in a header.

    At least 16 printable ASCII characters with no blank at either end (SPEC section 1; Vercel
    refuses the same blanks and characters at build time). The value is never part of the error.

    Raises:
        SecretError: which rule it breaks.
    """
    _check(value, "the secret")


def secrets_from_env(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the secrets to accept, the current one first.

    Args:
        env: the environment; ``CRON_SECRET_PREVIOUS`` counts only beside ``CRON_SECRET``.

    Returns:
        Empty if ``CRON_SECRET`` is unset or empty: nothing is accepted then.

    Raises:
        SecretError: one of them breaks the rule; the message names the variable, not the value.
    """
    found = []
    for variable in VARIABLES:
        value = env.get(variable, "")
        if not value:
            break
        _check(value, variable)
        found.append(value)
    return tuple(dict.fromkeys(found))


def secret_faults(env: Mapping[str, str]) -> list[Fault]:
    """Return what is wrong with the secrets of the environment, as warnings beside a file's.

    Vercel refuses blanks at an end and characters outside ASCII when it builds
    (``INVALID_CRON_SECRET``); it takes shorter secrets than this.
    """
    try:
        secrets_from_env(env)
    except SecretError as error:
        fault = Fault(
            file="the environment", line=0, key=VARIABLES[0], message=error.message, hint=error.hint
        )
        return [fault]
    return []


def _check(value: str, name: str) -> None:
    hint = "use 16 or more random letters and digits: `openssl rand -hex 32` makes some"
    if not value:
        raise SecretError(f"{name} is empty", hint=hint)
    if not (value.isascii() and value.isprintable()):
        raise SecretError(
            f"{name} holds a character that is not printable ASCII "
            "(a line break at its end is the usual one)",
            hint=hint,
        )
    if value != value.strip(" "):
        raise SecretError(f"{name} begins or ends with a blank", hint="remove the blank")
    if len(value) < SHORTEST:
        raise SecretError(f"{name} has fewer than {SHORTEST} characters", hint=hint)
