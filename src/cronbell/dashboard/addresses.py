"""Where a request comes from, as far as that can be known."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

Network = IPv4Network | IPv6Network
LONGEST = 2_000


def client_address(request: HttpRequest) -> str:
    """Return the caller's address: the connection's own, or what our proxies say it is.

    ``X-Forwarded-For`` is whatever the caller wrote, but for what our own proxies added at its
    end. So it is read from the right, only where the connection is a proxy's (the setting and
    variable ``CRONBELL_PROXIES``), and only as far as the first address that is not a proxy's.
    """
    proxies: Sequence[Network] = getattr(settings, "CRONBELL_PROXIES", ())
    own = str(request.META.get("REMOTE_ADDR", ""))
    if not _is_proxy(own, proxies):
        return own
    said = str(request.META.get("HTTP_X_FORWARDED_FOR", ""))[-LONGEST:].split(",")
    for one in reversed(said):
        address = _address(one)
        if address is None:
            return own
        if not _is_proxy(one, proxies):
            return str(address)
    return own


def _is_proxy(text: str, proxies: Sequence[Network]) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in proxies)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    # ::ffff:10.0.0.1 is 10.0.0.1 seen through a socket of the other kind.
    return getattr(found, "ipv4_mapped", None) or found
