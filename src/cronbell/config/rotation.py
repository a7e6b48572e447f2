"""The secrets in force while they are being exchanged: read from files that may change any time.

A data directory holds up to three: ``cron-secret``, which is sent; ``cron-secret-next``, accepted
already and to be sent once every endpoint takes it; ``cron-secret-previous``, accepted until
nobody sends it any more. Whoever sends or checks looks at the files each time, which costs three
``stat`` calls, so that no process is ever behind: a secret that is sent was acceptable before.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cronbell.config.secrets import check_secret, secrets_from_env
from cronbell.errors import SecretError
from cronbell.files import Stamp, read_private, replace_private, stamp

log = logging.getLogger("cronbell.config.rotation")

# Set by ``cronbell up`` for its processes where the secret comes from the data directory.
FOLDER_VARIABLE = "CRONBELL_SECRETS"
CURRENT, NEXT, PREVIOUS = "cron-secret", "cron-secret-next", "cron-secret-previous"
NAMES = (CURRENT, NEXT, PREVIOUS)
BYTES = 32

Fingerprint = tuple[Stamp | None, ...]


class Step(StrEnum):
    """How far a rotation is."""

    IDLE = "idle"  # one secret
    STARTED = "started"  # the new one is accepted, the old one sent
    SWITCHED = "switched"  # the new one is sent, the old one still accepted


@dataclass(frozen=True, slots=True)
class InForce:
    """The secrets of one moment.

    Attributes:
        accepted: the one that is sent first.
        written_at: when the file of the one that is sent was written, nanoseconds: names it
            without telling anything about it. 0 for one of the environment.
    """

    accepted: tuple[str, ...]
    written_at: int = 0


class SecretSource:
    """Where a process finds the secrets: its environment, or the files that it names.

    Files that are at fault change nothing: what was read last stays in force, and the log says so.

    Args:
        env: the environment; ``CRONBELL_SECRETS`` names the folder, and then the files decide.

    Raises:
        SecretError: a secret of the environment breaks the rule.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        folder = env.get(FOLDER_VARIABLE, "")
        self.folder = Path(folder) if folder else None
        self._lock = threading.Lock()
        self._seen: Fingerprint | None = None
        self._beside = env.get("CRON_SECRET_PREVIOUS", "") if folder else ""
        self._found = InForce(()) if folder else InForce(secrets_from_env(env))

    def look(self) -> InForce:
        """Return the secrets in force now.

        Raises:
            SecretError: at the first look, a file is gone, can be read by others, or breaks the
                rule.
        """
        if self.folder is None:
            return self._found
        # Taken before reading: what changes meanwhile is seen at the next look.
        seen = _fingerprint(self.folder)
        if seen == self._seen:
            return self._found
        with self._lock:
            try:
                self._found = _read(self.folder, self._beside)
            except SecretError as error:
                if self._seen is None:
                    raise
                log.error("the secrets read before stay in force: %s", error)  # noqa: TRY400 - a person's mistake, no traceback
            self._seen = seen
            return self._found


def step_of(folder: Path) -> Step:
    """Say how far a rotation in this data directory is."""
    if (folder / NEXT).exists():
        return Step.STARTED
    return Step.SWITCHED if (folder / PREVIOUS).exists() else Step.IDLE


def start(folder: Path) -> None:
    """Make the next secret; from now on it is accepted too.

    Raises:
        SecretError: a rotation is going on, or the secret is not this directory's.
    """
    _require(folder, Step.IDLE)
    if not (folder / CURRENT).is_file():
        raise SecretError(
            f"there is no {CURRENT} in {folder}: the secret is set where Cronbell is started",
            hint="docs/howto/rotate-the-secret.md says how to exchange one by hand",
        )
    replace_private(folder / NEXT, secrets.token_urlsafe(BYTES))


def abort(folder: Path) -> None:
    """Forget the next secret.

    Raises:
        SecretError: none was made, or it is being sent already.
    """
    _require(folder, Step.STARTED)
    (folder / NEXT).unlink()


def switch(folder: Path) -> None:
    """Have the next secret sent; the one before stays accepted.

    Raises:
        SecretError: no rotation was started.
    """
    _require(folder, Step.STARTED)
    # In this order: whoever reads at whatever moment finds both among what is accepted, or looks
    # again because the files have changed since.
    replace_private(folder / PREVIOUS, _secret(folder / CURRENT))
    (folder / NEXT).replace(folder / CURRENT)


def forget_previous(folder: Path) -> None:
    """Accept the old secret no longer.

    Raises:
        SecretError: the new one is not being sent yet.
    """
    _require(folder, Step.SWITCHED)
    (folder / PREVIOUS).unlink()


def next_secret(folder: Path) -> str:
    """Return the secret that is to be, or already is, sent after the rotation.

    Raises:
        SecretError: no rotation is going on.
    """
    step = step_of(folder)
    if step is Step.IDLE:
        raise SecretError(
            "no rotation is going on", hint="begin one with `cronbell rotate-secret start`"
        )
    return _secret(folder / (NEXT if step is Step.STARTED else CURRENT))


def _require(folder: Path, wanted: Step) -> None:
    found = step_of(folder)
    if found is wanted:
        return
    hints = {
        Step.IDLE: "begin one with `cronbell rotate-secret start`",
        Step.STARTED: "go on with `cronbell rotate-secret finish`, or `abort`",
        Step.SWITCHED: "the new secret is being sent: end it with `cronbell rotate-secret finish`",
    }
    words = {
        Step.IDLE: "no rotation is going on",
        Step.STARTED: "a rotation has been started already",
        Step.SWITCHED: "the rotation has got further than that",
    }
    raise SecretError(words[found], hint=hints[found])


def _read(folder: Path, beside: str) -> InForce:
    written_at = stamp(folder / CURRENT)
    accepted = [_secret(folder / CURRENT)]
    for name in (NEXT, PREVIOUS):
        try:
            accepted.append(_secret(folder / name))
        except FileNotFoundError:
            continue
    if beside:
        check_secret(beside)
        accepted.append(beside)
    return InForce(tuple(dict.fromkeys(accepted)), written_at[0] if written_at else 0)


def _secret(path: Path) -> str:
    try:
        value = read_private(path)
    except FileNotFoundError:
        if path.name == CURRENT:
            raise SecretError(f"{path} is gone", hint="put it back from a backup") from None
        raise
    except OSError as error:
        raise SecretError(f"{path} cannot be read: {error.strerror}") from error
    try:
        check_secret(value)
    except SecretError as error:
        raise SecretError(f"{path}: {error.message}", hint=error.hint) from None
    return value


def _fingerprint(folder: Path) -> Fingerprint:
    return tuple(stamp(folder / name) for name in NAMES)
