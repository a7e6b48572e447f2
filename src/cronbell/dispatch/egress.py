"""Where a call may lead: addresses are judged, not names, and what was judged is what is called.

``ipaddress`` alone does not answer it: ``is_global`` is true for the NAT64 form of
169.254.169.254, for the 6to4 form of 127.0.0.1, for fec0::1 and for multicast, and ``is_private``
is false for 100.64.0.1 (all of Python 3.11). So the ranges are listed here, after IANA's registries
of special-purpose addresses, and an IPv6 address is judged by every IPv4 address it carries too.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from cronbell.clock import Clock

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Name and port ─► addresses, in the order in which they are to be tried. ``OSError`` where there
# are none.
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


class Reach(Enum):
    """How far a call may lead.

    Attributes:
        DIRECT: the application itself, or an address that the configuration spells out. Nothing is
            judged: on a laptop that is 127.0.0.1, in a container's network whatever it likes.
        ALLOWED: a name that the configuration allows, and somebody else may answer for. It may
            lead into one's own network, but not to where no application is: a cloud's metadata
            service, link-local, multicast and reserved addresses.
        PUBLIC: a host that nobody allowed by name: public addresses only, and of the system ports
            only 80 and 443.
    """

    DIRECT = "direct"
    ALLOWED = "allowed"
    PUBLIC = "public"


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# No application is called at any of these, however the name came about.
_NEVER = {
    "metadata": _networks(
        "100.100.100.200/32",  # Alibaba Cloud
        "168.63.129.16/32",  # Azure's host
        "192.0.0.192/32",  # Oracle Cloud
        "fd00:ec2::/32",  # Amazon: metadata ::254, names ::253, time ::123
        "fd20:ce::254/128",  # Google Cloud
    ),
    "link-local": _networks("169.254.0.0/16", "fe80::/10", "fec0::/10"),
    "unspecified": _networks("0.0.0.0/8", "::/128"),  # Linux connects them to this very machine
    "multicast": _networks("224.0.0.0/4", "ff00::/8"),
    "reserved": _networks(
        "192.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
        "100::/64", "2001:db8::/32", "3fff::/20",
    ),
}  # fmt: skip
# Somebody's own network: only for who was named.
_INSIDE = {
    "loopback": _networks("127.0.0.0/8", "::1/128"),
    "private": _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
    "shared": _networks("100.64.0.0/10"),  # carrier-grade NAT; also where VPNs live
    "special": _networks(
        "192.88.99.0/24", "198.18.0.0/15", "64:ff9b:1::/48", "2001::/23", "5f00::/16",
    ),
}  # fmt: skip
# What IANA has given out; everything else in IPv6 is nobody's, or carries an IPv4 address.
_GLOBAL_V6 = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
_MAPPED = _networks("::ffff:0:0/96", "::ffff:0:0:0/96", "::/96")  # mapped, translated, compatible
_6TO4 = ipaddress.ip_network("2002::/16")
_TEREDO = ipaddress.ip_network("2001::/32")
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})

# As long as an idle connection would be used again: an answer is never older than a call could be.
KEPT_SECONDS = 1.0
MAX_KNOWN = 4_096

_LAST_SYSTEM_PORT = 1_023
_WEB_PORTS = frozenset({80, 443})


def refusal(address: str, reach: Reach, port: int = 443) -> str:
    """Say in a word why an address may not be called, or return an empty string.

    Args:
        address: IPv4 or IPv6, as text; with a zone or not.
        reach: how far the call may lead.
        port: the port that would be called.
    """
    if reach is Reach.DIRECT:
        return ""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "not an address"
    if reach is Reach.PUBLIC and port <= _LAST_SYSTEM_PORT and port not in _WEB_PORTS:
        return "port"
    meant = tuple(_meant(found))
    for table in (_NEVER,) if reach is Reach.ALLOWED else (_NEVER, _INSIDE):
        for kind, networks in table.items():
            if any(one in network for one in meant for network in networks):
                return kind
    if reach is Reach.PUBLIC and isinstance(found, IPv6Address) and found not in _GLOBAL_V6:
        carries = any(found in network for network in (_NAT64, *_MAPPED))
        return "" if carries else "unassigned"
    return ""


class Lookups:
    """Names ─► addresses; jobs that are due together ask once.

    Args:
        resolver: does the asking.
        clock: says how old an answer is.
    """

    def __init__(self, resolver: Resolver, clock: Clock) -> None:
        self._resolver = resolver
        self._clock = clock
        self._asking: dict[str, asyncio.Future[Sequence[str]]] = {}
        self._known: dict[str, tuple[float, Sequence[str]]] = {}

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host, as old as ``KEPT_SECONDS`` at most.

        Raises:
            OSError: there are none, or nobody could be asked.
        """
        known = self._known.get(host)
        if known is not None and self._clock.monotonic() < known[0]:
            return known[1]
        asking = self._asking.get(host)
        if asking is None:
            asking = asyncio.ensure_future(self._ask(host, port))
            self._asking[host] = asking
            asking.add_done_callback(lambda done: self._answered(host, done))
        # Whoever waits may be cancelled; the others still want the answer.
        return await asyncio.shield(asking)

    async def _ask(self, host: str, port: int) -> Sequence[str]:
        return await self._resolver(host, port)

    def _answered(self, host: str, asking: asyncio.Future[Sequence[str]]) -> None:
        del self._asking[host]
        if asking.cancelled() or asking.exception() is not None:
            return
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[host] = (self._clock.monotonic() + KEPT_SECONDS, asking.result())


async def system_resolver(host: str, port: int) -> list[str]:
    """Ask the system for a name's addresses, as every other program on the machine does.

    Raises:
        OSError: there are none, or nobody could be asked.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_address(host: str) -> bool:
    """Say whether a host is spelled as an address: no name to be looked up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _meant(address: Address) -> Iterator[Address]:
    """Yield an address and every IPv4 address that a translator on the way would make of it."""
    yield address
    if isinstance(address, IPv4Address):
        return
    bits = int(address)
    low = IPv4Address(bits & 0xFFFFFFFF)
    if any(address in network for network in (_NAT64, _LOCAL_NAT64)):
        yield low
    if any(address in network for network in _MAPPED) and bits > 1:  # :: and ::1 carry none
        yield low
    if address in _LOCAL_NAT64:
        # RFC 6052, 2.2: behind a prefix of 48 bits, the four octets go round bits 64 to 71.
        yield IPv4Address((bits >> 64 & 0xFFFF) << 16 | bits >> 40 & 0xFFFF)
    if address in _6TO4:
        yield IPv4Address(bits >> 80 & 0xFFFFFFFF)
    if address in _TEREDO:
        yield IPv4Address(bits >> 64 & 0xFFFFFFFF)
        yield IPv4Address(~bits & 0xFFFFFFFF)
    if bits >> 32 & 0xFFFFFFFF in _ISATAP:
        yield low
