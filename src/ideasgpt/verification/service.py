"""The environment ─► the verifier's settings; read at the start, and refused there if senseless.

=========================== ======================================================================
``SERVICE_TOKEN``           what ``verify-records`` shows the verifier's API; made where missing
``VERIFY_BATCH_SIZE``       records for each run; 20 unless set, 100 at most
``VERIFY_URL``              the service's own address, where it can't be known
``VERIFY_SAMPLE_PERCENT``   approvals that a person looks at, too; 5 unless set
=========================== ======================================================================
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from cronbell.config.secrets import check_secret
from cronbell.errors import ConfigError, SecretError
from cronbell.server.secrets import secret_from_file

TOKEN, ADDRESS, SAMPLE = "SERVICE_TOKEN", "VERIFY_URL", "VERIFY_SAMPLE_PERCENT"
TOKEN_FILE = "service-token"  # noqa: S105 - the file's name
OWN_ADDRESS = "CRONBELL_OWN_URL"  # set by `cronbell up`, which knows where it listens
SAMPLE_PERCENT = 5.0
ENDPOINT = "/api/admin/records"
HUNDRED = 100


@cache
def service_token() -> str:
    """Return the token between job and verifier.

    Raises:
        SecretError: it is too short, cannot be sent, or its file can be read by others.
    """
    given = os.environ.get(TOKEN)
    path = Path(settings.CRONBELL_DATA_DIR) / TOKEN_FILE
    return _checked(given or secret_from_file(path, variable=TOKEN))


def check_settings() -> None:
    """Look at every variable that is set; nothing is made or asked for that is missing.

    Raises:
        ConfigError: one of them is senseless; the batch size is the job's to read.
        SecretError: the token cannot be used.
    """
    given = os.environ.get(TOKEN)
    if given:
        _checked(given)
    if os.environ.get(ADDRESS):
        address()
    sample_percent()


def _checked(token: str) -> str:
    try:
        check_secret(token)
    except SecretError as error:
        raise SecretError(f"{TOKEN}: {error.message}", hint=error.hint) from None
    return token


def address() -> str:
    """Return where the verifier's API is.

    Raises:
        ConfigError: nobody says, or it is no address.
    """
    vercel = os.environ.get("VERCEL_PROJECT_PRODUCTION_URL")
    base = os.environ.get(ADDRESS) or os.environ.get(OWN_ADDRESS)
    base = base or (f"https://{vercel}" if vercel else "")
    hint = f"set {ADDRESS} to the service's own address, like http://127.0.0.1:8000"
    if not base:
        raise ConfigError("it is not known under which address the verifier is reached", hint=hint)
    parts = urlsplit(base)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"{ADDRESS} is no http or https address", hint=hint)
    return base.rstrip("/") + ENDPOINT


def sample_percent() -> float:
    """Return the share of approvals that go to a person as well.

    Raises:
        ConfigError: it is no number from 0 to 100.
    """
    raw = os.environ.get(SAMPLE, "").strip()
    try:
        percent = float(raw) if raw else SAMPLE_PERCENT
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= HUNDRED:
        raise ConfigError(f"{SAMPLE} is {raw[:40]!r}", hint="write a number from 0 to 100")
    return percent
