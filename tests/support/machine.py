"""What this machine has that some tests need: a browser, PostgreSQL, nginx, llmock and others.

A test that needs one asks ``require``. Where it is missing the test is skipped and the closing
lines of the run say so; under ``CI=true`` it fails, so that CI can't pass by having less.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

INSTALL = {
    "chromium": "apt-get install chromium, or CRONBELL_TEST_CHROMIUM=/path/to/chromium",
    "postgresql": "apt-get install postgresql",
    "nginx": "apt-get install nginx-light",
    "gettext": "apt-get install gettext",
    "openssl": "apt-get install openssl",
    "strace": "apt-get install strace",
    "curl": "apt-get install curl",
    "systemd": "apt-get install systemd",
    "tesseract": "apt-get install tesseract-ocr tesseract-ocr-kor",
    "llmock": "pip install llmock, which the lock file has: make setup",
}

missing: Counter[str] = Counter()  # capability -> tests skipped for want of it


def in_ci() -> bool:
    """Say whether a missing capability is a failure."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


def find(capability: str) -> Path | None:
    """Return the program (for PostgreSQL: the folder of its programs), or None."""
    return FINDERS[capability]()


def require(capability: str) -> Path:
    """Return what ``find`` finds; otherwise skip the test loudly, or under CI fail it."""
    found = find(capability)
    if found is not None:
        return found
    missing[capability] += 1
    words = f"{capability} is not on this machine: {INSTALL[capability]}"
    if in_ci():
        pytest.fail(words, pytrace=False)
    pytest.skip(words)


def _program(*names: str) -> Callable[[], Path | None]:
    def look() -> Path | None:
        for name in names:
            # Debian keeps servers out of an ordinary user's PATH.
            found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
            if found:
                return Path(found)
        return None

    return look


def _beside_python(name: str) -> Callable[[], Path | None]:
    """Look where this Python's packages put their programs, then on the PATH."""

    def look() -> Path | None:
        found = Path(sys.executable).with_name(name)
        return found if os.access(found, os.X_OK) else _program(name)()

    return look


def _chromium() -> Path | None:
    named = os.environ.get("CRONBELL_TEST_CHROMIUM", "")
    if named:
        return Path(named) if os.access(named, os.X_OK) else None
    return _program("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")()


def _postgresql() -> Path | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    config = shutil.which("pg_config")
    if config:
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        folders.append(Path(answer.stdout.strip() or "/nonexistent"))
    needed = ("initdb", "postgres")
    return next((f for f in folders if all(os.access(f / name, os.X_OK) for name in needed)), None)


def _version(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


FINDERS: dict[str, Callable[[], Path | None]] = {
    "chromium": _chromium,
    "postgresql": _postgresql,
    "nginx": _program("nginx"),
    "gettext": _program("xgettext"),
    "openssl": _program("openssl"),
    "strace": _program("strace"),
    "curl": _program("curl"),
    "systemd": _program("systemd-analyze"),
    "tesseract": _program("tesseract"),
    "llmock": _beside_python("llmock"),
}
