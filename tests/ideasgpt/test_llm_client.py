from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.ideasgpt.model_server import CHAT, KEY, asked, completion, failure, ideas

from cronbell.clock import SYSTEM_CLOCK
from cronbell.testing import answers
from ideasgpt.llm.chat import Ended, Price, Question
from ideasgpt.llm.client import ATTEMPTS, OpenAIClient
from ideasgpt.llm.completion import read_completion
from ideasgpt.llm.offline import OfflineClient
from ideasgpt.llm.provider import (
    DEFAULT_BASE_URL,
    DEFAULT_MODEL,
    ProviderError,
    check_settings,
    provider_from_environment,
    read_setting,
)

QUESTION = Question(
    system="Answer with JSON.",
    user="하나만",
    name="ideas",
    schema={"type": "object"},
    temperature=0.7,
    sample=lambda: "sample text",
)


@pytest.fixture
def client(target, clock):
    """Make a client of the scripted server."""

    def make(price=None, on=None):
        url = target.url("/v1")
        return OpenAIClient(key=KEY, base_url=url, model="m", price=price, clock=on or clock)

    return make


@pytest.fixture
def ask(target, client):
    """Script the answers, ask, and give the reply."""

    def make(*script, seconds=30.0, **kwargs):
        target.script(CHAT, *script)
        return client(**kwargs).complete(QUESTION, seconds)

    return make


def test_a_good_answer_and_what_was_sent_for_it(ask, target):
    price = Price(Decimal("0.25"), Decimal(2))
    reply = ask(completion("밤 창고"), price=price)
    assert (reply.ended, reply.text, reply.detail) == (Ended.ANSWERED, "밤 창고", "")
    assert (reply.usage.calls, reply.usage.prompt_tokens, reply.usage.completion_tokens) == (
        1,
        100,
        50,
    )
    assert reply.usage.cost == Decimal("0.000125")
    (request,) = target.requests
    assert request.header("Authorization") == f"Bearer {KEY}"
    body = json.loads(request.body)
    assert body["model"] == "m"
    assert body["temperature"] == 0.7
    assert body["messages"][1] == {"role": "user", "content": "하나만"}
    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["strict"] is True


def test_without_a_price_the_cost_is_not_known_rather_than_nothing(ask):
    assert ask(completion("x")).usage.cost is None


@pytest.mark.parametrize(
    ("scripted", "ended", "text"),
    [
        (completion("cut he", finish="length"), Ended.TRUNCATED, "cut he"),
        (completion("", finish="length"), Ended.TRUNCATED, ""),
        (completion(None, refusal="I will not."), Ended.REFUSED, ""),
        (completion("", finish="content_filter"), Ended.REFUSED, ""),
        (failure(400, "filtered", code="content_filter"), Ended.REFUSED, ""),
        (completion(" \n"), Ended.EMPTY, ""),
        (answers.json_answer({"choices": []}), Ended.EMPTY, ""),
        (answers.json_answer({"choices": [{}]}), Ended.EMPTY, ""),
    ],
)
def test_each_way_to_end_is_told_from_the_others_and_asked_for_once(
    ask, target, scripted, ended, text
):
    reply = ask(scripted)
    assert (reply.ended, reply.text) == (ended, text)
    assert len(target.requests) == 1


@pytest.mark.parametrize(
    ("scripted", "ended", "words"),
    [
        (failure(401, f"Incorrect API key: {KEY}"), Ended.REJECTED, "HTTP 401: Incorrect API key"),
        (failure(404, "no such model", code="model_not_found"), Ended.REJECTED, "no such model"),
        (failure(429, "pay first", code="insufficient_quota"), Ended.REJECTED, "pay first"),
        (failure(400, "too long", code="context_length_exceeded"), Ended.REJECTED, "too long"),
        (answers.redirect("http://example.invalid/"), Ended.REJECTED, "HTTP 302"),
    ],
)
def test_what_no_repetition_mends_is_not_repeated_and_never_shows_the_key(
    ask, target, scripted, ended, words
):
    reply = ask(scripted)
    assert reply.ended is ended
    assert words in reply.detail
    assert KEY not in reply.detail
    assert len(target.requests) == 1
    assert reply.usage.calls == 1


