"""The only place that changes a record's status; every change names the status it comes from."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from cronbell.drain.claim import close_dead, idempotency_key, mark_changed, mark_handled
from cronbell.drain.models import Stage
from cronbell.errors import CronbellError
from cronbell.runlog import audit
from ideasgpt.verification.models import (
    AFTER_THE_VERIFIER,
    Attachment,
    AuditEntry,
    Record,
    Standing,
    Verdict,
)
from ideasgpt.verification.verdict import PROMPT_VERSION
from ideasgpt.verification.verifier import Decision

LEASE_SECONDS = 180.0  # longer than the longest verification
VERIFIER = "verifier"
REVIEWED = frozenset({Standing.APPROVED, Standing.REJECTED})
FOUND = frozenset({*REVIEWED, Standing.NEEDS_REVIEW})  # what the verifier can come to
DECIDED = frozenset(map(Standing, AFTER_THE_VERIFIER))


class ReviewError(CronbellError):
    """A review that cannot be: nothing is changed."""

    code = "review"


def waiting_for_a_person(most: int) -> int:
    """Count the records that wait for a person's decision, up to ``most``."""
    return Record.objects.filter(awaits_review=True)[:most].count()


def waiting() -> QuerySet[Record]:
    """Return what ``verify-records`` works on: pending, not submitted, with an attachment."""
    return Record.objects.filter(
        Exists(Attachment.objects.filter(record=OuterRef("pk"))),
        verification_status=Standing.PENDING.value,
        submitted_at=None,
    )


def take_on(record: Record, now: datetime) -> str:
    """Take a record on; return what its settlement must name, empty where it is not to be had."""
    holder = uuid.uuid4().hex
    with transaction.atomic():
        taken = (
            waiting()
            .filter(pk=record.pk, drain_version=record.drain_version)
            .update(
                verification_status=Standing.SUBMITTED.value,
                submitted_at=now,
                held_by=holder,
                held_until=now + timedelta(seconds=LEASE_SECONDS),
            )
        )
    return holder if taken else ""


def give_back(record: Record, holder: str) -> None:
    """Have a record wait again: nothing was decided."""
    with transaction.atomic():
        _held(record, holder).update(**_waits_again())


def give_back_abandoned(now: datetime) -> int:
    """Have records wait again whose verification has died; return how many."""
    with transaction.atomic():
        return Record.objects.filter(
            verification_status=Standing.SUBMITTED.value, held_until__lte=now
        ).update(**_waits_again())


def close_decided(now: datetime) -> int:
    """Take out of the drain what was decided although the job did not live to hear it."""
    decided = Record.objects.filter(verification_status__in=[one.value for one in FOUND])
    with transaction.atomic():
        return mark_handled(decided, now=now)


def settle(
    record: Record, holder: str, decision: Decision, *, now: datetime, sample_percent: float
) -> Verdict | None:
    """Write a decision down, once for each version; None where the record is no longer held."""
    sampled = decision.status is Standing.APPROVED and _is_sampled(record, sample_percent)
    usage = decision.usage
    try:
        with transaction.atomic():
            changed = _held(record, holder).update(
                verification_status=decision.status.value,
                held_by="",
                held_until=None,
                awaits_review=sampled or decision.status is Standing.NEEDS_REVIEW,
            )
            if not changed:
                return None
            made = Verdict(
                record=record,
                version=record.drain_version,
                key=idempotency_key(record),
                status=decision.status.value,
                reasons=list(decision.reasons),
                checks=[{"field": one.field, "found": one.found.value} for one in decision.checks],
                evidence=[one.told() for one in decision.evidence],
                documents=list(record.attachments.values_list("sha256", flat=True)),
                model=decision.model[:200],
                model_verdict=decision.model_verdict,
                prompt_version=PROMPT_VERSION if decision.model else "",
                calls=usage.calls,
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                cost=None if usage.cost is None else round(Decimal(usage.cost), 9),
                decided_at=now,
            )
            made.save()
            _audit(record, now, VERIFIER, (Standing.SUBMITTED, decision.status))
            return made
    except IntegrityError:
        return None  # this version has its verdict: the constraint stands behind the fence


