"""Authorization header ─► let in, or why not: a comparison of bytes that gives nothing away.

The secrets are kept as digests only. Comparing digests of equal length in constant time leaks
neither the secret's length nor how many of its first bytes were right, and keeps the secret out
of every traceback and ``repr``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cronbell.config.rotation import InForce, SecretSource
from cronbell.config.secrets import check_secret, secrets_from_env
from cronbell.errors import SecretError

SCHEME = b"bearer"
NOBODY = "CRON_SECRET is not set: set it to at least 16 printable ASCII characters and restart"


@dataclass(frozen=True, slots=True)
class Gate:
    """The secrets one process accepts, or the reason why it lets nobody in.

    Attributes:
        digests: SHA-256 of each accepted secret: the current one, then the previous one.
        fault: why no call can be let in; empty when ``digests`` holds at least one.
    """

    digests: tuple[bytes, ...] = ()
    fault: str = NOBODY

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Gate:
        """Read ``CRON_SECRET`` and ``CRON_SECRET_PREVIOUS``; a bad one shuts the gate.

        It does not raise: an application whose secret is missing must still serve its pages, and
        its cron endpoints must say what is wrong (SPEC section 4).
        """
        try:
            secrets = secrets_from_env(env)
        except SecretError as error:
            return cls(fault=str(error))
        return cls(tuple(map(_digest, secrets)), "") if secrets else cls()

    @classmethod
    def of(cls, *secrets: str) -> Gate:
        """Accept exactly these secrets.

        Raises:
            SecretError: one of them is too short or cannot be sent in a header.
        """
        for secret in secrets:
            check_secret(secret)
        return cls(tuple(map(_digest, secrets)), "") if secrets else cls()

    def which(self, authorization: Sequence[bytes]) -> int | None:
        """Say which secret the call carries.

        Args:
            authorization: the value of every ``Authorization`` header of the request.

        Returns:
            0 for the current secret, 1 for the previous one, None for anything else: none, two
            headers, another scheme, more than one blank, one byte too many or too few.
        """
        if len(authorization) != 1:
            return None
        scheme, _, token = authorization[0].partition(b" ")
        if scheme.lower() != SCHEME:
            return None
        given, found = hashlib.sha256(token).digest(), None
        # Every secret is compared whichever fits: the time says nothing about which one it was.
        for index, digest in enumerate(self.digests):
            if hmac.compare_digest(given, digest) and found is None:
                found = index
        return found


class LiveGate:
    """A gate whose secrets may be exchanged while it stands: each call asks what is in force.

    Args:
        source: tells the secrets in force.
    """

    def __init__(self, source: SecretSource) -> None:
        self._source = source
        self._known: tuple[InForce, Gate] | None = None

    @property
    def fault(self) -> str:
        """Why no call can be let in; empty where one can."""
        return self._gate().fault

    def which(self, authorization: Sequence[bytes]) -> int | None:
        """Say which secret the call carries; see ``Gate.which``."""
        return self._gate().which(authorization)

    def _gate(self) -> Gate:
        try:
            found = self._source.look()
        except SecretError as error:
            return Gate(fault=str(error))
        known = self._known
        if known is None or known[0] is not found:
            known = self._known = (found, Gate.of(*found.accepted))
        return known[1]


def gate_of(env: Mapping[str, str]) -> Gate | LiveGate:
    """Return the gate of a process: one that follows a rotation where the secret is in a file."""
    try:
        source = SecretSource(env)
    except SecretError as error:
        return Gate(fault=str(error))
    return Gate.from_env(env) if source.folder is None else LiveGate(source)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()
