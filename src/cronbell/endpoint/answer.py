"""What a job returned or raised ─► the HTTP answer, the receipt's text and the log's outcome.

The shapes are those of SPEC sections 4 and 11: ``success``, ``message``, ``timestamp`` and what
the job returned; on failure ``error`` and ``details``, never a traceback.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from cronbell.clock import iso
from cronbell.domain import Item, Outcome, cost_text
from cronbell.endpoint.context import JobResult
from cronbell.endpoint.receipt import Settlement
from cronbell.endpoint.registry import Job
from cronbell.errors import CronbellError
from cronbell.states import Reason, Status

MAX_DETAILS = 4_000  # characters of an exception's text that are sent and kept
MAX_LOGGED_BODY = 64 * 1024  # bytes of the answer the run log keeps, as for any target
RESERVED = frozenset({"success", "timestamp", "status"})
ASK_AGAIN = 5.0  # seconds between two questions while a run goes on or all threads are busy


class JobResultError(CronbellError):
    """A job returned something that cannot be its answer."""

    code = "job-result"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: the HTTP status.
        body: JSON.
        headers: besides those every answer has (content type, no caching).
    """

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """How one run ended.

    Attributes:
        answer: what the caller is told; what a replay repeats.
        outcome: what the run log is told.
    """

    answer: Answer
    outcome: Outcome

    @property
    def worked(self) -> bool:
        """Whether the effect is to stay, as opposed to being tried again."""
        return self.outcome.status in {Status.SUCCESS, Status.PARTIAL}

    def settlement(self, now: datetime) -> Settlement:
        """Return what the receipt keeps of it."""
        return Settlement(
            state=self.outcome.status,
            http_status=self.answer.status,
            answer=self.answer.body.decode(),
            finished_at=now,
        )


def answer(status: int, body: Mapping[str, Any], *headers: tuple[str, str]) -> Answer:
    """Build an answer from a body that is known to be JSON."""
    return Answer(status, msgspec.json.encode(body), headers)


def refuse(status: int, error: str, **more: Any) -> Answer:
    """Build ``{"error": …}`` with what else is to be said."""
    return answer(status, {"error": error, **more})


def refuse_for_now(status: int, error: str, *, seconds: float = ASK_AGAIN, **more: Any) -> Answer:
    """Refuse, and say with ``Retry-After`` when to ask again: 1 to ``ASK_AGAIN`` seconds."""
    wait = min(max(1, math.ceil(seconds)), math.ceil(ASK_AGAIN))
    return answer(status, {"error": error, **more}, ("Retry-After", str(wait)))


def as_result(returned: object) -> JobResult:
    """Read what a job returned: a ``JobResult``, a mapping (``data``, maybe with ``message``).

    Raises:
        JobResultError: it is neither, nor None.
    """
    if returned is None:
        return JobResult()
    if isinstance(returned, JobResult):
        return returned
    if isinstance(returned, Mapping):
        data = dict(returned)
        return JobResult(data.pop("message", ""), data)
    raise JobResultError(
        f"the job returned {type(returned).__name__}",
        hint="return JobResult(message, data), a mapping, or None",
    )


def worked(result: JobResult, items: tuple[Item, ...], now: datetime) -> Ending:
    """Build the ending of a job that returned in time.

    Raises:
        JobResultError: its data is not JSON, or uses a key that is the library's.
    """
    message = tidy(str(result.message))
    partial = result.partial or not all(item.ok for item in items)
    body = {"success": True, "message": message, "timestamp": iso(now)}
    reserved = RESERVED | {"message"} | ({"results"} if items else set())
    if taken := sorted(reserved.intersection(result.data)):
        raise JobResultError(
            f"the job's data has the key {taken[0]!r}, which the answer needs itself",
            hint="name it differently; success, status, timestamp and results are filled in",
        )
    body.update(result.data)
    if partial:
        body["status"] = "partial"
    if items:
        body["results"] = [_wire(item) for item in items]
    reply = Answer(200, _encode(body))
    return Ending(
        reply,
        Outcome(
            status=Status.PARTIAL if partial else Status.SUCCESS,
            reason=Reason.BODY_PARTIAL if partial else None,
            reason_data=_counts(items),
            http_status=200,
            message=message,
            body=_kept(reply.body),
            items=items,
        ),
    )