def set_aside_failed(now: datetime) -> int:
    """Mark as failed what the drain has set aside; return how many."""
    dead = Record.objects.filter(
        verification_status=Standing.PENDING.value, drain_state=Stage.DEAD.value
    )
    count = 0
    for record in dead.order_by("pk")[:1000]:
        with transaction.atomic():
            if dead.filter(pk=record.pk).update(
                verification_status=Standing.FAILED.value, awaits_review=True
            ):
                note = record.drain_error[:500]
                _audit(record, now, VERIFIER, (Standing.PENDING, Standing.FAILED), note)
                count += 1
    return count


def review(
    record: Record, *, version: int, seen: str, decision: str, actor: str, note: str, now: datetime
) -> None:
    """Have a person decide; the verifier's verdict stays beside it.

    Args:
        record: which.
        version: of the record, as the reviewer saw it.
        seen: its status, as the reviewer saw it.
        decision: approved or rejected.
        actor: the reviewer's name.
        note: why; needed unless the decision only confirms what stands.
        now: the wall time.

    Raises:
        ReviewError: it makes no sense, or the record has changed since.
    """
    if decision not in REVIEWED:
        raise ReviewError(_("Decide “approved” or “rejected”."))
    if seen not in DECIDED:
        raise ReviewError(_("A record can be reviewed once the verifier has dealt with it."))
    if seen != decision and not note.strip():
        raise ReviewError(_("Say why: a decision that changes the status needs a note."))
    with transaction.atomic():
        changed = Record.objects.filter(
            pk=record.pk, drain_version=version, verification_status=seen
        ).update(verification_status=decision, awaits_review=False)
        if not changed:
            raise ReviewError(_("The record has changed since you looked at it; look again."))
        # Nobody is to try again what a person has decided.
        close_dead(Record.objects.filter(pk=record.pk, drain_version=version), now=now)
        _audit(record, now, actor, (Standing(seen), Standing(decision)), note.strip())


def changed(record: Record, *, actor: str, now: datetime) -> None:
    """Have a record verified anew because claims or documents have changed: a new version."""
    with transaction.atomic():
        row = Record.objects.select_for_update().get(pk=record.pk)
        mark_changed(Record.objects.filter(pk=row.pk), now=now)
        Record.objects.filter(pk=row.pk, verification_status=row.verification_status).update(
            awaits_review=False, **_waits_again()
        )
        row.refresh_from_db()
        before = Standing(record.verification_status)
        _audit(row, now, actor, (before, Standing.PENDING), "changed")


def wait_again(records: Sequence[Record], actor: str, now: datetime) -> list[Record]:
    """Have records that failed wait again, under the same key; the drain's ``again``.

    It is part of the transaction in which the drain puts them back: else a record would be pending
    for the one and failed for the other.

    Returns:
        Those that wait now. What a person has decided on meanwhile stays decided.
    """
    waits = []
    with transaction.atomic():
        for record in records:
            row = Record.objects.filter(pk=record.pk, drain_version=record.drain_version)
            failed = row.filter(verification_status=Standing.FAILED.value)
            if failed.update(awaits_review=False, **_waits_again()):
                _audit(record, now, actor, (Standing.FAILED, Standing.PENDING))
                waits.append(record)
            elif row.filter(verification_status=Standing.PENDING.value).exists():
                waits.append(record)
    return waits


def _waits_again() -> dict[str, object]:
    return {
        "verification_status": Standing.PENDING.value,
        "submitted_at": None,
        "held_by": "",
        "held_until": None,
    }


def _held(record: Record, holder: str) -> QuerySet[Record]:
    fence = Q(verification_status=Standing.SUBMITTED.value, held_by=holder)
    return Record.objects.filter(fence, pk=record.pk, drain_version=record.drain_version)


def _is_sampled(record: Record, percent: float) -> bool:
    # By the key, so that a repeated settlement chooses alike; salted, so that nobody can foresee.
    drawn = salted_hmac("ideasgpt.verification.sample", idempotency_key(record)).hexdigest()
    return int(drawn[:8], 16) < percent / 100 * 16**8


def _audit(
    record: Record, at: datetime, actor: str, moved: tuple[Standing, Standing], note: str = ""
) -> None:
    AuditEntry(
        record=record,
        version=record.drain_version,
        at=at,
        actor=actor[:150],
        from_status=moved[0].value,
        to_status=moved[1].value,
        note=note[:2000],
    ).save()
    if actor != VERIFIER:
        details = {"from": moved[0].value, "to": moved[1].value, "note": note}
        audit.record(audit.Action.REVIEW, "record", str(record.pk), details, by=actor)
