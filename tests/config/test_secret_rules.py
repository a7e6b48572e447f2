"""The rule for secrets, and that an error never shows one."""

from __future__ import annotations

import pytest

from cronbell.config.secrets import check_secret, secrets_from_env
from cronbell.errors import SecretError

GOOD = "0123456789abcdef"
OTHER = "fedcba9876543210"


@pytest.mark.parametrize("value", [GOOD, "a b" * 6, "~!@#$%^&*()_+{}|:", "x" * 4000])
def test_a_secret_that_keeps_the_rule_is_accepted(value):
    check_secret(value)
    assert secrets_from_env({"CRON_SECRET": value}) == (value,)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("", "is empty"),
        ("SECRET-15-chars", "fewer than 16"),
        ("undefined", "fewer than 16"),
        ("SECRET-with-blank ", "begins or ends with a blank"),
        (" SECRET-with-blank", "begins or ends with a blank"),
        (" " * 20, "begins or ends with a blank"),
        ("SECRET-line-break\n", "not printable ASCII"),
        ("SECRET\twith-a-tab-in", "not printable ASCII"),
        ("SECRET-비밀-0123456789", "not printable ASCII"),
        ("SECRET-\0-0123456789", "not printable ASCII"),
        ("SECRET-\x7f-0123456789", "not printable ASCII"),
    ],
)
def test_a_secret_that_breaks_the_rule_is_refused_without_being_shown(value, rule):
    with pytest.raises(SecretError, match=rule) as caught:
        check_secret(value)
    assert caught.value.hint
    assert not value.strip() or value.strip() not in str(caught.value)
    assert "SECRET-" not in str(caught.value)


def test_the_previous_secret_is_second():
    env = {"CRON_SECRET": GOOD, "CRON_SECRET_PREVIOUS": OTHER}
    assert secrets_from_env(env) == (GOOD, OTHER)
    assert secrets_from_env({**env, "CRON_SECRET_PREVIOUS": GOOD}) == (GOOD,)


@pytest.mark.parametrize("env", [{}, {"CRON_SECRET": ""}, {"CRON_SECRET_PREVIOUS": OTHER}])
def test_without_a_current_secret_there_is_none(env):
    assert secrets_from_env(env) == ()


def test_an_error_names_the_variable():
    with pytest.raises(SecretError, match="CRON_SECRET_PREVIOUS"):
        secrets_from_env({"CRON_SECRET": GOOD, "CRON_SECRET_PREVIOUS": "short"})