def raised(job: Job, error: BaseException, items: tuple[Item, ...]) -> Ending:
    """Build the ending of a job that raised."""
    details = _text_of(error)
    reply = answer(500, {"error": _failure(job), "details": details})
    return Ending(
        reply,
        Outcome(
            status=Status.ERROR,
            reason=Reason.EXCEPTION,
            reason_data={"exception": type(error).__name__, "error": details},
            http_status=500,
            message=f"{_failure(job)} ({details})",
            body=_kept(reply.body),
            items=items,
            retry_kind="5xx",
        ),
    )


def timed_out(job: Job, items: tuple[Item, ...] = (), error: BaseException | None = None) -> Ending:
    """Build the ending of a job that did not finish within its ``max_duration``."""
    details = f"not finished within {job.max_duration:g} s; told to stop"
    if error is not None:
        details = f"{details}; it ended with: {_text_of(error)}"
    reply = answer(504, {"error": _failure(job), "details": details, "status": "timed_out"})
    return Ending(
        reply,
        Outcome(
            status=Status.TIMED_OUT,
            reason=Reason.TIMEOUT,
            reason_data={"seconds": job.max_duration},
            http_status=504,
            message=f"{_failure(job)} ({details})",
            body=_kept(reply.body),
            items=items,
            retry_kind="timeout",
        ),
    )


def cancelled(job: Job, items: tuple[Item, ...], said: str) -> Ending:
    """Build the ending of a job that stopped since its run was cancelled.

    Args:
        job: the job.
        items: what it handled until then.
        said: its last words; may be empty.
    """
    details = "cancelled: told to stop, and stopped"
    if said:
        details = f"{details}; its last words: {tidy(said[:MAX_DETAILS])}"
    reply = answer(409, {"error": _failure(job), "details": details, "status": "cancelled"})
    return Ending(
        reply,
        Outcome(
            status=Status.CANCELLED,
            reason=Reason.CANCELLED,
            http_status=409,
            message=f"{_failure(job)} ({details})",
            body=_kept(reply.body),
            items=items,
        ),
    )


def taken_over(job: Job, items: tuple[Item, ...]) -> Ending:
    """Build the ending of a run whose receipt another process took: its lease had run out."""
    reply = refuse_for_now(
        409, f"{job.name}: this run was taken over by another process", running=True
    )
    return Ending(
        reply,
        Outcome(
            status=Status.UNKNOWN,
            reason=Reason.PROCESS_LOST,
            http_status=409,
            body=_kept(reply.body),
            items=items,
        ),
    )


def tidy(text: str) -> str:
    """Make a text that UTF-8 and every store can carry: no half surrogate pairs, no NUL."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _failure(job: Job) -> str:
    return tidy(str(job.failure_message)) or f"The job {job.name} failed."


def _text_of(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide that the job failed
        text = ""
    return tidy(text[:MAX_DETAILS]) or type(error).__name__


def _counts(items: tuple[Item, ...]) -> dict[str, int]:
    failed = sum(not item.ok for item in items)
    return {"failed": failed, "total": len(items)} if items else {}


def _wire(item: Item) -> dict[str, Any]:
    wire: dict[str, Any] = {"recordId": item.record_id, "ok": item.ok, "status": item.status}
    wire |= {"error": item.error} if item.error else {"body": item.body}
    used = {
        "attempts": item.attempts,
        "seconds": None if item.microseconds is None else item.microseconds / 1_000_000,
        "tokens": item.tokens,
        "cost": cost_text(item.micromoney),
    }
    return wire | {name: value for name, value in used.items() if value is not None}


def _encode(body: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(body, enc_hook=_mapping)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise JobResultError(
            f"the job's data cannot be written as JSON: {error}",
            hint="use text, numbers, lists, mappings with text keys, dates; str() lazy texts",
        ) from error


def _mapping(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _kept(body: bytes) -> str:
    return body[:MAX_LOGGED_BODY].decode("utf-8", "ignore")
