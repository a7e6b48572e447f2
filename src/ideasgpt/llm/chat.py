"""What is asked of a model and what comes back: one value for every way a call can end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

MILLION = 1_000_000


class Ended(StrEnum):
    """How a call ended.

    The first three have a text worth reading: what a cut answer holds may still be of use.
    """

    ANSWERED = "answered"
    TRUNCATED = "truncated"  # finish_reason "length"
    EMPTY = "empty"  # no choice, or one without a word
    REFUSED = "refused"  # the model or its filter declines; asking again is no use
    GARBLED = "garbled"  # HTTP 200 with a body that is no completion
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"  # 5xx, or no connection
    REJECTED = "rejected"  # any other 3xx or 4xx: key, model, quota
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class Price:
    """What a provider asks, in US dollars for a million tokens."""

    prompt: Decimal
    completion: Decimal


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls have used up, failed ones included.

    Attributes:
        calls: requests sent.
        prompt_tokens: as the provider counts them; 0 where it says nothing.
        completion_tokens: likewise.
        cost: US dollars; None where the price is not known.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal | None = Decimal(0)

    def __add__(self, other: Usage) -> Usage:
        known = self.cost is not None and other.cost is not None
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            (self.cost or Decimal(0)) + (other.cost or Decimal(0)) if known else None,
        )

    @classmethod
    def of_call(cls, prompt_tokens: int, completion_tokens: int, price: Price | None) -> Usage:
        """Return the usage of one request."""
        cost = None
        if price is not None:
            cost = price.prompt * prompt_tokens + price.completion * completion_tokens
            cost /= MILLION
        return cls(1, prompt_tokens, completion_tokens, cost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a model is asked.

    Attributes:
        system: the instructions.
        user: what they are to be applied to.
        name: the schema's name: letters, digits and underscores.
        schema: the JSON schema of the answer, as strict as OpenAI asks: every property required,
            no others allowed.
        temperature: 0 to 2; left off where a model does not take one.
        sample: the answer of the ``offline`` provider; only who asks knows what would fit.
    """

    system: str
    user: str
    name: str
    schema: Mapping[str, Any]
    temperature: float
    sample: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back.

    Attributes:
        ended: how the call ended.
        text: what the model said; empty unless ``ended`` is one that has a text.
        detail: what the provider or the network said about a failure, for people; never the key.
        not_before: the provider asked not to be called until then, and that is past the deadline.
        usage: of every attempt together.
    """

    ended: Ended
    text: str = ""
    detail: str = ""
    not_before: datetime | None = None
    usage: Usage = field(default_factory=Usage)


class ChatClient(Protocol):
    """A provider.

    Attributes:
        name: host and model, to keep what is remembered about one provider from another.
        model: the model's name.
        real: False for ``offline``, whose answers no model made.
    """

    name: str
    model: str
    real: bool

    def complete(self, question: Question, seconds: float) -> Reply:
        """Ask; never raises, and returns within ``seconds``."""
        ...
