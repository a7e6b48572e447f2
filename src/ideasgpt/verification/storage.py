"""Uploaded files: looked at, named at random, readable by their owner alone."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID, uuid4

import filetype
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from cronbell.errors import CronbellError
from ideasgpt.verification.models import Attachment, Record

LARGEST_FILE = 10 * 1024 * 1024
MOST_FILES = 5
LONGEST_NAME = 150
TEXT = "text/plain"
TYPES = frozenset({TEXT, "application/pdf", "image/png", "image/jpeg", "image/webp"})
HEAD = 8192


class UploadError(CronbellError):
    """A file that is not taken."""

    code = "upload"


def folder() -> Path:
    """Return where attachments are kept, making it with mode 0700."""
    path = Path(settings.CRONBELL_DATA_DIR) / "attachments"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def path_of(identity: UUID) -> Path:
    """Return the file of an attachment: nothing of it comes from a user."""
    return folder() / identity.hex


def shown_name(name: str) -> str:
    """Make a name that can be shown: no folders, no characters that hide or turn the text."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    kept = "".join(one for one in last if one.isprintable()).strip(" .")
    return kept[:LONGEST_NAME] or "document"


def attach(record: Record, name: str, chunks: Iterable[bytes]) -> Attachment:
    """Keep a document of a record. Belongs into the transaction that makes the record.

    Raises:
        UploadError: it is empty, too large, or of a type that is not read.
    """
    identity = uuid4()
    path = path_of(identity)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    digest, size, head = hashlib.sha256(), 0, b""
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                size += len(chunk)
                check_size(size)
                head = (head + chunk)[:HEAD] if len(head) < HEAD else head
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        with transaction.atomic():
            return Attachment.objects.create(
                id=identity,
                record=record,
                name=shown_name(name),
                content_type=type_of(head),
                sha256=digest.hexdigest(),
                size=size,
            )
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def check_size(size: int) -> None:
    """Refuse a file that is too large.

    Raises:
        UploadError: it has more than 10 MB.
    """
    if size > LARGEST_FILE:
        raise UploadError(_("A file may have at most %(n)d MB.") % {"n": 10})


def type_of(head: bytes) -> str:
    """Tell a file's type by its first bytes, whatever its name says.

    Raises:
        UploadError: it is of none of the types that are read.
    """
    found = filetype.guess_mime(head)
    if found is None and head and b"\x00" not in head:
        return TEXT
    if found not in TYPES:
        raise UploadError(_("The file is not a text, PDF, PNG, JPEG or WebP by its content."))
    return str(found)