@pytest.mark.parametrize(
    "scripted",
    [
        failure(429, "slow down"),
        failure(500, "oops"),
        failure(503, "busy"),
        failure(408, "timeout"),
        answers.answer(200, b"<html>garbled"),
        answers.answer(200, b"[" * 100_000),
        answers.json_answer({"error": {"message": "upstream"}}),
        answers.answer(200, b"\xff\xfe"),
        answers.reset("before"),
        answers.reset("mid"),
        answers.wrong_length(),
        answers.not_http(),
        answers.raw(()),
    ],
)
def test_what_may_pass_is_tried_again_and_every_call_is_counted(ask, target, clock, scripted):
    reply = ask(scripted, scripted, completion("at last"))
    assert (reply.ended, reply.text) == (Ended.ANSWERED, "at last")
    assert reply.usage.calls == len(target.requests) == 3
    assert 0.75 <= clock.monotonic() <= 1.5


def test_it_gives_up_after_so_many_attempts(ask, target):
    reply = ask(failure(500, "oops"))
    assert reply.ended is Ended.UNAVAILABLE
    assert reply.detail == "HTTP 500: oops"
    assert len(target.requests) == ATTEMPTS


def test_retry_after_is_waited_for_within_the_deadline(ask, clock):
    reply = ask(failure(429, "slow", retry_after="7"), completion("ok"), seconds=10)
    assert reply.text == "ok"
    assert clock.monotonic() == 7


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_beyond_the_deadline_is_handed_back_and_not_waited_for(
    ask, target, clock, status
):
    before = clock.now()
    reply = ask(failure(status, "slow", retry_after="3600"), seconds=30)
    assert reply.ended in {Ended.RATE_LIMITED, Ended.UNAVAILABLE}
    assert reply.not_before == before + timedelta(hours=1)
    assert clock.monotonic() == 0
    assert len(target.requests) == 1


def test_nobody_listening_is_unavailable(clock, free_port):
    url = f"http://127.0.0.1:{free_port}/v1"
    client = OpenAIClient(key=KEY, base_url=url, model="m", price=None, clock=clock)
    reply = client.complete(QUESTION, 30)
    assert (reply.ended, reply.usage.calls) == (Ended.UNAVAILABLE, ATTEMPTS)


@pytest.mark.parametrize(
    "scripted",
    [
        answers.hang(),
        # Each byte comes in time for a limit on single reads; only a total deadline ends it.
        answers.drip(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + b" " * 9999, interval=0.02
        ),
    ],
)
def test_the_deadline_is_for_everything(ask, target, scripted):
    begun = SYSTEM_CLOCK.monotonic()
    reply = ask(scripted, seconds=0.4)
    assert reply.ended is Ended.TIMED_OUT
    assert SYSTEM_CLOCK.monotonic() - begun < 5
    assert len(target.requests) == 1


def test_no_time_left_is_no_call_that_takes_longer(ask):
    assert ask(completion("too late"), seconds=0).ended is Ended.TIMED_OUT


@pytest.mark.parametrize("scripted", [answers.endless(), answers.huge(50_000_000)])
def test_a_body_without_end_is_left_unread(ask, target, scripted):
    reply = ask(scripted)
    assert reply.ended is Ended.GARBLED
    assert len(target.requests) == 1


