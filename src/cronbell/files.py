"""Files that others must not read, and files that may change at any time.

Nothing here knows what is in them. A file that is written is there whole or not at all, with its
final mode from the first moment on.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cronbell.errors import SecretError

OWNER_ONLY = 0o600
DIRECTORY_MODE = 0o700

Stamp = tuple[int, int, int]


def stamp(path: Path) -> Stamp | None:
    """Return what tells one state of a file from another; None where there is no file.

    Time of writing in nanoseconds, size, inode: the same on every system and every kind of file
    system, and an editor that puts a new file in the old one's place is seen too.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def require_private(path: Path) -> None:
    """See that only its owner can read a file.

    Raises:
        SecretError: others can.
        OSError: it is not there.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise SecretError(
            f"{path} can be read by others (mode {mode:04o})", hint=f"chmod 600 {path}"
        )


def read_private(path: Path) -> str:
    """Return the text of a file that only its owner can read, without blanks at its ends.

    Raises:
        SecretError: others can read it.
        OSError: it cannot be read, or is not there.
    """
    require_private(path)
    return path.read_text(encoding="ascii", errors="replace").strip()


def make_private(path: Path, text: str) -> None:
    """Write a file, unless it is there: of two processes that try at once, one makes it."""
    with _draft(path, text) as draft, suppress(FileExistsError):
        os.link(draft, path)


def replace_private(path: Path, text: str) -> None:
    """Write a file in the place of the one that is there, if one is."""
    with _draft(path, text) as draft:
        draft.replace(path)


@contextmanager
def _draft(path: Path, text: str) -> Iterator[Path]:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)  # a full disk must not leave half a secret behind
