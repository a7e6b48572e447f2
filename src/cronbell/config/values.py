"""What each key of ``cronbell.toml`` may hold: one function per kind of value.

A function takes the value as the TOML parser gives it and returns what a ``JobSpec`` holds, or
raises ``RefusedError`` with what is wrong and what to write.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from cronbell.config.source import printable, similar
from cronbell.config.urls import LONGEST_PATH, UrlError, parse_url, path_problem
from cronbell.domain import CatchUp, Delivery, DstGap, DstRepeat, Overlap
from cronbell.errors import ScheduleError
from cronbell.schedule.zones import load_zone

MINUTE, HOUR, DAY = 60, 3_600, 86_400
_UNITS = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhd])")
_MOST_ATTEMPTS = 100
RETRY_ON = ("network", "timeout", "5xx", "429", "4xx")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")


class RefusedError(Exception):
    """A value that a key cannot hold.

    Attributes:
        message: what is wrong, to be read after the key.
        hint: what to write.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


Reader = Callable[[Any], Any]


def kind(value: Any) -> str:
    """Name a TOML value's kind in words."""
    names = {bool: "true or false", str: "text", int: "a number", float: "a number"}
    names |= {list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")


def text(value: Any) -> str:
    """Read text that is not blank."""
    if not isinstance(value, str):
        raise RefusedError(f"must be text, not {kind(value)}", 'write it in quotes: "…"')
    if not value.strip():
        raise RefusedError("is empty", "give a value, or remove the key")
    return value


def flag(value: Any) -> bool:
    """Read ``true`` or ``false``."""
    if not isinstance(value, bool):
        raise RefusedError(f"must be true or false, not {kind(value)}", "write true or false")
    return value


def whole(low: int, high: int) -> Reader:
    """Return a reader of whole numbers in a range."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise RefusedError(
                f"must be a whole number, not {kind(value)}", f"write {low} to {high}"
            )
        if not low <= value <= high:
            raise RefusedError("is out of range", f"write {low} to {high}")
        return value

    return read


def seconds(low: float, high: float) -> Reader:
    """Return a reader of durations: seconds as a number, or text such as ``"90s"``, ``"5m"``."""
    example = f'write seconds or "90s", "5m", "2h", "1d"; from {low:g} s to {_words(high)}'

    def read(value: Any) -> float:
        if isinstance(value, str):
            match = _DURATION.fullmatch(value)
            if match is None:
                raise RefusedError(f"`{printable(value)}` is not a duration", example)
            result = float(match[1]) * _UNITS[match[2]]
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise RefusedError(f"must be a duration, not {kind(value)}", example)
        else:
            # Compared before it is converted: a TOML integer may be larger than any float.
            result = float(min(max(value, -1), high + 1))
        if math.isnan(result) or not low <= result <= high:
            raise RefusedError("is out of range", example)
        return result

    return read


def seconds_text(value: float) -> str:
    """Write a number of seconds in full, without a point where it has no fraction."""
    return str(int(value)) if value == int(value) else repr(value)


def _words(duration: float) -> str:
    return f"{duration / DAY:g} d" if duration >= DAY else f"{duration:g} s"


def one_of(*known: str) -> Reader:
    """Return a reader of one of some words."""
    listed = ", ".join(f'"{word}"' for word in known)

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise RefusedError(f"must be text, not {kind(value)}", f"write {listed}")
        if value in known:
            return value
        hint = similar(value.upper() if known[0].isupper() else value.lower(), known)
        raise RefusedError(f"`{printable(value)}` is not known", hint or f"write {listed}")

    return read


def member(enum: type[StrEnum]) -> Reader:
    """Return a reader of an enumeration's words."""
    read = one_of(*enum)
    return lambda value: enum(read(value))


def zone(value: Any) -> str:
    """Read the name of a time zone."""
    name = text(value)
    try:
        load_zone(name)
    except ScheduleError as error:
        raise RefusedError(error.message.removeprefix("timezone: "), error.hint) from None
    return name


def every(value: Any) -> str:
    """Read an interval: whole seconds, or ``"30s"``; returns the expression it stands for."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"every {value}s" if abs(value) < 10**9 else "every 999999999s"
    return f"every {text(value)}"


def path(value: Any) -> str:
    """Read a request target: it begins with ``/``; a query is part of it."""
    target = text(value)
    if not target.startswith("/"):
        raise RefusedError("must begin with /", "write /api/cron/job, or use url for another host")
    if len(target) > LONGEST_PATH:
        raise RefusedError(
            f"has {len(target)} characters; the limit is {LONGEST_PATH}", "shorten it"
        )
    if "#" in target:
        raise RefusedError("has a fragment (#…), which is never sent", "remove it")
    problem = path_problem(target)
    if problem:
        raise RefusedError(problem, "percent-encode or remove it")
    return target


def url(value: Any) -> str:
    """Read an absolute URL."""
    try:
        return parse_url(text(value)).text
    except UrlError as error:
        raise RefusedError(error.message, error.hint) from None


def retry_on(value: Any) -> tuple[str, ...]:
    """Read the list of failures that are tried again."""
    listed = "[" + ", ".join(f'"{word}"' for word in RETRY_ON) + "]"
    if not isinstance(value, list):
        raise RefusedError(f"must be a list, not {kind(value)}", f"choose from {listed}")
    for word in value:
        if word not in RETRY_ON:
            shown = printable(str(word))
            raise RefusedError(f"`{shown}` is not known", f"choose from {listed}")
    if not value:
        raise RefusedError("is empty", "remove the key, or set max_attempts = 1 for no retries")
    return tuple(dict.fromkeys(value))


RETRY_KEYS: dict[str, Reader] = {
    "max_attempts": whole(1, _MOST_ATTEMPTS),
    "backoff": seconds(0, DAY),
    "max_backoff": seconds(0, DAY),
    "retry_on": retry_on,
}

# What makes sense for all jobs at once, in [defaults] or for one.
SHARED_KEYS: dict[str, Reader] = {
    "timezone": zone,
    "dst_gap": member(DstGap),
    "dst_repeat": member(DstRepeat),
    "method": one_of(*METHODS),
    "timeout": seconds(0.1, DAY),
    "deadline": seconds(0, 30 * DAY),
    "overlap": member(Overlap),
    "catch_up": member(CatchUp),
    "delivery": member(Delivery),
    "catch_up_window": seconds(0, 366 * DAY),
    "jitter": seconds(0, DAY - 1),
    "dry_run": flag,
}

# What belongs to one job only.
JOB_KEYS: dict[str, Reader] = {
    "schedule": text,
    "every": every,
    "path": path,
    "url": url,
    "enabled": flag,
    "heartbeat": flag,
    "grace": seconds(1, 30 * DAY),
}

# What has a meaning for a job that Cronbell watches and does not call.
HEARTBEAT_KEYS = frozenset(
    {"heartbeat", "grace", "schedule", "every", "timezone", "dst_gap", "dst_repeat", "timeout",
     "enabled"}
)  # fmt: skip

# SPEC section 1 names these; they are refused until what they do is built.
LATER_KEYS = frozenset({"pause_on_failure", "headers", "budget"})
