"""Standard Webhooks: how a message is signed, so that whoever receives it knows who sent it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from cronbell.errors import SecretError

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64  # bytes, as the specification has them
_HINT = "`echo whsec_$(openssl rand -base64 32)` makes one"


def signing_key(secret: str, name: str = "the signing secret") -> bytes:
    """Return the key that a ``whsec_`` secret stands for.

    Args:
        secret: ``whsec_`` and 24 to 64 bytes in base64.
        name: what to call it in an error, which never shows it.

    Raises:
        SecretError: it is none.
    """
    if not secret.startswith(PREFIX):
        raise SecretError(f"{name} does not begin with {PREFIX}", hint=_HINT)
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SecretError(f"{name} is not base64 after {PREFIX}", hint=_HINT) from None
    if not SHORTEST <= len(key) <= LONGEST:
        raise SecretError(
            f"{name} has {len(key)} bytes; it needs {SHORTEST} to {LONGEST}", hint=_HINT
        )
    return key


def signed_headers(
    message_id: str, timestamp: int, body: bytes, keys: Sequence[bytes]
) -> tuple[tuple[str, str], ...]:
    """Return the three headers of a signed message.

    Args:
        message_id: the same at every attempt.
        timestamp: of this attempt, seconds since the epoch.
        body: exactly what is sent.
        keys: one signature is made with each, so that a receiver may change its secret.
    """
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys
    ]
    return (
        ("webhook-id", message_id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", " ".join(signatures)),
    )
