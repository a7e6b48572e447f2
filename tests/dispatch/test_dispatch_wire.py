"""The bytes on the wire, and who gets the secret."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from urllib.parse import quote

import pytest

from cronbell.dispatch import BadRequestError, Dispatcher, PyreqwestTransport
from cronbell.states import Reason, Status
from cronbell.testing import FakeClock, ScriptedTarget, answers

from .conftest import CALL, DUE, KEY, SECRET, SPEC

HEAD = (
    "{method} /api/cron/update-rankings?a=%EA%B0%92 HTTP/1.1\r\n"
    "User-Agent: vercel-cron/1.0\r\n"
    "X-Vercel-Cron-Schedule: 0 0 * * *\r\n"
    "Authorization: Bearer {secret}\r\n"
    "{length}"
    "Idempotency-Key: {key}\r\n"
    "X-Cronbell-Run-Id: {key}\r\n"
    "X-Cronbell-Scheduled-At: 2026-11-22T00:00:00Z\r\n"
    "X-Cronbell-Attempt: 1\r\n"
    "Accept: */*\r\n"
    "Accept-Encoding: zstd,gzip,deflate,br\r\n"
    "Host: 127.0.0.1:{port}\r\n"
    "\r\n"
)


@pytest.mark.parametrize(("method", "length"), [("GET", ""), ("POST", "Content-Length: 0\r\n")])
def test_the_request_byte_for_byte(call, target, method, length):
    target.script("/api/cron/update-rankings", answers.ok())

    outcome = call(target.url("/api/cron/update-rankings?a=값#part"), method=method)

    expected = HEAD.format(method=method, secret=SECRET, length=length, key=KEY, port=target.port)
    assert outcome.status is Status.SUCCESS
    assert [request.raw.decode() for request in target.requests] == [expected]
    assert target.requests[0].body == b""


def test_no_proxy_no_netrc_no_cookies_whatever_the_environment_says(
    call, target, monkeypatch, tmp_path
):
    with ScriptedTarget(default=answers.ok()) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.base_url)
        netrc = tmp_path / ".netrc"
        netrc.write_text("machine 127.0.0.1 login me password hunter2\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(netrc))
        target.script("/x", answers.answer(headers=[("Set-Cookie", "a=b; Path=/")]))
        outcomes = call_twice(target, secret=None)

        assert proxy.requests == []

    assert [outcome.status for outcome in outcomes] == [Status.SUCCESS] * 2
    for request in target.requests:
        assert request.header("Authorization") is None
        assert request.header("Cookie") is None
        assert request.header("Referer") is None


def test_a_redirect_is_not_followed_and_the_secret_stays_where_it_belongs(call, target):
    with ScriptedTarget(default=answers.ok()) as other:
        for status in (301, 302, 303, 307, 308):
            target.script("/x", answers.redirect(other.url("/login?token=abc"), status))
            outcome = call(target.url("/x"), method="POST")
            assert (outcome.status, outcome.reason) == (Status.ERROR, Reason.REDIRECTED)
            assert outcome.reason_data == {
                "status": status,
                "location": f"127.0.0.1:{other.port}/login",
            }

        assert other.requests == []
    assert len(target.requests) == 5


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.1:{port}"])
def test_an_allowed_host_is_called_with_the_secret(call, target, allowed):
    target.script("/x", answers.ok())

    outcome = call(target.url("/x"), allowed=frozenset({allowed.format(port=target.port)}))

    assert outcome.status is Status.SUCCESS
    assert target.requests[0].header("Authorization") == f"Bearer {SECRET}"


@pytest.mark.parametrize("allowed", [(), ("example.com",), ("127.0.0.1:1",), ("localhost",)])
def test_another_host_or_port_is_not_called_at_all(call, target, allowed):
    outcome = call(target.url("/x"), allowed=frozenset(allowed))

    assert outcome.status is Status.ERROR
    assert outcome.reason is Reason.HOST_NOT_ALLOWED
    assert outcome.reason_data == {"host": f"127.0.0.1:{target.port}"}
    assert outcome.http_status is None
    assert outcome.retry_kind == ""
    assert target.requests == []


def test_sabotage_without_the_rule_the_secret_reaches_a_foreign_host(call, target, monkeypatch):
    """The test above can fail: with its safeguard taken away, the harm is done."""
    monkeypatch.setattr("cronbell.dispatch.request.Origin.is_among", lambda *_: True)

    call(target.url("/x"), allowed=frozenset({"example.com"}))

    assert target.requests[0].header("Authorization") == f"Bearer {SECRET}"


@pytest.mark.parametrize("secret", [SECRET, 'with-a-"quote"-and-a-\\'])
@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_that_repeats_the_secret_is_kept_without_it(call, target, secret, status):
    """C07: endpoints that print their request when they fail are common, and answers are shown."""
    item = {"recordId": "1", "ok": True, "status": 200, "body": [secret]}
    told = {"message": f"called with Bearer {secret}", "results": [item]}
    target.script("/x", answers.json_answer(told, status))
    target.script("/moved", answers.redirect(target.url(f"/{quote(SECRET)}/login")))

    outcome = call(target.url("/x"), secret=secret)
    moved = call(target.url("/moved"), secret=secret)

    assert (outcome.http_status, outcome.message) == (status, "called with Bearer [CRON_SECRET]")
    assert outcome.items[0].body == ["[CRON_SECRET]"]
    assert secret not in repr(outcome)
    assert json.dumps(secret)[1:-1] not in outcome.body
    assert secret not in repr(moved)


def test_a_request_that_cannot_be_built_is_an_outcome_and_sends_nothing(call, target):
    for changes in ({"method": "TRACE"}, {"schedule": "* * * * *\r\nX: 1"}):
        outcome = call(target.url("/x"), **changes)
        assert (outcome.status, outcome.reason) == (Status.ERROR, Reason.BAD_REQUEST)
        assert outcome.http_status is None
        assert outcome.reason_data["error"]
    assert target.requests == []


def test_a_job_without_a_target_is_an_outcome_too(call):
    outcome = call("")

    assert outcome.reason is Reason.BAD_REQUEST
    assert "--target" in outcome.reason_data["error"]


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan")])
def test_a_call_for_which_no_time_is_left_is_timed_out_and_sends_nothing(call, target, timeout):
    outcome = call(target.url("/x"), timeout=timeout)

    assert (outcome.status, outcome.reason) == (Status.TIMED_OUT, Reason.TIMEOUT)
    assert (outcome.http_status, outcome.retry_kind) == (None, "timeout")
    assert target.requests == []


@pytest.mark.parametrize("timeout", [1e9, 1e300, float("inf")])
def test_a_timeout_beyond_reason_is_cut_rather_than_failing(call, target, timeout):
    target.script("/x", answers.ok())

    assert call(target.url("/x"), timeout=timeout).status is Status.SUCCESS


def test_cancelling_frees_the_task_at_once_and_the_connection_by_its_timeout(target):
    """The client in use finishes what it began on its own thread; the timeout bounds that."""
    noticed = threading.Event()
    target.script("/x", answers.until_hangup(noticed))

    async def scenario():
        transport = PyreqwestTransport()
        attempt = dispatcher(transport, target).call(spec(target), CALL, timeout=0.3)
        task = asyncio.create_task(attempt)
        await asyncio.to_thread(target.wait_for, 1)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=0.2)
        dropped = await asyncio.to_thread(noticed.wait, 5)
        await transport.close()
        return done == {task}, task.cancelled(), dropped

    assert asyncio.run(scenario()) == (True, True, True)


def test_a_transport_that_is_closed_gives_failures_not_exceptions(target):
    target.script("/x", answers.hang())

    async def scenario():
        transport = PyreqwestTransport()
        shared = dispatcher(transport, target)
        task = asyncio.create_task(shared.call(spec(target), CALL, timeout=1))
        await asyncio.to_thread(target.wait_for, 1)
        await transport.close()
        return await task, await shared.call(spec(target), CALL, timeout=1)

    in_flight, afterwards = asyncio.run(scenario())
    assert (in_flight.status, in_flight.http_status) == (Status.ERROR, 0)
    assert (in_flight.reason, afterwards.reason) == (Reason.RESET, Reason.RESET)
    assert len(target.requests) == 1


@pytest.mark.parametrize("secret", ["비밀-비밀-비밀-비밀-비밀", "with\nbreak-in-the-middle"])
def test_a_secret_that_cannot_be_sent_stops_the_start_rather_than_each_run(target, secret):
    with pytest.raises(BadRequestError) as caught:
        dispatcher(PyreqwestTransport(), target, secret)

    assert secret not in str(caught.value)


def test_calls_in_a_burst_share_connections_and_an_idle_one_is_not_trusted_again(target):
    """Servers close idle connections after a few seconds; a call on one is lost to a reset."""
    target.script("/x", answers.ok())

    call_twice(target)
    assert [request.connection for request in target.requests] == [1, 1]

    call_twice(target, idle_seconds=0.0)
    assert [request.connection for request in target.requests[2:]] == [2, 3]


def test_jobs_share_a_dispatcher_without_sharing_requests(target):
    target.script("/x", answers.ok())
    target.script("/y", answers.ok())

    async def scenario():
        transport = PyreqwestTransport()
        shared = dispatcher(transport, target)
        for path, schedule, method in [
            ("/x", "1 * * * *", "GET"),
            ("/y", "1 * * * *", "GET"),
            ("/x", "2 * * * *", "GET"),
            ("/x", "1 * * * *", "POST"),
            ("/x", "1 * * * *", "GET"),
        ]:
            job = replace(SPEC, url=target.url(path), schedule=schedule, method=method)
            await shared.call(job, CALL, timeout=10)
        await transport.close()

    asyncio.run(scenario())
    sent = [(one.path, one.header("x-vercel-cron-schedule"), one.method) for one in target.requests]
    assert sent == [
        ("/x", "1 * * * *", "GET"),
        ("/y", "1 * * * *", "GET"),
        ("/x", "2 * * * *", "GET"),
        ("/x", "1 * * * *", "POST"),
        ("/x", "1 * * * *", "GET"),
    ]


def test_more_jobs_than_are_kept_prepared_are_still_called(target, monkeypatch):
    monkeypatch.setattr("cronbell.dispatch.dispatcher.MAX_PREPARED", 2)
    target.script("/x", answers.ok())

    async def scenario():
        transport = PyreqwestTransport()
        shared = dispatcher(transport, target)
        outcomes = [
            await shared.call(spec(target, f"/x?{number}"), CALL, timeout=10) for number in range(5)
        ]
        await transport.close()
        return outcomes, len(shared._prepared)

    outcomes, kept = asyncio.run(scenario())
    assert [outcome.status for outcome in outcomes] == [Status.SUCCESS] * 5
    assert kept <= 2


def test_a_transport_that_breaks_its_promise_still_gives_an_outcome(caplog):
    class Broken:
        async def send(self, request, *, timeout, reach):  # noqa: ASYNC109
            raise RuntimeError(
                f"no {timeout} nor {reach} for {dict(request.headers)['Authorization']}"
            )

        async def close(self): ...

    hosts = frozenset({"127.0.0.1"})
    broken = Dispatcher(Broken(), secret=SECRET, allowed_hosts=hosts)
    outcome = asyncio.run(broken.call(replace(SPEC, url="http://127.0.0.1/x"), CALL, timeout=1))

    assert (outcome.status, outcome.reason) == (Status.ERROR, Reason.PROTOCOL)
    assert outcome.http_status == 0
    assert SECRET not in str(outcome)
    assert "failed unexpectedly" in caplog.text


def spec(target, path="/x"):
    return replace(SPEC, url=target.url(path))


def dispatcher(transport, target, secret=SECRET):
    hosts = frozenset({f"127.0.0.1:{target.port}"})
    return Dispatcher(transport, secret=secret, allowed_hosts=hosts, clock=FakeClock(DUE))


def call_twice(target, *, secret=SECRET, **options):
    async def scenario():
        transport = PyreqwestTransport(**options)
        one = dispatcher(transport, target, secret)
        outcomes = [await one.call(spec(target), CALL, timeout=10) for _ in range(2)]
        await transport.close()
        return outcomes

    return asyncio.run(scenario())
