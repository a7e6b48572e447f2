"""Addresses as they are shown: a secret that somebody wrote into a query is masked.

A secret belongs into a header (``CRON_SECRET``). One in an address is part of the job's definition,
which is called, kept in the run log and exported as it is; but no page, list, message or line of a
log has to repeat it.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

MASK = "[secret]"
# Names of parameters whose values are secret, as a whole or as the end of a longer one:
# ``token``, ``access_token``, ``x-api-key``, ``X-Amz-Signature``; ``code`` is a function key's name
# at Azure. Too many are masked rather than too few: ``sort_key`` is.
NAMES = (
    r"(?:[\w.\[\]-]*(?:token|secret|passw(?:or)?d|passphrase|pwd|credentials?|signature|jwt|bearer|key)"
    r"|(?:[\w.\[\]-]*[_.-])?(?:sig|auth|authorization|hmac|code|pass|pin|otp))\]?"
)
_NAME = re.compile(NAMES, re.IGNORECASE)
_PARTS = re.compile(r"([&;])")


def shown_address(address: str) -> str:
    """Return a URL or request target with the values of secret parameters masked.

    Args:
        address: ``/path?query`` or absolute; anything else comes back as it is.
    """
    head, mark, query = address.partition("?")
    if not mark or "=" not in query:
        return address
    return f"{head}?{''.join(map(_shown, _PARTS.split(query)))}"


def has_secret(address: str) -> bool:
    """Say whether a parameter of an address goes by the name of a secret."""
    return shown_address(address) != address


def _shown(part: str) -> str:
    name, mark, value = part.partition("=")
    if not (mark and value and _NAME.fullmatch(unquote_plus(name))):
        return part
    # What follows a ``#`` is no part of the query, and of no secret.
    _secret, fragment, rest = value.partition("#")
    return f"{name}={MASK}{fragment}{rest}"
