"""What one turn of a run deals with: records that came back, and those about to be sent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import msgspec

from cronbell.drain.budget import COLUMNS, Correction, Reached, Reserved
from cronbell.drain.callers import Answered
from cronbell.drain.claim import Hold
from cronbell.drain.target import Reply, Verdict


@dataclass(frozen=True, slots=True)
class Returned:
    """A record that is back; ``reply`` is None where it was not sent after all."""

    hold: Hold
    reply: Reply | None
    verdict: Verdict | None
    begun: float
    correction: Correction

    @classmethod
    def of(cls, answered: Answered) -> Self:
        """Read what a caller gave back."""
        reply = answered.reply
        if reply is not None and not _is_json(reply.body):
            reply = replace(reply, body=None)
        used = dict.fromkeys(COLUMNS, 0) if reply is None else reply.usage.counts()
        return cls(
            hold=answered.sending.hold,
            reply=reply,
            verdict=None if reply is None else reply.verdict,
            begun=answered.begun,
            correction=(answered.sending.reserved, used),
        )


@dataclass(slots=True)
class Intents:
    """What became of records that were about to be sent.

    Attributes:
        sendable: written down as about to be sent.
        reserved: what was set aside for each of them; first for those passed over, too.
        passed: changed or taken over meanwhile.
        kept: not asked about, since a cap was reached.
        reached: that cap.
    """

    sendable: list[Hold] = field(default_factory=list)
    reserved: list[Reserved] = field(default_factory=list)
    passed: list[Hold] = field(default_factory=list)
    kept: list[Hold] = field(default_factory=list)
    reached: Reached | None = None


def _is_json(body: Any) -> bool:
    # One answer that JSON cannot say must not cost the run its own answer.
    try:
        msgspec.json.encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False
    return True
