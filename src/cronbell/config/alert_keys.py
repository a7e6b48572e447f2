"""What ``[alerts]``, ``[alerts.channels.NAME]`` and ``[jobs.NAME.alerts]`` may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cronbell.config.alerts import EVENTS, RECOVERED, Alerts, Channel, ChannelType, Condition, Rule
from cronbell.config.blackout import read_blackout
from cronbell.config.names import LONGEST_NAME, is_name
from cronbell.config.source import Place, Source, printable, similar
from cronbell.config.tables import read_keys
from cronbell.config.urls import UrlError, parse_allowed, parse_base, parse_url
from cronbell.config.values import (
    DAY,
    MINUTE,
    Reader,
    RefusedError,
    flag,
    kind,
    member,
    one_of,
    seconds,
    text,
    whole,
    zone,
)

KEY = "alerts"
NEVER = "never"
LANGUAGES = ("en", "ko")
_MOST_CHANNELS, _MOST_ADDRESSES = 50, 50
_SHORTEST = 10.0  # seconds; the run log is looked at every five
_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,99}|file:/[^\x00-\x1f]{1,1000}")
_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[A-Za-z0-9.-]{1,253}")
_SERVER = re.compile(r"([^:\s]+):([0-9]{1,5})")
_PATTERN = re.compile(r"[A-Za-z0-9*?][A-Za-z0-9*?._/-]{0,199}")


def reference(value: Any) -> str:
    """Read the name of what holds a secret, ``env:NAME`` or ``file:/PATH``; never the secret."""
    if not isinstance(value, str) or not _REFERENCE.fullmatch(value):
        # The value is not shown: it may be the secret itself.
        raise RefusedError(
            "must name where the secret is, and not be it",
            'write "env:NAME" for a variable or "file:/PATH" for a file only you can read',
        )
    return value


def _references(value: Any) -> tuple[str, ...]:
    found = tuple(reference(each) for each in (value if isinstance(value, list) else [value]))
    if not 1 <= len(found) <= 4:  # noqa: PLR2004 - while rotating two, hardly ever more
        raise RefusedError("must be one to four references", 'write ["env:NEW", "env:OLD"]')
    return found


def _address_or_reference(value: Any) -> str:
    if isinstance(value, str) and value.startswith(("env:", "file:")):
        return reference(value)
    try:
        return parse_url(text(value)).text
    except UrlError as error:
        raise RefusedError(error.message, error.hint) from None


def _link(value: Any) -> str:
    try:
        return parse_base(text(value)).text
    except UrlError as error:
        raise RefusedError(error.message, error.hint) from None


def _words(known: Sequence[str]) -> Reader:
    listed = "[" + ", ".join(f'"{word}"' for word in known) + "]"

    def read(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            raise RefusedError(f"must be a list, not {kind(value)}", f"choose from {listed}")
        for word in value:
            if word not in known:
                hint = similar(str(word), known) or f"choose from {listed}"
                raise RefusedError(f"`{printable(str(word))}` is not known", hint)
        return tuple(str(word) for word in dict.fromkeys(value))

    return read


def _list_of(pattern: re.Pattern[str], what: str, example: str) -> Reader:
    def read(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not value or len(value) > _MOST_ADDRESSES:
            raise RefusedError(
                f"must be a list of 1 to {_MOST_ADDRESSES} {what}", f"write [{example}]"
            )
        for one in value:
            if not isinstance(one, str) or not pattern.fullmatch(one):
                shown = printable(str(one))
                raise RefusedError(f"`{shown}` is none of {what}", f"write [{example}]")
        return tuple(dict.fromkeys(value))

    return read


def _sender(value: Any) -> str:
    found = text(value)
    if not _ADDRESS.fullmatch(found):
        raise RefusedError(f"`{printable(found)}` is no address", 'write "cronbell@example.com"')
    return found


def _server(value: Any) -> str:
    parts = _SERVER.fullmatch(text(value))
    if parts is None or not 0 < int(parts[2]) <= 65_535:  # noqa: PLR2004 - the largest port
        raise RefusedError("is no server", 'write "smtp.example.com:587"')
    try:
        return parse_allowed(value)
    except UrlError as error:
        raise RefusedError(error.message, error.hint) from None


def _remind(value: Any) -> float | None:
    return None if value == NEVER else float(_reminder(value))


_reminder = seconds(5 * MINUTE, 30 * DAY)
_user = text

RULE_KEYS: dict[str, Reader] = {
    "after": whole(1, 1_000),
    "partial": flag,
    "late": seconds(_SHORTEST, 30 * DAY),
    "too_long": seconds(_SHORTEST, 30 * DAY),
    "backlog": whole(1, 10**9),
}
JOB_KEYS: dict[str, Reader] = {
    **RULE_KEYS,
    "enabled": flag,
    "channels": _list_of(re.compile(r"[^\x00-\x1f]{1,200}"), "channels", '"operations"'),
}
CHANNEL_KEYS: dict[str, Reader] = {
    "type": member(ChannelType),
    "on": _words([str(event) for event in EVENTS]),
    "jobs": _list_of(_PATTERN, "names of jobs", '"digest", "billing-*"'),
    "timezone": zone,
    "language": one_of(*LANGUAGES),
    "digest": seconds(0, DAY),
    "remind": _remind,
}
OWN_KEYS: dict[ChannelType, dict[str, Reader]] = {
    ChannelType.WEBHOOK: {"url": _address_or_reference, "secret": _references},
    ChannelType.SLACK: {"url": reference},
    ChannelType.EMAIL: {
        "smtp": _server,
        "tls": one_of("starttls", "tls", "none"),
        "username": _user,
        "password": reference,
        "from": _sender,
        "to": _list_of(_ADDRESS, "addresses", '"team@example.com"'),
    },
}
REQUIRED_KEYS = {
    ChannelType.WEBHOOK: ("url", "secret"),
    ChannelType.SLACK: ("url",),
    ChannelType.EMAIL: ("smtp", "from", "to"),
}
TOP_KEYS: dict[str, Reader] = {
    **RULE_KEYS,
    "runner_down": seconds(30, DAY),
    "link": _link,
}


def read_rule(source: Source, place: Place, value: Any) -> dict[str, Any]:
    """Read ``alerts`` of a job: a table, or ``false`` for none at all."""
    if value is False:
        return {"enabled": False}
    return _keys(source, place, value, JOB_KEYS)


def read_alerts(source: Source, value: Any, jobs: Mapping[str, Mapping[str, Any]]) -> Alerts:
    """Read ``[alerts]``; what is wrong is left out and said to ``source``.

    Args:
        source: the file.
        value: the table as the parser gives it.
        jobs: what ``read_rule`` gave, by job.
    """
    place: Place = (KEY,)
    tables = value.get("channels", {}) if isinstance(value, dict) else {}
    rest = value if not isinstance(value, dict) else {k: v for k, v in value.items()
                                                      if k != "channels"}  # fmt: skip
    top = _keys(source, place, rest, TOP_KEYS, also=("channels",))
    channels: dict[str, Channel] = {}
    if not isinstance(tables, dict) or len(tables) > _MOST_CHANNELS:
        source.error(
            (*place, "channels"),
            f"`alerts.channels` must be a table of at most {_MOST_CHANNELS} channels",
            "write [alerts.channels.NAME]",
        )
        tables = {}
    for name, table in tables.items():
        channel = _channel(source, (*place, "channels", name), name, table)
        if channel is not None:
            channels[name] = channel
    alerts = Alerts(
        channels=channels,
        rule=Rule(**{key: top[key] for key in RULE_KEYS if key in top}),
        jobs=jobs,
        runner_down=top.get("runner_down", Alerts().runner_down),
        link=top.get("link", ""),
    )
    for job, own in jobs.items():
        for name in own.get("channels", ()):
            if name not in tables:
                hint = similar(name, tables) or "write [alerts.channels.NAME]"
                at = ("jobs", job, KEY, "channels")
                source.error(at, f"there is no channel `{printable(name)}`", hint)
    return alerts


def check_hosts(source: Source, alerts: Alerts, allowed: frozenset[str]) -> None:
    """See that the hosts a channel names may be called, as for jobs."""
    for name, channel in alerts.channels.items():
        key, host = _named_host(channel)
        if host and not _among(host, allowed):
            source.error(
                (KEY, "channels", name, key),
                f"the host {host} is not allowed",
                f'add it at the top of the file: allowed_hosts = ["{host}"]',
            )


def _named_host(channel: Channel) -> tuple[str, str]:
    if channel.type is ChannelType.EMAIL:
        return "smtp", channel.smtp
    if channel.url.startswith(("env:", "file:")):
        return "url", ""
    return "url", parse_url(channel.url).host_and_port


def _among(host: str, allowed: Iterable[str]) -> bool:
    return host in allowed or host.rpartition(":")[0] in allowed


def _channel(source: Source, place: Place, name: str, value: Any) -> Channel | None:
    if not is_name(name):
        source.error(
            place,
            f"`{printable(name)}` cannot be a channel's name",
            f"use at most {LONGEST_NAME} letters, digits, - _ and ., a letter or digit first",
        )
        return None
    if not isinstance(value, dict) or "type" not in value:
        words = ", ".join(f'"{word}"' for word in ChannelType)
        source.error(place, f"the channel `{name}` needs a `type`", f"write type = one of {words}")
        return None
    type_ = _keys(source, place, {"type": value["type"]}, CHANNEL_KEYS).get("type")
    if type_ is None:
        return None
    plain = {key: each for key, each in value.items() if key != "quiet"}
    read = _keys(source, place, plain, CHANNEL_KEYS | OWN_KEYS[type_], also=("quiet",))
    for key in REQUIRED_KEYS[type_]:
        if key not in value:
            source.error(place, f"the channel `{name}` needs `{key}`", f"add {key} = …")
    if ("username" in value) != ("password" in value):
        source.error(place, "`username` and `password` belong together", "give both, or neither")
    if "password" in value and read.get("tls") == "none":
        source.error((*place, "tls"), "the password would be sent in clear", 'write "starttls"')
    windows = read_blackout(source, (*place, "quiet"), value.get("quiet", []), key="quiet")
    if source.has_error_within(place) or windows is None:
        return None
    read["sender"] = read.pop("from", "")
    return Channel(name=name, quiet=windows, **read)


def _keys(
    source: Source,
    place: Place,
    value: Any,
    known: Mapping[str, Reader],
    *,
    also: Sequence[str] = (),
) -> dict[str, Any]:
    """Read the known keys of a table; report the rest, ``also`` being known elsewhere."""
    if not isinstance(value, dict):
        key = ".".join(map(str, place))
        source.error(place, f"`{key}` must be a table, not {kind(value)}", f"write [{key}]")
        return {}
    return read_keys(source, place, value, known, also=also)


__all__ = ["KEY", "RECOVERED", "Condition", "check_hosts", "read_alerts", "read_rule"]
