"""Attachments' folder ─► what no record knows any more is removed, a bounded part at a time.

A process killed between writing a file and committing its row leaves such a file, and so does
whoever deletes rows. Files are young for a day, far longer than any upload takes, and where most
of what is looked at seems to belong to nobody it is the database that is suspected, not the files.
"""

from __future__ import annotations

import heapq
import logging
import os
import re
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from ideasgpt.verification.models import Attachment
from ideasgpt.verification.storage import folder

log = logging.getLogger("ideasgpt.verification")

MOST_LOOKED_AT = 500  # files, and so rows asked for, in one sweep
MOST_SUSPECT = 20  # orphans that may outnumber the files that are known
YOUNG = timedelta(days=1)
_NAME = re.compile(r"[0-9a-f]{32}")


def sweep(now: datetime, *, start: str | None = None) -> int:
    """Look at some files, from a random place on, and remove orphans; return how many.

    A folder of any size is gone through in time; one run lists its names and asks for at most
    ``MOST_LOOKED_AT`` rows. What is not named like an attachment is left alone. A folder that can't
    be read or written is said in the log.

    Args:
        now: the wall time.
        start: the name to begin at; at random unless given.
    """
    try:
        return _sweep(folder(), secrets.token_hex(16) if start is None else start, now)
    except OSError as error:  # the records of the run that sweeps are none the worse for it
        log.warning("leftover files could not be removed: %s", error)
        return 0


def _sweep(home: Path, begin: str, now: datetime) -> int:
    looked = _names(home, begin)
    known = set(
        Attachment.objects.filter(pk__in=[UUID(one) for one in looked]).values_list("pk", flat=True)
    )
    orphans = [one for one in looked if UUID(one) not in known and _is_old(home / one, now)]
    if len(orphans) > max(MOST_SUSPECT, len(known)):
        log.warning(
            "%d of %d files in %s belong to no record of this database, which is too many to be "
            "leftovers: nothing was removed. See that DATABASE_URL and the data folder belong "
            "together",
            *(len(orphans), len(looked), home),
        )
        return 0
    for one in orphans:
        (home / one).unlink(missing_ok=True)
    if orphans:
        log.info("%d files that belonged to no record were removed from %s", len(orphans), home)
    return len(orphans)


def _names(home: Path, begin: str) -> list[str]:
    """Return the names that follow ``begin``, beginning again behind the last."""
    with os.scandir(home) as entries:
        named = (one.name for one in entries if _NAME.fullmatch(one.name))
        return heapq.nsmallest(MOST_LOOKED_AT, named, key=lambda name: (name < begin, name))


def _is_old(path: Path, now: datetime) -> bool:
    try:
        return path.lstat().st_mtime < (now - YOUNG).timestamp()
    except FileNotFoundError:
        return False  # another sweep was faster
