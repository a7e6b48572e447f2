"""Which URLs and hosts a configuration may name.

Strict on purpose: parsers of URLs differ on blanks, backslashes, credentials and odd hosts, and
the host that is judged here must be the host that is called later.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from cronbell.config.source import printable

LONGEST_PATH = 512
_LONGEST_URL = 2_048
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65_535
_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::([0-9]{1,5}))?")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
# A name whose last label is a number is an address to some (127.1, 0x7f000001, 0177.0.0.1).
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f\\]")


class UrlError(Exception):
    """A URL or host that is refused.

    Attributes:
        message: what is wrong.
        hint: what to write.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Url:
    """An absolute URL, taken apart.

    Attributes:
        text: the URL with host in lower case and the scheme's own port left out.
        host: lower case, in ASCII; an IPv6 address in brackets.
        port: never left open.
        target: path and query, at least ``/``.
    """

    text: str
    host: str
    port: int
    target: str

    @property
    def host_and_port(self) -> str:
        """The exact entry of an allow-list that this URL needs."""
        return f"{self.host}:{self.port}"

    def is_on(self, allowed: frozenset[str]) -> bool:
        """Say whether the host is allowed, on this port or on every one."""
        return self.host in allowed or self.host_and_port in allowed


def parse_url(text: str) -> Url:
    """Read an absolute http or https URL.

    Raises:
        UrlError: it is not one, or it carries credentials or a fragment.
    """
    example = "write it as https://example.com/path"
    if len(text) > _LONGEST_URL:
        raise UrlError(f"has {len(text)} characters; the limit is {_LONGEST_URL}", example)
    if _NOT_IN_URLS.search(text):
        raise UrlError("holds a blank, a backslash or a control character", example)
    match = _URL.fullmatch(text)
    if match is None:
        raise UrlError(f"`{printable(text)}` is not an http or https URL", example)
    scheme, authority, path, query, fragment = match.groups()
    scheme = scheme.lower()
    if "@" in authority:
        # Not shown: what stands before the @ may be a password.
        raise UrlError("carries credentials", "remove the part before the @; use CRON_SECRET")
    if fragment is not None:
        raise UrlError("has a fragment (#…), which is never sent", "remove it")
    host, port = _authority(authority)
    port = port or _DEFAULT_PORTS[scheme]
    shown = host if port == _DEFAULT_PORTS[scheme] else f"{host}:{port}"
    if not _encodable(text):
        raise UrlError("holds half a character (a lone surrogate)", example)
    target = (path or "/") + (query or "")
    return Url(f"{scheme}://{shown}{target}", host, port, target)


def parse_base(text: str) -> Url:
    """Read the address of an application: a URL without query; its text ends without a slash.

    Raises:
        UrlError: it is not one.
    """
    url = parse_url(text)
    if "?" in url.target:
        raise UrlError("has a query (?…)", "give the address only: https://example.com")
    return Url(url.text.rstrip("/"), url.host, url.port, url.target.rstrip("/"))


def parse_allowed(text: str) -> str:
    """Read an allowed host: ``example.com`` (every port) or ``example.com:8443`` (that one).

    Raises:
        UrlError: it is neither.
    """
    if "://" in text or "/" in text:
        raise UrlError(f"`{printable(text)}` is not a host", "leave out https:// and the path")
    if "*" in text:
        raise UrlError(f"`{printable(text)}` is a pattern", "name each host by itself")
    host, port = _authority(text)
    return f"{host}:{port}" if port else host


def path_problem(path: str) -> str:
    """Return what keeps a request target from being sent, or an empty string."""
    if _CONTROL.search(path):
        return "holds a control character"
    if not (path.isascii() or _encodable(path)):
        return "holds half a character (a lone surrogate)"
    return ""


def _authority(text: str) -> tuple[str, int | None]:
    match = _AUTHORITY.fullmatch(text)
    example = "write example.com or example.com:8443"
    if match is None:
        raise UrlError(f"`{printable(text)}` does not name a host", example)
    port = int(match[2]) if match[2] else None
    if port is not None and not 0 < port <= _HIGHEST_PORT:
        raise UrlError(f"{port} is not a port", f"a port is 1 to {_HIGHEST_PORT}")
    return _host(match[1]), port


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(text[1:-1]).compressed}]"
        except ValueError:
            raise UrlError(f"`{printable(text)}` is not an IPv6 address", "write [::1]") from None
    name = text
    if not text.isascii():
        try:
            name = text.encode("idna").decode("ascii")
        except UnicodeError:
            name = ""
    name = name.lower().removesuffix(".")
    if not _HOST.fullmatch(name):
        raise UrlError(f"`{printable(text)}` is not a host name", "write example.com")
    if _ENDS_IN_NUMBER.fullmatch(name):
        try:
            ipaddress.IPv4Address(name)
        except ValueError:
            raise UrlError(
                f"`{printable(text)}` is an address to some and a name to others",
                "write an address as four decimal numbers: 127.0.0.1",
            ) from None
    return name


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
