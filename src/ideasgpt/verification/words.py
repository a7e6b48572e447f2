"""What the verifier found, in words for the person who decides."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from ideasgpt.verification.checks import Found
from ideasgpt.verification.models import Standing

STANDINGS = {
    Standing.PENDING: ("info", "clock", pgettext_lazy("record", "waiting for the verifier")),
    Standing.SUBMITTED: ("info", "play", pgettext_lazy("record", "being verified")),
    Standing.APPROVED: ("good", "check", pgettext_lazy("record", "approved")),
    Standing.REJECTED: ("bad", "cross", pgettext_lazy("record", "rejected")),
    Standing.NEEDS_REVIEW: ("warn", "question", pgettext_lazy("record", "in doubt")),
    Standing.FAILED: ("bad", "hourglass", pgettext_lazy("record", "verifying it failed")),
}
FOUND = {
    Found.MATCH: ("good", "check", _("found in the text")),
    Found.MISSING: ("warn", "question", _("not in the text")),
    Found.MISMATCH: ("bad", "cross", _("the text says otherwise")),
    Found.IMPOSSIBLE: ("bad", "cross", _("cannot be true")),
}
MODEL = {
    "match": ("good", "check", _("says it agrees")),
    "mismatch": ("bad", "cross", _("says it differs")),
    "missing": ("warn", "question", _("says it is missing")),
    "unreadable": ("warn", "question", _("could not read it")),
}
# %(of)s is a claim's name or a document's.
REASONS = {
    "match": _("The rules agree with “%(of)s”."),
    "missing": _("No document says “%(of)s” as it is claimed."),
    "mismatch": _("A document gives another value for “%(of)s”."),
    "impossible": _("“%(of)s” cannot be true in any document."),
    "no_evidence": _("The model showed no quote that proves “%(of)s”."),
    "no_model": _("The rules agree. No model is configured, so a person decides."),
    "model_rejected": _("The model would reject it."),
    "model_needs_review": _("The model is in doubt."),
    "model_suspects_injection": _("The model suspects that a document gives it orders."),
    "model_unreadable": _("The model's answer was not of the agreed form."),
    "model_truncated": _("The model's answer was cut off."),
    "model_empty": _("The model gave no answer."),
    "model_refused": _("The model declined to answer."),
    "model_garbled": _("The model's answer could not be read."),
    "no_text": _("%(of)s: no text was found in it."),
    "file_changed": _("%(of)s: the file is not the one that was uploaded."),
    "too_costly": _("%(of)s: reading it took too much time or memory."),
    "broken": _("%(of)s: the file is damaged."),
    "cut": _("%(of)s: it is too long; only its beginning was read."),
    "encrypted": _("%(of)s: it is locked with a password."),
    "active_content": _("%(of)s: it contains scripts, layers or embedded files."),
    "annotations": _("%(of)s: it contains annotations, which are not read."),
    "hidden_text": _("%(of)s: it contains text that nobody would see."),
    "unreadable_encoding": _("%(of)s: its characters cannot be read."),
    "install": _("%(of)s: a picture; to have pictures read, install %(what)s."),
    "suspicious_invisible_characters": _("%(of)s: characters that are not seen."),
    "suspicious_instructions": _("%(of)s: it reads like orders to a model."),
    "suspicious_answer_shaped": _("%(of)s: it imitates a model's answer."),
    "suspicious_encoded_text": _("%(of)s: it contains encoded text."),
    "suspicious_lookalike_letters": _("%(of)s: it mixes letters that look alike."),
    "suspicious_unknown_language": _("%(of)s: parts are in a script that is not looked into."),
}


def standing_look(status: str) -> tuple[str, str, Any]:
    """Return a status's colour, shape and word; grey and itself where it is not known."""
    known = status in set(Standing)
    return STANDINGS[Standing(status)] if known else ("quiet", "question", status)


def reason_words(reason: str, documents: dict[str, str]) -> str:
    """Say a reason, ``code`` or ``code:claim or document``, in the viewer's language.

    Args:
        reason: as the verdict has it.
        documents: the attachments' names by the ids that the verifier gave them.
    """
    code, _colon, subject = reason.partition(":")
    of = documents.get(subject, subject)
    if of == "claims" and code.startswith("suspicious_"):
        of = gettext("The claims")
    if code.startswith("install_"):
        return str(REASONS["install"]) % {"of": of, "what": code.removeprefix("install_")}
    words = REASONS.get(code)
    # A verdict of another version may know more than this one: its own words are better than none.
    return reason if words is None else str(words) % {"of": of}
