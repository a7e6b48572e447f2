"""What a run of a drain did ─► the job's result, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from cronbell.drain.budget import MILLION, Counts, Reached
from cronbell.drain.settings import BatchSize
from cronbell.endpoint.context import JobResult


class Stop(StrEnum):
    """Why a run ended before its batches did; part of the answer."""

    DEADLINE = "deadline"
    TOLD = "told"
    CAP = "cap"
    PAUSED = "paused"
    SHUT_OUT = "shut_out"


@dataclass(slots=True)
class Tally:
    """What happened to the records of one run.

    Attributes:
        claimed: taken out of the backlog.
        done: settled as done.
        failed: given back or set aside after a failure; ``dead`` of them set aside.
        dead: set aside.
        passed: claimed, but changed or taken over before they were sent.
        stop: why it ended early; None where it did not.
        cap: the cap that was reached, where ``stop`` is ``CAP``.
        status: the answer that shut us out, where ``stop`` is ``SHUT_OUT``.
    """

    claimed: int = 0
    done: int = 0
    failed: int = 0
    dead: int = 0
    passed: int = 0
    stop: Stop | None = None
    cap: Reached | None = None
    status: int | None = None

    @property
    def processed(self) -> int:
        """How many records were sent and came back."""
        return self.done + self.failed


def result(tally: Tally, batch: BatchSize, used: Counts, pending: int) -> JobResult:
    """Say how a run went.

    Args:
        tally: what happened.
        batch: the batch size in force.
        used: what the run used, in ``Usage.counts``'s units.
        pending: how many records wait now.
    """
    data: dict[str, Any] = {"processed": tally.processed, "pending": pending}
    data["batchSize"] = batch.size
    if tally.failed:
        data["failed"] = tally.failed
    if tally.dead:
        data["setAside"] = tally.dead
    if used["tokens"]:
        data["tokens"] = used["tokens"]
    if used["money"]:
        data["cost"] = f"{(Decimal(used['money']) / MILLION).normalize():f}"
    if tally.stop is not None:
        data["stopped"] = _stopped(tally)
    words = [_handled(tally), _why(tally), batch.note()]
    message = " ".join(word for word in words if word)
    return JobResult(message, data, partial=tally.stop is not None or tally.failed > 0)


def looked(ids: list[str], pending: int, batch: BatchSize) -> JobResult:
    """Say what a run would touch, where it only looks."""
    words = ngettext(
        "%(count)d record would be handled.", "%(count)d records would be handled.", len(ids)
    ) % {"count": len(ids)}
    data = {"processed": 0, "batchSize": batch.size, "wouldProcess": ids, "pending": pending}
    return JobResult(" ".join(word for word in (words, batch.note()) if word), data)


def _stopped(tally: Tally) -> dict[str, Any]:
    found: dict[str, Any] = {"reason": str(tally.stop)}
    if tally.cap is not None:
        found |= {"cap": tally.cap.what, "per": tally.cap.per}
    if tally.status is not None:
        found["status"] = tally.status
    return found


def _handled(tally: Tally) -> str:
    if not tally.processed:
        if tally.stop is not None or tally.passed:
            return _("No record was handled.")
        return _("Nothing to do: no record is waiting.")
    words = ngettext("%(count)d record handled.", "%(count)d records handled.", tally.processed) % {
        "count": tally.processed
    }
    if tally.failed:
        words += " " + _("Failed: %(count)d.") % {"count": tally.failed}
    if tally.dead:
        words += " " + _("Set aside: %(count)d.") % {"count": tally.dead}
    return words


def _why(tally: Tally) -> str:
    if tally.cap is not None:
        named = {"cap": _cap(tally.cap.what)}
        if tally.cap.per == "day":
            return _("The day's cap is reached (%(cap)s); tomorrow's first run goes on.") % named
        return _("The run's cap is reached (%(cap)s); the next run goes on.") % named
    words = {
        Stop.DEADLINE: _("Stopped at the deadline; the next run goes on."),
        Stop.TOLD: _("Told to stop; the next run goes on."),
        Stop.PAUSED: _("The target asked to be left alone for longer than this run may last."),
        Stop.SHUT_OUT: _(
            "The target answered %(status)s: it does not let this caller in. "
            "The other records were not sent."
        )
        % {"status": tally.status},
    }
    return "" if tally.stop is None else words.get(tally.stop, "")


def _cap(what: str) -> str:
    return {
        "items": pgettext("cap", "records"),
        "calls": pgettext("cap", "calls"),
        "tokens": pgettext("cap", "tokens"),
        "seconds": pgettext("cap", "seconds"),
        "money": pgettext("cap", "money"),
    }[what]
