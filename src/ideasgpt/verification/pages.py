"""``/admin/reviews``: what waits for a person, and one record with all that was found about it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe
from ninja import Schema

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.access import viewers_too
from cronbell.dashboard.pages.live import SEE_OTHER, live_part, page_window, wants_part
from cronbell.dashboard.parameters import MAX_ID, BadParameterError, Page, read_query
from cronbell.runlog.queries import COUNT_CAP, Tally
from ideasgpt.verification import standing
from ideasgpt.verification.checks import Found
from ideasgpt.verification.documents import Document, read
from ideasgpt.verification.models import (
    AFTER_THE_VERIFIER,
    LONGEST_NOTE,
    Attachment,
    AuditEntry,
    Record,
    Standing,
    Verdict,
)
from ideasgpt.verification.showing import Piece, pieces
from ideasgpt.verification.words import FOUND, MODEL, reason_words, standing_look

PER_PAGE = 25
CLAIMS_SHOWN = 3
REASONS_SHOWN = 2
SHOWN = ("waiting", "decided")
# Reading a document starts a child with half a gigabyte; the verifier's own slots are apart.
READING = threading.BoundedSemaphore(2)


class QueueParameters(Schema):
    """What may stand in the query string of the queue."""

    page: Page = 1


@dataclass(frozen=True, slots=True)
class Line:
    """A record of the queue.

    Attributes:
        record: it.
        look: its status's colour, shape and word.
        sampled: it was approved, and drawn to be looked at.
        claims: the first of what is claimed.
        reasons: the first of why it waits, in words.
        more: how many reasons more there are.
    """

    record: Record
    look: tuple[str, str, Any]
    sampled: bool
    claims: list[tuple[str, str]]
    reasons: list[str]
    more: int


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim and all that was found about it.

    Attributes:
        name: what is claimed.
        value: how.
        rules: colour, shape and word of what the rules found; None where they did not look.
        model: likewise of what the model said.
        quote: what the model quoted.
        document: the name of the document it quoted.
        proved: the quote stands in the document and holds the value.
    """

    name: str
    value: str
    rules: tuple[str, str, Any] | None
    model: tuple[str, str, Any] | None = None
    quote: str = ""
    document: str = ""
    proved: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A document as it is shown.

    Attributes:
        attachment: the file.
        pieces: its text; None where it could not be read.
        problems: what is wrong with it, in words.
    """

    attachment: Attachment
    pieces: list[Piece] | None
    problems: list[str]


@require_safe
@viewers_too
def reviews_page(request: HttpRequest) -> HttpResponse:
    """Show what waits, oldest first; or what people have decided, newest first."""
    show = request.GET.get("show", "waiting")
    faults: dict[str, str] = {}
    try:
        wanted = read_query(QueueParameters, {"page": request.GET.get("page", "1") or "1"})
        if show not in SHOWN:
            faults = {"show": _("choose one of those the page offers")}
    except BadParameterError as error:
        wanted, faults = QueueParameters(), error.problems
    number = standing.waiting_for_a_person(COUNT_CAP + 1)
    decided = show == "decided"
    rows = _decisions() if decided else _queue()
    total = min(rows[: COUNT_CAP + 1].count(), COUNT_CAP) if decided else min(number, COUNT_CAP)
    pages = -(-total // PER_PAGE)
    first = (wanted.page - 1) * PER_PAGE
    found = rows[first : first + PER_PAGE] if wanted.page <= max(pages, 1) else []
    context: dict[str, Any] = {
        "nav": "reviews",
        "page_title": _("Reviews"),
        "now": SYSTEM_CLOCK.now(),
        "show": show,
        "tally": Tally(min(number, COUNT_CAP), capped=number > COUNT_CAP),
        "lines": [] if decided or faults else [_line(one) for one in found],
        "decisions": [(one, standing_look(one.to_status)) for one in found] if decided else [],
        "pages": pages,
        "page": wanted.page,
        "window": page_window(wanted.page, pages),
        "faults": faults,
    }
    if wants_part(request, "reviews"):
        return live_part(request, "verification/parts/reviews.html", context)
    return render(request, "verification/reviews.html", context, status=400 if faults else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@viewers_too
def review_page(request: HttpRequest, record_id: int) -> HttpResponse:
    """Show one record with all that was found (GET), or decide on what was seen (POST)."""
    record = _record(record_id)
    error = ""
    if request.method == "POST":
        error = _decide(request, record)
        if not error:
            away = HttpResponseRedirect(reverse("review", args=[record.pk]))
            away.status_code = SEE_OTHER
            return away
        record = _record(record_id)
    context = _found(record) | {
        "nav": "reviews",
        "page_title": _("Record %(id)s") % {"id": record.pk},
        "now": SYSTEM_CLOCK.now(),
        "error": error,
        "note": request.POST.get("note", "")[:LONGEST_NOTE],
        "longest": LONGEST_NOTE,
        "text_wanted": request.GET.get("text") == "on",
    }
    if context["text_wanted"]:
        context |= _texts(record)
    return render(request, "verification/review.html", context, status=409 if error else 200)


@require_safe
@viewers_too
def review_text(request: HttpRequest, record_id: int) -> HttpResponse:
    """Give the text of a record's documents, read as the verifier reads it."""
    record = _record(record_id)
    context = _texts(record) | {"record": record}
    return render(request, "verification/parts/texts.html", context)


