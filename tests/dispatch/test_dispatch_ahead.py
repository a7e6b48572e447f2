"""Requests that are put together before their time: the very same ones, or not sent at all."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from cronbell.clock import SYSTEM_CLOCK, to_micros
from cronbell.dispatch import AttemptCall, Dispatcher, PyreqwestTransport
from cronbell.states import Reason, Status
from cronbell.testing import FakeClock, answers

from .conftest import CALL, DUE, KEY, SECRET, SPEC

AT = to_micros(DUE)
LONG = 1_000.0  # seconds left, more than enough


@asynccontextmanager
async def dispatching(target, *, secret=SECRET):
    transport = PyreqwestTransport()
    hosts = frozenset({f"127.0.0.1:{target.port}", f"localhost:{target.port}"})
    yield Dispatcher(transport, secret=secret, allowed_hosts=hosts, clock=FakeClock(DUE))
    await transport.close()


def spec_of(target, **changes):
    return replace(SPEC, url=target.url("/x"), **changes)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_it_is_the_same_request_to_the_byte(target, method):
    target.script("/x", answers.ok(message="done"))
    spec = spec_of(target, method=method)

    async def scenario():
        async with dispatching(target) as dispatcher:
            assert dispatcher.make(spec, CALL, timeout=10)
            made = await dispatcher.send_made(spec, KEY, AT, LONG)
            return made, await dispatcher.call(spec, CALL, timeout=10)

    made, called = asyncio.run(scenario())
    assert made == called
    assert made.status is Status.SUCCESS
    assert made.message == "done"
    first, second = target.requests
    assert first.raw == second.raw


def test_it_is_sent_once(target):
    target.script("/x", answers.ok())
    spec = spec_of(target)

    async def scenario():
        async with dispatching(target) as dispatcher:
            dispatcher.make(spec, CALL, timeout=10)
            await dispatcher.send_made(spec, KEY, AT, LONG)
            return dispatcher.send_made(spec, KEY, AT, LONG)

    assert asyncio.run(scenario()) is None
    assert len(target.requests) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"spec": {"timeout": 20.0}},
        {"spec": {"schedule": "5 0 * * *"}},
        {"key": KEY.replace("0", "1")},
        {"scheduled_at": AT + 1},
        {"left": 9.9},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_would_be_made_otherwise_now_is_not_sent(target, changed):
    spec = spec_of(target)
    asked = {"key": KEY, "scheduled_at": AT, "left": LONG, **changed}
    asked["spec"] = replace(spec, **asked["spec"]) if "spec" in asked else spec

    async def scenario():
        async with dispatching(target) as dispatcher:
            assert dispatcher.make(spec, CALL, timeout=10)
            return dispatcher.send_made(**asked)

    assert asyncio.run(scenario()) is None
    assert target.requests == []


@pytest.mark.parametrize("change", ["secret", "configuration"])
def test_another_secret_or_configuration_drops_it(target, change):
    target.script("/x", answers.ok())
    spec = spec_of(target)

    async def scenario():
        async with dispatching(target) as dispatcher:
            dispatcher.make(spec, CALL, timeout=10)
            if change == "secret":
                dispatcher.use_secret("another-secret-of-some-length")
            else:
                dispatcher.warm([spec])
            assert dispatcher.send_made(spec, KEY, AT, LONG) is None
            await dispatcher.call(spec, CALL, timeout=10)

    asyncio.run(scenario())
    (request,) = target.requests
    wanted = "another-secret-of-some-length" if change == "secret" else SECRET
    assert request.header("Authorization") == f"Bearer {wanted}"


def test_its_time_counts_from_when_it_is_sent(target):
    target.script("/x", answers.ok())
    target.script("/hangs", answers.hang())
    quick = spec_of(target)
    hangs = replace(quick, url=target.url("/hangs"))
    later = replace_key(CALL, "later")

    async def scenario():
        async with dispatching(target) as dispatcher:
            dispatcher.make(quick, CALL, timeout=0.3)
            dispatcher.make(hangs, later, timeout=0.3)
            await SYSTEM_CLOCK.wait(0.4)
            ended = await dispatcher.send_made(quick, KEY, AT, LONG)
            begun = SYSTEM_CLOCK.monotonic()
            hung = await dispatcher.send_made(hangs, later.key, AT, LONG)
            return ended, hung, SYSTEM_CLOCK.monotonic() - begun

    ended, hung, took = asyncio.run(scenario())
    assert ended.status is Status.SUCCESS
    assert (hung.status, hung.reason_data) == (Status.TIMED_OUT, {"seconds": 0.3})
    assert took >= 0.3


def test_what_cannot_be_sent_is_not_made_and_told_when_it_is_called(target):
    named = replace(SPEC, url=f"http://localhost:{target.port}/x")  # judged when it is called
    elsewhere = replace(SPEC, url="http://elsewhere.example/x")
    unsendable = replace_key(CALL, "a\nkey")

    async def scenario():
        async with dispatching(target) as dispatcher:
            made = [
                dispatcher.make(named, CALL, timeout=10),
                dispatcher.make(elsewhere, CALL, timeout=10),
                dispatcher.make(spec_of(target), unsendable, timeout=10),
            ]
            refused = await dispatcher.call(elsewhere, CALL, timeout=10)
            bad = await dispatcher.call(spec_of(target), unsendable, timeout=10)
            return made, refused.reason, bad.reason

    assert asyncio.run(scenario()) == (
        [False, False, False],
        Reason.HOST_NOT_ALLOWED,
        Reason.BAD_REQUEST,
    )


def test_no_more_wait_than_may_and_those_of_a_minute_ago_make_room(target, monkeypatch):
    monkeypatch.setattr("cronbell.dispatch.dispatcher.MAX_MADE", 2)
    spec = spec_of(target)

    async def scenario():
        async with dispatching(target) as dispatcher:
            made = [
                dispatcher.make(spec, replace_key(CALL, f"key-{number}"), timeout=10)
                for number in range(3)
            ]
            later = AttemptCall("later", DUE + timedelta(minutes=1), 1)
            made.append(dispatcher.make(spec, later, timeout=10))
            return made, list(dispatcher._made)

    assert asyncio.run(scenario()) == ([True, True, False, True], ["later"])


def test_a_closed_client_sends_nothing(target):
    spec = spec_of(target)

    async def scenario():
        transport = PyreqwestTransport()
        hosts = frozenset({f"127.0.0.1:{target.port}"})
        dispatcher = Dispatcher(transport, secret=SECRET, allowed_hosts=hosts)
        dispatcher.make(spec, CALL, timeout=10)
        await transport.close()
        return await dispatcher.send_made(spec, KEY, AT, LONG)

    assert asyncio.run(scenario()).reason is Reason.RESET
    assert target.requests == []


def test_an_answer_that_repeats_the_secret_is_masked(target):
    target.script("/x", answers.answer(500, f"Bearer {SECRET}".encode()))
    spec = spec_of(target)

    async def scenario():
        async with dispatching(target) as dispatcher:
            dispatcher.make(spec, CALL, timeout=10)
            return await dispatcher.send_made(spec, KEY, AT, LONG)

    outcome = asyncio.run(scenario())
    assert outcome.status is Status.ERROR
    assert SECRET not in str(outcome)


def replace_key(call, key):
    return AttemptCall(key, call.scheduled_at, call.attempt)


@pytest.mark.parametrize(
    "other",
    [
        answers.json_answer({"success": False, "error": "no"}),
        answers.json_answer({"success": True}, status=500),
        answers.json_answer({"success": True, "message": "other"}),
    ],
    ids=["says no", "another status", "another message"],
)
def test_an_answer_like_the_last_is_judged_like_it_and_no_other_is(target, other):
    usual = answers.json_answer({"success": True})
    spec = spec_of(target)

    async def scenario(answer):
        target.script("/x", usual, usual, answer, usual)
        async with dispatching(target) as dispatcher:
            return [
                await dispatcher.call(spec, replace_key(CALL, str(number)), timeout=10)
                for number in range(4)
            ]

    first, second, third, fourth = asyncio.run(scenario(other))
    assert first == second == fourth
    assert second is first
    assert third != first


def test_a_secret_is_masked_in_an_answer_that_was_usual_before_it(target):
    target.script("/x", *[answers.json_answer({"success": True, "message": "a-new-secret"})] * 3)
    spec = spec_of(target)

    async def scenario():
        async with dispatching(target) as dispatcher:
            first = await dispatcher.call(spec, CALL, timeout=10)
            dispatcher.use_secret("a-new-secret")
            return first, await dispatcher.call(spec, CALL, timeout=10)

    before, after = asyncio.run(scenario())
    assert "a-new-secret" in before.body
    assert "a-new-secret" not in after.body + after.message
