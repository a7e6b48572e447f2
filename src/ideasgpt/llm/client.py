"""Any OpenAI-compatible API, asked within a total deadline.

The SDK's own retries are off: it would wait up to 120 s for a ``Retry-After`` and counts its
timeout per attempt and per read. Here the deadline is for everything, a body that comes one byte
at a time included, and what can't be waited for is handed back as ``not_before``.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cronbell.clock import Clock
from cronbell.dispatch.outcome import retry_after
from ideasgpt.llm.chat import Ended, Price, Question, Reply, Usage
from ideasgpt.llm.completion import MAX_BODY, read_completion, readable

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncAPIResponse
    from openai.types.chat import ChatCompletion

ATTEMPT_SECONDS = 60.0
ATTEMPTS = 4
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
# What a provider is asked to hold its model to, the strictest first.
RUNGS = ("json_schema", "json_object", "text")
UNREADABLE_REQUEST = frozenset({400, 422, 501})  # what is said of a format that is not known
TOO_MANY = 429
AGAIN_LATER = frozenset({408, 409, 425})
# Codes after which no other format helps, and no waiting either.
HOPELESS = frozenset({"context_length_exceeded", "model_not_found", "insufficient_quota"})
FILTERED = frozenset({"content_filter", "content_policy_violation"})


@dataclass(frozen=True, slots=True)
class _Manner:
    """How a request is put: what a model takes is found out by asking."""

    rung: int = 0
    temperature: bool = True


@dataclass(frozen=True, slots=True)
class _Try:
    """One request's end.

    Attributes:
        reply: what to return if nothing else is tried.
        again: a later attempt may go better.
        wait: seconds the provider asked for.
        manner: another way to put it that may be understood.
    """

    reply: Reply
    again: bool = False
    wait: float | None = None
    manner: _Manner | None = None


class _TooLargeError(Exception):
    """The body is longer than any answer to our questions."""


class OpenAIClient:
    """Implements ``ChatClient``. One thread at a time.

    Args:
        key: the provider's key; sent to ``base_url`` only, since redirects are not followed.
        base_url: http or https.
        model: its name.
        price: None where it is not known.
        clock: measures the deadline and waits between attempts.
    """

    real = True

    def __init__(
        self, *, key: str, base_url: str, model: str, price: Price | None, clock: Clock
    ) -> None:
        self.model = model
        self.name = f"{urlsplit(base_url).hostname} {model}"
        self._key = key
        self._base_url = base_url
        self._price = price
        self._clock = clock
        # Kept once it has worked, so that a run asks a modest model the long way only once.
        self._manner = _Manner()

    def complete(self, question: Question, seconds: float) -> Reply:
        """Ask, and ask again where that may help; see ``ChatClient``."""
        ends = self._clock.monotonic() + seconds
        manner, usage, attempt = self._manner, Usage(), 1
        while True:
            left = ends - self._clock.monotonic()
            done = self._attempt(question, manner, max(0.0, min(left, ATTEMPT_SECONDS)))
            usage += done.reply.usage
            reply = replace(done.reply, usage=usage)
            if done.manner is not None:
                manner = done.manner
                continue
            if reply.text:
                self._manner = manner
            # The last attempt got all the time there was: whatever the clock says, it is over.
            spent = reply.ended is Ended.TIMED_OUT and left <= ATTEMPT_SECONDS
            if not done.again or spent or attempt == ATTEMPTS:
                return reply if done.wait is None else self._paused(reply, done.wait)
            wait = done.wait if done.wait is not None else _pause_before(attempt)
            if self._clock.monotonic() + wait >= ends:
                return reply if done.wait is None else self._paused(reply, done.wait)
            self._clock.sleep(wait)
            attempt += 1

    def _paused(self, reply: Reply, wait: float) -> Reply:
        return replace(reply, not_before=self._clock.now() + timedelta(seconds=wait))

    def _attempt(self, question: Question, manner: _Manner, seconds: float) -> _Try:
        import openai  # noqa: PLC0415 - 0.7 s that only a process which asks should pay

        asked = Usage.of_call(0, 0, self._price)
        try:
            body = asyncio.run(self._send(question, manner, seconds))
        except (TimeoutError, openai.APITimeoutError):
            detail = f"no answer within {seconds:.0f} s"
            return _Try(Reply(ended=Ended.TIMED_OUT, detail=detail, usage=asked), again=True)
        except openai.APIStatusError as error:
            done = self._refused(error, manner)
            return replace(done, reply=replace(done.reply, usage=asked))
        except openai.APIConnectionError as error:
            detail = self._clean(str(error.__cause__ or error) or "no connection")
            return _Try(Reply(ended=Ended.UNAVAILABLE, detail=detail, usage=asked), again=True)
        except _TooLargeError:
            detail = f"more than {MAX_BODY} bytes"
            return _Try(Reply(ended=Ended.GARBLED, detail=detail, usage=asked))
        reply = read_completion(body, self._price)
        return _Try(
            replace(reply, detail=self._clean(reply.detail)), again=reply.ended is Ended.GARBLED
        )

    async def _send(self, question: Question, manner: _Manner, seconds: float) -> bytes:
        import openai  # noqa: PLC0415

        async with (
            asyncio.timeout(seconds),
            openai.AsyncOpenAI(
                api_key=self._key,
                base_url=self._base_url,
                max_retries=0,
                timeout=seconds,
                http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),
            ) as client,
            client.chat.completions.with_streaming_response.create(
                **self._request(question, manner)
            ) as response,
        ):
            return await _read_body(response)

    def _request(self, question: Question, manner: _Manner) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.model,
            "messages": [
                {"role": "system", "content": question.system},
                {"role": "user", "content": question.user},
            ],
        }
        if manner.temperature:
            request["temperature"] = question.temperature
        match RUNGS[manner.rung]:
            case "json_schema":
                schema = {"name": question.name, "schema": dict(question.schema), "strict": True}
                request["response_format"] = {"type": "json_schema", "json_schema": schema}
            case "json_object":
                request["response_format"] = {"type": "json_object"}
        return request

    def _refused(self, error: APIStatusError, manner: _Manner) -> _Try:
        """Say what a status other than 2xx means."""
        status = error.status_code
        said = error.body if isinstance(error.body, Mapping) else {}
        code, param = (str(said.get(name) or "") for name in ("code", "param"))
        words = self._clean(str(said.get("message") or error.message))
        detail = f"HTTP {status}: {words}"
        if code in FILTERED:
            return _Try(Reply(ended=Ended.REFUSED, detail=words))
        rejected = _Try(Reply(ended=Ended.REJECTED, detail=detail))
        if code in HOPELESS:
            return rejected
        if status in UNREADABLE_REQUEST:
            return replace(rejected, manner=_plainer(manner, param or words))
        ended = _waits(status)
        if ended is None:
            return rejected
        wait = retry_after(error.response.headers.get("retry-after", ""), self._clock.now())
        return _Try(Reply(ended=ended, detail=detail), again=True, wait=wait)

    def _clean(self, words: str) -> str:
        return readable(words.replace(self._key, "…"))


async def _read_body(response: AsyncAPIResponse[ChatCompletion]) -> bytes:
    import openai  # noqa: PLC0415

    body = bytearray()
    try:
        async for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_BODY:
                break
    except Exception as error:
        # Here the SDK lets through whatever its HTTP library raises, under no common name.
        raise openai.APIConnectionError(request=response.http_request) from error
    if len(body) > MAX_BODY:
        raise _TooLargeError
    return bytes(body)


def _plainer(manner: _Manner, about: str) -> _Manner | None:
    """Return a way to put a request that more models understand; None where there is none."""
    if manner.temperature and "temperature" in about:
        return replace(manner, temperature=False)
    return replace(manner, rung=manner.rung + 1) if manner.rung + 1 < len(RUNGS) else None


def _waits(status: int) -> Ended | None:
    """Say what a status means after which a later attempt may go better; None for any other."""
    if status == TOO_MANY:
        return Ended.RATE_LIMITED
    return Ended.UNAVAILABLE if status >= 500 or status in AGAIN_LATER else None  # noqa: PLR2004


def _pause_before(attempt: int) -> float:
    """Return the seconds to wait after the given attempt: doubling, with jitter downwards."""
    longest: float = min(FIRST_WAIT * 2 ** (attempt - 1), LONGEST_WAIT)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads callers, guards nothing
