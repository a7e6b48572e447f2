"""What the environment says, read in one place: the data directory, the stores, the languages.

Nothing here imports Django, so that settings, supervisor and command line read it alike.
"""

from __future__ import annotations

import os
import re
import tempfile
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from cronbell.config.alert_keys import LANGUAGES
from cronbell.config.secrets import check_secret
from cronbell.errors import SecretError, StartError

DATA_VARIABLE = "CRONBELL_DATA"
DEFAULT_DATA = ".cronbell"
APP_FILE, RUNLOG_FILE = "app.sqlite3", "runlog.sqlite3"
POSTGRES_SCHEMES = frozenset({"postgres", "postgresql"})
# A health check and a job that calls its own service ask under these, whatever the public name.
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
# As Django compares them: without port; a dot in front stands for all names below, a star for any.
HOST = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\]")
# Scheme, host and port, as a browser's Origin has them; Django takes a star for any subdomain.
ORIGIN = re.compile(r"https?://(\*\.)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?")
# Vercel's cron calls the production address; a person may open any of them.
VERCEL_HOSTS = ("VERCEL_PROJECT_PRODUCTION_URL", "VERCEL_BRANCH_URL", "VERCEL_URL")


def on_vercel() -> bool:
    """Say whether this runs on Vercel: no lasting disk, and HTTPS ends before it."""
    return bool(os.environ.get("VERCEL"))


def hosts() -> list[str]:
    """Return the host names to answer to: ``CRONBELL_HOSTS``, Vercel's own, and the loopback's.

    Raises:
        StartError: one that is named is none; every request for it would be refused.
    """
    named = _listed("CRONBELL_HOSTS")
    for one in named:
        if not HOST.fullmatch(one):
            raise StartError(
                f"CRONBELL_HOSTS names {one!r}, which is no host name",
                hint="write CRONBELL_HOSTS=cron.example.com, without https:// and port, several"
                " with commas",
            )
    given = [os.environ.get(variable, "") for variable in VERCEL_HOSTS if on_vercel()]
    return [one for one in dict.fromkeys([*named, *given, *LOOPBACK]) if one]


def origins() -> list[str]:
    """Return the origins whose forms are taken besides this service's own: ``CRONBELL_ORIGINS``.

    Raises:
        StartError: one of them is no origin; a form from it would be refused without a word why.
    """
    found = [one.rstrip("/") for one in _listed("CRONBELL_ORIGINS")]
    for one in found:
        if not ORIGIN.fullmatch(one):
            raise StartError(
                f"CRONBELL_ORIGINS names {one!r}, which is no origin",
                hint="write CRONBELL_ORIGINS=https://cron.example.com, several with commas",
            )
    return found


def language() -> str:
    """Return ``en`` or ``ko``: ``LANGUAGE_CODE``, also with a country, as in ``ko-KR``.

    Raises:
        StartError: it is another language.
    """
    given = os.environ.get("LANGUAGE_CODE", "").strip() or LANGUAGES[0]
    found = re.split(r"[-_.]", given.lower(), maxsplit=1)[0]
    if found not in LANGUAGES:
        raise StartError(
            f"LANGUAGE_CODE is {given!r}", hint=f"set LANGUAGE_CODE to {' or '.join(LANGUAGES)}"
        )
    return found


def data_dir() -> Path:
    """Return the data directory: ``CRONBELL_DATA``, or ``.cronbell`` in the current folder.

    On Vercel, where only that can be written, one below the temporary folder.
    """
    usual = Path(tempfile.gettempdir()) / "cronbell" if on_vercel() else DEFAULT_DATA
    return Path(os.environ.get(DATA_VARIABLE) or usual).absolute()


def databases(directory: Path, url: str) -> dict[str, dict[str, Any]]:
    """Return Django's two databases: ``default`` (the application) and ``runlog``.

    Args:
        directory: where the SQLite files live when no URL is given.
        url: ``DATABASE_URL``; empty for SQLite. One PostgreSQL database holds both.

    Raises:
        StartError: the URL is not a PostgreSQL one, or there is none where no file lasts.
    """
    if url:
        return {"default": _postgresql(url), "runlog": _postgresql(url)}
    if on_vercel():
        raise StartError(
            "DATABASE_URL is not set, and no file lasts on Vercel",
            hint="set it to a PostgreSQL database in the project's environment variables",
        )
    return {
        "default": sqlite(directory / APP_FILE),
        "runlog": sqlite(directory / RUNLOG_FILE),
    }


def sqlite(path: Path) -> dict[str, Any]:
    """Return Django's description of one SQLite file, as Cronbell opens it.

    ``synchronous=FULL`` because a run's row must survive a power cut before its request is sent;
    the cost is shared by committing many rows at once.
    """
    return {
        "ENGINE": "cronbell.server.sqlite",
        "NAME": str(path),
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": (
                "PRAGMA journal_mode = WAL;"
                "PRAGMA synchronous = FULL;"
                "PRAGMA temp_store = MEMORY;"
                "PRAGMA cache_size = -32768;"
                "PRAGMA journal_size_limit = 67108864;"
            ),
        },
    }


def _postgresql(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in POSTGRES_SCHEMES or not parts.path.strip("/"):
        raise StartError(
            f"DATABASE_URL has the scheme {parts.scheme or 'none'!r}, or names no database",
            hint="write postgresql://user:password@host:5432/name, or unset it to use SQLite",
        )
    return {
        "ENGINE": "cronbell.server.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": dict(parse_qsl(parts.query)),
    }


def networks(name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read a variable that lists addresses or networks, separated by commas.

    Raises:
        StartError: one of them is neither.
    """
    found = []
    for one in _listed(name):
        try:
            found.append(ip_network(one))
        except ValueError as error:
            raise StartError(
                f"{name} names {one!r}, which is no address or network: {error}",
                hint=f"write {name}=127.0.0.1 or {name}=10.0.0.0/8,fd00::/8",
            ) from None
    return tuple(found)


def _listed(name: str) -> list[str]:
    """Return what a variable lists with commas, without blanks."""
    return [one for part in os.environ.get(name, "").split(",") if (one := part.strip())]


def flag(name: str, *, default: bool = False) -> bool:
    """Read a yes/no variable; anything but the words below is refused rather than guessed.

    Raises:
        StartError: the value is neither of 1, true, yes, on nor 0, false, no, off.
    """
    raw = os.environ.get(name, "").strip().lower()
    if not raw:
        return default
    if raw in {"1", "true", "yes", "on"}:
        return True
    if raw in {"0", "false", "no", "off"}:
        return False
    raise StartError(f"{name} is {raw!r}", hint=f"set {name} to 1 or 0")


def token(name: str) -> str:
    """Read a token or key, empty where there is none; one that is too weak is refused.

    Raises:
        StartError: it breaks the rule that ``CRON_SECRET`` follows; the value is not shown.
    """
    value = os.environ.get(name, "")
    try:
        if value:
            check_secret(value)
    except SecretError as error:
        raise StartError(f"{name}: {error.message}", hint=error.hint) from None
    return value
