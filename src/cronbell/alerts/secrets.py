"""Where a channel's secrets are: a variable of the environment, or a file only its owner reads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from cronbell.alerts.signing import signing_key
from cronbell.config.alerts import Channel, ChannelType
from cronbell.errors import SecretError
from cronbell.files import require_private

LARGEST = 8_192


def resolve(reference: str, env: Mapping[str, str] | None = None) -> str:
    """Return what a reference names.

    Args:
        reference: ``env:NAME`` or ``file:/PATH``.
        env: the environment; this process's unless given.

    Raises:
        SecretError: there is nothing there, or others may read it. The value is never shown.
    """
    kind, _, place = reference.partition(":")
    if kind == "env":
        value = (os.environ if env is None else env).get(place, "").strip()
        if not value:
            raise SecretError(
                f"{place} is not set", hint=f"export {place}=… where Cronbell is started"
            )
        return value
    path = Path(place)
    try:
        require_private(path)
        with path.open(encoding="utf-8") as file:
            value = file.read(LARGEST).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(
            f"{path} cannot be read: {type(error).__name__}", hint="check the path and its owner"
        ) from None
    if not value:
        raise SecretError(f"{path} is empty", hint="write the secret into it")
    return value


def url_of(channel: Channel) -> str:
    """Return where a webhook goes.

    Raises:
        SecretError: it is kept in a place that has nothing.
    """
    if channel.url.startswith(("env:", "file:")):
        return resolve(channel.url)
    return channel.url


def keys_of(channel: Channel) -> list[bytes]:
    """Return the keys a webhook is signed with, the current one first.

    Raises:
        SecretError: one is missing, or no signing secret.
    """
    return [
        signing_key(one, reference)
        for reference in channel.secret
        for one in resolve(reference).split()
    ]


def fault_of(channel: Channel) -> str:
    """Say what is wrong with the secrets of a channel in this process; empty where nothing is."""
    try:
        if channel.type is ChannelType.EMAIL:
            if channel.password:
                resolve(channel.password)
        else:
            url_of(channel)
            keys_of(channel)
    except SecretError as error:
        return str(error)
    return ""
