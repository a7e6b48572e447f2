"""Claims and documents ─► one decision. Knows the model only as a witness, never as the judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ideasgpt.llm.chat import ChatClient, Ended, Reply, Usage
from ideasgpt.verification import checks, suspicion, verdict
from ideasgpt.verification.checks import Check, Found
from ideasgpt.verification.documents import Document
from ideasgpt.verification.models import Standing

# The provider's trouble, not the record's: it is given back.
ELSEWHERE = frozenset({Ended.RATE_LIMITED, Ended.UNAVAILABLE, Ended.REJECTED, Ended.TIMED_OUT})


class ProviderAwayError(Exception):
    """The model could not be asked; nothing is decided.

    Attributes:
        not_before: when the provider wants to be asked again; None where it did not say.
    """

    def __init__(self, detail: str, not_before: datetime | None, ended: Ended) -> None:
        super().__init__(detail)
        self.not_before = not_before
        self.ended = ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the verifier decided.

    Attributes:
        status: approved, rejected or needs_review.
        reasons: codes, with the field or document after a colon; empty for an approval.
        checks: what the rules found, field by field.
        evidence: what the model quoted, claim by claim.
        model: who was asked; empty where nobody was.
        model_verdict: what it said; empty where it said nothing that could be read.
        usage: of the model.
    """

    status: Standing
    reasons: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    evidence: tuple[verdict.Proof, ...] = ()
    model: str = ""
    model_verdict: str = ""
    usage: Usage = field(default_factory=Usage)


def decide(
    fields: dict[str, str],
    documents: Sequence[Document],
    client: ChatClient | None,
    seconds: float,
) -> Decision:
    """Decide. A model is asked only where the rules have found nothing to object to.

    Args:
        fields: the claims.
        documents: what was read of the attachments.
        client: the model; None to have every record that passes the rules go to a person.
        seconds: how long the model may take.

    Raises:
        ProviderAwayError: the model could not be asked.
    """
    # A claim that can't be true in any document needs neither the documents nor a person.
    found = tuple(checks.check(fields, "\n".join(one.text for one in documents)))
    impossible = [f"impossible:{one.field}" for one in found if one.found is Found.IMPOSSIBLE]
    if impossible:
        return Decision(status=Standing.REJECTED, reasons=tuple(impossible), checks=found)
    doubts = _doubts(fields, documents, found)
    if doubts:
        return Decision(status=Standing.NEEDS_REVIEW, reasons=tuple(doubts), checks=found)
    if client is None or not client.real:
        return Decision(status=Standing.NEEDS_REVIEW, reasons=("no_model",), checks=found)
    reply = client.complete(verdict.question(fields, documents), seconds)
    if reply.ended in ELSEWHERE:
        raise ProviderAwayError(reply.detail or str(reply.ended), reply.not_before, reply.ended)
    said, proofs, reasons = _heard(reply, fields, documents)
    return Decision(
        status=Standing.NEEDS_REVIEW if reasons else Standing.APPROVED,
        reasons=tuple(reasons),
        checks=found,
        evidence=tuple(proofs),
        model=client.name,
        model_verdict=said,
        usage=reply.usage,
    )


def _doubts(
    fields: dict[str, str], documents: Sequence[Document], found: Sequence[Check]
) -> list[str]:
    """Return why the rules would not let this through."""
    doubts = [f"{problem}:{one.id}" for one in documents for problem in one.problems]
    for one in documents:
        doubts += [f"suspicious_{sign}:{one.id}" for sign in suspicion.suspicions(one.text)]
    claimed = "\n".join(f"{name} {value}" for name, value in fields.items())
    doubts += [f"suspicious_{sign}:claims" for sign in suspicion.suspicions(claimed)]
    doubts += [f"{one.found}:{one.field}" for one in found if one.found is not Found.MATCH]
    return doubts


def _heard(
    reply: Reply, fields: dict[str, str], documents: Sequence[Document]
) -> tuple[str, list[verdict.Proof], list[str]]:
    """Return the model's verdict, its evidence, and what keeps it from being an approval."""
    if reply.ended is not Ended.ANSWERED:
        return "", [], [f"model_{reply.ended}"]
    answer = verdict.parse(reply.text)
    if answer is None:
        return "", [], ["model_unreadable"]
    proofs = verdict.evidence(answer, fields, documents)
    reasons = [] if answer.verdict == "approved" else [f"model_{answer.verdict}"]
    if answer.injection_suspected:
        reasons.append("model_suspects_injection")
    reasons += [f"no_evidence:{one}" for one in verdict.unproved(proofs, fields)]
    return answer.verdict, proofs, reasons
