"""The little HTTP/1.1 that a scripted target speaks, kept apart so that it can be wrong on cue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO

MAX_HEAD = 256 * 1024
MAX_BODY = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """One request as it came over the wire.

    Attributes:
        method: as sent.
        path: the request target as sent, query included.
        headers: name and value as sent, in order.
        body: the body's bytes.
        raw: the head, byte for byte, up to and with the empty line.
        number: 1 for the first request this target got, whatever its path.
        connection: 1 for the first connection it accepted; requests that share one are told by it.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes
    number: int = 0
    connection: int = 0

    def header(self, name: str) -> str | None:
        """Return the first value of a header, whatever its case; None where it was not sent."""
        values = self.header_all(name)
        return values[0] if values else None

    def header_all(self, name: str) -> list[str]:
        """Return every value of a header, in the order sent."""
        wanted = name.lower()
        return [value for key, value in self.headers if key.lower() == wanted]


def head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return a status line and headers, ready to be followed by the body."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unnamed"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def read_request(stream: BinaryIO) -> ReceivedRequest | None:
    """Read one request; whoever records it gives it its number.

    Returns:
        The request, or None when the client closed the connection or sent what cannot be read.
    """
    raw = _read_head(stream)
    if raw is None:
        return None
    first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
    parts = first.split(" ")
    if len(parts) != len(("method", "target", "version")):
        return None
    headers = tuple(
        (name, value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines)
    )
    length = next((value for name, value in headers if name.lower() == "content-length"), "0")
    if not length.isdecimal() or int(length) > MAX_BODY:
        return None
    body = stream.read(int(length))
    return ReceivedRequest(method=parts[0], path=parts[1], headers=headers, body=body, raw=raw)


def _read_head(stream: BinaryIO) -> bytes | None:
    head_bytes = b""
    while len(head_bytes) <= MAX_HEAD:
        line = stream.readline(MAX_HEAD)
        if not line:
            return None
        head_bytes += line
        if line == b"\r\n":
            return head_bytes
    return None
