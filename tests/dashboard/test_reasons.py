"""Every reason has its sentence, in both languages, whatever data is at hand."""

from __future__ import annotations

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from cronbell.runlog.reasons import explain, explain_status
from cronbell.states import Reason

FULL = {
    "status": 404,
    "location": "/login",
    "message": "m",
    "failed": 2,
    "total": 5,
    "seconds": 30,
    "host": "h:1",
    "address": "169.254.169.254 (link-local)",
    "error": "e",
    "limit": 10,
    "after": 3,
    "run": 7,
}


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("data", [FULL, {}])
def test_every_reason_has_a_sentence_in_english_and_in_korean(reason, data):
    with translation.override("en"):
        english = explain(reason.value, data)
    with translation.override("ko"):
        korean = explain(reason.value, data)
    assert english
    assert english != reason.value
    assert korean != english
    assert any("가" <= letter <= "힣" for letter in korean)
    assert "%(" not in english + korean


def test_a_redirect_to_a_login_says_what_is_wrong():
    assert explain("redirected", {"location": "/login"}) == (
        "redirected to /login: the endpoint is behind a login; a cron call does not follow"
        " redirects"
    )
    assert "final address" in explain("redirected", {"location": "https://www.example.com/x/"})


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (401, "CRON_SECRET"),
        (404, "path"),
        (405, "method"),
        (429, "fewer"),
        (500, "own log"),
        (503, "overloaded"),
        (599, "own log"),
    ],
)
def test_common_statuses_say_what_to_do(status, word):
    assert word in explain("http_status", {"status": status})


def test_other_statuses_add_nothing():
    assert explain_status(418) == ""
    assert explain("http_status", {"status": 418}) == "the endpoint answered 418"


def test_no_reason_says_nothing_and_an_unknown_one_itself():
    assert explain("", {}) == ""
    assert explain("from-the-future", {}) == "from-the-future"


def test_long_values_are_cut():
    assert len(explain("exception", {"error": "x" * 100_000})) < 400


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.sampled_from(list(Reason)), st.dictionaries(st.sampled_from(list(FULL)), anything))
def test_no_data_makes_it_raise(reason, data):
    assert explain(reason.value, data)


@given(st.sampled_from(list(Reason)), anything)
def test_data_of_any_type_does_not_make_it_raise(reason, data):
    assert explain(reason.value, data)
