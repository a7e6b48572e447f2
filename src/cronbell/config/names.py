"""How a job is called: by its path, and never by its position in the file (SPEC section 1).

The shortest form that is unique is taken, and all jobs that would share a form take the next
longer one, so that which of them comes first in the file makes no difference:

1. the last segment of the path (``/api/cron/clean-data`` → ``clean-data``);
2. the whole path (``api-cron-clean-data``);
3. the path and the query (``api-cron-clean-data-region-eu``);
4. that and six hexadecimal digits of the request target's hash, where two targets differ only in
   characters that a name cannot hold.

Where one path has several schedules, each of its jobs also gets six hexadecimal digits of its
schedule's hash. A name that an entry of ``schedules`` gives itself is kept as it is, and names
made here make way for it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Sequence

from cronbell.addresses import shown_address

LONGEST_NAME = 120
_DIGITS = 6
_ALL_DIGITS = 32
_FORMS = 5
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")
_NAME = re.compile(r"[^\W_][\w.-]*")
_CLEAN = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?", re.ASCII)
_ROOT = "root"


def is_name(text: str) -> bool:
    """Say whether a job may be called so: letters, digits, ``-``, ``_`` and ``.``."""
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None


def shortened(name: str, room: int = LONGEST_NAME) -> str:
    """Cut a name that is too long; six digits of its hash keep it apart from others."""
    return name if len(name) <= room else f"{name[: room - _DIGITS - 1]}-{_hash(name)[:_DIGITS]}"


def job_names(
    entries: Sequence[tuple[str, str]], taken: Collection[str] = frozenset()
) -> list[str]:
    """Return the name of each (path, schedule); the pairs must be distinct.

    Args:
        entries: request targets as in ``vercel.json``, each with its schedule.
        taken: names that entries have given themselves; a name made here makes way for them.
    """
    schedules = Counter(path for path, _ in entries)
    forms = [0] * len(entries)
    names = [""] * len(entries)
    open_entries = list(range(len(entries)))
    while open_entries:
        for index in open_entries:
            path, schedule = entries[index]
            names[index] = _name(path, schedule if schedules[path] > 1 else None, forms[index])
        owners = Counter(names)
        open_entries = [
            index
            for index, name in enumerate(names)
            if (owners[name] > 1 or name in taken) and forms[index] < _FORMS - 1
        ]
        for index in open_entries:
            forms[index] += 1
    return names


def _name(path: str, schedule: str | None, form: int) -> str:
    """Return one form of a name; ``schedule`` is None where it need not be told apart."""
    target, _, query = path.partition("#")[0].partition("?")
    if form == 0:
        name = _last_segment(target)
    else:
        parts = [cleaned for segment in target.split("/") if (cleaned := _clean(segment))]
        if form > 1 and (cleaned := _clean(_query_shown(query))):
            parts.append(cleaned)
        name = "-".join(parts)
    digits = _ALL_DIGITS if form == _FORMS - 1 else _DIGITS
    ending = f"-{_hash(path)[:digits]}" if form > 2 else ""  # noqa: PLR2004
    if schedule is not None:
        ending += f"-{_hash(schedule)[:digits]}"
    return shortened(name or _ROOT, LONGEST_NAME - len(ending)) + ending


def _query_shown(query: str) -> str:
    # A name is on every page and in every log.
    return shown_address(f"?{query}")


def _last_segment(target: str) -> str:
    for segment in reversed(target.split("/")):
        if cleaned := _clean(segment):
            return cleaned
    return ""


def _clean(text: str) -> str:
    if _CLEAN.fullmatch(text):
        return text
    return _NOT_IN_NAMES.sub("-", text.lstrip("_.")).strip("-._")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
