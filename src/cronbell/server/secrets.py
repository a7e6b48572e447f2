"""Secrets that are made once and kept in files only their owner can read.

The file is created with its final mode, so there is no moment at which others could read it, and
a file that others can read is refused rather than trusted.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from cronbell.errors import SecretError
from cronbell.files import DIRECTORY_MODE, make_private, read_private
from cronbell.server.environment import on_vercel

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
        make_private(path, secrets.token_urlsafe(BYTES))
    value = read_private(path)
    if not value:
        raise SecretError(f"{path} is empty", hint="delete it to have a new one made")
    return value
