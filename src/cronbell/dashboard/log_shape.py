"""A run as the JSON API gives it."""

# ruff: noqa: N815 - the fields of the schema are named as they are on the wire
from __future__ import annotations

from ninja import Schema
from pydantic import Field

from cronbell.states import Kind, Status


class LogRow(Schema):
    """One run. Instants are ISO 8601 in UTC."""

    id: int = Field(description="grows with time")
    jobName: str
    executionTime: str = Field(description="the start, or the due time where nothing started")
    status: Status
    details: str = Field(description="what the endpoint said, or why it did not run; may be empty")
    createdAt: str = Field(description="when the run was recorded")
    kind: Kind
    scheduledAt: str
    startedAt: str | None
    finishedAt: str | None
    reason: str = Field(description="a stable code; empty where the status says it all")
    httpStatus: int | None = Field(description="of the last answer; 0 for a network error")
    attempts: int
    itemsTotal: int
    itemsFailed: int
    tokens: int | None = Field(description="what its items used; null where none of them said")
    cost: str | None = Field(description="what its items cost, a decimal number")
    dryRun: bool
    parameters: dict[str, str] = Field(description="what was chosen of the job's parameters")
    actor: str = Field(description="who asked for a run by hand")
    rerunOf: int | None = Field(description="the run that this one does again")
    backfill: int | None = Field(description="the backfill that this run belongs to")
