"""Takes secrets out of texts that are about to be logged.

Two ways, since neither alone is enough: values that are known to be secret, wherever they stand,
and the places where secrets usually stand, whatever their value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote, urlsplit

from cronbell.addresses import MASK, NAMES
from cronbell.config.rotation import FOLDER_VARIABLE, SecretSource
from cronbell.errors import SecretError

# A shorter value would be found in ordinary words.
SHORTEST = 8
# Variables whose values are secret, by their name.
_SECRET_NAME = re.compile(
    r"SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|API_?KEY|PRIVATE_?KEY|SIGNING|_DSN$|DATABASE_URL",
    re.IGNORECASE,
)
# Names of places, which are no secrets: a folder that is masked can't be found.
_PLACE_NAME = re.compile(rf"^{FOLDER_VARIABLE}$|_(?:FILE|PATH|DIR|FOLDER)$", re.IGNORECASE)
_NAMED = r"[\w.-]*(?:token|secret|password|passwd|api[_-]?key|apikey|signature|credential)[\w.-]*"
_PLACES = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # Authorization: Bearer …, also in the repr of a header; any scheme.
        (
            (
                r"""((?:proxy-)?authorization['"]?\s*[:=,]\s*(?:b?['"])?)(?!\[secret\])"""
                r"""(?:(?:bearer|basic|digest|token)\s+)?[^\s'",;)\]}]+"""
            ),
            rf"\1{MASK}",
        ),
        (r"\b(bearer|basic)\s+(?!\[secret\])[A-Za-z0-9._~+/=-]{6,}", rf"\1 {MASK}"),
        # Cookies, to the end of their value.
        (r"""((?:set-)?cookie['"]?\s*[:=,]\s*(?:b?['"])?)[^'"\r\n]+""", rf"\1{MASK}"),
        # https://user:password@host
        (r"(\b[a-z][a-z0-9+.-]*://)[^/\s@'\"]+@", rf"\1{MASK}@"),
        # ?token=…, password=… in a connection's description, "api_key": "…"
        (rf"""(\b{_NAMED}=)(?!\[secret\])['"]?[^&\s#'",;)\]}}]+['"]?""", rf"\1{MASK}"),
        (rf"""(['"]{_NAMED}['"]\s*:\s*b?['"])[^'"]+""", rf"\1{MASK}"),
        (rf"([?&;]{NAMES}=)(?!\[secret\])[^&;\s#'\"]+", rf"\1{MASK}"),
        # Whoever knows a ping URL may ping.
        (r"(/ping/)[^/\s?#'\"]+", rf"\1{MASK}"),
        # Standard Webhooks' signing secrets, and keys of well-known services.
        (r"\bwhsec_[A-Za-z0-9+/=_-]+", MASK),
        (r"\b(?:sk|rk|pk)-[A-Za-z0-9_-]{16,}", MASK),
    )
)


class Redactor:
    """Knows this process's secrets and where others would stand.

    Args:
        env: the environment: variables named like secrets, passwords of URLs, and the files that
            hold ``CRON_SECRET`` while it is exchanged.
        more: further values.
    """

    def __init__(self, env: Mapping[str, str], more: Iterable[str] = ()) -> None:
        self._fixed = frozenset(_with_spellings([*_of_environment(env), *more]))
        self._source = _source(env)
        self._known = self._fixed
        self._pattern = _pattern(self._known)

    def __call__(self, text: str) -> str:
        """Return the text with every secret masked."""
        self._follow()
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        for place, replacement in _PLACES:
            text = place.sub(replacement, text)
        return text

    def _follow(self) -> None:
        """Know the secrets of a rotation as soon as they are in force."""
        if self._source is None:
            return
        try:
            accepted = self._source.look().accepted
        except SecretError:
            return
        known = self._fixed | frozenset(_with_spellings(accepted))
        if not known <= self._known:
            # What was secret once stays so.
            self._known |= known
            self._pattern = _pattern(self._known)


def _source(env: Mapping[str, str]) -> SecretSource | None:
    try:
        source = SecretSource(env)
    except SecretError:
        return None
    return source if source.folder is not None else None


def _of_environment(env: Mapping[str, str]) -> Iterable[str]:
    for name, value in env.items():
        if not _SECRET_NAME.search(name) or _PLACE_NAME.search(name):
            continue
        if "://" not in value:
            yield value
            continue
        try:
            password = urlsplit(value).password
        except ValueError:
            password = None
        if password:
            yield unquote(password)
            yield password


def _with_spellings(values: Iterable[str]) -> Iterable[str]:
    for value in values:
        if len(value) >= SHORTEST:
            yield value
            # As a URL, a repr or JSON would show it.
            yield quote(value, safe="")
            yield repr(value)[1:-1]


def _pattern(values: Iterable[str]) -> re.Pattern[str] | None:
    # The longest first, so that no secret that begins with another leaves its end behind.
    ordered = sorted(set(values), key=lambda value: (-len(value), value))
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None
