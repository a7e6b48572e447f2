"""From an answer to an outcome: the table of SPEC section 3, and nothing that can make it raise."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cronbell.dispatch import Failure, Response
from cronbell.dispatch.body import MAX_DEPTH, MAX_ITEMS, members_of, storable, text_of
from cronbell.dispatch.outcome import MAX_WAIT, _plain, outcome_of, retry_after
from cronbell.domain import Item, Outcome
from cronbell.states import Reason, Status

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def judge(received: Response | Failure) -> Outcome:
    return outcome_of(received, authority="127.0.0.1:3000", timeout=300.0, now=lambda: NOW)


def answered(body: object, status: int = 200, **more: object) -> Outcome:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return judge(Response(status, content, **more))


@pytest.mark.parametrize(
    "body",
    [
        {"success": True},
        {"success": True, "status": "success"},
        {"ok": False},
        {"success": 0},
        {"success": None},
        {"success": "false"},
        {"status": "ERROR"},
        {"status": "failed"},
        {"status": ["error"]},
        {"result": {"success": False, "status": "error"}},
        [{"success": False}],
        "success: false",
        None,
        b"",
        b"OK",
        b"<html>error</html>",
        b"{",
        b"{}",
        b"\xff\xfe\x00",
    ],
)
def test_a_2xx_is_a_success_whatever_it_says_but_these_words(body):
    outcome = answered(body)

    assert (outcome.status, outcome.reason, outcome.retry_kind) == (Status.SUCCESS, None, "")
    assert outcome.http_status == 200


@pytest.mark.parametrize(
    "body",
    [
        {"success": False},
        {"status": "error"},
        {"success": True, "status": "error"},
        {"success": False, "status": "partial"},
        b'\xef\xbb\xbf{"success": false}',
        b'{"success": false, "score": NaN}',
        b'{"success": false, "text": "line\nbreak"}',
        b'{"success": false, "text": "\xff"}',
        b'{"success": true, "success": false}',
        b'{"success": false, "broken',
        b'{"success": false, "n": ' + b"9" * 10_000 + b"}",
        b'{"success": false, "deep": ' + b"[" * 100_000,
    ],
)
def test_a_2xx_that_says_it_failed_is_an_error_and_is_not_tried_again(body):
    outcome = answered(body)

    assert (outcome.status, outcome.reason) == (Status.ERROR, Reason.BODY_ERROR)
    assert (outcome.http_status, outcome.retry_kind) == (200, "")


def test_a_partial_answer_counts_its_items():
    outcome = answered(
        {
            "success": True,
            "status": "partial",
            "message": "2 of 3",
            "results": [
                {"recordId": "a", "ok": True, "status": 200, "body": {"score": 1}},
                {"recordId": 7, "ok": False, "status": 0, "error": "refused"},
                {"recordId": "c", "ok": True, "status": 200, "body": None},
            ],
        }
    )

    assert (outcome.status, outcome.reason) == (Status.PARTIAL, Reason.BODY_PARTIAL)
    assert outcome.reason_data == {"message": "2 of 3", "failed": 1, "total": 3}
    assert outcome.items == (
        Item(record_id="a", ok=True, status=200, body={"score": 1}),
        Item(record_id="7", ok=False, status=0, error="refused"),
        Item(record_id="c", ok=True, status=200),
    )


def test_a_partial_answer_without_items_names_no_numbers():
    assert answered({"status": "partial"}).reason_data == {"message": ""}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "4xx"),
        (401, "4xx"),
        (404, "4xx"),
        (409, "4xx"),
        (429, "429"),
        (499, "4xx"),
        (500, "5xx"),
        (503, "5xx"),
        (504, "5xx"),
        (599, "5xx"),
        (999, "5xx"),
        (300, ""),
        (304, ""),
    ],
)
def test_every_other_status_is_an_error_with_its_number(status, kind):
    outcome = answered({"error": "no", "details": "really"}, status)

    assert (outcome.status, outcome.reason) == (Status.ERROR, Reason.HTTP_STATUS)
    assert outcome.reason_data == {"status": status}
    assert (outcome.http_status, outcome.retry_kind) == (status, kind)
    assert outcome.message == "no: really"
    assert outcome.ask_again_after is None


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/login?next=/api/cron/x&token=abc", "/login"),
        ("https://example.com/login?t=1#f", "example.com/login"),
        ("https://example.com:8443/", "example.com:8443/"),
        ("https://user:hunter2@example.com/x", "example.com/x"),
        ("//example.com/x", "example.com/x"),
        ("../up", "../up"),
        ("http://user:hunter2@[::1/x?y", "[::1/x"),
        ("http://x:99999/?t=1", "http://x:99999/"),
        ("/" + "a" * 9_000, "/" + "a" * 499),
    ],
)
def test_a_redirect_shows_host_and_path_and_no_more(location, shown):
    outcome = answered(b"", 302, location=location)

    assert (outcome.status, outcome.reason) == (Status.ERROR, Reason.REDIRECTED)
    assert outcome.reason_data == {"status": 302, "location": shown}
    assert outcome.retry_kind == ""


def test_a_409_that_skipped_is_an_overlap_even_if_it_says_when_to_come_back():
    outcome = answered({"skipped": True}, 409, retry_after="5")

    assert (outcome.status, outcome.reason) == (Status.SKIPPED, Reason.OVERLAP)
    assert (outcome.ask_again_after, outcome.retry_kind) == (None, "")


def test_a_409_with_retry_after_is_asked_again():
    outcome = answered({"error": "running"}, 409, retry_after="5")

    assert (outcome.status, outcome.reason) == (Status.TIMED_OUT, Reason.STILL_WORKING)
    assert outcome.reason_data == {"after": 5.0}
    assert outcome.ask_again_after == 5.0


@pytest.mark.parametrize(("status", "kind"), [(429, "429"), (503, "5xx")])
def test_a_429_or_503_with_retry_after_is_asked_again(status, kind):
    outcome = answered(b"", status, retry_after="30")

    assert (outcome.status, outcome.reason) == (Status.ERROR, Reason.ASKED_TO_WAIT)
    assert outcome.reason_data == {"status": status, "after": 30.0}
    assert (outcome.ask_again_after, outcome.retry_kind) == (30.0, kind)


@pytest.mark.parametrize("status", [409, 429, 503])
@pytest.mark.parametrize("value", ["-1", "soon", "", "1.5", "1e12", "٣"])
def test_an_unusable_retry_after_is_as_if_there_were_none(status, value):
    outcome = answered(b"", status, retry_after=value)

    assert outcome.reason is Reason.HTTP_STATUS
    assert outcome.ask_again_after is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 1.0),
        ("1", 1.0),
        (" 120 ", 120.0),
        ("86400", MAX_WAIT),
        ("1000000000000", MAX_WAIT),
        ("9" * 20, MAX_WAIT),
        ("9" * 21, None),
        ("9" * 9_999, None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=400), usegmt=True), 1.0),
        (format_datetime(NOW + timedelta(days=400), usegmt=True), MAX_WAIT),
        ("Sun, 22 Nov 2026 12:01:00", 60.0),
        ("Sun, 22 Nov 2026 21:01:00 +0900", 60.0),
        ("Sunday, 22-Nov-26 12:01:00 GMT", 60.0),
        ("Sun Nov 22 12:01:00 2026", 60.0),
        ("Sun, 99 Nov 2026 12:00:00 GMT", None),
        ("Sun, 22 Nov 99999 12:00:00 GMT", None),
        ("tomorrow", None),
        ("-5", None),
        ("1.5", None),
        ("1e3", None),
        ("0x10", None),
        ("", None),
    ],
)
def test_retry_after_seconds_and_dates(value, seconds):
    assert retry_after(value, NOW) == seconds


@given(st.text(max_size=80))
def test_no_retry_after_raises_or_waits_beyond_its_bounds(value):
    wait = retry_after(value, NOW)

    assert wait is None or 1.0 <= wait <= MAX_WAIT


def test_the_endpoint_librarys_own_timeout_is_a_timeout():
    outcome = answered({"error": "x", "details": "after 300 s", "status": "timed_out"}, 504)

    assert (outcome.status, outcome.reason) == (Status.TIMED_OUT, Reason.TIMEOUT)
    assert (outcome.http_status, outcome.retry_kind) == (504, "timeout")
    assert outcome.message == "x: after 300 s"


def test_a_gateways_timeout_is_a_server_error():
    assert answered(b"<h1>504</h1>", 504).reason is Reason.HTTP_STATUS


@pytest.mark.parametrize(
    ("failure", "data"),
    [
        (Failure(Reason.DNS, "x"), {"host": "127.0.0.1:3000"}),
        (Failure(Reason.CONNECT, "x"), {"host": "127.0.0.1:3000"}),
        (Failure(Reason.TLS, "expired"), {"host": "127.0.0.1:3000", "error": "expired"}),
        (Failure(Reason.RESET, "x"), {}),
        (Failure(Reason.PROTOCOL, "bad\0" * 999), {"error": ("bad\ufffd" * 999)[:300]}),
    ],
)
def test_a_network_error_is_status_0_and_names_what_it_concerns(failure, data):
    outcome = judge(failure)

    assert (outcome.status, outcome.reason) == (Status.ERROR, failure.reason)
    assert (outcome.http_status, outcome.retry_kind) == (0, "network")
    assert outcome.reason_data == data


def test_what_was_never_sent_has_no_status_and_is_not_tried_again():
    outcome = judge(Failure(Reason.BAD_REQUEST, "no URL"))

    assert (outcome.http_status, outcome.retry_kind) == (None, "")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "done", "error": "no"}, "done"),
        ({"message": "  "}, ""),
        ({"message": "", "error": "no"}, "no"),
        ({"error": "no", "details": {"table": "ideas"}}, 'no: {"table":"ideas"}'),
        ({"error": {"code": 7, "message": "quota"}}, "quota"),
        ({"message": 42}, "42"),
        ({"message": [1, None]}, "[1,null]"),
        ({"message": "a\0b\ud800c"}, "a\ufffdb?c"),
        ({"message": "길" * 5_000}, "길" * 1_000),
        ({"details": "only"}, "only"),
    ],
)
def test_the_message_is_the_endpoints_own_words(body, message):
    assert answered(body).message == message


@pytest.mark.parametrize(
    "results",
    [
        None,
        {},
        "abc",
        7,
        [],
        [None, 1, "x", [], {}],
        [{"id": 1}, {"recordId": None}, {"recordId": True}, {"recordId": 1.5}, {"recordId": []}],
    ],
)
def test_results_of_another_shape_are_no_items_and_no_failure(results):
    outcome = answered({"success": True, "results": results})

    assert (outcome.status, outcome.items) == (Status.SUCCESS, ())


@pytest.mark.parametrize(
    ("entry", "item"),
    [
        ({"recordId": 7}, Item(record_id="7", ok=False)),
        ({"recordId": "a", "ok": "yes"}, Item(record_id="a", ok=False)),
        ({"recordId": "a", "ok": True, "status": "200"}, Item(record_id="a", ok=True)),
        ({"recordId": "a", "ok": True, "status": True}, Item(record_id="a", ok=True)),
        ({"recordId": "a", "ok": True, "status": -1}, Item(record_id="a", ok=True)),
        ({"recordId": "a", "ok": True, "status": 10**9}, Item(record_id="a", ok=True)),
        ({"recordId": "a" * 999, "ok": True}, Item(record_id="a" * 255, ok=True)),
        ({"recordId": "a\0", "ok": True}, Item(record_id="a\ufffd", ok=True)),
        (
            {"recordId": "a", "ok": False, "error": {"message": "no"}},
            Item(record_id="a", ok=False, error="no"),
        ),
        (
            {"recordId": "a", "ok": True, "body": {"\0": ["\ud800", 2**70]}},
            Item(record_id="a", ok=True, body={"\ufffd": ["?", str(2**70)]}),
        ),
        (
            {"recordId": "a", "attempts": 2, "seconds": 0.25, "tokens": 7, "cost": "0.0000011"},
            Item(record_id="a", ok=False, attempts=2, microseconds=250_000, tokens=7, micromoney=2),
        ),
        (
            {"recordId": "a", "attempts": True, "seconds": "NaN", "tokens": 2**31, "cost": -1},
            Item(record_id="a", ok=False),
        ),
        (
            {"recordId": "a", "attempts": -1, "seconds": 1e300, "tokens": "7", "cost": "1e9999"},
            Item(record_id="a", ok=False),
        ),
        (
            {"recordId": "a", "attempts": 1.5, "seconds": 2**70, "tokens": [], "cost": "９" * 41},
            Item(record_id="a", ok=False),
        ),
    ],
)
def test_an_item_with_odd_fields_is_still_an_item(entry, item):
    assert answered({"results": [entry]}).items == (item,)


def test_no_more_items_are_kept_than_the_limit():
    outcome = answered({"results": [{"recordId": number} for number in range(MAX_ITEMS + 5)]})

    assert len(outcome.items) == MAX_ITEMS


def test_items_of_a_failed_answer_are_kept():
    assert len(answered({"error": "x", "results": [{"recordId": 1}]}, 500).items) == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        (b"plain", "plain"),
        (b"a\0b", "a\ufffdb"),
        ("값".encode() * 30_000, "값" * 21_845),
        (b"x" * 70_000, "x" * 65_536),
        (b"x" * 65_535 + "é".encode(), "x" * 65_535),
        (b"x" * 65_534 + "é".encode(), "x" * 65_534 + "é"),
        (b"\xff" * 65_536, "\ufffd" * 21_845),
        (b"end \xc3", "end \ufffd"),
    ],
)
def test_the_text_is_cut_between_characters_and_within_its_bytes(content, text):
    assert text_of(content) == text


def test_what_was_cut_before_its_verdict_says_that_the_rest_was_not_seen():
    outcome = judge(Response(200, b'{"success": true, "rows": [1, 2', complete=False))

    assert (outcome.status, outcome.reason) == (Status.SUCCESS, Reason.BODY_TOO_LARGE)
    assert outcome.reason_data == {"limit": 1_048_576}


def test_storable_values_nest_only_so_deep():
    value: object = "core"
    for _ in range(MAX_DEPTH + 5):
        value = [value]

    stored, depth = storable(value), 0
    while isinstance(stored, list):
        stored, depth = stored[0], depth + 1

    assert (stored, depth) == (None, MAX_DEPTH)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
MEMBERS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("success", "status", "message", "error", "details", "skipped"), JSON)
    | {"results": st.lists(st.dictionaries(st.sampled_from(["recordId", "ok", "body"]), JSON))},
)
BODIES = st.binary(max_size=200) | MEMBERS.map(lambda value: json.dumps(value).encode())


WHOLE, CUT = True, False


@given(BODIES, st.integers(0, 999), st.booleans(), st.text(max_size=40), st.text(max_size=40))
@example(b"[" * 1_000_000, 200, WHOLE, "", "")
@example(b'{"a":' * 200_000, 500, WHOLE, "", "")
@example(b'{"results":' + b"[" * 500_000, 200, CUT, "", "")
@example(b'{"message": 1e999, "success": -1e999}', 200, WHOLE, "", "")
@example(b'{"message": ' + b"1" * 5_000 + b"}", 200, WHOLE, "", "")
@example(b'{"results": [{"recordId": ' + b"1" * 5_000 + b"}]}", 200, WHOLE, "", "")
@example(b'{"message": "\\ud800\\u0000"}', 200, WHOLE, "", "")
@example(b'{"results": [{"recordId": "\\udfff", "body": NaN}]}', 200, WHOLE, "", "")
@example(b'{"": {"": ' * 50_000, 200, CUT, "http://[", "\0")
def test_no_bytes_make_it_raise_and_all_that_comes_out_can_be_stored(
    content, status, complete, location, wait
):
    outcome = judge(Response(status, content, complete, location, wait))

    assert outcome.status in {
        Status.SUCCESS,
        Status.PARTIAL,
        Status.ERROR,
        Status.TIMED_OUT,
        Status.SKIPPED,
    }
    assert len(outcome.body.encode()) <= 65_536
    assert len(outcome.message) <= 1_000
    bodies = [item.body for item in outcome.items]
    texts = [outcome.message, outcome.body, *(item.record_id for item in outcome.items)]
    everything = [dict(outcome.reason_data), bodies, texts]
    json.dumps(everything, allow_nan=False, ensure_ascii=False).encode()
    msgspec.json.encode(everything)
    assert not any("\0" in text for text in strings_in(everything))


def strings_in(value):
    """Every string in a JSON value, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        entries = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        for entry in entries:
            yield from strings_in(entry)


