"""What ``GET /api/admin/why`` takes and gives."""

# ruff: noqa: N815 - the fields of the schemas are named as they are on the wire
from __future__ import annotations

from typing import Any

from ninja import Schema
from pydantic import Field

from cronbell.dashboard.log_shape import LogRow


class WhyParameters(Schema):
    """Which job, and when."""

    job: str = Field(description="the job's name, or one it had")
    at: str = Field(
        max_length=64, description="ISO 8601, with an offset or without; HH:MM means today"
    )
    timezone: str = Field(
        "", max_length=64, description="of a time without an offset; the job's own by default"
    )


class WhyFinding(Schema):
    """What became of one fire, or why there was none."""

    code: str = Field(
        description="ran, ran_late, running, pending, waiting, not_started, skipped, missed,"
        " future, future_blackout, future_paused, not_recorded, no_row, not_due, disabled,"
        " not_defined or removed"
    )
    at: str | None = Field(description="when the fire is due")
    sentence: str
    run: LogRow | None
    data: dict[str, Any] = Field(description="what the sentence names; by code")


class WhyDefinition(Schema):
    """The job as it was defined then."""

    name: str
    schedule: str
    timezone: str
    words: str = Field(description="the schedule in a sentence")
    enabled: bool
    since: str
    until: str | None = Field(description="when it was changed; null where it still holds")
    appliedBy: str


class WhyMoment(Schema):
    """The answer for one minute."""

    begin: str = Field(alias="from")
    until: str
    local: str
    verdict: str = Field(description="the first finding's code")
    findings: list[WhyFinding]
    definition: WhyDefinition | None
    previousFire: str | None
    nextFire: str | None
    byHand: list[LogRow] = Field(description="runs near it that no schedule asked for")
    sentences: list[str]


class WhyAnswer(Schema):
    """One answer; two where a local time comes twice."""

    job: str
    timezone: str
    moments: list[WhyMoment]
