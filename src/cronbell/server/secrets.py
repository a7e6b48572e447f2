"""Secrets that are made once and kept in files only their owner can read.

The file is created with its final mode, so there is no moment at which others could read it, and
a file that others can read is refused rather than trusted.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from cronbell.errors import SecretError
from cronbell.server.environment import on_vercel

OWNER_ONLY = 0o600
DIRECTORY_MODE = 0o700
BYTES = 32


def secret_from_file(path: Path, *, variable: str) -> str:
    """Return the secret kept at ``path``, making it first if there is none.

    Args:
        path: the file; its folder is created with mode 0700 if missing.
        variable: the environment variable to set instead, for the hint.

    Raises:
        SecretError: the file is empty, others may read it, or no file lasts here: each process
            would make a secret of its own, and none knew the other's.
    """
    if on_vercel():
        raise SecretError(
            f"{variable} is not set, and no file that could hold one lasts on Vercel",
            hint=f"set {variable} in the project's environment variables: "
            'python3 -c "import secrets; print(secrets.token_urlsafe(32))"',
        )
    path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    if not path.exists():
        _create(path, secrets.token_urlsafe(BYTES))
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise SecretError(
            f"{path} can be read by others (mode {mode:04o})", hint=f"chmod 600 {path}"
        )
    value = path.read_text(encoding="ascii", errors="replace").strip()
    if not value:
        raise SecretError(f"{path} is empty", hint="delete it to have a new one made")
    return value


def _create(path: Path, value: str) -> None:
    # Written aside and linked into place: a second process that starts at the same moment
    # either finds the whole file or makes it, never half of one.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
