"""Attachment ─► its text, read by a limited child process; whatever the bytes are, an answer."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ideasgpt.verification import ocr
from ideasgpt.verification.child import MOST_CHARACTERS
from ideasgpt.verification.models import Attachment
from ideasgpt.verification.storage import path_of

CHILD = Path(__file__).with_name("child.py")
WALL_SECONDS = 25.0  # the child ends itself after 20
READABLE = frozenset({"text/plain", "application/pdf"})


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds.

    Attributes:
        id: as the model knows it; tells nothing of the file.
        text: at most 40,000 characters of at most 20 pages.
        problems: why it must not be approved on its own; empty where all was read.
    """

    id: str
    text: str
    problems: tuple[str, ...] = ()


def read(attachment: Attachment, identity: str) -> Document:
    """Read one attachment.

    Raises:
        OSError: the file is gone or cannot be read: no fault of the document.
    """
    with path_of(attachment.pk).open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != attachment.sha256:
            return Document(identity, "", ("file_changed",))
        file.seek(0)
        if attachment.content_type in READABLE:
            text, problems = extract(file, attachment.content_type)
        else:
            text, problems = recognise(file, attachment.content_type)
    if not text.strip() and not problems:
        problems = ("no_text",)
    return Document(identity, text, problems)


def extract(file: BinaryIO, content_type: str) -> tuple[str, tuple[str, ...]]:
    """Have a child read the text; its crash, its silence and its slowness are problems, too."""
    code, said = _in_child(file, [content_type], {"LANG": "C.UTF-8"})
    if code != 0:
        return "", ("too_costly",)
    try:
        found = json.loads(said)
        return str(found["text"]), tuple(map(str, found["problems"]))
    except (ValueError, KeyError, TypeError):
        return "", ("broken",)


def recognise(file: BinaryIO, content_type: str) -> tuple[str, tuple[str, ...]]:
    """Have the characters of a picture read by a child that becomes Tesseract, limits and all.

    Where it is not installed the problem is ``install_`` and the name of the package.
    """
    program, missing = ocr.reader()
    if missing:
        return "", (f"install_{missing}",)
    code, said = _in_child(file, [content_type, program, ocr.LANGUAGES], ocr.environment())
    if code != 0:
        return "", ("too_costly" if code < 0 else "broken",)
    text = said.decode("utf-8", "replace")
    return text[:MOST_CHARACTERS], ("cut",) if len(text) > MOST_CHARACTERS else ()


def _in_child(
    file: BinaryIO, arguments: list[str], environment: dict[str, str]
) -> tuple[int, bytes]:
    """Return a child's exit code, negative for a signal, and what it wrote."""
    with tempfile.TemporaryFile() as out:
        # -I: neither the environment nor the current folder has a say in what is imported. No
        # secret of ours is in its environment.
        child = subprocess.Popen(  # noqa: S603 - our own program, fixed arguments
            [sys.executable, "-I", str(CHILD), *arguments],
            stdin=file,
            stdout=out,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
        try:
            code = child.wait(WALL_SECONDS)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        finally:
            if child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        out.seek(0)
        return code, out.read()
