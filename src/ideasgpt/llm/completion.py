"""The bytes of a chat completion ─► a reply.

Read by hand and with patience, because compatible providers leave out half of what the SDK's types
promise: a missing usage or id is no reason to throw an answer away.
"""

from __future__ import annotations

import json
from typing import Any

from ideasgpt.llm.chat import Ended, Price, Reply, Usage

MAX_BODY = 1_048_576
MAX_DETAIL = 300
MOST_TOKENS = 10**12  # more than any provider counts, and within what the stores hold


def read_completion(body: bytes, price: Price | None) -> Reply:
    """Read the body of a 2xx answer. Whatever the bytes are, there is a reply."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        detail = f"the body is not JSON: {error}"
        return Reply(ended=Ended.GARBLED, detail=detail, usage=Usage.of_call(0, 0, price))
    if not isinstance(value, dict):
        return Reply(
            ended=Ended.GARBLED,
            detail="the body is no object",
            usage=Usage.of_call(0, 0, price),
        )
    usage = _usage(value.get("usage"), price)
    choices = value.get("choices")
    if not isinstance(choices, list):
        detail = "the body has no choices"
        if isinstance(value.get("error"), dict):  # some gateways put a failure into a 200
            detail = str(value["error"].get("message") or detail)
        return Reply(ended=Ended.GARBLED, detail=detail, usage=usage)
    first = choices[0] if choices and isinstance(choices[0], dict) else {}
    message = first.get("message")
    return _message(message if isinstance(message, dict) else {}, first.get("finish_reason"), usage)


def _message(message: dict[str, Any], finish: object, usage: Usage) -> Reply:
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal.strip():
        return Reply(ended=Ended.REFUSED, detail=refusal.strip(), usage=usage)
    if finish == "content_filter":
        return Reply(ended=Ended.REFUSED, detail="the provider's content filter", usage=usage)
    content = message.get("content")
    text = content if isinstance(content, str) and content.strip() else ""
    if finish == "length":
        return Reply(ended=Ended.TRUNCATED, text=text, usage=usage)
    return Reply(ended=Ended.ANSWERED if text else Ended.EMPTY, text=text, usage=usage)


def readable(words: str) -> str:
    """Make a line out of what somebody else wrote: printable, and not too long."""
    printable = "".join(one if one.isprintable() else " " for one in words[: 4 * MAX_DETAIL])
    line = " ".join(printable.split())
    return line if len(line) <= MAX_DETAIL else f"{line[:MAX_DETAIL]}…"


def _usage(value: object, price: Price | None) -> Usage:
    counts = value if isinstance(value, dict) else {}
    return Usage.of_call(
        _count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens")), price
    )


def _count(value: object) -> int:
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return int(value) if good and isinstance(value, int) else 0
