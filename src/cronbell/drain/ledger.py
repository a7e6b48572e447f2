"""How a drain stands: its backlog, its day, what was set aside; and having that tried again.

What became of a record in each run is the run log's to say (``runlog/records.py``); where the
record stands now is the application's row, which is read here.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.db.models import Q

from cronbell.drain import claim as claims
from cronbell.drain.budget import COLUMNS
from cronbell.drain.claim import Backlog, Records
from cronbell.drain.drain import Drain
from cronbell.drain.models import DrainDay, DrainState, Stage, TargetPause
from cronbell.errors import CronbellError

MOST_AT_ONCE = 1_000  # records put back with one statement


class CursorError(CronbellError):
    """A cursor that no list gave."""

    code = "drain-cursor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a drain stands.

    Attributes:
        backlog: its records in numbers.
        used: what it used today (UTC), as ``Usage.counts`` counts.
        paused_until: until when its target asked to be left alone; None where it did not.
    """

    backlog: Backlog
    used: dict[str, int]
    paused_until: datetime | None


@dataclass(frozen=True, slots=True)
class SetAside:
    """A page of records that were set aside, the last one first.

    Attributes:
        records: the application's rows.
        cursor: leads to the page after it; empty where there is none.
    """

    records: Sequence[Any]
    cursor: str


def standing(drain: Drain, *, now: datetime, most: int | None = None) -> Standing:
    """Say how a drain stands at an instant.

    Args:
        drain: which.
        now: the instant.
        most: count nothing further than this and one; None to count all there is.
    """
    using = router.db_for_write(_model(drain))
    day = DrainDay.objects.using(using).filter(drain=drain.name, day=now.date()).first()
    target = drain.pace.target if drain.pace else drain.name
    pauses = TargetPause.objects.using(using).filter(target=target, until__gt=now)
    return Standing(
        backlog=claims.backlog(drain.qualifying, now=now)
        if most is None
        else claims.glimpse(drain.qualifying, now=now, most=most),
        used={name: getattr(day, column, 0) for name, column in COLUMNS.items()},
        paused_until=pauses.values_list("until", flat=True).first(),
    )


def set_aside(drain: Drain, *, limit: int, cursor: str = "") -> SetAside:
    """Return records that were set aside, the last one first.

    Args:
        drain: whose.
        limit: how many at most.
        cursor: of the page before; empty for the first.

    Raises:
        CursorError: no page gave this cursor.
    """
    # When it would have been due again: the index of the claims has it, and it is the instant of
    # its last failure and a constant.
    dead = _rows(drain).filter(drain_state=Stage.DEAD.value)
    if cursor:
        dead = dead.filter(_behind(_model(drain), cursor))
    found = list(dead.order_by("-drain_available_at", "-pk")[: limit + 1])
    more = len(found) > limit
    return SetAside(found[:limit], _cursor(found[limit - 1]) if more else "")


def record_of(drain: Drain, record_id: str) -> DrainState | None:
    """Return a record as it stands now, whether it qualifies or not; None where there is none."""
    return _chosen(drain, [record_id]).first()


def try_again(drain: Drain, record_ids: Sequence[str], *, actor: str, now: datetime) -> int:
    """Have those of the given records that failed tried again, before what came after them.

    That is records set aside, whose failures are forgotten, and records that wait for their next
    try. What is done, being handled or never failed is left alone, and so is what the drain's
    ``again`` leaves out; none gets another idempotency key: they have not changed.

    Args:
        drain: whose.
        record_ids: which.
        actor: who wants it.
        now: the wall time.

    Returns:
        How many there were.
    """
    put_back = 0
    for start in range(0, len(record_ids), MOST_AT_ONCE):
        chosen = _chosen(drain, record_ids[start : start + MOST_AT_ONCE])
        put_back += _put_back(drain, chosen, actor, now)
    return put_back


def try_all_again(drain: Drain, *, actor: str, now: datetime) -> int:
    """Have every record that was set aside tried again; return how many there were."""
    put_back = 0
    rows = _rows(drain)
    # Page by page, since what ``again`` leaves out stays among those set aside.
    page = rows.filter(drain_state=Stage.DEAD.value).order_by("drain_available_at", "pk")
    rest = page
    while found := list(rest.values_list("pk", "drain_available_at")[:MOST_AT_ONCE]):
        chosen = rows.filter(pk__in=[pk for pk, _at in found])
        put_back += _put_back(drain, chosen, actor, now)
        last, at = found[-1]
        rest = page.filter(Q(drain_available_at__gt=at) | Q(drain_available_at=at, pk__gt=last))
    return put_back


def _put_back(drain: Drain, chosen: Records, actor: str, now: datetime) -> int:
    """Put records back and have the application do its part of it, or neither."""
    with transaction.atomic(using=router.db_for_write(_model(drain))):
        # Locked, so that what the application looks at is what is put back.
        failed = list(claims.failed(chosen, now=now).select_for_update().order_by("pk"))
        if drain.again is not None and failed:
            failed = list(drain.again(failed, actor, now))
        return claims.try_again(chosen.filter(pk__in=[one.pk for one in failed]), now=now)


def _model(drain: Drain) -> type[DrainState]:
    model: type[DrainState] = claims.pending_records(drain.qualifying).model
    return model


def _rows(drain: Drain) -> Records:
    model = _model(drain)
    return model._meta.base_manager.using(router.db_for_write(model)).all()


def _chosen(drain: Drain, record_ids: Sequence[str]) -> Records:
    key = _model(drain)._meta.pk
    chosen = []
    for record_id in record_ids:
        try:
            value = key.to_python(record_id)
            key.run_validators(value)
            record_id.encode()
        except (ValidationError, OverflowError, UnicodeEncodeError):
            continue  # no record has such an id
        if str(value) == record_id and "\0" not in record_id:
            chosen.append(value)
    return _rows(drain).filter(pk__in=chosen)


def _cursor(record: DrainState) -> str:
    words = json.dumps([record.drain_available_at.isoformat(), str(record.pk)])
    return base64.urlsafe_b64encode(words.encode()).decode()


def _behind(model: type[DrainState], cursor: str) -> Q:
    try:
        words, last = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
        instant = datetime.fromisoformat(words)
        pk = model._meta.pk.to_python(last)
        if instant.tzinfo is None:
            raise ValueError("no zone")  # noqa: TRY301 - one way out for all that is wrong
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error, ValidationError):
        raise CursorError("no list gave this cursor", hint="take it from the page before") from None
    same = Q(drain_available_at=instant, pk__lt=pk)
    return Q(drain_available_at__lt=instant) | same