def test_the_schema_ladder_goes_down_to_plain_text_and_is_remembered(client, target):
    unknown = failure(400, "response_format is not supported", param="response_format")
    target.script(CHAT, unknown, failure(422, "unknown field"), completion("{}"))
    asking = client()
    reply = asking.complete(QUESTION, 30)
    assert (reply.ended, reply.usage.calls) == (Ended.ANSWERED, 3)
    asking.complete(QUESTION, 30)
    kinds = [body.get("response_format", {}).get("type") for body in asked(target)]
    assert kinds == ["json_schema", "json_object", None, None]


def test_a_bad_request_that_no_format_mends_is_not_held_against_the_format(client, target):
    target.script(CHAT, *[failure(400, "no")] * 3, completion("fine"))
    asking = client()
    assert asking.complete(QUESTION, 30).ended is Ended.REJECTED
    assert asking.complete(QUESTION, 30).text == "fine"
    assert asked(target)[-1]["response_format"]["type"] == "json_schema"


def test_a_model_without_a_temperature_is_asked_without_one(ask, target):
    reply = ask(failure(400, "Unsupported value", param="temperature"), ideas(("A", "B")))
    assert reply.ended is Ended.ANSWERED
    assert [body.get("temperature") for body in asked(target)] == [0.7, None]
    assert asked(target)[1]["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    "usage", [None, 7, {"prompt_tokens": "9", "completion_tokens": -3}, {"prompt_tokens": True}]
)
def test_a_senseless_usage_counts_as_nothing_and_costs_no_answer(usage):
    body = {"choices": [{"message": {"content": "x"}}], "usage": usage}
    reply = read_completion(json.dumps(body).encode(), None)
    assert (reply.ended, reply.usage.calls) == (Ended.ANSWERED, 1)
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (0, 0)


@pytest.fixture
def environment(monkeypatch):
    """Set the variables; every other one of the provider's is unset."""

    def make(**variables):
        for name in ("API_KEY", "BASE_URL", "MODEL", "PRICE"):
            monkeypatch.delenv(f"OPENAI_{name}", raising=False)
        monkeypatch.delenv("IDEASGPT_LLM", raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return make


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": " "}, "OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": "sk-é"}, "OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "localhost:11434"}, "OPENAI_BASE_URL"),
        ({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://[::1/v1"}, "OPENAI_BASE_URL"),
        ({"OPENAI_API_KEY": KEY, "OPENAI_PRICE": "0.25"}, "OPENAI_PRICE"),
        ({"OPENAI_API_KEY": KEY, "OPENAI_PRICE": "NaN/1"}, "OPENAI_PRICE"),
        ({"OPENAI_API_KEY": KEY, "OPENAI_PRICE": "-1/1"}, "OPENAI_PRICE"),
        ({"OPENAI_API_KEY": KEY, "IDEASGPT_LLM": "ofline"}, "IDEASGPT_LLM"),
    ],
)
def test_a_variable_that_is_missing_or_senseless_is_named(environment, clock, variables, named):
    environment(**variables)
    with pytest.raises(ProviderError, match=named) as raised:
        provider_from_environment(clock)
    assert raised.value.hint
    assert KEY not in str(raised.value)
    if "".join(variables.values()).strip():
        with pytest.raises(ProviderError, match=named):
            check_settings()


@pytest.mark.parametrize("variables", [{}, {"OPENAI_API_KEY": " "}, {"IDEASGPT_LLM": "Offline"}])
def test_a_start_needs_no_variable(environment, variables):
    environment(**variables)
    check_settings()


def test_the_defaults_are_openai_s_own(environment, clock):
    environment(OPENAI_API_KEY=KEY)
    setting = read_setting()
    assert (setting.base_url, setting.model, setting.price) == (
        DEFAULT_BASE_URL,
        DEFAULT_MODEL,
        None,
    )
    assert provider_from_environment(clock).real


def test_offline_is_only_ever_asked_for(environment, clock):
    environment(IDEASGPT_LLM="offline")
    client = provider_from_environment(clock)
    assert isinstance(client, OfflineClient)
    assert not client.real
    assert client.complete(QUESTION, 1).text == "sample text"
