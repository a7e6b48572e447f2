"""The audit: who changed what, when and from where. Rows are only ever added.

The function that makes a change records it, in the same transaction where the change is in the
run log; where it is in the application's database the row is committed just before, so that a
crash between the two leaves a row too many and never one too few. Who acts is told once, at the
edge (``acting`` for a request, ``act_as`` for a process), and so can't be forgotten in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import QuerySet

from cronbell.clock import SYSTEM_CLOCK, iso
from cronbell.runlog.models import AuditRow

LONGEST_NAME = 150
LONGEST_SUBJECT = 600
LONGEST_TEXT = 500
MOST_NAMED = 20


class Means(StrEnum):
    """What somebody acted through."""

    SESSION = "session"
    TOKEN = "token"  # noqa: S105 - the word, not a secret
    COMMAND = "command"
    PROGRAM = "program"


class Action(StrEnum):
    """What was done."""

    RUN_NOW = "run_now"
    RERUN = "rerun"
    REPLAY = "replay"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    BACKFILL = "backfill"
    BACKFILL_PAUSE = "backfill_pause"
    BACKFILL_RESUME = "backfill_resume"
    BACKFILL_CANCEL = "backfill_cancel"
    RETRY = "retry"
    PING_URL = "ping_url"
    APPLY = "apply"
    REVIEW = "review"
    ALERT_TESTED = "alert_tested"
    TOKEN_MADE = "token_made"  # noqa: S105 - see above
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - see above
    PASSWORD = "password"  # noqa: S105 - see above
    SIGN_IN = "sign_in"
    SIGN_OUT = "sign_out"
    ADDED = "added"
    CHANGED = "changed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts.

    Attributes:
        name: a user's name, or the system user of a command.
        means: through what.
        source: the network address, or the machine of a command.
        token: the API token's name and number; empty without one.
    """

    name: str
    means: Means
    source: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter of the audit; what is empty or None is not asked for."""

    actor: str = ""
    action: Action | None = None
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the audit, newest first; ``cursor`` leads to the rows before, None on the last."""

    rows: list[AuditRow]
    cursor: int | None


_request: ContextVar[Callable[[], Actor] | None] = ContextVar("cronbell_acting", default=None)
_process: list[Actor] = []


@contextmanager
def acting(who: Callable[[], Actor]) -> Iterator[None]:
    """Have what is recorded inside be ``who()``'s doing; asked only when something is."""
    token = _request.set(who)
    try:
        yield
    finally:
        _request.reset(token)


def act_as(actor: Actor) -> None:
    """Have what this process records outside ``acting`` be ``actor``'s doing: for commands."""
    _process[:] = [actor]


def record(
    action: Action, kind: str, subject: str, details: Mapping[str, Any] | None = None, by: str = ""
) -> None:
    """Add a row; to be called in the transaction of the change.

    Args:
        action: what was done.
        kind: what it was done to: ``job``, ``run``, ``backfill``, ``user`` …
        subject: which one, by name or number.
        details: plain values that say more; no secret. Texts are cut to 500 characters.
        by: who did it, where nobody was named by ``acting`` or ``act_as``.
    """
    who = _request.get()
    actor = who() if who else _process[0] if _process else Actor(by or "?", Means.PROGRAM)
    AuditRow.objects.create(
        at=SYSTEM_CLOCK.now(),
        actor=_text(actor.name, LONGEST_NAME),
        means=actor.means.value,
        source=_text(actor.source, LONGEST_NAME),
        token=_text(actor.token, LONGEST_NAME),
        action=action.value,
        kind=kind,
        subject=_text(subject, LONGEST_SUBJECT),
        details={name: _plain(value) for name, value in (details or {}).items()},
    )


def page(wanted: Wanted, *, limit: int, before: int | None = None) -> Page:
    """Return the newest rows that match, or those before the row ``before``."""
    rows = _matching(wanted)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-id")[: limit + 1])
    return Page(found[:limit], found[limit - 1].pk if len(found) > limit else None)


def shape(row: AuditRow) -> dict[str, Any]:
    """Return a row as API and command line show it."""
    names = ("actor", "means", "source", "token", "action", "kind", "subject", "details")
    return {"id": row.pk, "at": iso(row.at)} | {name: getattr(row, name) for name in names}


def _matching(wanted: Wanted) -> QuerySet[AuditRow]:
    rows = AuditRow.objects.all()
    if _text(wanted.actor + wanted.subject, LONGEST_SUBJECT) != wanted.actor + wanted.subject:
        # Too long or no text a store can hold: no row has it.
        return rows.none()
    if wanted.actor:
        rows = rows.filter(actor=wanted.actor)
    if wanted.action:
        rows = rows.filter(action=wanted.action.value)
    if wanted.subject:
        rows = rows.filter(subject=wanted.subject)
    if wanted.since:
        rows = rows.filter(at__gte=wanted.since)
    if wanted.until:
        rows = rows.filter(at__lt=wanted.until)
    return rows


def _text(text: str, most: int) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "�")[:most]


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value, LONGEST_TEXT)
    if isinstance(value, list | tuple):
        more = len(value) - MOST_NAMED
        some = [_plain(one) for one in value[:MOST_NAMED]]
        return [*some, f"… {more} more"] if more > 0 else some
    return value
