"""An answer's bytes become text and the few members that decide about a run.

Everything here takes any bytes at all and never raises: what an application sends is not ours
to trust. What comes out can be stored in SQLite and in PostgreSQL alike, neither of which takes
every string that JSON can write (NUL, half surrogate pairs).
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from cronbell.domain import Item, millionths

KEPT_TEXT = 65_536  # bytes of UTF-8
MAX_MESSAGE = 1_000  # characters
MAX_ITEMS = 10_000
MAX_ID = 255  # characters of a record's id
MAX_DEPTH = 32  # levels of an item's body; deeper ones are dropped, the text above has them
MAX_INTEGER = 2**63 - 1
MAX_STATUS = 999
LARGEST_COUNT = 2**31 - 1  # what the column of attempts takes
LONGEST_NUMBER = 40  # characters

_REPLACEMENT = "�"


class Members(msgspec.Struct):
    """The members of a JSON body that mean something to the runner; None where there are none."""

    success: Any = None
    status: Any = None
    message: Any = None
    error: Any = None
    details: Any = None
    results: Any = None
    skipped: Any = None


DECODER = msgspec.json.Decoder(Members)
_NAMES = frozenset(Members.__struct_fields__)
_LENIENT = json.JSONDecoder(strict=False)
_OPEN = re.compile(r"\s*\{\s*")
_COLON = re.compile(r"\s*:\s*")
_COMMA = re.compile(r"\s*,\s*")
_ENCODED_ERRORS = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)


def members_of(content: bytes, *, complete: bool = True) -> tuple[Members, bool]:
    """Read the members of a JSON object.

    JSON that is broken, cut or loosely written (NaN, raw control characters, bad UTF-8) is read
    as far as it goes: an endpoint that managed to say ``"success": false`` has said it.

    Args:
        content: the body.
        complete: whether it is the whole body.

    Returns:
        The members, and whether something that may have mattered was left unread because the
        body was cut.
    """
    if complete:
        try:
            return DECODER.decode(content), False
        except msgspec.ValidationError:
            return Members(), False  # JSON, but no object
        except (msgspec.DecodeError, ValueError, RecursionError):
            pass
    text = content.decode("utf-8", "replace").removeprefix("\ufeff")
    opened = _OPEN.match(text)
    if opened is None:
        return Members(), False
    return Members(**_salvage(text, opened.end())), not complete


def _salvage(text: str, position: int) -> dict[str, Any]:
    """Read members one after another until one cannot be read."""
    found: dict[str, Any] = {}
    try:
        while True:
            name, position = _LENIENT.raw_decode(text, position)
            colon = _COLON.match(text, position)
            if colon is None or not isinstance(name, str):
                return found
            value, position = _LENIENT.raw_decode(text, colon.end())
            if name in _NAMES:
                found[name] = value
            comma = _COMMA.match(text, position)
            if comma is None:
                return found
            position = comma.end()
    except (ValueError, RecursionError):
        return found


def text_of(content: bytes) -> str:
    """Return a body as text of at most ``KEPT_TEXT`` bytes, cut between two characters."""
    if len(content) <= KEPT_TEXT and content.isascii() and b"\0" not in content:
        return content.decode("ascii")
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(content[:KEPT_TEXT], final=len(content) <= KEPT_TEXT)
    encoded = text.replace("\0", _REPLACEMENT).encode()
    # What stands for a broken byte is longer than the byte was.
    return encoded[:KEPT_TEXT].decode("utf-8", "ignore")


def message_of(members: Members) -> str:
    """Return the endpoint's own words: ``message``, else ``error`` and ``details``."""
    message = "" if members.message is None else _words(members.message)
    if not message and (members.error is not None or members.details is not None):
        error, details = _words(members.error), _words(members.details)
        # "It failed." and why is one sentence: "It failed: why".
        message = f"{error.rstrip('.')}: {details}" if error and details else error or details
    return message[:MAX_MESSAGE]


def items_of(members: Members) -> tuple[Item, ...]:
    """Read ``results``: ``{"recordId", "ok", "status", "body" or "error"}`` each.

    ``attempts``, ``seconds``, ``tokens`` and ``cost`` are read where they are there.

    An entry without a record id is no item (other applications call other things ``results``);
    ``ok`` is only what is exactly true; any other field of a wrong type counts as absent.
    """
    results = members.results
    if not isinstance(results, list):
        return ()
    items = (_item(entry) for entry in results[:MAX_ITEMS])
    return tuple(item for item in items if item is not None)


def _item(entry: object) -> Item | None:
    if not isinstance(entry, Mapping):
        return None
    record_id = entry.get("recordId")
    if isinstance(record_id, bool) or not isinstance(record_id, str | int):
        return None
    name = _digits(record_id) if isinstance(record_id, int) else clean(record_id[: 2 * MAX_ID])
    return Item(
        record_id=name[:MAX_ID],
        ok=entry.get("ok") is True,
        status=_status(entry.get("status")),
        body=storable(entry.get("body")),
        error=_words(entry.get("error"))[:MAX_MESSAGE],
        attempts=_count(entry.get("attempts")),
        microseconds=_millionths(entry.get("seconds")),
        tokens=_count(entry.get("tokens")),
        micromoney=_millionths(entry.get("cost")),
    )


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= LARGEST_COUNT else None


def _millionths(value: object) -> int | None:
    if isinstance(value, str) and len(value) <= LONGEST_NUMBER:
        return millionths(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return None if value > MAX_INTEGER else millionths(value)


def storable(value: Any, depth: int = 0) -> Any:
    """Return a JSON value that both stores can hold."""
    if isinstance(value, list | dict) and depth >= MAX_DEPTH:
        return None
    if isinstance(value, list):
        return [storable(entry, depth + 1) for entry in value]
    if isinstance(value, dict):
        return {clean(name): storable(entry, depth + 1) for name, entry in value.items()}
    return clean(value) if isinstance(value, str) else _number(value)


def _number(value: Any) -> Any:
    """Return a number that every JSON reader takes; truth values and None as they are."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
        return _digits(value)
    return value


def clean(text: str) -> str:
    """Replace what UTF-8 or PostgreSQL cannot hold: half surrogate pairs and NUL."""
    if text.isascii():
        return text.replace("\0", _REPLACEMENT)
    return text.encode("utf-8", "replace").decode().replace("\0", _REPLACEMENT)


def _words(value: object) -> str:
    """Return a member as text; what is neither text nor nothing is written as JSON."""
    if isinstance(value, str):
        # Cut before it is worked on; a message is short, whatever is sent as one.
        return clean(value[: 4 * MAX_MESSAGE].strip())
    if value is None:
        return ""
    if isinstance(value, Mapping) and isinstance(value.get("message"), str):
        return _words(value["message"])
    try:
        return clean(msgspec.json.encode(storable(value)).decode())
    except _ENCODED_ERRORS:
        return ""


def _status(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MAX_STATUS else None


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:
        # Python refuses to write thousands of digits in base ten.
        return hex(value)