SIMPLE = st.fixed_dictionaries(
    {"success": st.just(value=True)},
    optional={
        "message": st.text(max_size=20) | st.none() | st.just(0) | st.just("y" * 1_001),
        "error": st.text(max_size=3) | st.none(),
        "details": st.text(max_size=3) | st.none(),
        "status": st.sampled_from(["partial", "error", "success", None]),
        "timestamp": st.text(max_size=5),
        "results": st.none() | st.just([{"recordId": 1}]),
    },
)


@given(SIMPLE.map(lambda value: json.dumps(value).encode()) | BODIES)
@example(b'{"success": true, "message": " \\u0000 "}')
@example(b'{"success": true, "message": "   "}')
@example(b'{"success": true, "message": "\\ud800"}')
@example(b'{"success": true, "message": "' + b" " * 999 + b'x"}')
@example(b'{"success": true}\0')
def test_the_short_way_for_ordinary_successes_judges_like_the_long_one(content):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cronbell.dispatch.outcome.PLAIN_BODY", -1)
        long_way = answered(content)

    assert answered(content) == long_way


def test_the_short_way_is_taken_by_what_the_endpoint_library_answers():
    """Else the test above would compare the long way with itself."""
    body = b'{"success":true,"message":"3 done","timestamp":"2026-11-22T00:00:00Z"}'

    assert _plain(Response(200, body)) == answered(body)


@given(MEMBERS)
def test_reading_leniently_finds_what_reading_strictly_finds(value):
    """The fall-back for broken JSON must not judge sound JSON differently."""
    content = json.dumps(value).encode()
    strict, _ = members_of(content)
    lenient, _ = members_of(content, complete=False)
    for name in strict.__struct_fields__:
        first, second = getattr(strict, name), getattr(lenient, name)
        is_nan = isinstance(first, float) and math.isnan(first)
        assert is_nan or json.dumps(first) == json.dumps(second)
