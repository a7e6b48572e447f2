"""One record, from being taken on to its verdict; whatever happens, it is settled or given back."""

from __future__ import annotations

import math
import os

from cronbell.clock import Clock
from ideasgpt.llm.chat import ChatClient, Ended
from ideasgpt.llm.provider import CHOICE, KEY, ProviderError, provider_from_environment
from ideasgpt.verification import service, standing
from ideasgpt.verification.documents import read
from ideasgpt.verification.models import Record, Verdict
from ideasgpt.verification.verifier import ProviderAwayError, decide

MODEL_SECONDS = 40.0
HOPELESS_PAUSE = 300  # seconds; a wrong key or an empty account is the same for every record
SHORT_PAUSE = 30


class BusyError(Exception):
    """Somebody else is at it, or it is not to be verified now."""


class AwayError(Exception):
    """The model is away; the record was given back.

    Attributes:
        seconds: when to come again.
    """

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


def verify(record: Record, clock: Clock) -> Verdict:
    """Take a record on, decide, write it down.

    Raises:
        BusyError: it was not to be had, or was taken away meanwhile.
        AwayError: the model could not be asked.
    """
    holder = standing.take_on(record, clock.now())
    if not holder:
        raise BusyError(
            "another verification holds the record, it is decided, or it has no attachment"
        )
    try:
        files = record.attachments.order_by("created_at", "id")
        documents = [read(one, f"d{place}") for place, one in enumerate(files, 1)]
        decision = decide(record.fields, documents, model(clock), MODEL_SECONDS)
    except ProviderAwayError as error:
        standing.give_back(record, holder)
        raise AwayError(f"the model could not be asked: {error}", _pause(error, clock)) from error
    except ProviderError as error:
        standing.give_back(record, holder)
        raise AwayError(str(error), HOPELESS_PAUSE) from error
    except BaseException:
        standing.give_back(record, holder)
        raise
    verdict = standing.settle(
        record, holder, decision, now=clock.now(), sample_percent=service.sample_percent()
    )
    if verdict is None:
        raise BusyError("the record changed or was taken over while it was verified")
    return verdict


def model(clock: Clock) -> ChatClient | None:
    """Return the model; None where none is configured, or only sample text.

    Raises:
        ProviderError: a variable is senseless.
    """
    if not os.environ.get(KEY, "").strip() and not os.environ.get(CHOICE, "").strip():
        return None
    client = provider_from_environment(clock)
    return client if client.real else None


def _pause(error: ProviderAwayError, clock: Clock) -> int:
    if error.not_before is not None:
        return max(1, math.ceil((error.not_before - clock.now()).total_seconds()))
    return HOPELESS_PAUSE if error.ended is Ended.REJECTED else SHORT_PAUSE