def _decide(request: HttpRequest, record: Record) -> str:
    """Decide; return what kept it from being done."""
    given = request.POST
    version = given.get("version", "")
    note = given.get("note", "").strip()
    if not (version.isascii() and version.isdecimal() and len(version) < len(str(MAX_ID))):
        return _("The form was incomplete. Look again and decide.")
    if len(note) > LONGEST_NOTE or "\0" in note:
        return _("The note may have at most %(n)d characters.") % {"n": LONGEST_NOTE}
    try:
        standing.review(
            record,
            version=int(version),
            seen=given.get("status", ""),
            decision=given.get("decision", ""),
            actor=request.user.get_username(),
            note=note,
            now=SYSTEM_CLOCK.now(),
        )
    except standing.ReviewError as error:
        return error.message
    return ""


def _found(record: Record) -> dict[str, Any]:
    files = _files(record)
    names = {f"d{place}": one.name for place, one in enumerate(files, 1)}
    verdict = _verdict(record)
    reasons = [reason_words(one, names) for one in verdict.reasons] if verdict else []
    following = _queue().filter(pk__gt=record.pk).first() or _queue().exclude(pk=record.pk).first()
    return {
        "record": record,
        "look": standing_look(record.verification_status),
        "sampled": _sampled(record),
        "files": files,
        "verdict": verdict,
        "claims": _claims(record, verdict, names),
        "reasons": reasons,
        "audit": [
            (one, standing_look(one.from_status), standing_look(one.to_status))
            for one in record.audit.order_by("id")
        ],
        "by_verifier": standing.VERIFIER,
        "may_decide": record.verification_status in AFTER_THE_VERIFIER,
        "note_needed": record.verification_status not in standing.REVIEWED,
        "following": following,
    }


def _claims(record: Record, verdict: Verdict | None, names: dict[str, str]) -> list[Claim]:
    rules = {one["field"]: one["found"] for one in verdict.checks} if verdict else {}
    proofs = {one["field"]: one for one in verdict.evidence} if verdict else {}
    found = []
    for name, value in record.fields.items():
        said = rules.get(name)
        look = FOUND[Found(said)] if said in set(Found) else None
        proof = proofs.get(name)
        if proof is None:
            found.append(Claim(name, value, look))
            continue
        document = names.get(proof["document"], "")
        model = MODEL.get(proof["status"])
        found.append(Claim(name, value, look, model, proof["quote"], document, proof["proved"]))
    return found


def _texts(record: Record) -> dict[str, Any]:
    if not READING.acquire(blocking=False):
        return {"documents": [], "busy": True}
    try:
        verdict = _verdict(record)
        proofs = verdict.evidence if verdict else []
        files = _files(record)
        names = {f"d{place}": one.name for place, one in enumerate(files, 1)}
        shown = []
        for place, one in enumerate(files, 1):
            identity = f"d{place}"
            quotes = [proof["quote"] for proof in proofs if proof["document"] == identity]
            shown.append(_document(one, identity, (record, quotes), names))
        return {"documents": shown, "busy": False}
    finally:
        READING.release()


def _document(
    one: Attachment, identity: str, wanted: tuple[Record, list[str]], names: dict[str, str]
) -> Shown:
    record, quotes = wanted
    try:
        document: Document = read(one, identity)
    except OSError:
        return Shown(one, None, [_("The file is gone, or it can't be read.")])
    problems = [reason_words(f"{code}:{identity}", names) for code in document.problems]
    text = document.text.replace("\f", "\n\n")
    marked = pieces(text, record.fields.values(), quotes) if text.strip() else None
    return Shown(one, marked, problems)


def _line(record: Record) -> Line:
    verdict = _verdict(record)
    names = {f"d{place}": one.name for place, one in enumerate(_files(record), 1)}
    reasons = verdict.reasons if verdict else []
    words = [reason_words(one, names) for one in reasons[:REASONS_SHOWN]]
    return Line(
        record=record,
        look=standing_look(record.verification_status),
        sampled=_sampled(record),
        claims=list(record.fields.items())[:CLAIMS_SHOWN],
        reasons=words or ([record.drain_error] if record.drain_error else []),
        more=max(0, len(reasons) - REASONS_SHOWN),
    )


def _sampled(record: Record) -> bool:
    return record.awaits_review and record.verification_status == Standing.APPROVED.value


def _verdict(record: Record) -> Verdict | None:
    found = [one for one in record.verdicts.all() if one.version == record.drain_version]
    return found[0] if found else None


def _files(record: Record) -> list[Attachment]:
    # In the order in which the verifier named them.
    return sorted(record.attachments.all(), key=lambda one: (one.created_at, one.pk))


def _queue() -> Any:
    rows = Record.objects.filter(awaits_review=True).order_by("id").select_related("owner")
    return rows.prefetch_related("attachments", "verdicts")


def _decisions() -> Any:
    return AuditEntry.objects.filter(
        from_status__in=AFTER_THE_VERIFIER, to_status__in=[one.value for one in standing.REVIEWED]
    ).order_by("-id")


def _record(record_id: int) -> Record:
    rows = Record.objects.select_related("owner").prefetch_related("attachments", "verdicts")
    record = rows.filter(pk=min(record_id, MAX_ID)).first()
    if record is None:
        raise Http404
    return record
