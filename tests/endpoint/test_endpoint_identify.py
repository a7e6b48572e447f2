"""Which run a call asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.endpoint.support import request

from cronbell.domain import fire_key
from cronbell.endpoint.identify import (
    BadRequestError,
    Request,
    identify,
    latest_vercel_fire,
    parameters_of,
)
from cronbell.states import Kind

NOON = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)


def read(sent: Request, now=NOON):
    return identify(sent, now=now, new_key=lambda: "made-up", latest_fire=latest_vercel_fire)


def test_the_headers_of_a_runner_are_read():
    found = read(
        request(
            idempotency_key="k-1",
            x_cronbell_run_id="17",
            x_cronbell_scheduled_at="2026-11-22T21:00:00+09:00",
            x_cronbell_attempt="3",
            x_cronbell_dry_run="TRUE",
            x_vercel_cron_schedule="0 * * * *",
        )
    )

    assert (found.key, found.run_id, found.attempt) == ("k-1", "17", 3)
    assert found.scheduled_at == datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert found.dry_run
    assert (found.kind, found.schedule) == (Kind.CALL, "0 * * * *")


def test_vercel_and_cronbell_give_one_fire_the_same_key():
    found = read(request(query="team=a", x_vercel_cron_schedule="0 * * * *"))
    noon = NOON.replace(second=0)

    assert found.key == fire_key("/api/cron/work?team=a", "0 * * * *", noon)
    assert (found.kind, found.scheduled_at) == (Kind.SCHEDULE, noon)


@pytest.mark.parametrize("seconds", [0, 1, 59, 3599])
def test_every_call_until_the_next_fire_belongs_to_the_latest_one(seconds):
    noon = NOON.replace(second=0)

    assert latest_vercel_fire("0 * * * *", noon + timedelta(seconds=seconds)) == noon


def test_a_call_just_before_a_fire_belongs_to_the_one_before():
    noon = NOON.replace(second=0)

    assert latest_vercel_fire("0 * * * *", noon - timedelta(microseconds=1)) == noon - timedelta(
        hours=1
    )


@pytest.mark.parametrize(
    "expression", ["@daily", "0 0 * * MON", "", "x", "0 0 31 2 *", "* * * * * *", "é" * 9]
)
def test_an_expression_vercel_does_not_run_identifies_nothing(expression):
    found = read(request(x_vercel_cron_schedule=expression))

    assert (found.key, found.kind, found.scheduled_at) == ("made-up", Kind.CALL, None)


def test_a_plain_call_gets_a_key_of_its_own():
    assert read(request()).key == "made-up"


@pytest.mark.parametrize(
    "header",
    [
        {"idempotency_key": ""},
        {"idempotency_key": "two words"},
        {"idempotency_key": "x" * 201},
        {"idempotency_key": "키"},
        {"idempotency_key": "a\x7f"},
        {"x_cronbell_run_id": "x" * 201},
        {"x_cronbell_run_id": " "},
        {"x_cronbell_attempt": ""},
        {"x_cronbell_attempt": "0"},
        {"x_cronbell_attempt": "-1"},
        {"x_cronbell_attempt": "1.0"},
        {"x_cronbell_attempt": "+1"},
        {"x_cronbell_attempt": "1e3"},
        {"x_cronbell_attempt": "٣"},
        {"x_cronbell_attempt": "9" * 11},
        {"x_cronbell_attempt": "1_0"},
        {"x_cronbell_scheduled_at": ""},
        {"x_cronbell_scheduled_at": "yesterday"},
        {"x_cronbell_scheduled_at": "2026-11-22T00:00:00"},
        {"x_cronbell_scheduled_at": "2026-11-22"},
        {"x_cronbell_scheduled_at": "2026-13-22T00:00:00Z"},
        {"x_cronbell_scheduled_at": "0001-01-01T00:00:00+23:00"},
        {"x_cronbell_dry_run": ""},
        {"x_cronbell_dry_run": "1"},
        {"x_cronbell_dry_run": "yes"},
    ],
    ids=repr,
)
def test_a_header_that_cannot_be_read_is_an_error_that_names_it(header):
    (name,) = header

    with pytest.raises(BadRequestError, match=name.replace("_", "-")):
        read(request(**header))


@pytest.mark.parametrize("name", [b"idempotency-key", b"x-cronbell-attempt"])
def test_a_header_sent_twice_is_an_error(name):
    sent = Request("GET", "/", "/", ((name, b"1"), (name, b"1")))

    with pytest.raises(BadRequestError, match="more than once"):
        read(sent)


@given(st.binary(max_size=300))
def test_whatever_bytes_a_key_has_it_is_taken_as_it_is_or_refused(value):
    sent = Request("GET", "/", "/", ((b"idempotency-key", value),))

    try:
        assert read(sent).key.encode() == value
        assert 1 <= len(value) <= 200
    except BadRequestError:
        assert not value or len(value) > 200 or not all(0x21 <= byte <= 0x7E for byte in value)


def test_times_of_any_zone_become_utc():
    local = datetime(2026, 11, 22, 9, tzinfo=timezone(timedelta(hours=9)))

    assert read(request(x_cronbell_scheduled_at=local.isoformat())).scheduled_at == local


def test_a_job_is_given_the_parameters_it_declares_and_no_others():
    sent = request(query="category=%ED%95%9C+a&other=1&other=2&blank=+")
    assert parameters_of(sent, ("category", "blank", "absent")) == {"category": "한 a"}
    assert parameters_of(sent, ()) == {}


@pytest.mark.parametrize("query", ["a=1&a=1", "a=" + "x" * 501, "a=%00", "a=b%0Ac"])
def test_a_parameter_that_leaves_a_job_guessing_is_refused(query):
    with pytest.raises(BadRequestError, match="the parameter a "):
        parameters_of(request(query=query), ("a",))
