"""What is sent, to whom, and what is refused before anything is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs
from pyreqwest.http import Url

from cronbell.dispatch import AttemptCall, BadRequestError, build_request
from cronbell.dispatch.request import canonical_url, in_order, parse_allowed
from cronbell.domain import JobSpec

DUE = datetime(2026, 11, 22, 9, 0, tzinfo=timezone(timedelta(hours=9)))
KEY = "cb1-0123456789abcdef0123456789abcdef"
SPEC = JobSpec(
    name="clean-data",
    path="/api/cron/clean-data",
    schedule="0 3 * * 0",
    url="http://127.0.0.1:3000/api/cron/clean-data",
)
CALL = AttemptCall(key=KEY, scheduled_at=DUE, attempt=2)


def test_a_request_has_vercels_headers_and_ours_in_this_order():
    request = build_request(SPEC, CALL, secret="s" * 16)

    assert (request.method, request.url) == ("GET", SPEC.url)
    assert request.headers == (
        ("User-Agent", "vercel-cron/1.0"),
        ("x-vercel-cron-schedule", "0 3 * * 0"),
        ("Authorization", "Bearer " + "s" * 16),
        ("Idempotency-Key", KEY),
        ("X-Cronbell-Run-Id", KEY),
        ("X-Cronbell-Scheduled-At", "2026-11-22T00:00:00Z"),
        ("X-Cronbell-Attempt", "2"),
    )


def test_every_attempt_has_the_same_key_and_its_own_number():
    first, second = (
        dict(build_request(SPEC, structs.replace(CALL, attempt=number), secret=None).headers)
        for number in (1, 2)
    )

    assert first.pop("X-Cronbell-Attempt") == "1"
    assert second.pop("X-Cronbell-Attempt") == "2"
    assert first == second


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret_there_is_no_authorization_at_all(secret):
    request = build_request(SPEC, CALL, secret=secret)

    assert "Authorization" not in dict(request.headers)


def test_a_dry_run_says_so_and_a_real_one_does_not():
    dry = build_request(SPEC, structs.replace(CALL, dry_run=True), secret=None)
    real = build_request(SPEC, CALL, secret=None)

    assert set(dry.headers) - set(real.headers) == {("X-Cronbell-Dry-Run", "true")}


def test_a_job_without_a_schedule_sends_no_schedule():
    request = build_request(replace(SPEC, schedule=""), CALL, secret=None)

    assert "x-vercel-cron-schedule" not in dict(request.headers)


@pytest.mark.parametrize(("method", "length"), [("GET", None), ("post", "0"), ("PUT", "0")])
def test_a_method_that_could_have_a_body_says_that_it_has_none(method, length):
    request = build_request(replace(SPEC, method=method), CALL, secret=None)

    assert request.method == method.upper()
    assert dict(request.headers).get("Content-Length") == length


@pytest.mark.parametrize("method", ["", "CONNECT", "TRACE", "GET /x HTTP/1.1\r\nA:", "겟"])
def test_a_method_that_is_none_is_refused(method):
    with pytest.raises(BadRequestError, match="method"):
        build_request(replace(SPEC, method=method), CALL, secret=None)


def test_no_target_is_said_to_be_missing():
    with pytest.raises(BadRequestError, match="no target is known") as caught:
        build_request(replace(SPEC, url=""), CALL, secret=None)

    assert "--target" in caught.value.hint


@pytest.mark.parametrize("secret", ["line\r\nX-Evil: 1", "비밀", "nul\0", "tab\t", "\x7f"])
def test_a_secret_that_no_header_can_carry_is_refused_and_not_shown(secret):
    with pytest.raises(BadRequestError) as caught:
        build_request(SPEC, CALL, secret=secret)

    assert secret not in str(caught.value)
    assert secret not in repr(caught.value)


@pytest.mark.parametrize("value", ["* * * * *\r\nX-Evil: 1", "매일", "\0"])
def test_a_schedule_that_no_header_can_carry_is_refused(value):
    with pytest.raises(BadRequestError, match="schedule"):
        build_request(replace(SPEC, schedule=value), CALL, secret=None)


@pytest.mark.parametrize("key", ["", "a\r\nX-Evil: 1", "키", "\0"])
def test_a_key_that_no_header_can_carry_is_refused(key):
    with pytest.raises(BadRequestError, match="key"):
        build_request(SPEC, structs.replace(CALL, key=key), secret=None)


def test_a_request_does_not_show_the_secret_when_it_is_printed():
    request = build_request(SPEC, CALL, secret="do-not-log-me-please")

    assert "do-not-log-me-please" not in f"{request!r} {request}"
    assert SPEC.url in repr(request)


@pytest.mark.parametrize(
    ("given_url", "sent", "host"),
    [
        ("http://localhost:3000", "http://localhost:3000/", "localhost"),
        ("HTTPS://Example.COM:443/A", "https://example.com/A", "example.com"),
        ("http://example.com:80/", "http://example.com/", "example.com"),
        ("http://example.com:443/", "http://example.com:443/", "example.com"),
        ("http://example.com?a=1", "http://example.com/?a=1", "example.com"),
        ("http://example.com/a b?q=x y", "http://example.com/a%20b?q=x%20y", "example.com"),
        ("http://x/순위?q=값", "http://x/%EC%88%9C%EC%9C%84?q=%EA%B0%92", "x"),
        ("http://x/done%20already%zz", "http://x/done%20already%zz", "x"),
        ("http://x/a#fragment?x", "http://x/a", "x"),
        ('http://x/a\\b"<>^`{|}', "http://x/a%5Cb%22%3C%3E%5E%60%7B%7C%7D", "x"),
        ("http://x//other.example/", "http://x//other.example/", "x"),
        ("http://x/@other.example/", "http://x/@other.example/", "x"),
        ("http://한국.kr/", "http://xn--3e0b707e.kr/", "xn--3e0b707e.kr"),
        ("http://my_service:8080/", "http://my_service:8080/", "my_service"),
        ("http://[::1]:3000/", "http://[::1]:3000/", "::1"),
        ("http://[0:0:0:0:0:0:0:1]/", "http://[::1]/", "::1"),
        ("http://①②⑦.0.0.1/", "http://127.0.0.1/", "127.0.0.1"),
    ],
)
def test_a_url_is_sent_in_one_spelling(given_url, sent, host):
    url, origin = canonical_url(given_url)

    assert (url, origin.host) == (sent, host)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/api/cron/x",
        "example.com/x",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://x/",
        "http:/x/y",
        "http:x",
        "http://",
        "http:///x",
        "http:\\\\x\\y",
        "http://\\x/",
        "http://a\\@b/",
        "http://a b/",
        "http://a%2eb/",
        "http://a\tb/",
        "http://x/a\r\nX-Evil: 1",
        "http://x/\0",
        "http://x/\x7f",
        "\nhttp://x/",
        "http://good.example@bad.example/",
        "http://user:password@x/",
        "http://x:0/",
        "http://x:65536/",
        "http://x:-1/",
        "http://x:8a/",
        "http://[::1/",
        "http://[::1%25lo]/",
        "http://[127.0.0.1]/",
        "http://::1/",
        "http://-x/",
        "http://x..y/",
        "http://.x/",
        "http://a,b/",
        "http://" + "a" * 254 + "/",
        "http://x/" + "a" * 9_000,
        "http://x/\ud800",
        "http://\ud800/",
        "http://" + "ä" * 80 + "/",
    ],
)
def test_a_url_that_clients_could_read_differently_is_refused(url):
    with pytest.raises(BadRequestError) as caught:
        canonical_url(url)

    assert len(str(caught.value)) < 500


def test_credentials_in_a_url_are_refused_without_showing_them():
    with pytest.raises(BadRequestError) as caught:
        canonical_url("http://user:hunter2@x/")

    assert "hunter2" not in str(caught.value)


@given(st.text(alphabet=st.characters(), max_size=40), st.text(max_size=20))
@example("127.1", "")
@example("0x7f.1", "")
@example("127.0.0.1.", "")
@example("0177.0.0.1", "")
@example("[::ffff:127.0.0.1]", "")
@example("good.example\\@bad.example", "")
@example("good.example#@bad.example", "")
@example("ß.example", "ß")
@example("a。b", "")
def test_the_host_that_is_checked_is_the_host_the_client_calls(authority, path):
    """A URL that two parsers read differently would carry the secret past the host check."""
    try:
        url, origin = canonical_url(f"http://{authority}/{path}")
    except BadRequestError:
        return
    try:
        seen = Url(url)
    except ValueError:
        return  # the client calls nothing
    assert (seen.host_str or "").strip("[]") == origin.host
    assert (seen.port_or_known_default, seen.username, seen.password) == (origin.port, "", None)
    assert url.isascii()
    assert url.isprintable()


@pytest.mark.parametrize(
    ("entry", "host", "port"),
    [
        ("Example.com", "example.com", None),
        ("example.com:8443", "example.com", 8443),
        ("한국.kr", "xn--3e0b707e.kr", None),
        ("[::1]", "::1", None),
        ("[::1]:8000", "::1", 8000),
        ("::1", "::1", None),
    ],
)
def test_an_allowed_host_is_read_with_or_without_a_port(entry, host, port):
    assert parse_allowed(entry) == (host, port)


@pytest.mark.parametrize("entry", ["", "http://x", "x/y", "*", "x:0", "x:99999", "a b", "u@x"])
def test_an_allowed_host_that_is_none_is_refused(entry):
    with pytest.raises(BadRequestError):
        parse_allowed(entry)


@pytest.mark.parametrize(("url", "joined"), [(SPEC.url, "?"), (SPEC.url + "?team=a", "&")])
def test_what_was_chosen_for_a_run_is_added_to_the_query(url, joined):
    call = structs.replace(CALL, parameters=in_order({"b": "é &=?#", "a": "1+1"}))
    sent = build_request(replace(SPEC, url=url), call, secret=None)
    assert sent.url == f"{url}{joined}a=1%2B1&b=%C3%A9%20%26%3D%3F%23"
    Url(sent.url)


def test_a_url_that_becomes_too_long_is_refused():
    call = structs.replace(CALL, parameters=(("a", "é" * 2_000),))
    with pytest.raises(BadRequestError, match="with its parameters"):
        build_request(SPEC, call, secret=None)
