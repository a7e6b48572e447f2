"""The shape of the model's answer; what is more or less than this is no answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Evidence(_Part):
    """Where the model read it."""

    document_id: str
    quote: str


class ModelCheck(_Part):
    """The model's view of one claim."""

    field: str
    status: Literal["match", "mismatch", "missing", "unreadable"]
    evidence: Evidence


class Reason(_Part):
    """Why, in a sentence."""

    code: Annotated[str, Field(max_length=40)]
    message: str


class ModelVerdict(_Part):
    """The whole answer; what is more or less than this is no answer."""

    checks: list[ModelCheck]
    reasons: list[Reason]
    injection_suspected: bool
    verdict: Literal["approved", "rejected", "needs_review"]
